//! A parent for the program inside the target's PID namespace, that waits for all children that outlive the program.
//!
//! The kernel gives orphans to the first process of their PID namespace. An application that is a container's first
//! process rarely waits for children it does not know, and each would stay as a zombie for the container's life.
//! PR_SET_CHILD_SUBREAPER does not reach over the border of a PID namespace (find_new_reaper in the kernel's
//! kernel/exit.c), so that it takes one of us inside. It is held as the program is, and cannot be looked into.

use std::convert::Infallible;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;

use common::failure::Failure;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, pipe2, setpgid};
use rustix::process::{WaitOptions, wait};

use crate::enter::descriptors;
use crate::run::child;
use crate::run::ended::ChildEnd;
use crate::run::parent_death::ParentDeathSignal;

/// How the program ended, reported to our own parent if other processes are still to be waited for.
#[derive(Debug)]
pub struct EndPipe {
    hear: OwnedFd,
    tell: OwnedFd,
}

/// The end of it that our parent has.
#[derive(Debug)]
pub struct EndReader(Option<OwnedFd>);

impl EndPipe {
    /// For one program.
    ///
    /// # Errors
    /// What pipe(2) says.
    pub fn open() -> Result<Self, Failure> {
        let pipe = pipe2(OFlag::O_CLOEXEC).map_err(|errno| Failure::failed("pipe", errno.desc()));
        pipe.map(|(hear, tell)| EndPipe { hear, tell })
    }

    /// In the parent, once the child is there.
    pub fn heard_here(self) -> EndReader {
        EndReader(Some(self.hear))
    }
}

impl EndReader {
    /// Of a program without a process of ours that waits inside.
    pub fn none() -> Self {
        EndReader(None)
    }

    /// What poll(2) is to wait for.
    pub fn awaited(&self) -> Option<PollFd<'_>> {
        self.0.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
    }

    /// What has been said, when there is something: how the program ended.
    pub fn hear(&mut self) -> Option<ChildEnd> {
        let mut bytes = [0; 5];
        let pipe = self.0.take()?;
        File::from(pipe).read_exact(&mut bytes).ok()?;
        let [killed, number @ ..] = bytes;
        let number = i32::from_ne_bytes(number);
        match killed {
            0 => Some(ChildEnd::Exited(number)),
            _ => Some(ChildEnd::Killed(number)),
        }
    }
}

/// Runs `start` in a child and waits for it and for all children that outlive it. With a `report` our own parent is told when
/// the child has ended, and need not wait for the rest; and when that parent is gone, the child is ended (`kills`). Without
/// one the rest is not waited for.
///
/// In the child this returns what `start` returns.
pub fn parent_of(
    alone: bool,
    kills: bool,
    report: Option<EndPipe>,
    start: impl FnOnce(&ParentDeathSignal) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let as_failure = |errno: Errno| Failure::failed("PR_SET_CHILD_SUBREAPER", errno.desc());
    prctl::set_child_subreaper(true).map_err(as_failure)?;
    child::fork(&[], start, |child, watched| {
        let waiting = ChildWait { child, alone, kills, end: None };
        match waiting.wait(watched, report.map(|report| report.tell)) {
            Ok(never) => match never {},
            // If this process is killed, the program is killed too.
            Err(_) => ChildEnd::Killed(Signal::SIGKILL as i32).end(),
        }
    })
}

struct ChildWait {
    child: Pid,
    /// Whether signals are for us to pass on.
    alone: bool,
    kills: bool,
    end: Option<ChildEnd>,
}

impl ChildWait {
    fn wait(mut self, watched: &SigSet, mut tell: Option<OwnedFd>) -> nix::Result<Infallible> {
        let signals = SignalFd::with_flags(watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let lingers = tell.is_some();
        if lingers {
            // Where we are stopped with the program when our parent dies.
            prctl::set_pdeathsig(Signal::SIGCONT)?;
        }
        // A signal that kills the whole process group must not kill us before we have waited. The first of a session cannot leave.
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        // What the program has closed is to be closed: a reader waits for the last one that could write. And what is open
        // to the host's files is not for a process that others see.
        let kept =
            [Some(signals.as_fd()), tell.as_ref().map(AsFd::as_fd)].map(|fd| fd.map(|fd| fd.as_raw_fd()));
        descriptors::close_all_but(&kept.into_iter().flatten().collect::<Vec<_>>());
        loop {
            let is_left = self.sleep(&signals, tell.as_ref())?;
            if is_left {
                tell = None;
                if self.kills && self.end.is_none() {
                    let _ = kill(self.child, Signal::SIGKILL);
                }
            }
            while let Some(received) = signals.read_signal()? {
                if received.ssi_signo != Signal::SIGCHLD as u32 && self.end.is_none() {
                    pass_on(&received, self.child, self.alone);
                }
            }
            let is_last = self.reap()?;
            let Some(end) = self.end else { continue };
            // Whether we tell by our own end, or go on after our parent's. Not by returning: on the way descriptors would
            // be dropped that are closed.
            if is_last || !lingers {
                end.end()
            }
            if let Some(tell) = tell.take() {
                say(tell, end);
            }
        }
    }

    /// Until there is something to do; whether our parent is gone.
    fn sleep(&self, signals: &SignalFd, tell: Option<&OwnedFd>) -> nix::Result<bool> {
        let mut awaited = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        // A pipe without a reader is in error, whatever is asked.
        awaited.extend(tell.map(|tell| PollFd::new(tell.as_fd(), PollFlags::empty())));
        match poll(&mut awaited, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Ok(false),
            ready => ready?,
        };
        Ok(awaited.get(1).is_some_and(|tell| tell.any() == Some(true)))
    }

    /// Waits for all that have ended; whether none is left.
    fn reap(&mut self) -> nix::Result<bool> {
        loop {
            // Not nix's, which loses children that a real-time signal has ended.
            let (pid, status) = match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some(changed)) => changed,
                Ok(None) => return Ok(false),
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::CHILD) => return Ok(true),
                Err(errno) => return Err(Errno::from_raw(errno.raw_os_error())),
            };
            if pid.as_raw_nonzero().get() != self.child.as_raw() {
                continue;
            }
            // A child that has stopped stops us, and goes on when we do.
            if status.stopped() {
                raise(Signal::SIGSTOP)?;
                let _ = kill(self.child, Signal::SIGCONT);
            } else if let Some(end) = ChildEnd::of(status) {
                self.end = Some(end);
            }
        }
    }
}

fn pass_on(received: &siginfo, child: Pid, alone: bool) {
    let Ok(signal) = Signal::try_from(received.ssi_signo.cast_signed()) else { return };
    // As in supervise; but where a terminal is hung up, the kernel tells the first process of the session only, and that is us.
    if alone && received.ssi_code <= 0 || signal == Signal::SIGHUP {
        let _ = kill(child, signal);
    }
    if child::asks_to_end(signal) {
        let _ = kill(child, Signal::SIGCONT);
    }
}

fn say(tell: OwnedFd, end: ChildEnd) {
    let (killed, number) = match end {
        ChildEnd::Exited(code) => (0, code),
        ChildEnd::Killed(signal) => (1, signal),
    };
    let [a, b, c, d] = number.to_ne_bytes();
    // It is lost if our parent was killed.
    let _ = File::from(tell).write_all(&[killed, a, b, c, d]);
}
