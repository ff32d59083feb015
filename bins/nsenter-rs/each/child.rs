//! One run: a child with nothing on stdin and its output in pipes. It says through a third one why it could not
//! go in.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use common::failure::{Failure, Status};
use common::hint::Hint;
use common::sys;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setpgid};

use crate::run::child::asks_to_end;
use crate::status::OWN_FAILURE;

/// More than any message has; less than a pipe holds.
const MOST_BYTES: usize = 16 << 10;

/// What the parent has of a run.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    failure: OwnedFd,
}

/// What the child has of its parent.
#[derive(Debug)]
pub struct ChildSide {
    failure: OwnedFd,
}

/// Which of the two processes this is, after the fork.
pub enum ForkSide {
    /// With the child's stdout and stderr.
    Parent(Child, [OwnedFd; 2]),
    Child(ChildSide),
}

/// Forks. In the child standard streams are those of the run, and signals are as `mask` has them.
pub fn fork(nothing: &File, mask: &SigSet) -> nix::Result<ForkSide> {
    let pipe = |flags| pipe2(OFlag::O_CLOEXEC | flags);
    let (stdout, stderr) = (pipe(OFlag::empty())?, pipe(OFlag::empty())?);
    // No process waits at this one, neither to write nor to read.
    let failure = pipe(OFlag::O_NONBLOCK)?;
    match sys::fork_single_threaded()? {
        ForkResult::Parent { child: pid } => {
            // In both, for either may be first.
            let _ = setpgid(pid, pid);
            Ok(ForkSide::Parent(Child { pid, failure: failure.0 }, [stdout.0, stderr.0]))
        }
        ForkResult::Child => {
            // A group of its own, so that signals reach all that PROGRAM starts.
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            dup2_stdin(nothing)?;
            dup2_stdout(&stdout.1)?;
            dup2_stderr(&stderr.1)?;
            mask.thread_set_mask()?;
            Ok(ForkSide::Child(ChildSide { failure: failure.1 }))
        }
    }
}

impl Child {
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends `signal` to PROGRAM and all that it started. What has stopped goes on when it is asked to end, for no other
    /// signal reaches it.
    pub fn signal(&self, signal: Signal) {
        // They may have ended.
        let _ = killpg(self.pid, signal);
        if asks_to_end(signal) {
            let _ = killpg(self.pid, Signal::SIGCONT);
        }
    }

    /// Why it could not go in; `None` when it could. Right once it has ended: no other process writes there.
    pub fn failure(&self) -> Option<Failure> {
        let mut words = [0; MOST_BYTES];
        let length = nix::unistd::read(self.failure.as_fd(), &mut words).ok().filter(|length| *length > 0)?;
        let text = String::from_utf8_lossy(&words[..length]).into_owned();
        let (message, hint) = text.split_once('\0').unwrap_or((&text, ""));
        Some(Failure::in_lines(Status::Failed, message).hint(Hint::relayed(hint)))
    }
}

impl ChildSide {
    /// Runs `enter`, which comes back if PROGRAM did not take its place: then what it says is the child's status. Why it
    /// could not go in is said through the pipe.
    pub fn run(self, enter: impl FnOnce() -> Result<ExitCode, Failure>) -> ExitCode {
        enter().unwrap_or_else(|why| {
            let words = [why.text(), why.hint.as_deref().unwrap_or_default()].join("\0");
            let end = words.len().min(MOST_BYTES);
            // The parent is all there is to tell.
            let _ = nix::unistd::write(&self.failure, &words.as_bytes()[..end]);
            ExitCode::from(OWN_FAILURE)
        })
    }
}
