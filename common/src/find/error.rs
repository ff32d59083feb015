//! Why a TARGET was not found, and what the user can do about it.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use nix::unistd::Pid;

use super::NetworkError;
use crate::engine::{Container, ContainerState, EngineError, EngineName};
use crate::failure::{Failure, Status};
use crate::hint;
use crate::hint::Hint;
use crate::namespace::NamespaceError;
use crate::netns::NetnsError;
use crate::output::one_line;
use crate::process::ProcessError;
use crate::target::{LinkName, Target};

/// Why a TARGET was not found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No engine has such a container.
    #[error("{target}: no such container (asked: {})", names(asked))]
    NotFound {
        /// What was asked for.
        target: Target,
        /// The engines that were asked.
        asked: Vec<EngineName>,
        /// Which engines of other users could not be.
        unasked: Vec<EngineError>,
    },
    /// An engine that may have it could not be asked, or could not tell; whether another engine has it or not.
    #[error("{target}: {}{trouble}", undecided(hit.as_deref(), *engine))]
    CannotTell {
        /// What was asked for.
        target: Target,
        /// The container that another engine has.
        hit: Option<Box<Container>>,
        /// Which may have it, too.
        engine: EngineName,
        /// Why it could not be asked.
        trouble: Box<EngineError>,
    },
    /// Its control group is called after a container that it is not in.
    #[error("PID {}: its control group is named after {}{}, but it is not a process of that container", .0, one_line(&.1.target()), .1.of_whom())]
    Pretender(Pid, Box<Container>),
    /// The container is there, but has no process.
    #[error("{} is not running ({})", one_line(&.0.name), .0.why_not_running(Timestamp::now()))]
    NotRunning(Box<Container>),
    /// It ended between the engine's answer and our hold on it; or the engine's answer was that old.
    #[error("{} exited while it was being looked up", one_line(&.0.name))]
    Exited(Box<Container>),
    /// An ordinary user's engine claims a process that is not that user's.
    #[error("{}: {} of user {} claims PID {}, which is not in a user namespace of that user", one_line(&.0.name), .0.engine, .0.proof.claimed_by, .0.pid.map_or(0, Pid::as_raw))]
    NotTheirs(Box<Container>),
    /// No engine of this host knows the process.
    #[error("PID {0}: is not in a container")]
    InNone(Pid),
    /// There is no engine of that kind to ask.
    #[error("no container engine is on this host")]
    NoEngine,
    /// Several containers begin with these digits, or several engines have this name.
    #[error("{target}: means {} containers:", hits.len())]
    Ambiguous {
        /// What was asked for.
        target: Target,
        /// What it can mean.
        hits: Vec<Container>,
    },
    /// No namespace, or none for certain, has that address or other end.
    #[error(transparent)]
    Network(#[from] Box<NetworkError>),
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
    /// The word is a link's, made for a container that does not run in there any more.
    #[error(
        "{link}: is not a container, but a stale link to a network that {} no longer has",
        one_line(owner)
    )]
    Orphan {
        /// The link.
        link: LinkName,
        /// The container that it was made for.
        owner: String,
    },
    /// No name is linked so under `/run/netns`.
    #[error("netns:{0}: no such link under /run/netns")]
    NoSuchLink(LinkName),
}

impl FindError {
    /// Why an engine could not be asked, if that is what is wrong.
    pub fn of_an_engine(&self) -> Option<&EngineError> {
        match self {
            FindError::Engine(why) => Some(why),
            FindError::CannotTell { trouble, .. } => Some(trouble),
            _ => None,
        }
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        let message = error.to_string();
        let no = |message| Failure::said(Status::No, message);
        match error {
            FindError::NotFound { .. }
            | FindError::InNone(_)
            | FindError::Pretender(..)
            | FindError::Exited(_)
            | FindError::NoSuchLink(_) => no(message),
            FindError::Orphan { ref link, .. } => {
                no(message).hint(crate::hint!("netns:{}, or netns-link --rm {}", link, link))
            }
            FindError::NotRunning(container) => match container.state {
                ContainerState::Created | ContainerState::Exited => no(message).hint(container.start_hint()),
                _ => no(message),
            },
            FindError::Ambiguous { target, hits } => {
                Failure::said(Status::Failed, message).and_lines(rows(&hits)).hint(each_alone(&target, &hits))
            }
            FindError::CannotTell { target, hit, engine, trouble } => {
                let failure = Failure::said(Status::Failed, message);
                match hit.and_then(|hit| alone(&target, &hit, engine)) {
                    Some(word) => failure.hint(hint!("use {} for that container", word)),
                    None => failure.hint(Failure::from(*trouble).hint),
                }
            }
            FindError::NoEngine | FindError::NotTheirs(_) | FindError::NoProcess(_) => {
                Failure::said(Status::Failed, message)
            }
            FindError::Network(error) => (*error).into(),
            FindError::Engine(error) => error.into(),
            FindError::Process(error) => error.into(),
            FindError::Namespace(error) => error.into(),
            FindError::Netns(error) => error.into(),
        }
    }
}

/// What is known of a container that may be `engine`'s.
fn undecided(hit: Option<&Container>, engine: EngineName) -> String {
    match hit {
        Some(hit) => {
            format!("{hit} was found, but {engine} could not be asked, and may have one of that name too: ")
        }
        None => "cannot tell whether there is such a container: ".to_owned(),
    }
}

/// The word that means `hit` alone, where asking one engine leaves out the one that is in trouble.
fn alone(target: &Target, hit: &Container, in_trouble: EngineName) -> Option<String> {
    let Target::Container { engine: None, name, .. } = target else { return None };
    (in_trouble != hit.engine).then(|| format!("{}:{name}", hit.engine))
}

/// The words that mean each of `hits` alone, where they are of as many engines.
fn each_alone(target: &Target, hits: &[Container]) -> Option<Hint> {
    let engines: BTreeSet<_> = hits.iter().map(|hit| hit.engine.to_string()).collect();
    match target {
        Target::Container { engine: None, name, .. } if engines.len() == hits.len() => {
            let words: Vec<_> = hits.iter().map(|hit| format!("{}:{name}", hit.engine)).collect();
            hint::any_of(&words)
        }
        _ => Some(Hint::say("give more of the ID")),
    }
}

fn names(engines: &[EngineName]) -> impl fmt::Display {
    engines.iter().map(|engine| engine.as_str()).collect::<Vec<_>>().join(", ")
}

fn rows(hits: &[Container]) -> impl Iterator<Item = String> {
    hits.iter().map(|hit| {
        let (id, name) = (hit.short_id(), hit.full_name());
        format!("  {:<12} {} {}{} ({})", id, hit.engine, name, hit.of_whom(), hit.state)
    })
}
