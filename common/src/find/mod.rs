//! From what a user typed to something that cannot change under our feet: a process held by pidfd, or a
//! namespace held open. What an engine says about a PID is verified here, and only here.

mod answers;
mod cgroups;
mod container_networks;
mod error;
mod found;
mod host;
mod known;
mod meant;
mod named_cgroup;
mod network;
mod network_error;
mod owner;
mod unplaced;
mod verify;

use nix::unistd::{Pid, Uid, User, geteuid};

pub(crate) use cgroups::foreign_ids;
pub use container_networks::{NetworkAnswers, gives_default_route, networks};
pub use error::{FailedSearch, FindError};
pub use found::{FoundTarget, Purpose, host_network};
pub use host::{KnownHost, host};
pub use known::{
    ContainerList, ProcessInodes, VerifiedContainer, list, list_matching, list_of_user, list_ours,
    list_with_idle, running_names,
};
pub use meant::hint_for_refused;
pub use network_error::{Candidate, NetworkError};
pub use owner::{ContainerMembers, owner};
pub use unplaced::UnplacedProcess;

use crate::engine::{
    Container, ContainerQuery, ContainerSource, Engine, EngineError, EngineName, EngineSession, engines,
    engines_of_others, engines_of_user,
};
use crate::namespace::{Namespace, NamespaceKind};
use crate::netns::{self, RecordDir};
use crate::process::{Process, ProcessError};
use crate::target::{LinkName, Name, Target, UserWord, UsersContainer};
use answers::{Certainty, EngineAnswers, find_with};
use found::HeldTarget;
use verify::VerifiedProcess;

/// Finds what `target` means, with the engines of `session`.
///
/// # Errors
/// [`FindError`]; nothing that is found can turn into something else later.
///
/// ```no_run
/// use std::time::Duration;
///
/// use common::engine::EngineSession;
/// use common::find::{Purpose, find};
///
/// let session = EngineSession::new(Duration::from_millis(300));
/// let found = find(&"nginx".parse()?, Purpose::Act, &session)?;
/// let pid = found.process().map(|process| process.pid());
/// let netns = found.into_netns()?; // stays this namespace, whatever becomes of the PID
/// println!("{pid:?} is in {netns}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn find(target: &Target, purpose: Purpose, session: &EngineSession) -> Result<FoundTarget, FindError> {
    let alone = FoundTarget::alone;
    match target {
        Target::Process { pid, inode } => {
            // A PID is at most 2^22: target's grammar saw to that.
            let pid = Pid::from_raw(i32::try_from(*pid).unwrap_or(i32::MAX));
            let process = match inode {
                Some(inode) => Process::open_exactly(pid, *inode)?,
                None => Process::open(pid).map_err(|error| called_so(error, session))?,
            };
            Ok(alone(HeldTarget::Process(process)))
        }
        Target::NamedNetns(name) => match netns::entry(name)? {
            netns::LinkEntry::Free => Err(FindError::NoSuchLink(name.clone())),
            _ => Ok(alone(HeldTarget::Netns(netns::open(name)?))),
        },
        Target::NetnsFile(path) => Ok(alone(HeldTarget::Netns(Namespace::open(path, NamespaceKind::Net)?))),
        Target::Container { engine, within, name } => {
            let asked = ContainerQuery::Name { within: within.as_ref(), name };
            match (find_container(*engine, target, &asked, session), engine) {
                (Err(error @ FindError::NotFound { .. }), None) => link_or(error, name, session),
                (result, _) => result,
            }
        }
        Target::OfUser(theirs) => find_of_user(theirs, target, session),
        Target::Pod { namespace, pod, container } => {
            let asked =
                ContainerQuery::Pod { namespace: namespace.as_ref(), pod, container: container.as_ref() };
            find_container(None, target, &asked, session)
        }
        Target::Ip(_) | Target::Mac(_) | Target::Veth(_) => Ok(network::find(target, purpose)?),
    }
}

