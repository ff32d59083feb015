//! What every engine can be asked: the trait that each of them implements, and the query.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use nix::unistd::Uid;

use super::{Container, ContainerNetwork, ContainerSource, EngineError};
use crate::target::{EngineName, Name};

/// What every engine can be asked.
pub trait Engine {
    /// The prefix that names it in a TARGET.
    fn name(&self) -> EngineName;

    /// Sends the query to an engine that answers by itself, so that others can be asked meanwhile: [`Engine::find`] with the
    /// same query then waits for the answer. Whether one is to be waited for.
    fn send(&self, asked: &ContainerQuery<'_>) -> bool {
        let _ = asked;
        false
    }

    /// The containers that `asked` can mean, running or not: all of that exact name or ID, and all whose ID
    /// begins with it. None is an answer too: without a doubt, this engine has no such container.
    ///
    /// # Errors
    /// [`EngineError::Absent`] when this engine is not on this host at all, neither its socket nor its
    /// state; others when it could not be asked, or what it said makes no sense.
    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError>;

    /// All its containers, running or not.
    ///
    /// # Errors
    /// As [`Engine::find`].
    fn list(&self) -> Result<EngineAnswer, EngineError>;

    /// The containers that run, with nothing but their names and IDs, as quickly as this engine can tell: they are offered to
    /// somebody who types, and what is then chosen is found and verified.
    ///
    /// # Errors
    /// As [`Engine::find`].
    fn running_names(&self) -> Result<Vec<Container>, EngineError> {
        Ok(self.list()?.containers.into_iter().filter(|container| container.pid.is_some()).collect())
    }

    /// The containers that `asked` can mean, or all, which have no process and are found in a database only: asked for where
    /// nothing else has been found, so that a damaged one does no harm to those that run.
    ///
    /// # Errors
    /// As [`Engine::find`].
    fn find_idle(&self, asked: Option<&ContainerQuery<'_>>) -> Result<EngineAnswer, EngineError> {
        let _ = asked;
        Ok(EngineAnswer::default())
    }

    /// The user whose engine it is, if that is another one than root and us.
    fn user(&self) -> Option<Uid> {
        None
    }

    /// A new stream of its own events, on which something comes at once, and then whenever one of its
    /// containers has changed; `None` when it has no such stream, or not now. What comes means nothing.
    fn events(&self) -> Option<OwnedFd> {
        None
    }

    /// The networks that its containers with these IDs are on; nothing of one that it does not tell of.
    ///
    /// # Errors
    /// As [`Engine::find`].
    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        let _ = ids;
        Ok(HashMap::new())
    }

    /// Whether its network of that ID gives containers default routes; `None` where it does not tell.
    fn gives_default_route(&self, network: &str) -> Option<bool> {
        let _ = network;
        None
    }
}

/// What an engine answered, and how much of it could not be told.
#[derive(Debug, Clone, Default)]
pub struct EngineAnswer {
    /// The containers that fit.
    pub containers: Vec<Container>,
    /// What else may fit, and why that could not be told: each a container whose file is damaged, or which may run although
    /// nothing was found where its process is recorded. With one of these, a container that is not in the answer may be
    /// there all the same. A name that an engine gives only once is certain without them, so they are left out then.
    pub doubts: Vec<EngineError>,
    /// Whether the API answered.
    pub source: ContainerSource,
    /// Why the API did not, where there is one and the state on disk was read in its place.
    pub api_error: Option<EngineError>,
}

impl From<Vec<Container>> for EngineAnswer {
    /// An answer without a doubt, from the state on disk.
    fn from(containers: Vec<Container>) -> Self {
        EngineAnswer { containers, ..EngineAnswer::default() }
    }
}

impl From<Option<Container>> for EngineAnswer {
    fn from(container: Option<Container>) -> Self {
        container.into_iter().collect::<Vec<_>>().into()
    }
}

impl EngineAnswer {
    /// Adds a container, nothing where there is none any more, or the doubt that is left of one.
    pub(super) fn add(&mut self, container: Result<Option<Container>, EngineError>) {
        match container {
            Ok(container) => self.containers.extend(container),
            Err(doubt) => self.doubts.push(doubt),
        }
    }

    /// With words that can be shown.
    pub(super) fn presentable(mut self) -> Self {
        self.containers = self.containers.into_iter().map(Container::presentable).collect();
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.doubts.is_empty()
    }

    /// Without doubts, if the container is there that has exactly the name or ID that was asked for: for engines that give
    /// each name and each ID once.
    #[must_use]
    pub(super) fn certain_if_exact(mut self, asked: &str) -> Self {
        if self.containers.iter().any(|hit| hit.name == asked || hit.id == asked) {
            self.doubts.clear();
        }
        self
    }
}

/// What can be asked of an engine: the part of a TARGET that is about containers.
#[derive(Debug, Clone, Copy)]
pub enum ContainerQuery<'a> {
    /// A container by name, ID or ID prefix.
    Name {
        /// containerd's own namespace, or the project of Incus; any when `None`.
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
