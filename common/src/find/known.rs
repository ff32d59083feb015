//! What is known of containers: each as its engine describes it, with what the kernel says of its first
//! process. All of the host, or the one that a process belongs to.

use std::collections::HashSet;

use serde::Serialize;

use super::answers::{EngineAnswers, ask, find_idle, is_others};
use super::verify::{self, VerifiedProcess, VerifyError};
use super::{FindError, no_engine, uid_of};
use crate::engine::{
    Container, Engine, EngineError, EngineName, EngineSession, engines, engines_of_others, engines_of_user,
};
use crate::namespace::NamespaceKind;
use crate::process::{Process, ProcessError};
use crate::target::UserWord;

/// A container, verified: when it has a PID, that process is the container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifiedContainer {
    /// As its engine describes it.
    #[serde(flatten)]
    pub container: Container,
    /// What the kernel says of its first process.
    #[serde(flatten)]
    pub process: ProcessInodes,
}

/// What the kernel says of a process: what tells it, and the network it is in, from others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProcessInodes {
    /// The inode of its pidfd, which no later process will have; `None` below Linux 6.9.
    pub pidfd_inode: Option<u64>,
    /// The inode of its network namespace; `None` where ptrace(2)'s rules forbid us to look.
    pub netns_inode: Option<u64>,
}

impl ProcessInodes {
    /// The facts about `process`.
    pub fn of(process: &Process) -> Self {
        let netns = process.namespace_identity(NamespaceKind::Net).ok();
        ProcessInodes {
            pidfd_inode: process.pidfd_inode(),
            netns_inode: netns.map(|identity| identity.inode),
        }
    }
}

/// All containers that could be listed, and why others may be missing.
#[derive(Debug, Default)]
pub struct ContainerList {
    /// Root's in the order of their engines, then of their names; after them those of other users.
    pub containers: Vec<VerifiedContainer>,
    /// Engines that could not be asked, and containers that were not believed.
    pub errors: Vec<FindError>,
    /// Why the APIs of some did not answer, so that their state on disk was read; and all that went wrong with engines
    /// of other users, who shall not have root's look like a failure.
    pub api_errors: Vec<FindError>,
}

impl ContainerList {
    /// Without the claims of other users than root and the caller.
    #[must_use]
    pub fn without_strangers(mut self) -> Self {
        self.containers.retain(|known| known.container.stranger().is_none());
        self
    }
}

impl VerifiedContainer {
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
            None => match verify::process(&self.container, pid) {
                Ok(verified) => Ok(verified.process),
                Err(doubt) => Err(doubt.about(*container())),
            },
        }
    }
}

/// All containers of this host, running or not.
///
/// # Errors
/// When no engine is on this host at all.
pub fn list(engine: Option<EngineName>, session: &EngineSession) -> Result<ContainerList, FindError> {
    listed(&engines(engine, session), |_| engines_of_others(engine, session), session, |_, _| ())
}

/// As [`list`], with the containers that have no process and are found in a database only, as those of containerd that were
/// never started.
///
/// # Errors
/// As [`list`].
pub fn list_with_idle(
    engine: Option<EngineName>,
    session: &EngineSession,
) -> Result<ContainerList, FindError> {
    let mut listing = list(engine, session)?;
    for engines in [engines(engine, session), engines_of_others(engine, session)] {
        let idle = find_idle(&engines, None);
        let word = |container: &Container| (container.proof.claimed_by, container.id.clone());
        let mut known: HashSet<_> = listing.containers.iter().map(|known| word(&known.container)).collect();
        for container in idle.hits {
            // One without a process is the same as another only by an ID that no other has.
            if known.insert(word(&container)) || !container.has_unique_id() {
                listing.containers.push(VerifiedContainer { container, process: ProcessInodes::default() });
            }
        }
        let why = idle.errors.into_iter().map(|(_, why)| FindError::from(why));
        // What is wrong with other users' files is no failure of root's list.
        match engines.iter().any(|engine| engine.user().is_some()) {
            true => listing.api_errors.extend(why),
            false => listing.errors.extend(why),
        }
    }
    listing.containers.sort_by(|a, b| order(&a.container).cmp(&order(&b.container)));
    Ok(listing)
}

/// As [`list`], for somebody who is looking for those that fit: the engines of other users are asked only where ours have
/// certainly none of these. `look` is shown every container that has a process, and that process while it is held, in no
/// order.
///
/// # Errors
/// As [`list`].
pub fn list_matching(
    engine: Option<EngineName>,
    session: &EngineSession,
    fits: impl Fn(&Container) -> bool,
    look: impl FnMut(&Container, &Process),
) -> Result<ContainerList, FindError> {
    let others = |ours: &EngineAnswers| {
        let is_enough = !ours.errors.is_empty() || ours.hits.iter().any(|hit| !is_others(hit) && fits(hit));
        if is_enough { vec![] } else { engines_of_others(engine, session) }
    };
    listed(&engines(engine, session), others, session, look)
}

