//! ProbeSignals while packets are out: kept, and read when it suits.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::Failure;

/// While this lives, these signals are blocked and do not end the process.
#[derive(Debug)]
pub struct ProbeSignals {
    before: SigSet,
    waiting: SignalFd,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// To end, with the summary: SIGINT, SIGTERM, SIGHUP.
    End,
    /// A line about how it stands: SIGQUIT.
    Status,
}

impl ProbeSignals {
    /// Blocks them from now on.
    ///
    /// # Errors
    /// What signalfd(2) says.
    pub fn block() -> Result<Self, Failure> {
        let as_failure = |errno| Failure::failed("signals", errno);
        let kept = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT]);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let waiting = SignalFd::with_flags(&kept, flags).map_err(as_failure)?;
        let before = kept.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(as_failure)?;
        Ok(ProbeSignals { before, waiting })
    }

    /// Whether one has come that asks to end.
    pub fn is_end(&self) -> bool {
        std::iter::from_fn(|| self.next()).any(|asked| asked == Interrupt::End)
    }

    /// What the next signal asks for, if one has come.
    pub(super) fn next(&self) -> Option<Interrupt> {
        let read = self.waiting.read_signal().ok().flatten()?;
        let is_quit = read.ssi_signo.cast_signed() == Signal::SIGQUIT as i32;
        Some(if is_quit { Interrupt::Status } else { Interrupt::End })
    }
}

impl AsFd for ProbeSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }
}

impl Drop for ProbeSignals {
    fn drop(&mut self) {
        // What came together with the one that ended it is not to kill us now.
        while self.next().is_some() {}
        let _ = self.before.thread_set_mask();
    }
}
