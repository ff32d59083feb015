//! Which container a process belongs to. What its control group is called says nothing by itself: whoever is given a part
//! of the tree of control groups makes directories of any name in it. The process is in a container if it descends from the
//! container's first process, shares a PID namespace with that one, or stands where that one stands among control groups.

use std::collections::HashMap;

use super::answers::{find_with, is_others};
use super::known::{ContainerList, VerifiedContainer, verified};
use super::{FindError, UnplacedProcess, cgroups, list};
use crate::engine::{ContainerQuery, EngineError, EngineName, EngineSession, engines};
use crate::namespace::{self, NamespaceId, NamespaceKind};
use crate::process::{Process, ProcessError};
use crate::target::Name;

/// The container that `process` belongs to: as its first process, as a descendant of that, or as one that
/// was sent in later (`docker exec`).
///
/// # Errors
/// `Unplaced` when no engine of this host knows it, `InNone` when moreover it shares all with the host, `Pretender` when only its control group's name says so; why an engine
/// could not be asked, when that one might.
pub fn owner(
    process: &Process,
    engine: Option<EngineName>,
    session: &EngineSession,
) -> Result<VerifiedContainer, FindError> {
    let inmate = MembershipProof::of(process)?;
    // Most engines name a container's cgroup after its ID: then there is one to ask for and none to list.
    for id in cgroups::foreign_ids(process)? {
        if let Some(known) = called(&id, engine, session).filter(|known| inmate.is_in(known)) {
            return Ok(known);
        }
    }
    let listing = match list(engine, session) {
        // What the kernel knows of the process can be said all the same.
        Err(FindError::NoEngine { .. }) => ContainerList::default(),
        listing => listing?,
    };
    match inmate.among(&listing) {
        Some(known) if is_others(&known.container) => unless_in_doubt(known, listing.errors),
        Some(known) => Ok(known),
        None => Err(in_none(process, listing)?),
    }
}

/// Root's container with that ID, if there is one and it runs.
fn called(id: &str, engine: Option<EngineName>, session: &EngineSession) -> Option<VerifiedContainer> {
    let name: Name = id.parse().ok()?;
    let asked = ContainerQuery::Name { within: None, name: &name };
    let mut answers = find_with(&engines(engine, session), session, &asked);
    answers.take_claims_of_others();
    let hit = answers.hits.into_iter().find(|container| container.id == id)?;
    verified(hit, |_, _| ()).ok()
}

/// Another user's claim counts only if every engine of root could be asked.
fn unless_in_doubt(known: VerifiedContainer, errors: Vec<FindError>) -> Result<VerifiedContainer, FindError> {
    errors.into_iter().find(is_about_an_engine).map_or(Ok(known), Err)
}

fn is_about_an_engine(error: &FindError) -> bool {
    matches!(error, FindError::Engine(_))
}

fn in_none(process: &Process, listing: ContainerList) -> Result<FindError, ProcessError> {
    let of_an_engine = |error: FindError| match error {
        FindError::Engine(error) => Some(error),
        _ => None,
    };
    let unasked = listing.errors.into_iter().find_map(of_an_engine);
    // Of what only root may ask: it may know a process that has something of its own.
    let closed = listing.api_errors.into_iter().filter_map(of_an_engine).find(EngineError::is_roots_alone);
    let ids = cgroups::foreign_ids(process)?;
    let of_that_name = |known: &VerifiedContainer| ids.contains(&known.container.id);
    let pretended = listing.containers.into_iter().find(of_that_name).filter(|_| unasked.is_none());
    if let Some(known) = pretended {
        return Ok(FindError::Pretender(process.pid(), Box::new(known.container)));
    }
    Ok(match (UnplacedProcess::of(process)?, unasked) {
        (Some(unplaced), unasked) => {
            FindError::Unplaced(Box::new(unplaced), unasked.or(closed).map(Box::new))
        }
        (None, Some(unasked)) => unasked.into(),
        (None, None) => FindError::InNone(process.pid()),
    })
}

