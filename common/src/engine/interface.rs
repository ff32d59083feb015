//! What every engine can be asked: the trait that each of them implements, and the query.

use std::os::fd::OwnedFd;

use super::{Container, EngineError};
use crate::target::{EngineName, Name};

/// What every engine can be asked.
pub trait Engine {
    /// The prefix that names it in a TARGET.
    fn name(&self) -> EngineName;

    /// The containers that `asked` can mean, running or not: all of that exact name or ID, and all whose ID
    /// begins with it. None is an answer too: this engine has no such container.
    ///
    /// # Errors
    /// [`EngineError::Absent`] when this engine is not on this host at all, neither its socket nor its
    /// state; others when it could not be asked, or what it said makes no sense.
    fn find(&self, asked: &ContainerQuery<'_>) -> Result<Vec<Container>, EngineError>;

    /// All its containers, running or not.
    ///
    /// # Errors
    /// As [`Engine::find`].
    fn list(&self) -> Result<Vec<Container>, EngineError>;

    /// A new stream of its own events, on which something comes at once, and then whenever one of its
    /// containers has changed; `None` when it has no such stream, or not now. What comes means nothing.
    fn events(&self) -> Option<OwnedFd> {
        None
    }

    /// Why its API did not answer the last question, when its state on disk had to.
    fn api_error(&self) -> Option<EngineError> {
        None
    }
}

/// What can be asked of an engine: the part of a TARGET that is about containers.
#[derive(Debug, Clone, Copy)]
pub enum ContainerQuery<'a> {
    /// A container by name, ID or ID prefix.
    Name {
        /// containerd's own namespace; any when `None`.
        within: Option<&'a Name>,
        /// The name, the ID, or the beginning of an ID.
        name: &'a Name,
    },
    /// A Kubernetes pod's sandbox, or one of its containers.
    Pod {
        /// The Kubernetes namespace; any when `None`.
        namespace: Option<&'a Name>,
        /// The pod's name.
        pod: &'a Name,
        /// The container's name in the pod; the sandbox when `None`.
        container: Option<&'a Name>,
    },
}

impl ContainerQuery<'_> {
    /// Whether containers of `engine` can be what was asked for at all: not all engines know of pods.
    pub fn concerns(&self, engine: EngineName) -> bool {
        match self {
            ContainerQuery::Name { .. } => true,
            ContainerQuery::Pod { .. } => engine.knows_pods(),
        }
    }

    /// Whether a container called `name` with this `id` is one that was asked for.
    pub fn means(&self, name: &str, id: &str) -> bool {
        match self {
            ContainerQuery::Name { name: asked, .. } => {
                asked.as_str() == name || id.starts_with(asked.as_str())
            }
            ContainerQuery::Pod { .. } => false,
        }
    }
}
