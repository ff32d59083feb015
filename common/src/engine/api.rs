//! The Docker API on a local socket, which Podman speaks too: asked through bollard, within a time limit and
//! a size limit.
//!
//! Paths are asked without an API version: every engine from 20.10 to 29 answers those, while no single
//! version is taken by all of them, and negotiating one costs more than the request. Why the connection is our own:
//! docs/decisions/bollard-own-connection.md.

mod connection;
mod events;
mod fields;
mod permission;

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bollard::errors::Error as Bollard;
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptions, ListContainersOptionsBuilder,
};
use jiff::Timestamp;
use nix::unistd::{Pid, Uid};

use connection::{ConnectError, SentApiRequest, UnheardPeer};
use fields::{InspectedFields, InspectedNetwork, ListedFields};
use permission::SocketUsers;

use super::error::LONGEST_WORDS;
use super::state;
use super::{
    AnswerTimeout, Container, ContainerNetwork, ContainerSource, ContainerState, EngineError, EngineName,
    Proof,
};
use crate::output::shortened;
use crate::target::Name;

/// The request about one container, on its way to the engine.
pub(super) type SentInspect = SentApiRequest<InspectedFields>;

/// An engine's socket, not yet asked anything.
#[derive(Debug, Clone)]
pub(super) struct Api {
    engine: EngineName,
    socket: PathBuf,
    limit: AnswerTimeout,
}

