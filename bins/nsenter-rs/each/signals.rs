//! The signals that are waited for while runs go on: the ends of children, and what is sent to us.

use common::failure::Failure;
use common::process::Process;
use common::sys;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::run::child::ENDS;

/// Only passed on.
const PASSED_ON: [Signal; 2] = [Signal::SIGUSR1, Signal::SIGUSR2];

/// Signals, as something to be polled.
#[derive(Debug)]
pub struct RunSignals {
    pub fd: SignalFd,
    /// The mask that we were started with, for the children.
    pub before: SigSet,
}

impl RunSignals {
    /// From now on they arrive here and nowhere else.
    pub fn catch() -> Result<Self, Failure> {
        let as_failure = |errno: nix::Error| Failure::failed("signals", errno.desc());
        let ignored = ignored()?;
        let watched =
            ENDS.into_iter().chain(PASSED_ON).filter(|signal| ignored >> (*signal as u32 - 1) & 1 == 0);
        let watched = SigSet::from_iter(watched.chain([Signal::SIGCHLD]));
        // A caller may have left it ignored, and then the kernel would tell us nothing, and reap children itself.
        sys::default_action(Signal::SIGCHLD).map_err(as_failure)?;
        let before = watched.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(as_failure)?;
        let fd = SignalFd::with_flags(&watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(as_failure)?;
        Ok(RunSignals { fd, before })
    }

    /// The next one that has arrived.
    pub fn next(&self) -> nix::Result<Option<Signal>> {
        match self.fd.read_signal()? {
            Some(received) => Signal::try_from(received.ssi_signo.cast_signed()).map(Some),
            None => Ok(None),
        }
    }
}

/// What the caller had us ignore, as nohup(1) and shells without job control do, one bit a signal: a signal that is
/// blocked would arrive all the same (signal(7) keeps it until it is unblocked).
fn ignored() -> Result<u64, Failure> {
    Ok(Process::open(Pid::this())?.status()?.sigign)
}
