//! A world of a test's own, of this machine's engines or of another suite of Debian: what is done to its daemons, and to its
//! network, no other test sees.

use std::fmt;
use std::io::PipeWriter;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::run::{Ran, Run};
use crate::scratch::Scratch;
use crate::skip::Missing;
use crate::world::World;

/// What fetching a whole suite may take, on a machine that does nothing else.
const FETCH: Duration = Duration::from_secs(600);

/// Whose engines.
pub enum Suite {
    /// This machine's, or unpacked for it, without systemd.
    Here,
    /// A suite of Debian, under systemd.
    Debian(String),
}

impl Suite {
    /// `here`, or the name of a suite.
    pub fn named(name: &str) -> Suite {
        if name == "here" { Suite::Here } else { Suite::Debian(name.to_owned()) }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Suite::Here => {
                let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
                let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
                write!(f, "{}, without systemd", name.unwrap_or("here"))
            }
            Suite::Debian(name) => f.write_str(name),
        }
    }
}

/// That world, while this lives.
pub struct Ground {
    /// Where the tools run.
    pub world: World,
    dir: Scratch,
    /// The world ends when nobody holds it any more, however we end.
    _alive: PipeWriter,
}

impl Ground {
    /// Starts it with these engines; an error if its packages cannot be had.
    pub fn start(suite: &Suite, engines: &[&str]) -> Result<Ground, Missing> {
        let (dead, alive) = std::io::pipe().unwrap();
        let dir = Scratch::new();
        let mut start = setup("world");
        start.args(["start", "--tied"]);
        if let Suite::Debian(name) = suite {
            start.args(["--suite", name]);
        }
        start.arg(dir.as_ref());
        // Docker uses the containerd that is there, as one that is installed does.
        let (first, others): (Vec<_>, Vec<_>) =
            engines.iter().copied().partition(|engine| *engine == "containerd");
        match suite {
            // There containerd's plugin is its own, and the API of Podman an engine of its own.
            Suite::Here => {
                start.args(first).args(others.iter().filter(|engine| **engine != "cri")).arg("podman-service")
            }
            Suite::Debian(_) => start.args(first).args(others),
        };
        let started = start.start_with(Stdio::from(dead)).finish_within(FETCH);
        match started.status.and_then(|status| status.code()) {
            Some(0) => {}
            // No such world here: see tests/setup/world.
            Some(4) => return Err(Missing::Fixable(started.stderr.trim().to_owned())),
            _ => panic!("no world of {suite}: {started}\n{}", logs(dir.as_ref())),
        }
        Ok(Ground { world: World::at(dir.as_ref()), dir, _alive: alive })
    }

    /// Runs our own tool as the user of rootless Podman.
    pub fn by_user(&self, tool: &str) -> Command {
        let mut command = self.world.engine(setup("suite/podman-rootless").get_program());
        command.arg("own").arg(crate::tools::tool(tool));
        command
    }

    /// What an engine's file in `tests/setup/cells` says: see there.
    #[track_caller]
    pub fn engine(&self, engine: &str, job: &str) -> Ran {
        let script = setup(&format!("cells/{engine}"));
        self.world.engine(script.get_program()).arg(job).run_within(Duration::from_secs(120))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Its end by the pipe would come after the directory's.
        let _ = setup("world").arg("stop").arg(self.dir.as_ref()).start().ends();
    }
}

fn setup(script: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../setup").canonicalize().unwrap().join(script))
}

/// What the world's set-up and its engines said.
fn logs(dir: &Path) -> String {
    let files = std::fs::read_dir(dir.join("log")).into_iter().flatten().flatten();
    let texts = files.map(|file| {
        let text = std::fs::read(file.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        format!("{}:\n{}", file.path().display(), lines[lines.len().saturating_sub(40)..].join("\n"))
    });
    texts.collect::<Vec<_>>().join("\n")
}
