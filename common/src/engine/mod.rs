//! Container engines: one file each, behind one trait. An engine only *says* things; what it says about a
//! PID is verified in [`crate::find`] before any tool uses it. Why state on disk is read beside the APIs:
//! docs/decisions/engine-state-on-disk.md.

mod answer_timeout;
mod api;
mod api_or_disk;
mod bolt;
mod budget;
mod cni;
mod container;
mod containerd;
mod cri;
mod crio;
mod daemon;
mod docker;
mod endpoint;
mod engine_dirs;
mod error;
mod incus;
mod interface;
mod listener;
mod lxc;
mod machine;
mod nerdctl;
mod networks;
mod oci;
mod podman;
mod runtime;
mod session;
mod settings;
mod state;
mod storage;
mod user_engine;
mod watch_dirs;

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use nix::unistd::Uid;

pub use container::{Container, ContainerSource, ContainerState, Pod, Proof, ago};
pub(crate) use engine_dirs::caller_of_sudo;
pub use error::EngineError;
pub use interface::{ContainerQuery, Engine, EngineAnswer};
pub use networks::{ContainerNetwork, NetworkAddress};
pub use session::{EngineSession, HeardEngine};
pub use watch_dirs::WatchDir;

pub use crate::target::EngineName;

use answer_timeout::AnswerTimeout;
use engine_dirs::EngineDirs;
use user_engine::UserEngine;

/// Our engines, in the order in which they are asked: that of [`EngineName::ALL`], the system's before those of the
/// ordinary user that we may be.
///
/// ```no_run
/// use std::time::Duration;
///
/// use common::engine::{EngineError, EngineSession, engines};
///
/// for engine in engines(None, &EngineSession::new(Duration::from_millis(300))) {
///     match engine.list() {
///         Ok(answer) => println!("{}: {} containers", engine.name(), answer.containers.len()),
///         Err(EngineError::Absent { .. }) => {} // not on this host
///         Err(error) => println!("{}: {error}", engine.name()),
///     }
/// }
/// ```
pub fn engines(wanted: Option<EngineName>, session: &EngineSession) -> Vec<Box<dyn Engine>> {
    let (all_dirs, limit) = (EngineDirs::ours(), AnswerTimeout::of_each(session));
    chosen(wanted).flat_map(|name| of_name(name, &all_dirs, true, &limit)).collect()
}

/// The engines of others, which are asked only where ours have certainly no such container: for root those of every user.
/// They have the time of one all together, from now on, and what they say is a claim of that user.
pub fn engines_of_others(wanted: Option<EngineName>, session: &EngineSession) -> Vec<Box<dyn Engine>> {
    let (all_dirs, limit) = (EngineDirs::of_others(), AnswerTimeout::of_all(session));
    let limit = &limit;
    let in_dirs = |name, dirs: &EngineDirs| {
        claimed_by(dirs.owner, of_name(name, std::slice::from_ref(dirs), false, limit))
    };
    chosen(wanted).flat_map(|name| all_dirs.iter().flat_map(move |dirs| in_dirs(name, dirs))).collect()
}

/// The engines called `name` of one user, whoever that is; none of a user who has no home.
pub fn engines_of_user(name: EngineName, user: Uid, session: &EngineSession) -> Vec<Box<dyn Engine>> {
    let limit = AnswerTimeout::of_all(session);
    let Some(dirs) = EngineDirs::of(user) else { return vec![] };
    let engines = match name {
        EngineName::Docker => boxed([docker::of(&dirs, &limit)]),
        _ => of_name(name, std::slice::from_ref(&dirs), false, &limit),
    };
    claimed_by(user, engines).collect()
}

fn claimed_by(owner: Uid, engines: Vec<Box<dyn Engine>>) -> impl Iterator<Item = Box<dyn Engine>> {
    engines.into_iter().map(move |engine| Box::new(UserEngine { engine, owner }) as Box<dyn Engine>)
}

