//! `--host-tools` against a container whose files name what a program loads: code of the container does run in programs of
//! the host, and can do no more there than in the container itself.

mod among;
mod descriptors;
mod docker;
mod exposed;
mod left;
mod tree;
mod window;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::run::Run;
use support::skip::{Missing, program};
use support::tools::tool;

/// A program of the host that loads the library that it is told: a plugin, a module of the name service.
const LOADS: &str = "#include <dlfcn.h>\n#include <stdio.h>\nint main(int c, char **v)\n\
                     { if (dlopen(v[1], RTLD_NOW)) return 0; fprintf(stderr, \"%s\\n\", dlerror()); return 1; }\n";

/// A program that says whether it can be looked into.
const SAYS: &str = "#include <stdio.h>\n#include <sys/prctl.h>\n\
                    int main(void) { printf(\"%d\\n\", prctl(PR_GET_DUMPABLE)); return 0; }\n";

/// The probe as a library and as a program, and what loads the library.
struct Built {
    library: PathBuf,
    program: PathBuf,
    loads: PathBuf,
    says: PathBuf,
    window: PathBuf,
}

fn built() -> Result<&'static Built, Missing> {
    static BUILT: OnceLock<Built> = OnceLock::new();
    program("cc", "gcc")?;
    Ok(BUILT.get_or_init(|| {
        let directory = Path::new(tool("nsenter-rs")).parent().unwrap().join("probe");
        std::fs::create_dir_all(&directory).unwrap();
        let of = |name: &str| directory.join(name);
        let compile = |source: &Path, to: &Path, flags: &[&str]| {
            let unfinished = to.with_extension(std::process::id().to_string());
            Command::new("cc").args(flags).arg("-o").arg(&unfinished).arg(source).arg("-ldl").run().ok();
            std::fs::rename(unfinished, to).unwrap();
        };
        let probe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nsenter_rs/fence/probe.c");
        compile(&probe, &of("probe.so"), &["-shared", "-fPIC", "-DLIBRARY"]);
        compile(&probe, &of("probe"), &["-static"]);
        let window = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nsenter_rs/fence/window.c");
        compile(&window, &of("window"), &["-O2", "-static"]);
        for (name, source) in [("loads", LOADS), ("says", SAYS)] {
            let file = of(name).with_extension(format!("{}.c", std::process::id()));
            std::fs::write(&file, source).unwrap();
            compile(&file, &of(name), &[]);
        }
        Built {
            library: of("probe.so"),
            program: of("probe"),
            loads: of("loads"),
            says: of("says"),
            window: of("window"),
        }
    }))
}

/// What the probe has said.
#[derive(Debug)]
struct Report {
    /// What it tried, and "ok" or the number of the error.
    tried: BTreeMap<String, String>,
    /// What the kernel says of the process.
    facts: Vec<String>,
}

impl Report {
    #[track_caller]
    fn parse(text: &str) -> Self {
        assert!(text.ends_with("= end\n"), "the probe did not come to its end: {text:?}");
        let facts = text.lines().filter_map(|line| line.strip_prefix("= ")).map(str::to_owned).collect();
        let tried = text.lines().filter(|line| !line.starts_with('='));
        let tried = tried.filter_map(|line| line.split_once(' '));
        Report { tried: tried.map(|(name, result)| (name.to_owned(), result.to_owned())).collect(), facts }
    }

    /// The names of what succeeded.
    fn done(&self) -> Vec<&str> {
        self.tried.iter().filter(|(_, result)| *result == "ok").map(|(name, _)| name.as_str()).collect()
    }

    #[track_caller]
    fn fact(&self, name: &str) -> &str {
        let found = self.facts.iter().find_map(|fact| fact.strip_prefix(name));
        found.unwrap_or_else(|| panic!("no {name} in {self:?}")).trim_start_matches(':').trim()
    }

    fn groups(&self) -> Vec<&String> {
        self.facts.iter().filter(|fact| fact.starts_with("cgroup ")).collect()
    }
}
