//! A visit to a clean Debian: lines that its user pastes into a shell, and what they say.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;
use support::run::{Ran, Run};
use support::skip::{Missing, program};
use support::tools;

/// For the lines, which install and start things. Making the Debian takes minutes and is done before.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the Debian is made.
const MAKING: Duration = Duration::from_secs(1800);

/// A clean Debian that can be entered.
pub struct CleanRoot(PathBuf);

impl CleanRoot {
    /// `let root = need!(CleanRoot::get());`
    pub fn get() -> Result<CleanRoot, Missing> {
        if !geteuid().is_root() {
            return Err(Missing::Fixable("a clean root is entered by root only".to_owned()));
        }
        program("apt-get", "apt")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/clean-root");
        let ran = command(&script).arg("make").start().finish_within(MAKING);
        match ran.status.is_some_and(|status| status.success()) {
            true => Ok(CleanRoot(script)),
            false => Err(Missing::Fixable(format!("no clean Debian: {}", ran.stderr.trim()))),
        }
    }

    /// Pastes these lines into a login shell of its user, whose home has what is in `files`. Each is said before it runs; the
    /// first that fails ends the visit.
    pub fn paste(&self, files: &Path, lines: &str) -> Ran {
        let mut enter = command(Path::new("unshare"));
        enter.args(["--mount", "--net", "--pid", "--uts", "--fork", "--kill-child"]).arg(&self.0);
        enter.arg("enter").arg(files).args(["bash", "-lc", &format!("set -ex\n{lines}")]);
        enter.start().finish_within(PATIENCE)
    }
}

fn command(program: &Path) -> Command {
    let mut command = tools::in_clean_environment(Command::new(program));
    if let Some(engines) = std::env::var_os("NETNS_TOOLBOX_ENGINES") {
        command.env("NETNS_TOOLBOX_ENGINES", engines);
    }
    command
}
