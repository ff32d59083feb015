//! Signals that end the process: deferred until the change is complete or rolled back.
//!
//! Those that were blocked before are not touched: a watch handles them between two changes.

use std::os::fd::{AsFd, BorrowedFd};

use common::failure::Failure;
use common::sys;
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const ENDS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// While this exists, they do not end the process.
#[derive(Debug)]
pub struct BlockedSignals {
    before: SigSet,
    waiting: SignalFd,
}

impl BlockedSignals {
    /// From now on.
    pub fn new() -> Result<Self, Failure> {
        let as_failure = |errno| Failure::failed("signals", errno);
        let before = SigSet::thread_get_mask().map_err(as_failure)?;
        let ours = SigSet::from_iter(ENDS.into_iter().filter(|signal| !before.contains(*signal)));
        let waiting = SignalFd::with_flags(&ours, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(as_failure)?;
        ours.thread_block().map_err(as_failure)?;
        Ok(BlockedSignals { before, waiting })
    }

    /// A pending signal.
    pub fn received(&self) -> Option<Signal> {
        let read = self.waiting.read_signal().ok().flatten()?;
        Signal::try_from(read.ssi_signo.cast_signed()).ok()
    }

    /// Readable when a signal is pending.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }

    /// Ends the process by `signal`, as it would have.
    pub fn die_of(self, signal: Signal) {
        let _ = sys::default_action(signal);
        // Still blocked; delivered when self is dropped.
        let _ = raise(signal);
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}
