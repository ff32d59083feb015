//! An engine of another user: whatever is said there is that user's word, and nobody else's. A socket or a
//! configuration of the user's can lead to something of root's, which would then speak with root's voice.

use std::os::fd::OwnedFd;

use nix::unistd::Uid;

use super::{Container, ContainerQuery, Engine, EngineError, EngineName};

/// An engine that is found in the directories of `owner`.
pub(super) struct UserEngine {
    pub engine: Box<dyn Engine>,
    pub owner: Uid,
}

impl UserEngine {
    fn words(&self, mut said: Vec<Container>) -> Vec<Container> {
        said.iter_mut().for_each(|container| container.proof.claimed_by = self.owner);
        said
    }
}

impl Engine for UserEngine {
    fn name(&self) -> EngineName {
        self.engine.name()
    }

    fn find(&self, asked: &ContainerQuery<'_>) -> Result<Vec<Container>, EngineError> {
        Ok(self.words(self.engine.find(asked)?))
    }

    fn list(&self) -> Result<Vec<Container>, EngineError> {
        Ok(self.words(self.engine.list()?))
    }

    fn events(&self) -> Option<OwnedFd> {
        self.engine.events()
    }

    fn api_error(&self) -> Option<EngineError> {
        self.engine.api_error()
    }
}
