//! From what a user typed to something that cannot change under our feet: a process held by pidfd, or a
//! namespace held open. What an engine says about a PID is verified here, and only here.

mod believe;
mod error;
mod known;
mod network;

use std::time::Duration;

use nix::unistd::Pid;

pub use error::FindError;
pub use known::{Facts, Known, Listing, list, list_with, owner};
pub use network::{Candidate, NetworkError};

use crate::engine::{Asked, Container, Engine, EngineError, EngineName, Source, engines};
use crate::namespace::{self, Identity, Kind, Namespace, NamespaceError};
use crate::netns::{self, Beneath};
use crate::process::Process;
use crate::target::{LinkName, Name, Target};

/// What a TARGET turned out to be.
#[derive(Debug)]
pub struct Found {
    /// The container, when the TARGET named one.
    pub container: Option<Container>,
    /// Why the container's engine did not say so itself, and its state on disk had to be read.
    pub silence: Option<EngineError>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Process(Process),
    Netns(Namespace),
    /// The namespace is what was found; the process is one that is in it.
    Both {
        process: Process,
        netns: Namespace,
    },
}

impl Found {
    /// Its process; `None` when the TARGET is a namespace that needs none.
    pub fn process(&self) -> Option<&Process> {
        match &self.place {
            Place::Process(process) | Place::Both { process, .. } => Some(process),
            Place::Netns(_) => None,
        }
    }

    /// Its process, for keeps.
    pub fn into_process(self) -> Option<Process> {
        match self.place {
            Place::Process(process) | Place::Both { process, .. } => Some(process),
            Place::Netns(_) => None,
        }
    }

    /// What tells its network namespace from others; `None` where ptrace(2)'s rules forbid us to look.
    pub fn netns_identity(&self) -> Option<Identity> {
        match &self.place {
            Place::Netns(netns) | Place::Both { netns, .. } => Some(netns.identity()),
            Place::Process(process) => process.namespace_identity(Kind::Net).ok(),
        }
    }

    /// Whether its network is the one that the tool runs in.
    pub fn is_own_network(&self) -> bool {
        let own = namespace::own_identity(Kind::Net).ok();
        own.is_some() && self.netns_identity() == own
    }

    /// Its network namespace, held open.
    ///
    /// # Errors
    /// When the process has ended, or ptrace(2)'s access rules forbid us to look.
    pub fn into_netns(self) -> Result<Namespace, FindError> {
        Ok(self.into_both()?.1)
    }

    /// Its process, if it has one, and its network namespace, held open both.
    ///
    /// # Errors
    /// As [`Found::into_netns`].
    pub fn into_both(self) -> Result<(Option<Process>, Namespace), FindError> {
        match self.place {
            Place::Netns(netns) => Ok((None, netns)),
            Place::Both { process, netns } => Ok((Some(process), netns)),
            Place::Process(process) => match (process.namespace(Kind::Net), self.container) {
                (Err(NamespaceError::Gone { .. }), Some(container)) => {
                    Err(FindError::Exited(Box::new(container)))
                }
                (netns, _) => Ok((Some(process), netns?)),
            },
        }
    }
}

/// The network of the host: that of its first process, or our own where that is hidden from us.
///
/// # Errors
/// When not even our own can be looked at.
pub fn host_network() -> Result<Identity, NamespaceError> {
    let first = Process::open(Pid::from_raw(1)).ok();
    match first.and_then(|first| first.namespace_identity(Kind::Net).ok()) {
        Some(host) => Ok(host),
        None => namespace::own_identity(Kind::Net),
    }
}

/// Finds what `target` means, with engines given `timeout` each.
///
/// # Errors
/// [`FindError`]; nothing that is found can turn into something else later.
pub fn find(target: &Target, timeout: Duration) -> Result<Found, FindError> {
    let alone = |place| Found { container: None, silence: None, place };
    match target {
        Target::Process { pid, inode } => {
            // A PID is at most 2^22: target's grammar saw to that.
            let pid = Pid::from_raw(i32::try_from(*pid).unwrap_or(i32::MAX));
            let process = match inode {
                Some(inode) => Process::open_exactly(pid, *inode)?,
                None => Process::open(pid)?,
            };
            Ok(alone(Place::Process(process)))
        }
        Target::NamedNetns(name) => match netns::entry(name)? {
            netns::Entry::Free => Err(FindError::NoSuchLink(name.clone())),
            _ => Ok(alone(Place::Netns(netns::open(name)?))),
        },
        Target::NetnsFile(path) => Ok(alone(Place::Netns(Namespace::open(path, Kind::Net)?))),
        Target::Container { engine, within, name } => {
            let asked = Asked::Name { within: within.as_ref(), name };
            match (find_container(*engine, target, &asked, timeout), engine) {
                (Err(error @ FindError::NotFound { .. }), None) => link_or(error, name, timeout),
                (result, _) => result,
            }
        }
        Target::Pod { namespace, pod, container } => {
            let asked = Asked::Pod { namespace: namespace.as_ref(), pod, container: container.as_ref() };
            find_container(None, target, &asked, timeout)
        }
        Target::Ip(_) | Target::Mac(_) | Target::Veth(_) => Ok(network::find(target)?),
    }
}

/// What engines said, all together.
#[derive(Debug, Default)]
struct Answers {
    /// Every container once: Docker's are containerd's too, and Podman's are runc's.
    hits: Vec<Container>,
    /// Who answered.
    answered: Vec<EngineName>,
    /// Who is not on this host at all.
    absent: Vec<EngineError>,
    /// Who is, and could not be asked.
    troubles: Vec<EngineError>,
    /// Who was found out about from state on disk, and why.
    silent: Vec<(EngineName, EngineError)>,
}

