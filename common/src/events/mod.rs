//! Waits until containers may have changed, for every tool that waits or watches. It sleeps until the kernel or an engine
//! reports an event, and does not know what has changed: the caller looks again.
//!
//! Two kinds of events come together in one poll(2): inotify(7) events of the engines' directories, which need no engine
//! and continue when one is restarted; and the engines' own event streams, for callers that may not read those directories,
//! and for changes that the API knows before the disk.

mod directories;
mod error;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};

use crate::engine::{Engine, EngineName, EngineSession, engines, engines_of_others, watch_dirs};
use directories::Directories;
pub use error::EventsError;

/// News come in bursts, a directory's making and the writing of the files in it: this long after the first
/// of them they are one. It also bounds how often an engine that never stops talking can have us look.
const BURST: Duration = Duration::from_millis(10);

/// Watches for changes of containers. What happens after [`ContainerWatch::new`] has returned is
/// not missed: first make it, then look, then [`ContainerWatch::wait`].
pub struct ContainerWatch {
    directories: Directories,
    streams: Vec<EngineStream>,
    /// Whether an engine without a stream may have one by now. One that hangs up whenever it is asked must
    /// not have us ask for ever: an engine that starts makes its socket, or a PID file, and that is heard.
    stirred: bool,
}

/// An engine, and its stream of events while it has one.
struct EngineStream {
    engine: Box<dyn Engine>,
    events: Option<OwnedFd>,
}

impl ContainerWatch {
    /// Listens to all engines, or to one, each of which has `timeout` to answer when it is asked something.
    ///
    /// # Errors
    /// [`EventsError`].
    pub fn new(wanted: Option<EngineName>, timeout: Duration) -> Result<Self, EventsError> {
        let session = EngineSession::new(timeout);
        let all = engines(wanted, &session).into_iter().chain(engines_of_others(wanted, &session));
        let streams = all.map(|engine| EngineStream { engine, events: None });
        let directories = Directories::new(watch_dirs(wanted))?;
        let mut watch = ContainerWatch { directories, streams: streams.collect(), stirred: true };
        watch.listen()?;
        Ok(watch)
    }

    /// Sleeps until something may have changed since [`ContainerWatch::new`] or the last call, or for `limit`;
    /// whether it may have.
    ///
    /// # Errors
    /// [`EventsError`].
    pub fn wait(&mut self, limit: Duration) -> Result<bool, EventsError> {
        self.wait_also(limit, &[])
    }

    /// As [`ContainerWatch::wait`], and wakes too when one of `others` can be read. That alone is no change of containers, and
    /// what is there to be read is left to be read.
    ///
    /// # Errors
    /// [`EventsError`].
    pub fn wait_also(&mut self, limit: Duration, others: &[BorrowedFd<'_>]) -> Result<bool, EventsError> {
        let until = Instant::now() + limit;
        let mut changed = self.sleep(until, others)?;
        if changed {
            thread::sleep(BURST.min(until.saturating_duration_since(Instant::now())));
            self.sleep(Instant::now(), &[])?;
        }
        // What has come into a directory before it was watched has come unheard.
        changed |= self.listen()?;
        Ok(changed)
    }

    /// Listens to what is there now; whether there was something new to listen to.
    fn listen(&mut self) -> Result<bool, EventsError> {
        let new = self.directories.watch()?;
        if std::mem::take(&mut self.stirred) {
            for stream in self.streams.iter_mut().filter(|stream| stream.events.is_none()) {
                // A new one wakes us with its first words, so that it need not count as news.
                stream.events = stream.engine.events();
            }
        }
        Ok(new)
    }

    /// Waits until an event comes, or one of `others` is ready; returns whether an event came.
    fn sleep(&mut self, until: Instant, others: &[BorrowedFd<'_>]) -> Result<bool, EventsError> {
        let ContainerWatch { directories, streams, stirred } = self;
        let events = streams.iter().filter_map(|stream| stream.events.as_ref());
        let heard = std::iter::once(directories.as_fd()).chain(events.map(AsFd::as_fd));
        let heard = heard.chain(others.iter().copied());
        let mut heard: Vec<PollFd<'_>> = heard.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let ours = heard.len() - others.len();
        loop {
            match poll(&mut heard, left(until)) {
                Ok(0) if Instant::now() < until => {}
                Ok(0) => return Ok(false),
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
        let somebody = heard[..ours].iter().any(|fd| fd.any() != Some(false));
        drop(heard);
        if !somebody {
            return Ok(false);
        }
        *stirred |= directories.heard()?;
        for stream in streams {
            let over = stream.events.as_ref().is_some_and(is_over);
            stream.events.take_if(|_| over);
        }
        Ok(true)
    }
}

/// Until `until`, rounded up: a poll that ends a moment early would spin.
fn left(until: Instant) -> PollTimeout {
    let left = until.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
    i32::try_from(left).ok().and_then(|left| PollTimeout::try_from(left).ok()).unwrap_or(PollTimeout::MAX)
}

/// Reads what an engine said, which is as good as any other news; whether it will say more.
fn is_over(events: &OwnedFd) -> bool {
    let mut words = [0; 64 << 10];
    match recv(events.as_raw_fd(), &mut words, MsgFlags::MSG_DONTWAIT) {
        Ok(length) => length == 0,
        Err(errno) => !matches!(errno, Errno::EAGAIN | Errno::EINTR),
    }
}