fn chosen(wanted: Option<EngineName>) -> impl Iterator<Item = EngineName> {
    EngineName::ALL.into_iter().filter(move |name| wanted.is_none_or(|wanted| wanted == *name))
}

/// Whether a container of root's LXC is called so: two files are looked at, and nothing is asked. Proxmox calls all of its
/// containers by numbers, which are PIDs too.
pub fn is_called_by_lxc(name: &str) -> bool {
    EngineDirs::ours().iter().filter(|dirs| dirs.is_system()).any(|dirs| lxc::has_defined(dirs, name))
}

/// Where on disk the starts and stops of containers show: for all engines, or for one.
pub fn watch_dirs(wanted: Option<EngineName>) -> Vec<WatchDir> {
    let all_dirs = EngineDirs::all();
    chosen(wanted).flat_map(|name| all_dirs.iter().flat_map(move |dirs| watch_dirs::of(name, dirs))).collect()
}

fn of_name(
    name: EngineName,
    all_dirs: &[EngineDirs],
    ours: bool,
    limit: &AnswerTimeout,
) -> Vec<Box<dyn Engine>> {
    match name {
        EngineName::Docker => boxed(docker::all(all_dirs, ours, limit)),
        EngineName::Podman => boxed(podman::all(all_dirs, limit)),
        EngineName::Containerd => boxed(all_dirs.iter().map(containerd::Containerd::new)),
        EngineName::Nerdctl => boxed(all_dirs.iter().map(nerdctl::Nerdctl::new)),
        EngineName::Crio => boxed(all_dirs.iter().map(crio::Crio::new)),
        EngineName::Oci => boxed(all_dirs.iter().map(oci::Oci::new)),
        EngineName::Lxc => boxed(lxc::Lxc::all(all_dirs, limit)),
        EngineName::Incus | EngineName::Lxd => boxed(incus::Incus::all(name, all_dirs, limit)),
        EngineName::Machine => boxed(machine::Machines::all(all_dirs)),
    }
}

fn boxed<E: Engine + 'static>(engines: impl IntoIterator<Item = E>) -> Vec<Box<dyn Engine>> {
    engines.into_iter().map(|engine| Box::new(BoundedEngine(engine)) as Box<dyn Engine>).collect()
}

/// An engine of which no more is read than may be, for each query, and whose words are such as can be shown.
struct BoundedEngine<E>(E);

impl<E: Engine> Engine for BoundedEngine<E> {
    fn name(&self) -> EngineName {
        self.0.name()
    }

    fn send(&self, asked: &ContainerQuery<'_>) -> bool {
        budget::within(|| Ok(self.0.send(asked))).unwrap_or(false)
    }

    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        budget::within(|| self.0.find(asked)).map(EngineAnswer::presentable)
    }

    fn find_idle(&self, asked: Option<&ContainerQuery<'_>>) -> Result<EngineAnswer, EngineError> {
        budget::within(|| self.0.find_idle(asked)).map(EngineAnswer::presentable)
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        budget::within(|| self.0.list()).map(EngineAnswer::presentable)
    }

    fn running_names(&self) -> Result<Vec<Container>, EngineError> {
        let running = budget::within(|| self.0.running_names())?;
        Ok(running.into_iter().map(Container::presentable).collect())
    }

    fn events(&self) -> Option<OwnedFd> {
        self.0.events()
    }

    fn user(&self) -> Option<Uid> {
        self.0.user()
    }

    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        let networks = budget::within(|| self.0.networks(ids))?;
        let presentable =
            |all: Vec<ContainerNetwork>| all.into_iter().map(ContainerNetwork::presentable).collect();
        Ok(networks.into_iter().map(|(id, all)| (id, presentable(all))).collect())
    }

    fn gives_default_route(&self, network: &str) -> Option<bool> {
        self.0.gives_default_route(network)
    }
}
