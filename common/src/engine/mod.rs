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
mod interface;
mod limit;
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
use std::time::Duration;

pub use container::{Container, ContainerSource, ContainerState, Pod, Proof, ago};
pub use error::EngineError;
pub use interface::{ContainerQuery, Engine};
pub(crate) use realm::caller_of_sudo;
pub use traces::WatchDir;

pub use crate::target::EngineName;

use limit::AnswerTimeout;
use realm::EngineDirs;
use user::UserEngine;

/// Our engines, in the order in which they are asked: that of [`EngineName::ALL`], the system's before those of the
/// ordinary user that we may be. Each has `timeout` to answer.
pub fn engines(wanted: Option<EngineName>, timeout: Duration) -> Vec<Box<dyn Engine>> {
    let (realms, limit) = (EngineDirs::ours(), AnswerTimeout::of_each(timeout));
    chosen(wanted).flat_map(|name| of_name(name, &realms, true, limit)).collect()
}

/// The engines of others, which are asked only where ours leave something open: under sudo those of whoever called it.
/// They have `timeout` all together, from now on, and what they say is the word of that user.
pub fn engines_of_others(wanted: Option<EngineName>, timeout: Duration) -> Vec<Box<dyn Engine>> {
    let (realms, limit) = (EngineDirs::of_others(), AnswerTimeout::of_all(timeout));
    let of_realm = |name, realm: &EngineDirs| {
        let (owner, engines) = (realm.owner, of_name(name, std::slice::from_ref(realm), false, limit));
        engines.into_iter().map(move |engine| Box::new(UserEngine { engine, owner }) as Box<dyn Engine>)
    };
    chosen(wanted).flat_map(|name| realms.iter().flat_map(move |realm| of_realm(name, realm))).collect()
}

fn chosen(wanted: Option<EngineName>) -> impl Iterator<Item = EngineName> {
    EngineName::ALL.into_iter().filter(move |name| wanted.is_none_or(|wanted| wanted == *name))
}

/// Where on disk the starts and stops of containers show: for all engines, or for one.
pub fn traces(wanted: Option<EngineName>) -> Vec<WatchDir> {
    let realms = EngineDirs::all();
    chosen(wanted).flat_map(|name| realms.iter().flat_map(move |realm| traces::of(name, realm))).collect()
}

fn of_name(
    name: EngineName,
    realms: &[EngineDirs],
    ours: bool,
    limit: AnswerTimeout,
) -> Vec<Box<dyn Engine>> {
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

    fn find(&self, asked: &ContainerQuery<'_>) -> Result<Vec<Container>, EngineError> {
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
