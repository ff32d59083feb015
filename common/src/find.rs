//! From what a user typed to something that cannot change under our feet: a process held by pidfd, or a
//! namespace held open. What an engine says about a PID is verified here, and only here.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::Pid;

use crate::engine::{Container, Engine, EngineError, EngineName, State, engines};
use crate::failure::Failure;
use crate::namespace::{Kind, Namespace, NamespaceError};
use crate::netns::{self, NetnsError};
use crate::output::one_line;
use crate::process::{Process, ProcessError};
use crate::target::{LinkName, Name, Target};

/// What a TARGET turned out to be.
#[derive(Debug)]
pub struct Found {
    /// The container, when the TARGET named one.
    pub container: Option<Container>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Process(Process),
    Netns(Namespace),
}

impl Found {
    /// Its process; `None` when the TARGET is a namespace that needs none.
    pub fn process(&self) -> Option<&Process> {
        match &self.place {
            Place::Process(process) => Some(process),
            Place::Netns(_) => None,
        }
    }

    /// Its process, for keeps.
    pub fn into_process(self) -> Option<Process> {
        match self.place {
            Place::Process(process) => Some(process),
            Place::Netns(_) => None,
        }
    }

    /// Its network namespace, held open.
    ///
    /// # Errors
    /// When the process has ended, or ptrace(2)'s access rules forbid us to look.
    pub fn into_netns(self) -> Result<Namespace, FindError> {
        match self.place {
            Place::Netns(netns) => Ok(netns),
            Place::Process(process) => match (process.namespace(Kind::Net), self.container) {
                (Err(NamespaceError::Gone { .. }), Some(container)) => {
                    Err(FindError::Exited(Box::new(container)))
                }
                (result, _) => Ok(result?),
            },
        }
    }
}

/// Why a TARGET leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nobody has such a container.
    #[error("{name}: no such container (asked: {})", list(asked))]
    NotFound {
        /// What was asked for.
        name: Name,
        /// Who was asked.
        asked: Vec<EngineName>,
    },
    /// The container is there, but has no process.
    #[error("{} is not running ({})", one_line(&.0.name), .0.why_not_running(Timestamp::now()))]
    NotRunning(Box<Container>),
    /// It ended between the engine's answer and our hold on it; or the engine's answer was that old.
    #[error("{} exited while it was being looked up", one_line(&.0.name))]
    Exited(Box<Container>),
    /// Several containers begin with these digits, or several engines have this name.
    #[error("{name}: means {} containers:{}", hits.len(), rows(hits))]
    Ambiguous {
        /// What was asked for.
        name: Name,
        /// What it can mean.
        hits: Vec<Container>,
    },
    /// A form that no tool can follow yet.
    #[error("{0}: this version cannot look up such a TARGET")]
    Unsupported(Target),
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
    /// No name is linked so under `/run/netns`.
    #[error("netns:{0}: no such link under /run/netns")]
    NoSuchLink(LinkName),
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        let message = Some(error.to_string());
        let no = |message| Failure { message, ..Failure::no("", "") };
        match error {
            FindError::NotFound { .. } | FindError::Exited(_) | FindError::NoSuchLink(_) => no(message),
            FindError::NotRunning(container) => match container.state {
                State::Created | State::Exited => no(message).hint(start_hint(&container)),
                _ => no(message),
            },
            FindError::Ambiguous { .. } => {
                Failure { message, ..Failure::trouble("", "") }.hint("give more of the ID")
            }
            FindError::Unsupported(_) | FindError::NoProcess(_) => {
                Failure { message, ..Failure::trouble("", "") }
            }
            FindError::Engine(error) => error.into(),
            FindError::Process(error) => error.into(),
            FindError::Namespace(error) => error.into(),
            FindError::Netns(error) => error.into(),
        }
    }
}

/// Finds what `target` means, with engines given `timeout` each.
///
/// # Errors
/// [`FindError`]; nothing that is found can turn into something else later.
pub fn find(target: &Target, timeout: Duration) -> Result<Found, FindError> {
    let alone = |place| Found { container: None, place };
    match target {
        Target::Process { pid, inode } => {
            // A PID is at most 2^22: target's grammar saw to that.
            let pid = Pid::from_raw(i32::try_from(*pid).unwrap_or(i32::MAX));
            let process = match inode {
                Some(inode) => Process::open_exactly(pid, *inode)?,
                None => Process::open(pid)?,
            };
            Ok(alone(Place::Process(process)))
        }
        Target::NamedNetns(name) => match netns::entry(name)? {
            netns::Entry::Free => Err(FindError::NoSuchLink(name.clone())),
            _ => Ok(alone(Place::Netns(netns::open(name)?))),
        },
        Target::NetnsFile(path) => Ok(alone(Place::Netns(Namespace::open(path, Kind::Net)?))),
        Target::Container { engine, within: None, name } => {
            let engines = engines(*engine, timeout);
            match engines.is_empty() {
                true => Err(FindError::Unsupported(target.clone())),
                false => find_container(&engines, *engine, name),
            }
        }
        other => Err(FindError::Unsupported(other.clone())),
    }
}

