//! From what a user typed to something that cannot change under our feet: a process held by pidfd, or a
//! namespace held open. What an engine says about a PID is verified here, and only here.

mod believe;
mod known;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::Pid;

pub use known::{Facts, Known, Listing, list, owner};

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
    /// Why the container's engine did not say so itself, and its state on disk had to be read.
    pub silence: Option<EngineError>,
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
    #[error("{target}: no such container (asked: {})", names(asked))]
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
    /// No engine of this host knows the process.
    #[error("PID {0}: is in no container")]
    InNone(Pid),
    /// There is no engine of that kind to ask.
    #[error("no container engine is on this host")]
    NoEngine,
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
            FindError::NotFound { .. }
            | FindError::InNone(_)
            | FindError::Exited(_)
            | FindError::NoSuchLink(_) => no(message),
            FindError::NotRunning(container) => match container.state {
                State::Created | State::Exited => no(message).hint(start_hint(&container)),
                _ => no(message),
            },
            FindError::Ambiguous { .. } => {
                Failure { message, ..Failure::trouble("", "") }.hint("give more of the ID")
            }
            FindError::Unsupported(_)
            | FindError::NoEngine
            | FindError::NotTheirs(_)
            | FindError::NoProcess(_) => Failure { message, ..Failure::trouble("", "") },
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
    let mut answers = ask(&engines(engine, timeout), |engine| engine.find(asked));
    // A whole name or ID means more than the beginning of an ID.
    if let Asked::Name { name, .. } = asked {
        let exact = |hit: &Container| hit.name == name.as_str() || hit.id == name.as_str();
        if answers.hits.iter().any(exact) {
            answers.hits.retain(exact);
        }
    }
    match answers.hits.len() {
        0 => Err(nobody(target, answers)),
        1 => hold(answers.hits.remove(0), answers.silent),
        _ => Err(FindError::Ambiguous { target: target.clone(), hits: answers.hits }),
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

/// A bare word that is no container's name may be a link's.
fn link_or(error: FindError, name: &Name) -> Result<Found, FindError> {
    let link = name.as_str().parse::<LinkName>().ok();
    match link.map(|link| netns::entry(&link).map(|entry| (link, entry))).transpose()? {
        Some((link, netns::Entry::Bound(_))) => {
            Ok(Found { container: None, silence: None, place: Place::Netns(netns::open(&link)?) })
        }
        _ => Err(error),
    }
}

/// Takes hold of the container's process, if the kernel agrees that it is the container's.
fn hold(container: Container, silent: Vec<(EngineName, EngineError)>) -> Result<Found, FindError> {
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

fn start_hint(container: &Container) -> String {
    format!("{} start {}", container.engine, container.name)
}

fn names(engines: &[EngineName]) -> impl fmt::Display {
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
        assert!(matches!(&error, FindError::NoEngine));
        assert_eq!(Failure::from(error).status, crate::failure::Status::Trouble);
    }
}
