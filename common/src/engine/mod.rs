//! Container engines: one file each, behind one trait. An engine only *says* things; what it says about a
//! PID is verified in [`crate::find`] before anybody acts on it. Why state on disk is read beside the APIs:
//! docs/decisions/engine-state-on-disk.md.

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
mod user;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

pub use container::{Container, Pod, Proof, Source, State, ago};
pub use error::EngineError;
pub(crate) use realm::caller_of_sudo;
pub use traces::Trace;

pub use crate::target::EngineName;

use crate::target::Name;
use realm::Realm;
use user::OfUser;

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

/// How long engines may take to answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    each: Duration,
    until: Option<Instant>,
}

impl Limit {
    /// Each of them this long.
    fn of_each(each: Duration) -> Self {
        Limit { each, until: None }
    }

    /// All together this long, from now on.
    fn of_all(each: Duration) -> Self {
        Limit { each, until: Instant::now().checked_add(each) }
    }

    /// How long one of them may take, if it is the first.
    fn each(self) -> Duration {
        self.each
    }

    /// How long the next one may take.
    fn left(self) -> Duration {
        let until = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        until.map_or(self.each, |left| left.min(self.each))
    }
}

/// Our engines, in the order in which they are asked: that of [`EngineName::ALL`], the system's before those of the
/// ordinary user that we may be. Each has `timeout` to answer.
pub fn engines(wanted: Option<EngineName>, timeout: Duration) -> Vec<Box<dyn Engine>> {
    let (realms, limit) = (Realm::ours(), Limit::of_each(timeout));
    chosen(wanted).flat_map(|name| of_name(name, &realms, true, limit)).collect()
}

/// The engines of others, which are asked only where ours leave something open: under sudo those of whoever called it.
/// They have `timeout` all together, from now on, and what they say is the word of that user.
pub fn engines_of_others(wanted: Option<EngineName>, timeout: Duration) -> Vec<Box<dyn Engine>> {
    let (realms, limit) = (Realm::of_others(), Limit::of_all(timeout));
    let of_realm = |name, realm: &Realm| {
        let (owner, engines) = (realm.owner, of_name(name, std::slice::from_ref(realm), false, limit));
        engines.into_iter().map(move |engine| Box::new(OfUser { engine, owner }) as Box<dyn Engine>)
    };
    chosen(wanted).flat_map(|name| realms.iter().flat_map(move |realm| of_realm(name, realm))).collect()
}

fn chosen(wanted: Option<EngineName>) -> impl Iterator<Item = EngineName> {
    EngineName::ALL.into_iter().filter(move |name| wanted.is_none_or(|wanted| wanted == *name))
}

/// Where on disk the starts and stops of containers show: for all engines, or for one.
pub fn traces(wanted: Option<EngineName>) -> Vec<Trace> {
    let realms = Realm::all();
    chosen(wanted).flat_map(|name| realms.iter().flat_map(move |realm| traces::of(name, realm))).collect()
}

fn of_name(name: EngineName, realms: &[Realm], ours: bool, limit: Limit) -> Vec<Box<dyn Engine>> {
    match name {
        EngineName::Docker => boxed(docker::all(realms, ours, limit)),
        EngineName::Podman => boxed(podman::all(realms, limit)),
        EngineName::Containerd => boxed(realms.iter().map(containerd::Containerd::new)),
        EngineName::Nerdctl => boxed(realms.iter().map(nerdctl::Nerdctl::new)),
        EngineName::Crio => boxed(realms.iter().map(crio::Crio::new)),
        EngineName::Oci => boxed(realms.iter().map(oci::Oci::new)),
        EngineName::Lxc => boxed(lxc::Lxc::all(realms, limit)),
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
