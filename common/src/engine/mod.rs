//! Container engines: one file each, behind one trait. An engine only *says* things; what it says about a
//! PID is verified in [`crate::find`] before anybody acts on it.

mod api;
mod budget;
mod container;
mod containerd;
mod cri;
mod crio;
mod docker;
mod either;
mod error;
mod lxc;
mod machine;
mod nerdctl;
mod oci;
mod podman;
mod realm;
mod runtime;
mod state;
mod traces;

use std::os::fd::OwnedFd;
use std::time::Duration;

pub use container::{Container, Pod, Proof, Source, State, ago};
pub use error::EngineError;
pub use traces::Trace;

pub use crate::target::EngineName;

use crate::target::Name;
use realm::Realm;

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
    fn find(&self, asked: &Asked<'_>) -> Result<Vec<Container>, EngineError>;

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
    fn silence(&self) -> Option<EngineError> {
        None
    }
}

/// What can be asked of an engine: the part of a TARGET that is about containers.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
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

impl Asked<'_> {
    /// Whether containers of `engine` can be what was asked for at all: only two of them know of pods.
    pub fn concerns(&self, engine: EngineName) -> bool {
        match self {
            Asked::Name { .. } => true,
            Asked::Pod { .. } => matches!(engine, EngineName::Containerd | EngineName::Crio),
        }
    }

    /// Whether a container called `name` with this `id` is one that was asked for.
    pub fn means(&self, name: &str, id: &str) -> bool {
        match self {
            Asked::Name { name: asked, .. } => asked.as_str() == name || id.starts_with(asked.as_str()),
            Asked::Pod { .. } => false,
        }
    }
}

/// The engines of this host that a user could mean, in the order in which they are asked: in the order of
/// [`EngineName::ALL`], the system's before the user's own. Each has `timeout` to answer.
pub fn engines(wanted: Option<EngineName>, timeout: Duration) -> Vec<Box<dyn Engine>> {
    let realms = Realm::all();
    let wanted = EngineName::ALL.into_iter().filter(|name| wanted.is_none_or(|wanted| wanted == *name));
    wanted.flat_map(|name| of_name(name, &realms, timeout)).collect()
}

/// Where on disk the starts and stops of containers show: for all engines, or for one.
pub fn traces(wanted: Option<EngineName>) -> Vec<Trace> {
    let realms = Realm::all();
    let wanted = EngineName::ALL.into_iter().filter(|name| wanted.is_none_or(|wanted| wanted == *name));
    wanted.flat_map(|name| realms.iter().flat_map(move |realm| traces::of(name, realm))).collect()
}

fn of_name(name: EngineName, realms: &[Realm], timeout: Duration) -> Vec<Box<dyn Engine>> {
    match name {
        EngineName::Docker => boxed(docker::all(realms, timeout)),
        EngineName::Podman => boxed(podman::all(realms, timeout)),
        EngineName::Containerd => boxed(realms.iter().map(containerd::Containerd::new)),
        EngineName::Nerdctl => boxed(realms.iter().map(nerdctl::Nerdctl::new)),
        EngineName::Crio => boxed(realms.iter().map(crio::Crio::new)),
        EngineName::Oci => boxed(realms.iter().map(oci::Oci::new)),
        EngineName::Lxc => boxed(lxc::Lxc::all(realms, timeout)),
        EngineName::Machine => boxed(machine::Machines::all(realms)),
    }
}

fn boxed<E: Engine + 'static>(engines: impl IntoIterator<Item = E>) -> Vec<Box<dyn Engine>> {
    engines.into_iter().map(|engine| Box::new(Bounded(engine)) as Box<dyn Engine>).collect()
}

/// An engine of which no more is read than may be, for each question.
struct Bounded<E>(E);

impl<E: Engine> Engine for Bounded<E> {
    fn name(&self) -> EngineName {
        self.0.name()
    }

    fn find(&self, asked: &Asked<'_>) -> Result<Vec<Container>, EngineError> {
        budget::within(|| self.0.find(asked))
    }

    fn list(&self) -> Result<Vec<Container>, EngineError> {
        budget::within(|| self.0.list())
    }

    fn events(&self) -> Option<OwnedFd> {
        self.0.events()
    }

    fn silence(&self) -> Option<EngineError> {
        self.0.silence()
    }
}