/// Asks root's engines first, and those of others only where root's have no such container.
fn find_container(
    engine: Option<EngineName>,
    target: &Target,
    asked: &ContainerQuery<'_>,
    session: &EngineSession,
) -> Result<FoundTarget, FindError> {
    let ours = concerned(engines(engine, session), asked);
    let mut answers = find_with(&ours, session, asked);
    let others = answers.take_claims_of_others();
    answers.narrow(asked);
    answers.or_idle(&ours, asked);
    match answers.certainty(asked) {
        Certainty::Found(hit) => confirmed(held(hit, api_errors(&answers))?, session),
        Certainty::Several(hits) => Err(FindError::Ambiguous { target: target.clone(), hits }),
        Certainty::CannotTell(hit, unasked) => Err(cannot_tell(target, Some(hit), unasked)),
        Certainty::NotThere => match answers.doubt() {
            Some(doubt) => Err(cannot_tell(target, None, doubt.clone())),
            None => find_among_others(engine, target, (asked, others), answers, session),
        },
    }
}

/// Asks the engine of one user, whose silence is no "no" now that this one is meant.
fn find_of_user(
    meant: &UsersContainer,
    target: &Target,
    session: &EngineSession,
) -> Result<FoundTarget, FindError> {
    let UsersContainer { engine, user, within, name } = meant;
    let asked = ContainerQuery::Name { within: within.as_ref(), name };
    let uid = uid_of(user).ok_or_else(|| FindError::NoSuchUser(user.clone()))?;
    let theirs = engines_of_user(*engine, uid, session);
    let mut answers = find_with(&theirs, session, &asked);
    answers.narrow(&asked);
    answers.or_idle(&theirs, &asked);
    match answers.certainty(&asked) {
        Certainty::Found(hit) => confirmed(held(hit, api_errors(&answers))?, session),
        Certainty::Several(hits) => Err(FindError::Ambiguous { target: target.clone(), hits }),
        Certainty::CannotTell(hit, unasked) => Err(cannot_tell(target, Some(hit), unasked)),
        Certainty::NotThere => match answers.doubt() {
            Some(doubt) => Err(cannot_tell(target, None, doubt.clone())),
            None => Err(not_found_of_user(meant, target, answers)),
        },
    }
}

/// The engine of one user has no such container, or is nowhere.
fn not_found_of_user(meant: &UsersContainer, target: &Target, mut answers: EngineAnswers) -> FindError {
    let was_seen = !answers.answered.is_empty() || !answers.closed.is_empty();
    match answers.absent.pop() {
        Some(EngineError::Absent { engine, socket }) if !was_seen => {
            FindError::NoEngineOfUser { engine, user: meant.user.clone(), place: socket }
        }
        other => {
            answers.absent.extend(other);
            not_found(target.clone(), answers, EngineAnswers::default())
        }
    }
}

/// The user that is called so, or has that number: nobody has one without an account, but the caller.
pub(crate) fn uid_of(user: &UserWord) -> Option<Uid> {
    let named = || User::from_name(user.as_str()).ok().flatten().map(|user| user.uid);
    let exists = |uid: &Uid| *uid == geteuid() || User::from_uid(*uid).ok().flatten().is_some();
    user.number().map(Uid::from_raw).filter(exists).or_else(named)
}