/// The containers that run on this host, by name, for a shell to offer: nothing is verified, and what could not be asked is left
/// out. Of a container that several engines tell of, the first is there.
pub fn running_names(session: &EngineSession) -> Vec<Container> {
    let of_each = |engines: Vec<Box<dyn Engine>>| -> Vec<Container> {
        engines.iter().flat_map(|engine| engine.running_names().unwrap_or_default()).collect()
    };
    let ours = of_each(engines(None, session));
    let others = of_each(engines_of_others(None, session));
    let mut known = HashSet::new();
    let mut is_new = |container: &Container| {
        known.insert((container.proof.claimed_by, container.id.clone())) || !container.has_unique_id()
    };
    ours.into_iter().chain(others).filter(|container| is_new(container)).collect()
}

/// The containers of one user's engine, as [`list_matching`] shows them.
///
/// # Errors
/// `NoSuchUser`; when there is no such engine.
pub fn list_of_user(
    engine: EngineName,
    user: &UserWord,
    session: &EngineSession,
    look: impl FnMut(&Container, &Process),
) -> Result<ContainerList, FindError> {
    let uid = uid_of(user).ok_or_else(|| FindError::NoSuchUser(user.clone()))?;
    let listing = listed(&engines_of_user(engine, uid, session), |_| vec![], session, look);
    listing.map_err(|error| match error {
        FindError::Engine(EngineError::Absent { engine, socket }) => {
            FindError::NoEngineOfUser { engine, user: user.clone(), place: socket }
        }
        error => error,
    })
}

/// As [`list`], and for root without the containers of other users, whose engines are not asked.
///
/// # Errors
/// When none of our engines is on this host.
pub fn list_ours(session: &EngineSession) -> Result<ContainerList, FindError> {
    listed(&engines(None, session), |_| vec![], session, |_, _| ()).map(ContainerList::without_strangers)
}

fn listed(
    ours: &[Box<dyn Engine>],
    others: impl FnOnce(&EngineAnswers) -> Vec<Box<dyn Engine>>,
    session: &EngineSession,
    mut look: impl FnMut(&Container, &Process),
) -> Result<ContainerList, FindError> {
    let mut asked = ask(ours, session, |engine| engine.list());
    let others = ask(&others(&asked), session, |engine| engine.list());
    let mut errors: Vec<FindError> = asked.errors.into_iter().map(|(_, why)| why.into()).collect();
    let mut api_errors: Vec<FindError> = others.errors.into_iter().map(|(_, why)| why.into()).collect();
    if asked.answered.is_empty() && others.answered.is_empty() && errors.is_empty() {
        let closed = asked.closed.into_iter().next().map(FindError::closed);
        let why = api_errors.into_iter().next().or(closed);
        return Err(why.unwrap_or_else(|| no_engine(asked.absent)));
    }
    asked.hits.extend(others.hits);
    let mut containers = Vec::new();
    for container in asked.hits {
        let is_others = is_others(&container);
        match verified(container, &mut look) {
            Ok(known) => containers.push(known),
            Err(error) if is_others => api_errors.push(error),
            Err(error) => errors.push(error),
        }
    }
    containers.sort_by(|a, b| order(&a.container).cmp(&order(&b.container)));
    api_errors.extend(asked.closed.into_iter().map(|(_, why)| why.into()));
    api_errors.extend(asked.api_errors.into_iter().chain(others.api_errors).map(|(_, why)| why.into()));
    Ok(ContainerList { containers, errors, api_errors })
}

fn order(container: &Container) -> impl Ord {
    (is_others(container), container.engine, container.name.clone())
}

pub(super) fn verified(
    container: Container,
    look: impl FnOnce(&Container, &Process),
) -> Result<VerifiedContainer, FindError> {
    let Some(pid) = container.pid else {
        return Ok(VerifiedContainer { container, process: ProcessInodes::default() });
    };
    match verify::process(&container, pid) {
        Ok(VerifiedProcess { process, .. }) => {
            look(&container, &process);
            Ok(VerifiedContainer { container, process: ProcessInodes::of(&process) })
        }
        Err(VerifyError::Gone) => {
            Ok(VerifiedContainer { container: container.ended(), process: ProcessInodes::default() })
        }
        Err(doubt) => Err(doubt.about(container)),
    }
}
