//! One loop for all that probes.

use std::iter::{once, repeat};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::signals::{Interrupt, ProbeSignals};
use crate::failure::Failure;
use crate::packet::wait_for_each;

/// How often signals are looked for where the loop never sleeps, as in a flood.
const OFTEN: Duration = Duration::from_millis(20);

/// Something that sends probes and receives replies.
pub trait ProbeTask {
    /// Sends what is due, and gives up what has timed out. When to call it again, unless something comes before: a time that
    /// has passed means that replies are looked for without waiting. `None` when all is done.
    ///
    /// # Errors
    /// What ends all of it.
    fn advance(&mut self) -> Result<Option<Instant>, Failure>;

    /// Takes in what has come through those of the [`sockets`](ProbeTask::sockets) at these places.
    ///
    /// # Errors
    /// What ends all of it.
    fn receive(&mut self, ready: &[usize]) -> Result<(), Failure>;

    /// The sockets to wait for, always in the same order.
    fn sockets(&self) -> Vec<BorrowedFd<'_>>;

    /// Which of the sockets are to be connected: that is waited for, too. Those that it does not tell of are not.
    fn connecting(&self) -> Vec<bool> {
        Vec::new()
    }

    /// Says on standard error how it stands.
    fn status(&self);
}

/// Why the loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopEnd {
    /// All is done.
    Done,
    /// A signal or the deadline has stopped it.
    Stopped,
}

/// Runs a task until it is done, a signal ends it, or it is `deadline`.
///
/// # Errors
/// What the task says; what ppoll(2) says.
pub fn run(
    task: &mut impl ProbeTask,
    signals: &ProbeSignals,
    deadline: Option<Instant>,
) -> Result<LoopEnd, Failure> {
    let mut looked = Instant::now();
    loop {
        let Some(next) = task.advance()? else { return Ok(LoopEnd::Done) };
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Ok(LoopEnd::Stopped);
        }
        let until = deadline.map_or(next, |deadline| deadline.min(next));
        let sockets = task.sockets();
        let ready = if until > now {
            let connecting = task.connecting().into_iter().chain(repeat(false));
            let ready = wait_for_each(
                once((signals.as_fd(), false)).chain(sockets.into_iter().zip(connecting)),
                until,
            );
            let ready = ready.map_err(|errno| Failure::failed("poll", errno.desc()))?;
            ready.into_iter().filter_map(|at| at.checked_sub(1)).collect()
        } else {
            Vec::from_iter(0..sockets.len())
        };
        if until > now || now.saturating_duration_since(looked) >= OFTEN {
            looked = now;
            match signals.next() {
                Some(Interrupt::End) => return Ok(LoopEnd::Stopped),
                Some(Interrupt::Status) => task.status(),
                None => {}
            }
        }
        task.receive(&ready)?;
    }
}
