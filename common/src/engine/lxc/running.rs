//! What the containers of LXC's library do: their monitors are asked, all of them at once. Where one does not answer, or
//! listens in another network namespace than ours, the container's control group tells its process.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Instant;

use nix::sys::stat::stat;
use nix::unistd::Uid;

use super::super::{
    AnswerTimeout, Container, ContainerSource, ContainerState, EngineAnswer, EngineError, EngineName, Proof,
};
use super::cgroup;
use super::monitor::{AT_LEAST, FirstProcess, Monitor, MonitoredContainer, PendingAnswers, has_process};
use crate::namespace::{self, NamespaceId, NamespaceKind};

/// How many monitors are asked at once: each takes two descriptors, of 1024 that a process may have.
const AT_ONCE: usize = 200;

/// A container, running or not: LXC takes both letter for letter into the name of its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct LxcPlace {
    /// The directory that has one for each container.
    pub path: PathBuf,
    /// Its directory in there, which is its name for LXC.
    pub name: OsString,
}

/// What a container that runs does.
pub(in super::super) struct RunningContainer {
    state: ContainerState,
    first: Option<FirstProcess>,
    source: ContainerSource,
    /// Why its monitor did not tell.
    pub api_error: Option<EngineError>,
}

/// The engine whose containers are asked for.
pub(in super::super) struct MonitorQuery {
    pub engine: EngineName,
    /// The user that they belong to.
    pub owner: Uid,
    /// How long all the monitors may take together.
    pub limit: AnswerTimeout,
}

impl MonitorQuery {
    /// What the containers at these places do; `None` for those that do not run.
    pub(in super::super) fn ask(
        &self,
        places: Vec<LxcPlace>,
    ) -> Vec<(LxcPlace, Result<Option<RunningContainer>, EngineError>)> {
        let until = Instant::now() + self.limit.left();
        let mut answers = Vec::with_capacity(places.len());
        let mut places = places.into_iter().peekable();
        while places.peek().is_some() {
            let asked: Vec<_> = places.by_ref().take(AT_ONCE).map(|place| self.send(place)).collect();
            let until = until.max(Instant::now() + AT_LEAST);
            for (place, monitor, pending) in asked {
                let answer = monitor.answer(pending, until);
                let running = self.or_by_cgroup(&place.name, &monitor, answer);
                answers.push((place, running));
            }
        }
        answers
    }

    fn send(&self, place: LxcPlace) -> (LxcPlace, Monitor, PendingAnswers) {
        let monitor = Monitor::new(self.engine, &place.path, &place.name, self.owner, self.limit.each());
        let pending = monitor.send();
        (place, monitor, pending)
    }

    fn or_by_cgroup(
        &self,
        name: &OsStr,
        monitor: &Monitor,
        answer: Result<Option<MonitoredContainer>, EngineError>,
    ) -> Result<Option<RunningContainer>, EngineError> {
        let by_cgroup = |api_error| {
            let found =
                self.owner.is_root().then(|| cgroup::container(name, monitor.socket_name())).flatten()?;
            let (state, first, source) = (found.state, Some(found.first), ContainerSource::State);
            Some(RunningContainer { state, first, source, api_error })
        };
        match answer {
            Ok(Some(MonitoredContainer { state, first })) => {
                Ok(Some(RunningContainer { state, first, source: ContainerSource::Api, api_error: None }))
            }
            // What listens in another network namespace cannot be seen from here.
            Ok(None) if is_in_network_of_host() => Ok(None),
            Ok(None) => Ok(by_cgroup(None)),
            Err(error @ (EngineError::Slow { .. } | EngineError::Nonsense { .. })) => {
                by_cgroup(Some(error.clone())).map(Some).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether we are where root's monitors listen: they are of the network namespace of PID 1. Where that may not be looked
/// at, we are not somebody that a monitor of root answers.
pub(super) fn is_in_network_of_host() -> bool {
    // PID 1 is never used again: it need not be held.
    let theirs = stat("/proc/1/ns/net").map(|file| NamespaceId::from(&file));
    let ours = namespace::own_identity(NamespaceKind::Net);
    theirs.ok().zip(ours.ok()).is_none_or(|(theirs, ours)| theirs == ours)
}

impl EngineAnswer {
    /// Adds the container called `name` with that ID, of which [`MonitorQuery::ask`] found this: unless it neither runs
    /// nor is defined.
    pub(in super::super) fn add_running(
        &mut self,
        query: &MonitorQuery,
        (id, name): (&str, &str),
        running: Result<Option<RunningContainer>, EngineError>,
        is_defined: impl FnOnce() -> Result<bool, EngineError>,
    ) {
        let made = |state, source, pid, proof| Container {
            name: name.to_owned(),
            state,
            source,
            pid,
            proof,
            ..Container::unknown(query.engine, id, query.owner)
        };
        let state = match running {
            Err(doubt) => return self.doubts.push(doubt),
            Ok(Some(RunningContainer { state, first: Some(first), source, api_error })) => {
                self.api_error = self.api_error.take().or(api_error);
                return self.containers.push(made(state, source, Some(first.pid), first.proof));
            }
            // One that had just been running when its process was asked for is one that ended.
            Ok(Some(RunningContainer { state, .. })) if !has_process(state) => state,
            Ok(_) => ContainerState::Exited,
        };
        let without_process = || made(state, ContainerSource::State, None, Proof::word_of(query.owner));
        self.add(is_defined().map(|is_defined| is_defined.then(without_process)));
    }
}