fn ask(
    engines: &[Box<dyn Engine>],
    question: impl Fn(&dyn Engine) -> Result<Vec<Container>, EngineError>,
) -> Answers {
    let mut answers = Answers::default();
    for engine in engines {
        match question(engine.as_ref()) {
            Ok(found) => {
                answers.answered.push(engine.name());
                answers.silent.extend(engine.silence().map(|why| (engine.name(), why)));
                for container in found {
                    if answers.hits.iter().all(|hit| hit.id != container.id) {
                        answers.hits.push(container);
                    }
                }
            }
            Err(absent @ EngineError::Absent { .. }) => answers.absent.push(absent),
            Err(trouble) => answers.troubles.push(trouble),
        }
    }
    answers.answered.dedup();
    answers
}

fn find_container(
    engine: Option<EngineName>,
    target: &Target,
    asked: &Asked<'_>,
    timeout: Duration,
) -> Result<Found, FindError> {
    let mut engines = engines(engine, timeout);
    engines.retain(|engine| asked.concerns(engine.name()));
    let mut answers = ask(&engines, |engine| engine.find(asked));
    // A whole name or ID means more than the beginning of an ID.
    if let Asked::Name { name, .. } = asked {
        let exact = |hit: &Container| hit.name == name.as_str() || hit.id == name.as_str();
        if answers.hits.iter().any(exact) {
            answers.hits.retain(exact);
        }
    }
    match answers.hits.len() {
        0 => Err(nobody(target, answers)),
        1 => confirmed(held(answers.hits.remove(0), answers.silent)?, timeout),
        _ => Err(FindError::Ambiguous { target: target.clone(), hits: answers.hits }),
    }
}

/// Where nothing but an API's word ties the process to the container, as without cgroups, the word is taken
/// again now that the process is held: the PID that is the container's now is this process's.
fn confirmed(found: Found, timeout: Duration) -> Result<Found, FindError> {
    let (Some(container), Some(process)) = (&found.container, found.process()) else { return Ok(found) };
    if container.source == Source::State || believe::is_proven(container, process) {
        return Ok(found);
    }
    let Ok(id) = container.id.parse::<Name>() else { return Ok(found) };
    let asked = Asked::Name { within: None, name: &id };
    let again = ask(&engines(Some(container.engine), timeout), |engine| engine.find(&asked));
    let same = again.hits.iter().any(|hit| hit.id == container.id && hit.pid == container.pid);
    match again.troubles.into_iter().next() {
        _ if same => Ok(found),
        Some(trouble) => Err(trouble.into()),
        None => Err(FindError::Exited(Box::new(container.clone()))),
    }
}

/// Nobody has it. That is certain only if everybody who is here could be asked.
fn nobody(target: &Target, answers: Answers) -> FindError {
    match answers.troubles.into_iter().next() {
        Some(trouble) => trouble.into(),
        None if !answers.answered.is_empty() => {
            FindError::NotFound { target: target.clone(), asked: answers.answered }
        }
        None => answers.absent.into_iter().next().map_or(FindError::NoEngine, FindError::from),
    }
}

/// A bare word that is no container's name may be a link's. One that was made for a container leads to that
/// container while it runs in there; what a dead one left behind is the last thing that anybody wants to act
/// on unawares.
fn link_or(error: FindError, name: &Name, timeout: Duration) -> Result<Found, FindError> {
    let Ok(link) = name.as_str().parse::<LinkName>() else { return Err(error) };
    let entry = netns::entry(&link)?;
    let netns::Entry::Bound(linked) = entry else { return Err(error) };
    let record = Beneath::open().ok().and_then(|beneath| beneath.record(&link, entry));
    let Some(owner) = record.and_then(|record| record.container) else {
        return Ok(Found { container: None, silence: None, place: Place::Netns(netns::open(&link)?) });
    };
    let id = owner
        .id
        .parse::<Name>()
        .map_err(|_| FindError::Orphan { link: link.clone(), owner: owner.name.clone() })?;
    let asked = Asked::Name { within: None, name: &id };
    let target = Target::Container { engine: Some(owner.engine), within: None, name: id.clone() };
    match find_container(Some(owner.engine), &target, &asked, timeout) {
        Ok(found) if found.netns_identity() == Some(linked) => Ok(found),
        Ok(_) | Err(FindError::NotFound { .. } | FindError::NotRunning(_) | FindError::Exited(_)) => {
            Err(FindError::Orphan { link, owner: owner.name })
        }
        Err(error) => Err(error),
    }
}

/// Takes hold of the container's process, if the kernel agrees that it is the container's.
///
/// # Errors
/// `NotRunning`, `Exited`, `NotTheirs`.
pub fn hold(container: Container) -> Result<Found, FindError> {
    held(container, vec![])
}

fn held(container: Container, silent: Vec<(EngineName, EngineError)>) -> Result<Found, FindError> {
    let Some(pid) = container.pid else { return Err(FindError::NotRunning(Box::new(container))) };
    match believe::process(&container, pid) {
        Ok(process) => {
            let from_disk = |(engine, _): &(EngineName, EngineError)| {
                *engine == container.engine && container.source == Source::State
            };
            let silence = silent.into_iter().find(from_disk).map(|(_, why)| why);
            Ok(Found { container: Some(container), silence, place: Place::Process(process) })
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
        let error = nobody(&target, Answers::default());
        assert!(matches!(&error, FindError::NoEngine));
        assert_eq!(crate::failure::Failure::from(error).status, crate::failure::Status::Trouble);
    }
}
