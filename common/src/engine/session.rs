//! What is remembered of engines while a tool does one job: one that did not answer in time is not waited for again, and which
//! process it is, is found out once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::unistd::Uid;

use super::daemon::Daemon;
use super::listener::SocketListener;
use super::{ContainerSource, Engine, EngineAnswer, EngineError, EngineName};

/// The engines of one job: how long each of them may take to answer, and which took longer. It lives as long as the job:
/// whatever waits or watches makes a new one for each look, which asks all of them again. Clones remember together.
#[derive(Debug, Clone)]
pub struct EngineSession {
    timeout: Duration,
    sockets: SocketMemory,
    heard: Arc<Mutex<Vec<HeardEngine>>>,
}

/// An engine that was asked, and how it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeardEngine {
    engine: EngineName,
    /// Whose it is, if that is another user than root and us.
    user: Option<Uid>,
    how: HowHeard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HowHeard {
    Answered(ContainerSource),
    Absent,
    RootsAlone,
    NotAsked,
}

impl HeardEngine {
    fn of(engine: &dyn Engine, answer: &Result<EngineAnswer, EngineError>) -> Self {
        let how = match answer {
            Ok(answer) => HowHeard::Answered(answer.source),
            Err(why) if why.is_absence() => HowHeard::Absent,
            Err(why) if why.is_roots_alone() => HowHeard::RootsAlone,
            Err(_) => HowHeard::NotAsked,
        };
        HeardEngine { engine: engine.name(), user: engine.user(), how }
    }
}

impl fmt::Display for HeardEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.engine.fmt(f)?;
        self.user.iter().try_for_each(|user| write!(f, " of user {user}"))?;
        match self.how {
            HowHeard::Answered(source) => write!(f, " ({source})"),
            HowHeard::Absent => f.write_str(" (not on this host)"),
            HowHeard::RootsAlone => f.write_str(" (only root may ask)"),
            HowHeard::NotAsked => f.write_str(" (could not be asked)"),
        }
    }
}

/// What was found out about sockets. Clones remember together.
#[derive(Debug, Clone, Default)]
pub(super) struct SocketMemory(Arc<Mutex<KnownSockets>>);

#[derive(Debug, Default)]
struct KnownSockets {
    /// On which nothing answered in time, and the words for that.
    silent: BTreeMap<PathBuf, EngineError>,
    /// What listened when something was asked, until somebody takes it.
    listeners: BTreeMap<PathBuf, SocketListener>,
    /// Which daemon that was.
    daemons: BTreeMap<PathBuf, Daemon>,
}

impl EngineSession {
    /// One in which each engine has `timeout` to answer, and none was asked yet.
    pub fn new(timeout: Duration) -> Self {
        EngineSession { timeout, sockets: SocketMemory::default(), heard: Arc::default() }
    }

    /// Notes how `engine` answered.
    pub fn hear(&self, engine: &dyn Engine, answer: &Result<EngineAnswer, EngineError>) {
        let heard = HeardEngine::of(engine, answer);
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    }

    /// Which engines were asked since this was last asked, in the order of asking.
    pub fn take_heard(&self) -> Vec<HeardEngine> {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long an engine may take to answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn sockets(&self) -> SocketMemory {
        self.sockets.clone()
    }
}

impl SocketMemory {
    fn known(&self) -> MutexGuard<'_, KnownSockets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why there is no use in asking on this socket, if it was silent already.
    pub(super) fn silence(&self, socket: &Path) -> Option<EngineError> {
        self.known().silent.get(socket).cloned()
    }

    /// Remembers `error`, if it is that nothing came in time.
    pub(super) fn remember_silence(&self, socket: &Path, error: &EngineError) {
        if let EngineError::Slow { .. } = error {
            self.known().silent.insert(socket.to_owned(), error.clone());
        }
    }

    /// Remembers what listens on `socket`, so that nobody connects to it again only to see that.
    pub(super) fn remember_listener(&self, socket: &Path, listener: SocketListener) {
        self.known().listeners.insert(socket.to_owned(), listener);
    }

    /// The daemon behind `socket`; `look` finds it out, where nothing else has before, and is given what listened when something
    /// was asked.
    pub(super) fn daemon(
        &self,
        socket: &Path,
        look: impl FnOnce(Option<SocketListener>) -> Daemon,
    ) -> Daemon {
        if let Some(daemon) = self.known().daemons.get(socket) {
            return daemon.clone();
        }
        let listener = self.known().listeners.remove(socket);
        let daemon = look(listener);
        self.known().daemons.insert(socket.to_owned(), daemon.clone());
        daemon
    }
}
