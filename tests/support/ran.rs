//! What came of a command, and the assertions on it: each shows everything when it fails.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use common::hint::COMMANDS;
use nix::sys::signal::Signal;

/// A command that has ended, or one as it stands. Assertions give it back, to be chained.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The command line, without its environment.
    pub command: String,
    /// None while it runs.
    pub status: Option<ExitStatus>,
    /// Bytes that are no UTF-8 are shown as U+FFFD; escape sequences are as they were.
    pub stdout: String,
    /// As `stdout`.
    pub stderr: String,
    /// How long it ran, or has been running.
    pub took: Duration,
}

impl Ran {
    /// Whatever a test is about: a hint is a command that a shell can read, or a sentence that does not begin as one does.
    #[track_caller]
    pub(crate) fn has_sound_hints(self) -> Ran {
        for hint in self.stderr.lines().filter_map(|line| line.strip_prefix("hint: ")) {
            let first = hint.split(' ').next().unwrap_or_default();
            if COMMANDS.contains(&first) {
                let read = Command::new("/bin/sh").args(["-n", "-c", hint]).output().unwrap();
                assert!(read.status.success(), "no shell can read the hint of {self}");
            }
            let begins =
                first.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_:;,0123456789".contains(&byte));
            assert!(begins && !first.starts_with('-'), "a hint is neither a command nor a sentence: {self}");
        }
        self
    }

    /// It ended with status 0.
    #[track_caller]
    pub fn ok(self) -> Ran {
        self.fails_with(0)
    }

    /// It ended by itself, with this status.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> Ran {
        assert_eq!(self.status.and_then(|status| status.code()), Some(code), "exit status of {self}");
        self
    }

    /// This signal ended it.
    #[track_caller]
    pub fn killed_by(self, signal: Signal) -> Ran {
        assert_eq!(
            self.status.and_then(|status| status.signal()),
            Some(signal as i32),
            "signal that ended {self}"
        );
        self
    }

    /// Its stdout is this, to the byte.
    #[track_caller]
    pub fn stdout_is(self, text: &str) -> Ran {
        assert_eq!(self.stdout, text, "stdout of {self}");
        self
    }

    /// Its stdout has this in it.
    #[track_caller]
    pub fn stdout_has(self, text: &str) -> Ran {
        assert!(self.stdout.contains(text), "no {text:?} in stdout of {self}");
        self
    }

    /// Its stderr is this, to the byte.
    #[track_caller]
    pub fn stderr_is(self, text: &str) -> Ran {
        assert_eq!(self.stderr, text, "stderr of {self}");
        self
    }

    /// Its stderr has this in it.
    #[track_caller]
    pub fn stderr_has(self, text: &str) -> Ran {
        assert!(self.stderr.contains(text), "no {text:?} in stderr of {self}");
        self
    }

    /// Its stdout without the white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Its stdout, which is JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|err| panic!("{err} in the JSON of {self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.command)?;
        let status = self.status.map_or("not over".to_owned(), |status| status.to_string());
        writeln!(f, "  after {:?}: {status}", self.took)?;
        writeln!(f, "  stdout: {}", self.stdout.trim_end().replace('\n', "\n          "))?;
        write!(f, "  stderr: {}", self.stderr.trim_end().replace('\n', "\n          "))
    }
}