impl Api {
    /// Where it is.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn new(engine: EngineName, socket: PathBuf, limit: AnswerTimeout) -> Self {
        Api { engine, socket, limit }
    }

    /// The one container that the engine takes `name` for: its name, its ID, or the beginning of its ID.
    ///
    /// # Errors
    /// `Refused` with status 404 when there is none, with another when there are several; `Nonsense` when the state of it is
    /// a word that we do not know.
    pub(super) fn inspect(&self, name: &str) -> Result<Container, EngineError> {
        self.inspected(name, self.send_inspect(name)?)
    }

    /// All containers, running or not, whose ID begins with `prefix`.
    ///
    /// The daemon's own filter by ID is of no use: a prefix that several have matches none of them.
    ///
    /// # Errors
    /// [`EngineError`].
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<ListedContainer>, EngineError> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let (listed, _) =
            self.ask(async move |docker| fields::of_each(docker.list_containers(Some(options)).await))?;
        let listed = listed.into_iter().filter_map(|container: ListedFields| {
            let state = container.state.as_deref().and_then(state_called);
            Some(ListedContainer { id: container.id?, state })
        });
        Ok(listed.filter(|container| container.id.starts_with(prefix)).collect())
    }

    /// The running containers as the list has them: names and IDs, no PIDs.
    ///
    /// # Errors
    /// [`EngineError`].
    pub(super) fn running(&self) -> Result<Vec<Container>, EngineError> {
        let (listed, claimed_by) = self.ask(async |docker| {
            fields::of_each(docker.list_containers(None::<ListContainersOptions>).await)
        })?;
        let listed = listed.into_iter().filter_map(|container: ListedFields| {
            let id = container.id.filter(|id| state::is_id(id))?;
            // Old links of a container are names of another: `/web/db`.
            let name = container.names?.into_iter().find(|name| name.rfind('/') == Some(0))?;
            Some(Container {
                name: name.trim_start_matches('/').to_owned(),
                state: ContainerState::Running,
                source: ContainerSource::Api,
                ..Container::unknown(self.engine, &id, claimed_by)
            })
        });
        Ok(listed.collect())
    }

    /// The networks that all running containers are on, by the containers' IDs.
    ///
    /// # Errors
    /// [`EngineError`].
    pub(super) fn networks(&self) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        let (listed, _) = self.ask(async |docker| {
            fields::of_each(docker.list_containers(None::<ListContainersOptions>).await)
        })?;
        let networks = listed.into_iter().filter_map(|container: ListedFields| {
            Some((container.id?, container.network_settings?.into_networks()))
        });
        Ok(networks.collect())
    }

    /// Whether the network of that ID or name is an internal one, from which no route leads anywhere else.
    ///
    /// # Errors
    /// [`EngineError`].
    pub(super) fn is_internal(&self, network: &str) -> Result<bool, EngineError> {
        // It becomes part of a path.
        let network = network.parse::<Name>().map_err(|error| self.nonsense(&error))?;
        let (answer, _): (InspectedNetwork, _) = self.ask(async move |docker| {
            fields::of(docker.inspect_network(network.as_str(), None::<InspectNetworkOptions>).await)
        })?;
        answer.internal.ok_or_else(|| self.nonsense(&"a network that is neither internal nor not"))
    }

    /// Sends the request about one container, which [`Api::inspected`] waits for the answer to.
    ///
    /// # Errors
    /// As [`Api::inspect`].
    pub(super) fn send_inspect(&self, name: &str) -> Result<SentInspect, EngineError> {
        let name = name.to_owned();
        self.send(async move |docker| {
            fields::of(docker.inspect_container(&name, None::<InspectContainerOptions>).await)
        })
    }

    /// The answer to what was sent about `name`.
    ///
    /// # Errors
    /// As [`Api::inspect`].
    pub(super) fn inspected(&self, name: &str, sent: SentInspect) -> Result<Container, EngineError> {
        let is_meant = |container: &Container| container.name == name || container.id.starts_with(name);
        let first = self.container_of(self.answer(sent)?)?;
        if is_meant(&first) {
            return Ok(first);
        }
        // The daemon looks the name up and then describes the container: in between one can be renamed, and another get its
        // name. What is called so now is asked for once more.
        let again = self.container_of(self.answer(self.send_inspect(name)?)?)?;
        match is_meant(&again) {
            true => Ok(again),
            false => Err(self.nonsense(&"a container that was not asked for")),
        }
    }

    /// Asks one thing of the engine; also returns the user that makes the claims.
    fn ask<T: 'static>(
        &self,
        request: impl AsyncFnOnce(bollard::Docker) -> Result<T, Bollard> + 'static,
    ) -> Result<(T, Uid), EngineError> {
        self.answer(self.send(request)?)
    }

    fn send<T: 'static>(
        &self,
        request: impl AsyncFnOnce(bollard::Docker) -> Result<T, Bollard> + 'static,
    ) -> Result<SentApiRequest<T>, EngineError> {
        // Most hosts lack most engines: a socket that is not there need not cost a runtime to find out.
        fs::metadata(&self.socket).map_err(|error| self.explained(&error))?;
        if let Some(silence) = self.limit.sockets.silence(&self.socket) {
            return Err(silence);
        }
        let left = self.limit.left();
        if left.is_zero() {
            return Err(self.slow());
        }
        SentApiRequest::send(&self.socket, left, request).map_err(|error| match error {
            ConnectError::Runtime(error) => self.nonsense(&error),
            ConnectError::Bollard(error) => self.explained(&error),
        })
    }

    fn answer<T>(&self, sent: SentApiRequest<T>) -> Result<(T, Uid), EngineError> {
        self.answer_of(sent).inspect_err(|error| self.limit.sockets.remember_silence(&self.socket, error))
    }

    fn answer_of<T>(&self, sent: SentApiRequest<T>) -> Result<(T, Uid), EngineError> {
        let (answer, heard) = sent.answer();
        let speaker = heard.map(|heard| {
            heard
                .listener
                .into_iter()
                .for_each(|one| self.limit.sockets.remember_listener(&self.socket, one));
            heard.speaker
        });
        if let Some(Err(refused)) = speaker {
            let (engine, socket) = (self.engine, self.socket.clone());
            return Err(match refused {
                UnheardPeer::HasEnded => EngineError::Dead { engine, socket },
                UnheardPeer::OtherPids(listener) => EngineError::other_pids(engine, socket, listener),
            });
        }
        let answer = answer.map_err(|_elapsed| self.slow())?.map_err(|error| match error {
            Bollard::RequestTimeoutError => self.slow(),
            Bollard::DockerResponseServerError { status_code, message } => {
                let message = shortened(&message, LONGEST_WORDS).into_owned();
                EngineError::Refused { engine: self.engine, status: status_code, message }
            }
            // bollard passes it off as its own: the chain of causes begins behind it.
            Bollard::IOError { err } => self.explained(&err),
            error => self.explained(&error),
        })?;
        let speaker = speaker.and_then(Result::ok).ok_or_else(|| self.nonsense(&"an answer from nobody"))?;
        Ok((answer, speaker))
    }

    fn container_of(&self, (answer, claimed_by): (InspectedFields, Uid)) -> Result<Container, EngineError> {
        let missing = |what: &str| self.nonsense(&format_args!("a container without {what}"));
        let state = answer.state.ok_or_else(|| missing("state"))?;
        let status = state.status.ok_or_else(|| missing("status"))?;
        let status = state_called(&status)
            .ok_or_else(|| self.nonsense(&format_args!("a container whose state is '{status}'")))?;
        let pid = state.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0).map(Pid::from_raw);
        if pid.is_none() && matches!(status, ContainerState::Running | ContainerState::Paused) {
            return Err(self.nonsense(&format_args!("a container that is {status} and has no process")));
        }
        let started_at = state.started_at.as_deref().and_then(time);
        Ok(Container {
            engine: self.engine,
            id: answer.id.filter(|id| state::is_id(id)).ok_or_else(|| missing("ID"))?,
            name: answer.name.ok_or_else(|| missing("name"))?.trim_start_matches('/').to_owned(),
            pid,
            exit_code: state.exit_code.filter(|_| status.has_ended()),
            started_at,
            finished_at: state.finished_at.as_deref().and_then(time).filter(|_| status.has_ended()),
            image: answer.config.and_then(|config| config.image),
            source: ContainerSource::Api,
            pod: None,
            proof: Proof { made_at: started_at, ..Proof::word_of(claimed_by) },
            state: status,
        })
    }

    /// What an error on the way means to a person: the kernel's answer is buried a few causes deep in it.
    fn explained(&self, error: &(dyn Error + 'static)) -> EngineError {
        let (engine, socket) = (self.engine, self.socket.clone());
        match kernel_error(error) {
            Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                EngineError::Absent { engine, socket }
            }
            Some(io::ErrorKind::ConnectionRefused) => EngineError::Dead { engine, socket },
            // More wait for it already than it lets wait.
            Some(io::ErrorKind::WouldBlock) => self.slow(),
            Some(io::ErrorKind::PermissionDenied) => match SocketUsers::of(&socket) {
                SocketUsers::RootAlone => EngineError::RootsAlone { engine, socket },
                SocketUsers::Group(name) => EngineError::NotPermitted { engine, socket, group: Some(name) },
                SocketUsers::Untold => EngineError::NotPermitted { engine, socket, group: None },
            },
            _ => self.nonsense(&deepest(error)),
        }
    }

    fn slow(&self) -> EngineError {
        let (engine, socket) = (self.engine, self.socket.clone());
        EngineError::Slow { engine, socket, timeout: self.limit.each() }
    }

    fn nonsense(&self, what: &dyn Display) -> EngineError {
        let what = shortened(&what.to_string(), LONGEST_WORDS).into_owned();
        EngineError::Nonsense { engine: self.engine, socket: self.socket.clone(), what }
    }
}

/// A container in the API's list.
pub(super) struct ListedContainer {
    pub id: String,
    /// `None` where it is a word that we do not know.
    pub state: Option<ContainerState>,
}

/// What the API calls `status`, Docker's (moby `container/state.go`) and Podman's (`libpod/define/containerstate.go`). One
/// that is being stopped still runs.
fn state_called(status: &str) -> Option<ContainerState> {
    Some(match status {
        "running" | "stopping" => ContainerState::Running,
        "paused" => ContainerState::Paused,
        "restarting" => ContainerState::Restarting,
        "exited" | "stopped" => ContainerState::Exited,
        "removing" | "dead" => ContainerState::Dead,
        "created" | "configured" | "initialized" => ContainerState::Created,
        _ => return None,
    })
}

/// A time as the API writes it. Docker and Podman write year 1 for a time that has not come.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().filter(|time| time.as_second() > 0)
}

fn kernel_error(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
        Some(number) => Some(io::Error::from_raw_os_error(number).kind()),
        None => error.source().and_then(kernel_error),
    }
}

/// The cause that says most: libraries wrap it in words like "hyper error".
fn deepest<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().map_or(error, deepest)
}
