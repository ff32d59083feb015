//! Signals while packets are out: kept, and read when it suits.

use std::os::fd::{AsFd, BorrowedFd};

use common::failure::Failure;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// While this lives, none of these ends us.
#[derive(Debug)]
pub struct Signals {
    before: SigSet,
    waiting: SignalFd,
}

/// What somebody wants of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The summary, and an end: SIGINT, SIGTERM, SIGHUP.
    End,
    /// A line about how it goes: SIGQUIT.
    Status,
}

impl Signals {
    /// From now on.
    pub fn keep() -> Result<Self, Failure> {
        let trouble = |errno| Failure::trouble("signals", errno);
        let kept = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT]);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let waiting = SignalFd::with_flags(&kept, flags).map_err(trouble)?;
        let before = kept.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(trouble)?;
        Ok(Signals { before, waiting })
    }

    /// What has come, if anything has.
    pub fn wish(&self) -> Option<Wish> {
        let read = self.waiting.read_signal().ok().flatten()?;
        let is_quit = read.ssi_signo.cast_signed() == Signal::SIGQUIT as i32;
        Some(if is_quit { Wish::Status } else { Wish::End })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // What came together with the one that ended it is not to kill us now.
        while self.wish().is_some() {}
        let _ = self.before.thread_set_mask();
    }
}
