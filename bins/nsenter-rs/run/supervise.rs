//! A parent that is transparent: signals reach the program, its stops are ours, and so is its end.

use std::os::fd::AsFd;
use std::process::ExitCode;

use common::failure::Failure;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::child::{asks_to_end, fork};
use super::ended::{ChildChange, change_of};
use super::parent_death::ParentDeathSignal;
use super::reap::EndReader;
use super::streams::StreamCarrier;

/// Runs `start` in a child, and becomes its shadow until it ends: its exit status is ours, and a signal that
/// kills it kills us. The child does not outlive us, however we die.
///
/// In the child this returns what `start` returns. Without `alone` another process sends signals to our whole
/// process group: then they are not for us to pass on, or the child would have each twice.
pub fn child(
    alone: bool,
    beside: impl FnOnce() -> ShadowTasks,
    start: impl FnOnce(&ParentDeathSignal) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    fork(&[], start, |child, watched| shadow(child, watched, alone, beside()))
}

/// What a shadow does beside passing signals on.
#[derive(Debug)]
pub struct ShadowTasks {
    pub carrier: StreamCarrier,
    pub reported: EndReader,
}

fn shadow(child: Pid, watched: &SigSet, passes_on: bool, beside: ShadowTasks) -> nix::Result<ExitCode> {
    let ShadowTasks { mut carrier, mut reported } = beside;
    let signals = SignalFd::with_flags(watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    loop {
        let mut awaited = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        awaited.extend(reported.awaited());
        let reports_at = awaited.len();
        awaited.extend(carrier.awaited());
        match poll(&mut awaited, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            ready => ready?,
        };
        let is_reported = awaited[1..reports_at].iter().any(|pipe| pipe.any() == Some(true));
        drop(awaited);
        carrier.carry();
        if let Some(end) = is_reported.then(|| reported.hear()).flatten() {
            carrier.finish();
            return Ok(end.share());
        }
        let Some(received) = signals.read_signal()? else { continue };
        let signal = Signal::try_from(received.ssi_signo.cast_signed())?;
        if signal != Signal::SIGCHLD {
            // A positive code says that the kernel sent it: the terminal's driver, which has sent it to the
            // program too, for that is in our process group.
            let is_from_terminal = received.ssi_code > 0;
            if passes_on && !is_from_terminal {
                let _ = kill(child, signal);
            }
            if asks_to_end(signal) {
                let _ = kill(child, Signal::SIGCONT);
                // The terminal's driver has asked our whole process group, of which what PROGRAM has started may have
                // stopped: timeout(1) does the same.
                if passes_on && is_from_terminal {
                    let _ = kill(Pid::from_raw(0), Signal::SIGCONT);
                }
            }
            continue;
        }
        match change_of(child)? {
            ChildChange::Ended(end) => {
                carrier.finish();
                return Ok(end.share());
            }
            // A child that has stopped stops us, and goes on when we do.
            ChildChange::Stopped => {
                raise(Signal::SIGSTOP)?;
                let _ = kill(child, Signal::SIGCONT);
            }
            ChildChange::Nothing => {}
        }
    }
}
