//! What `make dist` has made of the commit that is checked out.

use std::env;
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::run::Run;
use support::scratch::Scratch;
use support::skip::{Missing, program};

/// The tarballs, packages and their checksums.
pub struct Shipped(PathBuf);

impl Shipped {
    /// `let shipped = need!(Shipped::get());`
    pub fn get() -> Result<Shipped, Missing> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = match env::var_os("NETNS_TOOLBOX_DIST").filter(|value| !value.is_empty()) {
            Some(directory) => PathBuf::from(directory),
            None => root.join("target/dist"),
        };
        let git = program("git", "git")?;
        let shipped = Shipped(directory);
        let missing = || {
            Missing::ForGood("make dist has not made this commit's tarballs; make test-all does".to_owned())
        };
        let tarball = shipped.tarball().filter(|file| file.is_file()).ok_or_else(missing)?;
        // Everything in it has the commit's time.
        let committed = Command::new(git).arg("-C").arg(root).args(["log", "-1", "--format=%ct"]).run().ok();
        let listed = Command::new("tar").args(["--utc", "--full-time", "-tvf"]).arg(tarball).run().ok();
        let listed = listed.stdout.lines().next().unwrap_or_default().to_owned();
        let mut words = listed.split_whitespace().skip(3);
        let time = format!("{}T{}Z", words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let time = time.parse::<jiff::Timestamp>().map(|time| time.as_second().to_string());
        match time.is_ok_and(|time| time == committed.stdout.trim()) {
            true => Ok(shipped),
            false => Err(missing()),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    fn ending_in(&self, end: &str) -> Option<PathBuf> {
        self.files().into_iter().find(|file| file.to_str().is_some_and(|file| file.ends_with(end)))
    }

    fn tarball(&self) -> Option<PathBuf> {
        self.ending_in(&format!("-{ARCH}.tar.gz"))
    }

    /// The tarball of an architecture, unpacked.
    pub fn unpacked(&self, arch: &str) -> Scratch {
        let to = Scratch::new();
        let tarball =
            self.ending_in(&format!("-{arch}.tar.gz")).unwrap_or_else(|| panic!("no tarball for {arch}"));
        Command::new("tar").arg("-xzf").arg(tarball).arg("-C").arg(to.as_ref()).run().ok();
        to
    }

    /// A directory with the files that end so, as somebody has it who has downloaded them.
    pub fn downloaded(&self, names: &[&str]) -> Scratch {
        let to = Scratch::new();
        for name in names {
            let file = self.ending_in(name).unwrap_or_else(|| panic!("no {name} in {}", self.0.display()));
            fs::copy(&file, to.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
        }
        to
    }
}

/// How Debian calls this machine's architecture.
pub fn debian_arch() -> &'static str {
    match ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}