/// With the engines of other users, when root's `answers` have no such container, but for the `words` of others in them.
fn find_among_others(
    engine: Option<EngineName>,
    target: &Target,
    (asked, words): (&ContainerQuery<'_>, Vec<Container>),
    answers: EngineAnswers,
    session: &EngineSession,
) -> Result<FoundTarget, FindError> {
    // Root's own link of that name is what is meant.
    if is_linked(target) {
        let search = Box::new(FailedSearch { asked: answers.answered, ..FailedSearch::default() });
        return Err(FindError::NotFound { target: target.clone(), search });
    }
    let theirs = concerned(engines_of_others(engine, session), asked);
    let mut others = find_with(&theirs, session, asked);
    others.add(words);
    others.narrow(asked);
    others.or_idle(&theirs, asked);
    let mut hits = std::mem::take(&mut others.hits);
    match hits.pop() {
        None => Err(not_found(target.clone(), answers, others)),
        Some(hit) if hits.is_empty() => {
            let silent = api_errors(&others).chain(others.errors.iter().map(|(_, why)| (None, why.clone())));
            confirmed(held(hit, silent)?, session)
        }
        Some(hit) => {
            hits.push(hit);
            Err(FindError::Ambiguous { target: target.clone(), hits })
        }
    }
}

/// Whether it is a bare word that is a name under `/run/netns`.
fn is_linked(target: &Target) -> bool {
    let Target::Container { engine: None, name, .. } = target else { return false };
    let link = name.as_str().parse::<LinkName>();
    link.is_ok_and(|link| matches!(netns::entry(&link), Ok(netns::LinkEntry::Bound(_))))
}

fn cannot_tell(
    target: &Target,
    hit: Option<Container>,
    (engine, why): (EngineName, EngineError),
) -> FindError {
    let (target, hit, why) = (target.clone(), hit.map(Box::new), Box::new(why));
    FindError::CannotTell { target, hit, engine, why }
}

fn concerned(mut engines: Vec<Box<dyn Engine>>, asked: &ContainerQuery<'_>) -> Vec<Box<dyn Engine>> {
    engines.retain(|engine| asked.concerns(engine.name()));
    engines
}

fn api_errors(answers: &EngineAnswers) -> impl Iterator<Item = (Option<EngineName>, EngineError)> {
    answers.api_errors.iter().map(|(engine, why)| (Some(*engine), why.clone()))
}

/// Where nothing but an API's word ties the process to the container, as without cgroups, the word is taken
/// again now that the process is held: the PID that is the container's now is this process's.
fn confirmed(
    (found, is_proven): (FoundTarget, bool),
    session: &EngineSession,
) -> Result<FoundTarget, FindError> {
    let Some(container) = &found.container else { return Ok(found) };
    if container.source == ContainerSource::State || is_proven {
        return Ok(found);
    }
    let Some(word) = word_for(&container.id, &container.name) else { return Ok(found) };
    let asked = ContainerQuery::Name { within: None, name: &word };
    let again = match container.stranger() {
        Some(user) => engines_of_user(container.engine, user, session),
        None => engines(Some(container.engine), session),
    };
    let again = find_with(&again, session, &asked);
    let same = again.hits.iter().any(|hit| hit.is_same_as(container) && hit.pid == container.pid);
    match again.errors.into_iter().next() {
        _ if same => Ok(found),
        Some((_, error)) => Err(error.into()),
        None => Err(FindError::Exited(Box::new(container.clone()))),
    }
}

/// No engine has it, and all that could have it were asked: our own, or root's. If there are none, only those of other users
/// were asked.
fn not_found(target: Target, answers: EngineAnswers, others: EngineAnswers) -> FindError {
    let is_prompt = |engine: &EngineName| !answers.api_errors.iter().any(|(silent, _)| silent == engine);
    let prompt = answers.answered.iter().copied().filter(is_prompt).collect();
    let silent = answers.api_errors.iter().chain(&others.api_errors).map(|(_, why)| why.clone()).collect();
    let mut asked = answers.answered;
    asked.extend(others.answered.into_iter().filter(|name| !asked.contains(name)).collect::<Vec<_>>());
    let mut errors = answers.closed.into_iter().chain(others.errors);
    match (asked.is_empty(), errors.next()) {
        (false, first) => {
            let unasked = first.into_iter().chain(errors).map(|(_, why)| why).collect();
            let search = Box::new(FailedSearch { asked, silent, unasked, prompt, nearest: Vec::new() });
            FindError::NotFound { target, search }
        }
        (true, Some(first)) => FindError::closed(first),
        (true, None) => no_engine(answers.absent),
    }
}

/// None of the engines that were looked for is here, or one of them is, but does not run.
fn no_engine(absent: Vec<EngineError>) -> FindError {
    let mut looked_for: Vec<EngineName> = Vec::new();
    for why in &absent {
        match why {
            EngineError::Absent { engine, .. } => looked_for.push(*engine),
            stopped => return stopped.clone().into(),
        }
    }
    looked_for.sort_unstable();
    looked_for.dedup();
    match (looked_for.len(), absent.into_iter().next()) {
        (1, Some(only)) => only.into(),
        _ => FindError::NoEngine { looked_for },
    }
}

/// Why there is no such process; if containers have the PID for a name, or for the beginning of their ID, that they do.
fn called_so(error: ProcessError, session: &EngineSession) -> FindError {
    let ProcessError::Gone(pid) = error else { return error.into() };
    let Ok(name) = pid.to_string().parse::<Name>() else { return error.into() };
    let asked = ContainerQuery::Name { within: None, name: &name };
    let mut answers = find_with(&engines(None, session), session, &asked);
    answers.take_claims_of_others();
    answers.narrow(&asked);
    match answers.hits.is_empty() {
        true => error.into(),
        false => FindError::CalledSo { pid, hits: answers.hits },
    }
}

/// A bare word that is no container's name may be a link's. One that was made for a container leads to that
/// container while it runs in there; what a dead one left behind is the last thing that anybody wants to act
/// on unawares.
fn link_or(error: FindError, name: &Name, session: &EngineSession) -> Result<FoundTarget, FindError> {
    let Ok(link) = name.as_str().parse::<LinkName>() else { return Err(error) };
    let entry = netns::entry(&link)?;
    let netns::LinkEntry::Bound(linked) = entry else { return Err(error) };
    let record = RecordDir::open().ok().and_then(|beneath| beneath.record(&link, entry));
    let Some(owner) = record.and_then(|record| record.container) else {
        return Ok(FoundTarget::alone(HeldTarget::Netns(netns::open(&link)?)));
    };
    let orphan = || FindError::Orphan { link: link.clone(), owner: owner.name.clone() };
    let word = word_for(&owner.id, &owner.name).ok_or_else(orphan)?;
    let asked = ContainerQuery::Name { within: None, name: &word };
    let target = Target::Container { engine: Some(owner.engine), within: None, name: word.clone() };
    let found = match find_container(Some(owner.engine), &target, &asked, session) {
        Err(FindError::Ambiguous { hits, .. }) => {
            hits.into_iter().find(|hit| hit.id == owner.id).ok_or_else(orphan).and_then(hold)
        }
        found => found,
    };
    match found {
        Ok(found) if found.netns_identity() == Some(linked) => Ok(found),
        Ok(_) | Err(FindError::NotFound { .. } | FindError::NotRunning(_) | FindError::Exited(_)) => {
            Err(orphan())
        }
        Err(error) => Err(error),
    }
}

/// The word to ask an engine for a container with: its ID or, where that is a path, as of an LXC container that is defined
/// elsewhere, its name.
fn word_for(id: &str, name: &str) -> Option<Name> {
    id.parse().or_else(|_| name.parse()).ok()
}

/// Takes hold of the container's process, if the kernel agrees that it is the container's.
///
/// # Errors
/// `NotRunning`, `Exited`, `NotTheirs`.
pub fn hold(container: Container) -> Result<FoundTarget, FindError> {
    Ok(held(container, std::iter::empty())?.0)
}

/// Also whether something that no other process shares ties the process to the container. With each silence goes the engine
/// that it was of, or nothing where that did not answer from disk either.
fn held(
    container: Container,
    silent: impl Iterator<Item = (Option<EngineName>, EngineError)>,
) -> Result<(FoundTarget, bool), FindError> {
    let Some(pid) = container.pid else { return Err(FindError::NotRunning(Box::new(container))) };
    match verify::process(&container, pid) {
        Ok(VerifiedProcess { process, is_proven }) => {
            let matters = |engine: Option<EngineName>| {
                engine.is_none_or(|engine| {
                    engine == container.engine && container.source == ContainerSource::State
                })
            };
            let api_errors = silent.filter(|(engine, _)| matters(*engine)).map(|(_, why)| why).collect();
            let place = HeldTarget::Process(process);
            Ok((FoundTarget { container: Some(container), api_errors, stranger: None, place }, is_proven))
        }
        Err(doubt) => Err(doubt.about(container)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_cannot_be_asked_is_no_proof_that_there_is_no_container() {
        let target = "machine:web".parse().unwrap();
        let error = not_found(target, EngineAnswers::default(), EngineAnswers::default());
        assert!(matches!(&error, FindError::NoEngine { .. }));
        assert_eq!(crate::failure::Failure::from(error).status, crate::failure::Status::Failed);
    }
}
