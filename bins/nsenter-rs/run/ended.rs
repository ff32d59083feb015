//! How a child stopped or ended, and to end the same way.

use std::process::ExitCode;

use common::sys;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{WaitOptions, WaitStatus, waitpid};

/// What has become of the child.
#[derive(Debug)]
pub enum ChildChange {
    Nothing,
    Stopped,
    Ended(ChildEnd),
}

/// How the child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildEnd {
    Exited(i32),
    /// The signal's number: real-time signals are of no type that nix has.
    Killed(i32),
}

/// What SIGCHLD was about.
pub fn change_of(child: Pid) -> nix::Result<ChildChange> {
    // Not nix's, which reaps a child that a real-time signal has ended and then says EINVAL.
    let child = rustix::process::Pid::from_raw(child.as_raw());
    let waited = waitpid(child, WaitOptions::NOHANG | WaitOptions::UNTRACED)
        .map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
    Ok(match waited {
        Some((_, status)) if status.stopped() => ChildChange::Stopped,
        Some((_, status)) => ChildEnd::of(status).map_or(ChildChange::Nothing, ChildChange::Ended),
        None => ChildChange::Nothing,
    })
}

impl ChildEnd {
    /// What wait(2) says of a child that has ended.
    pub fn of(status: WaitStatus) -> Option<Self> {
        status.exit_status().map(ChildEnd::Exited).or(status.terminating_signal().map(ChildEnd::Killed))
    }

    /// Ends as the child did, at once.
    pub fn end(self) -> ! {
        let status = match self {
            ChildEnd::Exited(code) => code,
            ChildEnd::Killed(signal) => {
                die_of(signal);
                128 + signal
            }
        };
        std::process::exit(status)
    }

    /// Ends as the child did: of the same signal, or with the status that this gives back.
    pub fn share(self) -> ExitCode {
        match self {
            ChildEnd::Exited(code) => exit_code(code),
            ChildEnd::Killed(signal) => die_of(signal),
        }
    }
}

/// Ends this process by `signal`; what comes back, where that does not, is the status that says the same.
pub fn die_of(signal: i32) -> ExitCode {
    // The program has left a core file, if it was to leave one.
    let _ = prctl::set_dumpable(false);
    // Our own caller, or Rust's start-up code in the case of SIGPIPE, may have left it ignored.
    let _ = sys::default_action_of(signal);
    let _ = sys::unblock(signal);
    let _ = sys::raise(signal);
    exit_code(128 + signal)
}

/// What people call it.
pub fn name_of(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