/// What shows in which container a process is.
struct MembershipProof {
    /// Its own PID, its parent's, and so on.
    line: Vec<nix::unistd::Pid>,
    /// Its PID namespace, where that is not ours.
    pids: Option<NamespaceId>,
    cgroups: Vec<String>,
}

impl MembershipProof {
    fn of(process: &Process) -> Result<Self, ProcessError> {
        let pids = pid_namespace(process);
        Ok(MembershipProof { line: process.ancestors()?, pids, cgroups: process.cgroups()? })
    }

    /// Of several containers, one in the other, the innermost of root's.
    fn among(&self, listing: &ContainerList) -> Option<VerifiedContainer> {
        let (others, roots): (Vec<&VerifiedContainer>, Vec<&VerifiedContainer>) =
            listing.containers.iter().partition(|known| is_others(&known.container));
        let one_of = |containers: &[&VerifiedContainer]| {
            let first = |pid| containers.iter().find(|known| known.container.pid == Some(pid)).copied();
            let by_descent = self.line.iter().find_map(|pid| first(*pid));
            by_descent.or_else(|| containers.iter().find(|known| self.is_in(known)).copied()).cloned()
        };
        one_of(&roots).or_else(|| one_of(&others))
    }

    /// Whether the container's first process, which has been verified, proves that this one is in there.
    fn is_in(&self, known: &VerifiedContainer) -> bool {
        let Ok(first) = known.hold() else { return false };
        if self.line.contains(&first.pid()) {
            return true;
        }
        // What made that PID namespace for the container put the process there too.
        if self.pids.is_some() && self.pids == pid_namespace(&first) {
            return true;
        }
        let theirs = first.cgroups().unwrap_or_default();
        cgroups::stand_together(&self.cgroups, &theirs, &known.container.id)
    }
}

/// Which of the containers of one list a process is in, for many processes.
#[derive(Debug)]
pub struct ContainerMembers<'a> {
    listing: &'a ContainerList,
    /// The containers with a PID namespace that no other container of the list has.
    by_pid_namespace: HashMap<NamespaceId, Option<&'a VerifiedContainer>>,
}

impl<'a> ContainerMembers<'a> {
    /// Looks at the containers' first processes.
    pub fn new(listing: &'a ContainerList) -> Self {
        let mut by_pid_namespace = HashMap::new();
        for known in &listing.containers {
            let Some(theirs) = known.hold().ok().and_then(|first| pid_namespace(&first)) else { continue };
            by_pid_namespace.entry(theirs).and_modify(|one| *one = None).or_insert(Some(known));
        }
        ContainerMembers { listing, by_pid_namespace }
    }

    /// The container that `process` is in, if that is one of the list.
    pub fn owner_of(&self, process: &Process) -> Option<VerifiedContainer> {
        if self.listing.containers.is_empty() {
            return None;
        }
        let theirs = pid_namespace(process).and_then(|theirs| self.by_pid_namespace.get(&theirs));
        match theirs {
            Some(Some(known)) => Some((*known).clone()),
            _ => {
                let inmate = MembershipProof::of(process).ok()?;
                let is_first = |known: &VerifiedContainer| {
                    known.container.pid.is_some_and(|first| inmate.line.contains(&first))
                };
                // Most processes of the host: nothing says that they are in any.
                let is_plain = inmate.pids.is_none() && cgroups::foreign_ids_of(&inmate.cgroups).is_empty();
                if is_plain && !self.listing.containers.iter().any(is_first) {
                    return None;
                }
                inmate.among(self.listing)
            }
        }
    }
}

fn pid_namespace(process: &Process) -> Option<NamespaceId> {
    let theirs = process.namespace_identity(NamespaceKind::Pid).ok()?;
    Some(theirs).filter(|theirs| namespace::own_identity(NamespaceKind::Pid).ok().as_ref() != Some(theirs))
}
