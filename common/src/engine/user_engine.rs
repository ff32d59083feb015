//! An engine of another user: every claim of it counts as a claim of that user, whatever socket or file it comes from. A
//! socket or a configuration of the user can lead to files of root, which would otherwise count as root's claims.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use nix::unistd::{Uid, geteuid};

use super::{Container, ContainerNetwork, ContainerQuery, Engine, EngineAnswer, EngineError, EngineName};

/// An engine that is found in the directories of `owner`.
pub(super) struct UserEngine {
    pub engine: Box<dyn Engine>,
    pub owner: Uid,
}

impl UserEngine {
    fn words(&self, said: EngineAnswer) -> EngineAnswer {
        EngineAnswer { containers: self.claims(said.containers), ..said }
    }

    fn claims(&self, mut containers: Vec<Container>) -> Vec<Container> {
        containers.iter_mut().for_each(|container| container.proof.claimed_by = self.owner);
        containers
    }
}

impl Engine for UserEngine {
    fn name(&self) -> EngineName {
        self.engine.name()
    }

    fn user(&self) -> Option<Uid> {
        Some(self.owner).filter(|owner| !owner.is_root() && *owner != geteuid())
    }

    // Not sent ahead: the engines of many users would have too many descriptors open at once.

    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        Ok(self.words(self.engine.find(asked)?))
    }

    fn find_idle(&self, asked: Option<&ContainerQuery<'_>>) -> Result<EngineAnswer, EngineError> {
        Ok(self.words(self.engine.find_idle(asked)?))
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        Ok(self.words(self.engine.list()?))
    }

    fn running_names(&self) -> Result<Vec<Container>, EngineError> {
        Ok(self.claims(self.engine.running_names()?))
    }

    fn events(&self) -> Option<OwnedFd> {
        self.engine.events()
    }

    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        self.engine.networks(ids)
    }

    fn gives_default_route(&self, network: &str) -> Option<bool> {
        self.engine.gives_default_route(network)
    }
}
