//! Why a TARGET leads nowhere, and what the user can do about it.

use std::fmt;

use jiff::Timestamp;
use nix::unistd::Pid;

use super::NetworkError;
use crate::engine::{Container, EngineError, EngineName, State};
use crate::failure::{Failure, Status};
use crate::hint;
use crate::hint::Hint;
use crate::namespace::NamespaceError;
use crate::netns::NetnsError;
use crate::output::one_line;
use crate::process::ProcessError;
use crate::target::{LinkName, Name, Target};

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
    #[error("{} is not running ({})", one_line(&.0.name), .0.why_not_running(Timestamp::now()))]
    NotRunning(Box<Container>),
    /// It ended between the engine's answer and our hold on it; or the engine's answer was that old.
    #[error("{} exited while it was being looked up", one_line(&.0.name))]
    Exited(Box<Container>),
    /// An ordinary user's engine claims a process that is not that user's.
    #[error("{}: {} of user {} claims PID {}, which is not in a user namespace of that user", one_line(&.0.name), .0.engine, .0.proof.claimed_by, .0.pid.map_or(0, Pid::as_raw))]
    NotTheirs(Box<Container>),
    /// No engine of this host knows the process.
    #[error("PID {0}: is in no container")]
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
    /// Nobody, or nobody for sure, has that address or far end.
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
        "{link}: is no container, but a link to the network that {} had, and has no longer",
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

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        let message = error.to_string();
        let no = |message| Failure::said(Status::No, message);
        match error {
            FindError::NotFound { .. }
            | FindError::InNone(_)
            | FindError::Exited(_)
            | FindError::NoSuchLink(_) => no(message),
            FindError::Orphan { ref link, .. } => {
                no(message).hint(crate::hint!("netns:{}, or netns-link --rm {}", link, link))
            }
            FindError::NotRunning(container) => match container.state {
                State::Created | State::Exited => no(message).hint(start_hint(&container)),
                _ => no(message),
            },
            FindError::Ambiguous { hits, .. } => {
                Failure::said(Status::Trouble, message).and_lines(rows(&hits)).hint("give more of the ID")
            }
            FindError::NoEngine | FindError::NotTheirs(_) | FindError::NoProcess(_) => {
                Failure::said(Status::Trouble, message)
            }
            FindError::Network(error) => (*error).into(),
            FindError::Engine(error) => error.into(),
            FindError::Process(error) => error.into(),
            FindError::Namespace(error) => error.into(),
            FindError::Netns(error) => error.into(),
        }
    }
}

/// A hint is there to be pasted into a shell: a name that is none stays out of it.
///
/// Kubernetes starts a container again by itself, and what was made by hand is for hands to start.
fn start_hint(container: &Container) -> Option<Hint> {
    if matches!(container.engine, EngineName::Containerd | EngineName::Crio | EngineName::Oci) {
        return None;
    }
    let name = container.name.parse::<Name>();
    let word = name.as_ref().map_or(container.short_id(), Name::as_str);
    match container.engine {
        // lxc(1) is another program, of LXD.
        EngineName::Lxc => hint!("lxc-start {}", word),
        EngineName::Machine => hint!("machinectl start {}", word),
        engine => hint!("{} start {}", engine, word),
    }
}

fn names(engines: &[EngineName]) -> impl fmt::Display {
    engines.iter().map(|engine| engine.as_str()).collect::<Vec<_>>().join(", ")
}

fn rows(hits: &[Container]) -> impl Iterator<Item = String> {
    hits.iter()
        .map(|hit| format!("  {:<12} {} {} ({})", hit.short_id(), hit.engine, hit.full_name(), hit.state))
}
