//! Docker, through its API on a local socket.
//!
//! Paths are asked without an API version: every engine from 20.10 to 29 answers those, while no single
//! version is taken by all of them, and negotiating one costs more than the question.

use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::API_DEFAULT_VERSION;
use bollard::errors::Error as Bollard;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use jiff::Timestamp;
use nix::unistd::{Gid, Group, Pid};

use super::{Container, Engine, EngineError, EngineName, Source, State};
use crate::target::Name;

const ENGINE: EngineName = EngineName::Docker;

/// A Docker daemon, not yet asked anything.
pub(super) struct Docker {
    socket: Result<PathBuf, EngineError>,
    timeout: Duration,
}

impl Docker {
    /// The daemon that the docker client would ask: `$DOCKER_HOST`, else the chosen context's, else the
    /// system's socket, else the rootless one.
    pub(super) fn from_environment(timeout: Duration) -> Self {
        Docker { socket: socket(), timeout }
    }

    /// Asks one thing of the daemon, on a connection and a runtime that are gone when this returns: setns(2)
    /// refuses a process with more than one thread.
    fn ask<T>(
        &self,
        question: impl AsyncFnOnce(bollard::Docker) -> Result<T, Bollard>,
    ) -> Result<T, EngineError> {
        let socket = self.socket.as_ref().map_err(Clone::clone)?;
        let slow = || EngineError::Slow { engine: ENGINE, socket: socket.clone(), timeout: self.timeout };
        // bollard's own limit counts whole seconds: ours runs outside of it, and earlier.
        let whole_seconds = self.timeout.as_secs() + 1;
        let docker =
            bollard::Docker::connect_with_unix(&socket.to_string_lossy(), whole_seconds, API_DEFAULT_VERSION);
        let docker = docker.map_err(|error| explained(error, socket))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| nonsense(socket, &error))?;
        let answer = runtime.block_on(async { tokio::time::timeout(self.timeout, question(docker)).await });
        answer.map_err(|_elapsed| slow())?.map_err(|error| match error {
            Bollard::RequestTimeoutError => slow(),
            error => explained(error, socket),
        })
    }

    fn inspect(&self, name: &str) -> Result<Container, EngineError> {
        let answer =
            self.ask(async |docker| docker.inspect_container(name, None::<InspectContainerOptions>).await)?;
        container(answer).ok_or_else(|| {
            let socket = self.socket.clone().unwrap_or_default();
            nonsense(&socket, &"a container without ID, name or state")
        })
    }

    /// All containers, running or not, whose ID begins with `prefix`.
    ///
    /// The daemon's own filter by ID is of no use: a prefix that several have matches none of them.
    fn all_with(&self, prefix: &str) -> Result<Vec<Container>, EngineError> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let listed = self.ask(async |docker| docker.list_containers(Some(options)).await)?;
        let ids = listed.into_iter().filter_map(|container| container.id);
        let inspected = ids.filter(|id| id.starts_with(prefix)).map(|id| self.inspect(&id));
        // One may be removed between the two questions.
        inspected.filter(|answer| !matches!(answer, Err(error) if is_not_found(error))).collect()
    }
}

impl Engine for Docker {
    fn name(&self) -> EngineName {
        ENGINE
    }

    fn find(&self, name: &Name) -> Result<Vec<Container>, EngineError> {
        match self.inspect(name.as_str()) {
            Ok(container) => Ok(vec![container]),
            Err(error) if is_not_found(&error) => Ok(vec![]),
            // An ID prefix that several have: 500 in Docker 20.10, 400 in later ones, in changing words.
            Err(refused @ EngineError::Refused { .. }) => match self.all_with(name.as_str()) {
                Ok(hits) if !hits.is_empty() => Ok(hits),
                _ => Err(refused),
            },
            Err(error) => Err(error),
        }
    }
}

fn is_not_found(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { status: 404, .. })
}

fn container(answer: ContainerInspectResponse) -> Option<Container> {
    let state = answer.state?;
    let time = |text: Option<String>| {
        text.and_then(|text| text.parse::<Timestamp>().ok()).filter(|t| t.as_second() > 0)
    };
    Some(Container {
        engine: ENGINE,
        id: answer.id.filter(|id| !id.is_empty())?,
        name: answer.name?.trim_start_matches('/').to_owned(),
        pid: state.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0).map(Pid::from_raw),
        exit_code: state.exit_code,
        started_at: time(state.started_at),
        finished_at: time(state.finished_at),
        image: answer.config.and_then(|config| config.image),
        source: Source::Api,
        state: match state.status? {
            ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING => State::Running,
            ContainerStateStatusEnum::PAUSED => State::Paused,
            ContainerStateStatusEnum::RESTARTING => State::Restarting,
            ContainerStateStatusEnum::EXITED => State::Exited,
            ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD => State::Dead,
            ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY => State::Created,
        },
    })
}

