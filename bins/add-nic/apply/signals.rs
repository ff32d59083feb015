//! Signals that ask us to end: kept until the network is whole again, as it was or as asked.
//!
//! Those that were blocked before are for somebody else to hear: a watch, between two changes.

use std::os::fd::{AsFd, BorrowedFd};

use common::failure::Failure;
use common::sys;
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const ENDS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// While this lives, they end nobody.
#[derive(Debug)]
pub struct BlockedSignals {
    before: SigSet,
    waiting: SignalFd,
}

impl BlockedSignals {
    /// From now on.
    pub fn new() -> Result<Self, Failure> {
        let trouble = |errno| Failure::trouble("signals", errno);
        let before = SigSet::thread_get_mask().map_err(trouble)?;
        let ours = SigSet::from_iter(ENDS.into_iter().filter(|signal| !before.contains(*signal)));
        let waiting =
            SignalFd::with_flags(&ours, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(trouble)?;
        ours.thread_block().map_err(trouble)?;
        Ok(BlockedSignals { before, waiting })
    }

    /// One that has come, if one has.
    pub fn received(&self) -> Option<Signal> {
        let read = self.waiting.read_signal().ok().flatten()?;
        Signal::try_from(read.ssi_signo.cast_signed()).ok()
    }

    /// Can be read when one has come.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }

    /// Ends us by `signal`, as it would have.
    pub fn die_of(self, signal: Signal) {
        let _ = sys::default_action(signal);
        // Blocked until self is dropped, right behind.
        let _ = raise(signal);
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}
