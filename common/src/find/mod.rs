//! From what a user typed to something that cannot change under our feet: a process held by pidfd, or a
//! namespace held open. What an engine says about a PID is verified here, and only here.

mod believe;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::Pid;

use believe::Doubt;

use crate::engine::{Asked, Container, Engine, EngineError, EngineName, Source, State, engines};
use crate::failure::Failure;
use crate::namespace::{Kind, Namespace, NamespaceError};
use crate::netns::{self, NetnsError};
use crate::process::{Process, ProcessError};
use crate::target::{LinkName, Name, Target};

/// What a TARGET turned out to be.
#[derive(Debug)]
pub struct Found {
    /// The container, when the TARGET named one.
    pub container: Option<Container>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Process(Process),
    Netns(Namespace),
}

impl Found {
    /// Its process; `None` when the TARGET is a namespace that needs none.
    pub fn process(&self) -> Option<&Process> {
        match &self.place {
            Place::Process(process) => Some(process),
            Place::Netns(_) => None,
        }
    }

    /// Its process, for keeps.
    pub fn into_process(self) -> Option<Process> {
        match self.place {
            Place::Process(process) => Some(process),
            Place::Netns(_) => None,
        }
    }

    /// Its network namespace, held open.
    ///
    /// # Errors
    /// When the process has ended, or ptrace(2)'s access rules forbid us to look.
    pub fn into_netns(self) -> Result<Namespace, FindError> {
        match self.place {
            Place::Netns(netns) => Ok(netns),
            Place::Process(process) => match (process.namespace(Kind::Net), self.container) {
                (Err(NamespaceError::Gone { .. }), Some(container)) => {
                    Err(FindError::Exited(Box::new(container)))
                }
                (result, _) => Ok(result?),
            },
        }
    }
}

/// Why a TARGET leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nobody has such a container.
    #[error("{target}: no such container (asked: {})", list(asked))]
    NotFound {
        /// What was asked for.
        target: Target,
        /// Who was asked.
        asked: Vec<EngineName>,
    },
    /// The container is there, but has no process.
    #[error("{} is not running ({})", .0.name, .0.why_not_running(Timestamp::now()))]
    NotRunning(Box<Container>),
    /// It ended between the engine's answer and our hold on it; or the engine's answer was that old.
    #[error("{} exited while it was being looked up", .0.name)]
    Exited(Box<Container>),
    /// An ordinary user's engine claims a process that is not that user's.
    #[error("{}: {} of user {} claims PID {}, which is not in a user namespace of that user", .0.name, .0.engine, .0.proof.claimed_by, .0.pid.map_or(0, Pid::as_raw))]
    NotTheirs(Box<Container>),
    /// Several containers begin with these digits, or several engines have this name.
    #[error("{target}: means {} containers:{}", hits.len(), rows(hits))]
    Ambiguous {
        /// What was asked for.
        target: Target,
        /// What it can mean.
        hits: Vec<Container>,
    },
    /// A form that no tool can follow yet.
    #[error("{0}: this version cannot look up such a TARGET")]
    Unsupported(Target),
    /// The TARGET is a namespace, and the tool needs a process.
    #[error("{0}: is a namespace without a process")]
    NoProcess(Target),
    /// An engine could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A process could not be held.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A namespace could not be opened.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The registry could not be read.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// No name is linked so under `/run/netns`.
    #[error("netns:{0}: no such link under /run/netns")]
    NoSuchLink(LinkName),
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        let message = Some(error.to_string());
        let no = |message| Failure { message, ..Failure::no("", "") };
        match error {
            FindError::NotFound { .. } | FindError::Exited(_) | FindError::NoSuchLink(_) => no(message),
            FindError::NotRunning(container) => match container.state {
                State::Created | State::Exited => no(message).hint(start_hint(&container)),
                _ => no(message),
            },
            FindError::Ambiguous { .. } => {
                Failure { message, ..Failure::trouble("", "") }.hint("give more of the ID")
            }
            FindError::Unsupported(_) | FindError::NotTheirs(_) | FindError::NoProcess(_) => {
                Failure { message, ..Failure::trouble("", "") }
            }
            FindError::Engine(error) => error.into(),
            FindError::Process(error) => error.into(),
            FindError::Namespace(error) => error.into(),
            FindError::Netns(error) => error.into(),
        }
    }
}

/// Finds what `target` means, with engines given `timeout` each.
///
/// # Errors
/// [`FindError`]; nothing that is found can turn into something else later.
pub fn find(target: &Target, timeout: Duration) -> Result<Found, FindError> {
    let alone = |place| Found { container: None, place };
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
                (Err(error @ FindError::NotFound { .. }), None) => link_or(error, name),
                (result, _) => result,
            }
        }
        Target::Pod { namespace, pod, container } => {
            let asked = Asked::Pod { namespace: namespace.as_ref(), pod, container: container.as_ref() };
            find_container(None, target, &asked, timeout)
        }
        other => Err(FindError::Unsupported(other.clone())),
    }
}