/// What bollard's error means to a person: it buries the kernel's answer a few causes deep.
fn explained(error: Bollard, socket: &Path) -> EngineError {
    let engine = ENGINE;
    let socket = socket.to_owned();
    if let Bollard::DockerResponseServerError { status_code, message } = error {
        return EngineError::Refused { engine, status: status_code, message };
    }
    let absent = matches!(error, Bollard::SocketNotFoundError(_));
    match kernel_error(&error) {
        Some(io::ErrorKind::NotFound) => EngineError::Absent { engine, socket },
        Some(io::ErrorKind::ConnectionRefused) => EngineError::Dead { engine, socket },
        Some(io::ErrorKind::PermissionDenied) => {
            let group = group_of(&socket);
            EngineError::NotPermitted { engine, socket, group }
        }
        _ if absent => absent_or_hidden(socket),
        _ => nonsense(&socket, &error),
    }
}

/// bollard says "not found" for a socket in a directory that we may not enter.
fn absent_or_hidden(socket: PathBuf) -> EngineError {
    match fs::metadata(&socket) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            EngineError::NotPermitted { engine: ENGINE, socket, group: None }
        }
        _ => EngineError::Absent { engine: ENGINE, socket },
    }
}

fn kernel_error(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let of_kernel = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    match of_kernel {
        Some(number) => Some(io::Error::from_raw_os_error(number).kind()),
        None => error.source().and_then(kernel_error),
    }
}

fn nonsense(socket: &Path, what: &dyn std::fmt::Display) -> EngineError {
    EngineError::Nonsense { engine: ENGINE, socket: socket.to_owned(), what: what.to_string() }
}

fn group_of(socket: &Path) -> Option<String> {
    let group = Gid::from_raw(fs::metadata(socket).ok()?.gid());
    // Only a group other than root's is one that people are meant to join.
    let name = Group::from_gid(group).ok()??.name;
    (name != "root").then_some(name)
}

fn socket() -> Result<PathBuf, EngineError> {
    if let Some(address) = env::var("DOCKER_HOST").ok().filter(|address| !address.is_empty()) {
        return local(&address);
    }
    if let Some(address) = context_address()? {
        return local(&address);
    }
    let system = PathBuf::from("/run/docker.sock");
    let rootless = env::var_os("XDG_RUNTIME_DIR").map(|directory| Path::new(&directory).join("docker.sock"));
    let rootless = rootless.filter(|socket| !system.exists() && socket.exists());
    Ok(rootless.unwrap_or(system))
}

fn local(address: &str) -> Result<PathBuf, EngineError> {
    match address.split_once("://") {
        Some(("unix", path)) => Ok(PathBuf::from(path)),
        Some(_) => Err(EngineError::Remote { engine: ENGINE, address: address.to_owned() }),
        None => Err(EngineError::Address { engine: ENGINE, address: address.to_owned() }),
    }
}

/// The address in the docker client's chosen context, when that is not the default one: `$DOCKER_CONTEXT`,
/// else `currentContext` in `config.json`; each context is a directory with a `meta.json`
/// (docs.docker.com/engine/manage-resources/contexts).
fn context_address() -> Result<Option<String>, EngineError> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    let Some(directory) = env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home) else {
        return Ok(None);
    };
    let chosen = match env::var("DOCKER_CONTEXT") {
        Ok(name) if !name.is_empty() => Some(name),
        _ => json(&directory.join("config.json"))?
            .and_then(|config| config.get("currentContext")?.as_str().map(str::to_owned)),
    };
    let Some(chosen) = chosen.filter(|name| !name.is_empty() && name != "default") else { return Ok(None) };
    let contexts = directory.join("contexts/meta");
    for entry in fs::read_dir(&contexts).into_iter().flatten().flatten() {
        let Some(meta) = json(&entry.path().join("meta.json"))? else { continue };
        if meta["Name"] == *chosen {
            return Ok(meta["Endpoints"]["docker"]["Host"].as_str().map(str::to_owned));
        }
    }
    Err(EngineError::Configuration { file: contexts, what: format!("has no context named {chosen}") })
}

/// A JSON file that need not be there.
fn json(file: &Path) -> Result<Option<serde_json::Value>, EngineError> {
    let wrong = |what: String| EngineError::Configuration { file: file.to_owned(), what };
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| wrong(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(error.to_string())),
    }
}
