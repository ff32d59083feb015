//! A parent for the program inside the target's PID namespace, that waits for all that the program leaves behind.
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
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use crate::descriptors;
use crate::supervise::{self, End, Leash};

/// How the program ended, told to our own parent where there is still somebody left to wait for.
#[derive(Debug)]
pub struct Report {
    hear: OwnedFd,
    tell: OwnedFd,
}

/// The end of it that our parent has.
#[derive(Debug)]
pub struct Reported(Option<OwnedFd>);

impl Report {
    /// For one program.
    ///
    /// # Errors
    /// What pipe(2) says.
    pub fn open() -> Result<Self, Failure> {
        let pipe = pipe2(OFlag::O_CLOEXEC).map_err(|errno| Failure::trouble("pipe", errno.desc()));
        pipe.map(|(hear, tell)| Report { hear, tell })
    }

    /// In the parent, once the child is there.
    pub fn heard_here(self) -> Reported {
        Reported(Some(self.hear))
    }
}

impl Reported {
    /// Of a program that nobody waits for inside.
    pub fn none() -> Self {
        Reported(None)
    }

    /// What poll(2) is to wait for.
    pub fn awaited(&self) -> Option<PollFd<'_>> {
        self.0.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
    }

    /// What has been said, when there is something: how the program ended.
    pub fn hear(&mut self) -> Option<End> {
        let mut bytes = [0; 5];
        let pipe = self.0.take()?;
        File::from(pipe).read_exact(&mut bytes).ok()?;
        let [killed, number @ ..] = bytes;
        let number = i32::from_ne_bytes(number);
        match killed {
            0 => Some(End::Exited(number)),
            _ => Signal::try_from(number).ok().map(End::Killed),
        }
    }
}

/// Runs `start` in a child and waits for it and for all that it leaves behind. With a `report` our own parent is told when
/// the child has ended, and need not wait for the rest; without one nobody does.
///
/// In the child this returns what `start` returns.
pub fn parent_of(
    alone: bool,
    report: Option<Report>,
    start: impl FnOnce(&Leash) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let trouble = |errno: Errno| Failure::trouble("PR_SET_CHILD_SUBREAPER", errno.desc());
    prctl::set_child_subreaper(true).map_err(trouble)?;
    supervise::fork(&[], start, |child, watched| match wait(child, watched, alone, report) {
        Ok(never) => match never {},
        // Who is killed takes the program along.
        Err(_) => End::Killed(Signal::SIGKILL).end(),
    })
}

fn wait(child: Pid, watched: &SigSet, alone: bool, report: Option<Report>) -> nix::Result<Infallible> {
    let signals = SignalFd::with_flags(watched, SfdFlags::SFD_CLOEXEC)?;
    let lingers = report.is_some();
    let mut tell = report.map(|report| report.tell);
    // What the program has closed is to be closed: a reader waits for the last one that could write. And what is open to the
    // host's files is not for a process that others see.
    let kept = [Some(signals.as_fd()), tell.as_ref().map(AsFd::as_fd)].map(|fd| fd.map(|fd| fd.as_raw_fd()));
    descriptors::close_all_but(&kept.into_iter().flatten().collect::<Vec<_>>());
    let mut end = None;
    loop {
        let Some(received) = signals.read_signal()? else { continue };
        if received.ssi_signo != Signal::SIGCHLD as u32 {
            if end.is_none() {
                pass_on(&received, child, alone);
            }
            continue;
        }
        let is_last = reap(child, &mut end)?;
        let Some(end) = end else { continue };
        // Whether we tell by our own end, or go on behind our parent's.
        match tell.take() {
            // Not by returning: on the way descriptors would be dropped that are closed.
            _ if is_last || !lingers => end.end(),
            Some(tell) => {
                prctl::set_pdeathsig(None)?;
                say(tell, end);
            }
            None => {}
        }
    }
}

fn pass_on(received: &siginfo, child: Pid, alone: bool) {
    let Ok(signal) = Signal::try_from(received.ssi_signo.cast_signed()) else { return };
    // As in supervise; but where a terminal is hung up, the kernel tells the first process of the session only, and that is us.
    if alone && received.ssi_code <= 0 || signal == Signal::SIGHUP {
        let _ = kill(child, signal);
    }
}

/// Waits for all that have ended; whether nobody is left.
fn reap(child: Pid, end: &mut Option<End>) -> nix::Result<bool> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => *end = Some(End::Exited(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => *end = Some(End::Killed(signal)),
            // A child that has stopped stops us, and goes on when we do.
            Ok(WaitStatus::Stopped(pid, _)) if pid == child => {
                raise(Signal::SIGSTOP)?;
                let _ = kill(child, Signal::SIGCONT);
            }
            Ok(WaitStatus::StillAlive) => return Ok(false),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(true),
            Err(errno) => return Err(errno),
        }
    }
}

fn say(tell: OwnedFd, end: End) {
    let (killed, number) = match end {
        End::Exited(code) => (0, code),
        End::Killed(signal) => (1, signal as i32),
    };
    let [a, b, c, d] = number.to_ne_bytes();
    // Nobody hears it where our parent has been killed.
    let _ = File::from(tell).write_all(&[killed, a, b, c, d]);
}