fn find_container(
    engines: &[Box<dyn Engine>],
    engine: Option<EngineName>,
    name: &Name,
) -> Result<Found, FindError> {
    let mut hits = Vec::new();
    for engine in engines {
        hits.append(&mut engine.find(name)?);
    }
    match hits.len() {
        0 => not_a_container(engine, name, engines.iter().map(|engine| engine.name()).collect()),
        1 => hold(hits.remove(0)),
        _ => Err(FindError::Ambiguous { name: name.clone(), hits }),
    }
}

/// A bare word that is no container's name may be a link's.
fn not_a_container(
    engine: Option<EngineName>,
    name: &Name,
    asked: Vec<EngineName>,
) -> Result<Found, FindError> {
    let not_found = FindError::NotFound { name: name.clone(), asked };
    let Ok(link) = name.as_str().parse::<LinkName>() else { return Err(not_found) };
    match netns::entry(&link)? {
        netns::Entry::Bound(_) if engine.is_none() => {
            Ok(Found { container: None, place: Place::Netns(netns::open(&link)?) })
        }
        _ => Err(not_found),
    }
}

/// Takes hold of the container's process, and believes that it is the container's only when the kernel
/// agrees: the PID came from an engine, and may have been used again since.
fn hold(container: Container) -> Result<Found, FindError> {
    let Some(pid) = container.pid else { return Err(FindError::NotRunning(Box::new(container))) };
    let process = match Process::open(pid) {
        Err(ProcessError::Gone(_)) => return Err(FindError::Exited(Box::new(container))),
        other => other?,
    };
    let belongs = match process.cgroups() {
        Err(ProcessError::Gone(_)) => false,
        other => cgroups_allow(&other?, &container.id),
    };
    match belongs {
        true => Ok(Found { container: Some(container), place: Place::Process(process) }),
        false => Err(FindError::Exited(Box::new(container))),
    }
}

/// Engines name a container's cgroup after its ID. A process whose cgroups carry IDs, none of them this
/// one, is not the container's. One whose cgroups carry no ID at all proves nothing: an engine may run
/// without cgroups, as rootless ones do.
fn cgroups_allow(cgroups: &[String], id: &str) -> bool {
    let mut ids = cgroups.iter().flat_map(|path| container_ids(path)).peekable();
    ids.peek().is_none() || ids.any(|found| found == id)
}

/// Everything in a cgroup path that looks like a container's ID: `/docker/ID`, `docker-ID.scope`,
/// `crio-ID`, `libpod-ID/container`.
fn container_ids(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/', '-', '.', ':'])
        .filter(|word| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A hint is there to be pasted into a shell: a name that is none stays out of it.
fn start_hint(container: &Container) -> String {
    let name = container.name.parse::<Name>();
    format!("{} start {}", container.engine, name.as_ref().map_or(container.short_id(), Name::as_str))
}

fn list(engines: &[EngineName]) -> impl fmt::Display {
    engines.iter().map(|engine| engine.as_str()).collect::<Vec<_>>().join(", ")
}

fn rows(hits: &[Container]) -> String {
    hits.iter()
        .map(|hit| {
            format!("\n  {:<12} {} {} ({})", hit.short_id(), hit.engine, one_line(&hit.name), hit.state)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d";

    fn allowed(paths: &[&str]) -> bool {
        cgroups_allow(&paths.iter().map(|&path| path.to_owned()).collect::<Vec<_>>(), ID)
    }

    #[test]
    fn a_cgroup_of_this_container_is_believed_however_the_engine_spells_it() {
        assert!(allowed(&[&format!("/docker/{ID}")]));
        assert!(allowed(&["/", &format!("/system.slice/docker-{ID}.scope")]));
        assert!(allowed(&[&format!("/machine.slice/libpod-{ID}.scope/container")]));
        assert!(allowed(&[&format!("/kubepods/besteffort/pod-1/crio-{ID}")]));
        assert!(allowed(&[&format!(
            "/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}"
        )]));
    }

    #[test]
    fn a_cgroup_of_another_container_is_not_believed() {
        assert!(!allowed(&["/", &format!("/docker/{}", ID.replace('3', "4"))]));
    }

    #[test]
    fn cgroups_without_any_id_prove_nothing() {
        assert!(allowed(&["/", "/user.slice/user-1000.slice/session-2.scope"]));
    }

    #[test]
    fn a_container_inside_a_container_is_its_own() {
        assert!(allowed(&[&format!("/docker/{}/docker/{ID}", ID.replace('3', "4"))]));
    }
}