fn find_container(
    engine: Option<EngineName>,
    target: &Target,
    asked: &Asked<'_>,
    timeout: Duration,
) -> Result<Found, FindError> {
    let engines = engines(engine, timeout);
    if engines.is_empty() {
        return Err(FindError::Unsupported(target.clone()));
    }
    let mut hits: Vec<Container> = Vec::new();
    let mut silent = Vec::new();
    let mut troubles = Vec::new();
    for engine in &engines {
        match engine.find(asked) {
            Ok(found) => {
                for container in found {
                    // Docker's containers are containerd's too, and Podman's are runc's: one is enough.
                    if hits.iter().all(|hit| hit.id != container.id) {
                        hits.push(container);
                    }
                }
            }
            Err(absent @ EngineError::Absent { .. }) => {
                silent.push(engine.name());
                troubles.push(absent);
            }
            Err(trouble) => troubles.push(trouble),
        }
    }
    // A whole name or ID means more than the beginning of an ID.
    if let Asked::Name { name, .. } = asked {
        let exact = |hit: &Container| hit.name == name.as_str() || hit.id == name.as_str();
        if hits.iter().any(exact) {
            hits.retain(exact);
        }
    }
    match hits.len() {
        0 => Err(nobody(target, &engines, &silent, troubles)),
        1 => hold(hits.remove(0)),
        _ => Err(FindError::Ambiguous { target: target.clone(), hits }),
    }
}

/// Nobody has it. That is certain only if everybody who is here could be asked.
fn nobody(
    target: &Target,
    engines: &[Box<dyn Engine>],
    silent: &[EngineName],
    troubles: Vec<EngineError>,
) -> FindError {
    let mut asked: Vec<EngineName> = engines.iter().map(|engine| engine.name()).collect();
    asked.retain(|name| !silent.contains(name));
    asked.dedup();
    let serious = |error: &EngineError| !matches!(error, EngineError::Absent { .. });
    let trouble = troubles.iter().position(serious).or_else(|| asked.is_empty().then_some(0));
    match trouble.and_then(|at| troubles.into_iter().nth(at)) {
        Some(trouble) => trouble.into(),
        None => FindError::NotFound { target: target.clone(), asked },
    }
}

/// A bare word that is no container's name may be a link's.
fn link_or(error: FindError, name: &Name) -> Result<Found, FindError> {
    let link = name.as_str().parse::<LinkName>().ok();
    match link.map(|link| netns::entry(&link).map(|entry| (link, entry))).transpose()? {
        Some((link, netns::Entry::Bound(_))) => {
            Ok(Found { container: None, place: Place::Netns(netns::open(&link)?) })
        }
        _ => Err(error),
    }
}

/// Takes hold of the container's process, if the kernel agrees that it is the container's.
fn hold(container: Container) -> Result<Found, FindError> {
    let Some(pid) = container.pid else { return Err(FindError::NotRunning(Box::new(container))) };
    match believe::process(&container, pid) {
        Ok(process) => Ok(Found { container: Some(container), place: Place::Process(process) }),
        // A state file may be older than the container's end.
        Err(Doubt::Gone) if container.source == Source::State => {
            let ended = Container { pid: None, state: State::Exited, ..container };
            Err(FindError::NotRunning(Box::new(ended)))
        }
        Err(Doubt::Gone) => Err(FindError::Exited(Box::new(container))),
        Err(Doubt::NotTheirs) => Err(FindError::NotTheirs(Box::new(container))),
        Err(Doubt::Process(error)) => Err(error.into()),
    }
}

fn start_hint(container: &Container) -> String {
    format!("{} start {}", container.engine, container.name)
}

fn list(engines: &[EngineName]) -> impl fmt::Display {
    engines.iter().map(|engine| engine.as_str()).collect::<Vec<_>>().join(", ")
}

fn rows(hits: &[Container]) -> String {
    hits.iter()
        .map(|hit| format!("\n  {:<12} {} {} ({})", hit.short_id(), hit.engine, hit.name, hit.state))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_cannot_be_asked_is_no_proof_that_there_is_no_container() {
        let target = "machine:web".parse().unwrap();
        let error = find(&target, Duration::from_secs(1)).unwrap_err();
        assert!(matches!(&error, FindError::Unsupported(refused) if *refused == target));
        assert_eq!(Failure::from(error).status, crate::failure::Status::Trouble);
    }
}
