//! Signals to a watch: handled between two changes, never during one.

use std::os::fd::{AsFd, BorrowedFd};

use common::failure::Failure;
use common::sys;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const ENDS: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

/// While this exists, they do not end the process.
#[derive(Debug)]
pub struct WatchSignals(SignalFd);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalRequest {
    /// SIGTERM, SIGINT: the end.
    End,
    /// SIGHUP: a look at the file.
    Read,
}

impl WatchSignals {
    pub fn block() -> Result<Self, Failure> {
        let as_failure = |errno: Errno| Failure::failed("signals", errno);
        let mut all = SigSet::from_iter(ENDS);
        all.add(Signal::SIGHUP);
        all.thread_block().map_err(as_failure)?;
        ENDS.into_iter().try_for_each(sys::exit_on).map_err(as_failure)?;
        SignalFd::with_flags(&all, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map(WatchSignals)
            .map_err(as_failure)
    }

    /// What the pending signals ask for.
    pub fn received(&self) -> Option<SignalRequest> {
        let mut asked = None;
        while let Ok(Some(signal)) = self.0.read_signal() {
            match Signal::try_from(signal.ssi_signo.cast_signed()) {
                Ok(Signal::SIGHUP) => asked = asked.or(Some(SignalRequest::Read)),
                _ => asked = Some(SignalRequest::End),
            }
        }
        asked
    }

    /// Runs something that may wait for ever, between two changes: a signal to end, also one that is pending, ends the
    /// process at once.
    #[expect(clippy::unused_self, reason = "without it nothing is blocked")]
    pub fn interruptible<T>(&self, what: impl FnOnce() -> T) -> T {
        let ends = SigSet::from_iter(ENDS);
        let _ = ends.thread_unblock();
        let done = what();
        let _ = ends.thread_block();
        done
    }
}

impl AsFd for WatchSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
