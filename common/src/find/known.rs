//! What is known of containers: each as its engine describes it, with what the kernel says of its first
//! process. All of the host, or the one that a process belongs to.

use std::time::Duration;

use serde::Serialize;

use super::believe::{self, Doubt};
use super::{FindError, ask};
use crate::engine::{Asked, Container, EngineError, EngineName, State, engines};
use crate::namespace::{self, Kind};
use crate::process::{Process, ProcessError};
use crate::target::Name;

/// A container, verified: when it has a PID, that process is the container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// As its engine describes it.
    #[serde(flatten)]
    pub container: Container,
    /// What the kernel says of its first process.
    #[serde(flatten)]
    pub process: Facts,
}

/// What the kernel says of a process: what tells it, and the network it is in, from others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The inode of its pidfd, which no later process will have; `None` below Linux 6.9.
    pub pidfd_inode: Option<u64>,
    /// The inode of its network namespace; `None` where ptrace(2)'s rules forbid us to look.
    pub netns_inode: Option<u64>,
}

impl Facts {
    /// The facts about `process`.
    pub fn of(process: &Process) -> Self {
        let netns = process.namespace_identity(Kind::Net).ok();
        Facts { pidfd_inode: process.pidfd_inode(), netns_inode: netns.map(|identity| identity.inode) }
    }
}

/// All containers that could be listed, and why others may be missing.
#[derive(Debug)]
pub struct Listing {
    /// In the order of their engines, then of their names.
    pub containers: Vec<Known>,
    /// Engines that could not be asked, and containers that were not believed.
    pub troubles: Vec<FindError>,
    /// Why the APIs of some did not answer, so that their state on disk was read.
    pub silences: Vec<EngineError>,
}

impl Known {
    /// Takes hold again of the process that was verified: of no later one with its PID, and of no later run of the
    /// container.
    ///
    /// # Errors
    /// `NotRunning`; `Exited` when it has ended since.
    pub fn hold(&self) -> Result<Process, FindError> {
        let container = || Box::new(self.container.clone());
        let pid = self.container.pid.ok_or_else(|| FindError::NotRunning(container()))?;
        match self.process.pidfd_inode {
            Some(inode) => match Process::open_exactly(pid, inode) {
                Err(ProcessError::Gone(_) | ProcessError::Reused { .. }) => {
                    Err(FindError::Exited(container()))
                }
                process => Ok(process?),
            },
            None => believe::process(&self.container, pid).map_err(|doubt| doubt.about(*container())),
        }
    }
}

/// All containers of this host, running or not.
///
/// # Errors
/// When no engine is on this host at all.
pub fn list(engine: Option<EngineName>, timeout: Duration) -> Result<Listing, FindError> {
    list_with(engine, timeout, |_, _| ())
}

/// As [`list`]; `look` is shown every container that has a process, and that process while it is held, in no order.
///
/// # Errors
/// As [`list`].
pub fn list_with(
    engine: Option<EngineName>,
    timeout: Duration,
    mut look: impl FnMut(&Container, &Process),
) -> Result<Listing, FindError> {
    let engines = engines(engine, timeout);
    let asked = ask(&engines, |engine| engine.list());
    let mut troubles: Vec<FindError> = asked.troubles.into_iter().map(FindError::from).collect();
    if asked.answered.is_empty() && troubles.is_empty() {
        return Err(asked.absent.into_iter().next().map_or(FindError::NoEngine, FindError::from));
    }
    let mut containers = Vec::new();
    for container in asked.hits {
        match verified(container, &mut look) {
            Ok(known) => containers.push(known),
            Err(error) => troubles.push(error),
        }
    }
    containers.sort_by(|a, b| {
        (a.container.engine, &a.container.name).cmp(&(b.container.engine, &b.container.name))
    });
    let silences = asked.silent.into_iter().map(|(_, why)| why).collect();
    Ok(Listing { containers, troubles, silences })
}

fn verified(container: Container, look: impl FnOnce(&Container, &Process)) -> Result<Known, FindError> {
    let Some(pid) = container.pid else { return Ok(Known { container, process: Facts::default() }) };
    match believe::process(&container, pid) {
        Ok(process) => {
            look(&container, &process);
            Ok(Known { container, process: Facts::of(&process) })
        }
        Err(Doubt::Gone) => Ok(Known { container: ended(container), process: Facts::default() }),
        Err(doubt) => Err(doubt.about(container)),
    }
}

/// What a container is whose process is gone, whatever its engine or its state on disk still says. How and
/// when this run ended, nobody has told.
pub(super) fn ended(container: Container) -> Container {
    Container { pid: None, state: State::Exited, exit_code: None, finished_at: None, ..container }
}

/// The container that `process` belongs to: as its first process, as a descendant of that, or as one that
/// was sent in later (`docker exec`).
///
/// # Errors
/// `InNone` when no engine of this host knows it; why an engine could not be asked, when that one might.
pub fn owner(process: &Process, engine: Option<EngineName>, timeout: Duration) -> Result<Known, FindError> {
    // Most engines name a container's cgroup after its ID: then there is one to ask for and none to list.
    for id in believe::foreign_ids(process)? {
        let Ok(name) = id.parse::<Name>() else { continue };
        let hits =
            ask(&engines(engine, timeout), |engine| engine.find(&Asked::Name { within: None, name: &name }))
                .hits;
        if let Some(container) = hits.into_iter().find(|container| container.id == id) {
            return verified(container, |_, _| ());
        }
    }
    let listing = list(engine, timeout)?;
    let first = |pid| listing.containers.iter().find(|known| known.container.pid == Some(pid));
    let line = process.ancestors()?;
    if let Some(known) = line.iter().find_map(|pid| first(*pid)) {
        return Ok(known.clone());
    }
    let same_pids = |known: &&Known| shares_pid_namespace(process, known);
    if let Some(known) = listing.containers.iter().find(same_pids) {
        return Ok(known.clone());
    }
    let mut unasked = listing.troubles.into_iter().filter(|trouble| matches!(trouble, FindError::Engine(_)));
    Err(unasked.next().unwrap_or(FindError::InNone(process.pid())))
}

/// Whether both are in one PID namespace that is not ours: then whoever made it for the container sent the
/// process there too.
fn shares_pid_namespace(process: &Process, known: &Known) -> bool {
    let Some(first) = known.container.pid.and_then(|pid| Process::open(pid).ok()) else { return false };
    let of = |process: &Process| process.namespace_identity(Kind::Pid).ok();
    let theirs = of(process);
    theirs.is_some() && theirs == of(&first) && theirs != namespace::own_identity(Kind::Pid).ok()
}
