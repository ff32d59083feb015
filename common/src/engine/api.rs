//! The Docker API on a local socket, which Podman speaks too: asked through bollard, within a time limit and
//! a size limit.
//!
//! Paths are asked without an API version: every engine from 20.10 to 29 answers those, while no single
//! version is taken by all of them, and negotiating one costs more than the question. Why the connection is our own:
//! docs/decisions/bollard-own-connection.md.

mod events;
mod fields;

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bollard::errors::Error as Bollard;
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptions, ListContainersOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, BollardRequest};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use nix::unistd::{Gid, Group, Pid, Uid};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use fields::{InspectedFields, InspectedNetwork, ListedFields};

use super::listener::SocketListener;
use super::{
    AnswerTimeout, Container, ContainerNetwork, ContainerSource, ContainerState, EngineError, EngineName,
    Proof, state,
};
use crate::target::Name;

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
        let (answer, claimed_by) = self.ask(async |docker| {
            fields::of(docker.inspect_container(name, None::<InspectContainerOptions>).await)
        })?;
        self.container(answer, claimed_by)
    }

    /// All containers, running or not, whose ID begins with `prefix`.
    ///
    /// The daemon's own filter by ID is of no use: a prefix that several have matches none of them.
    ///
    /// # Errors
    /// [`EngineError`].
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Listed>, EngineError> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let (listed, _) =
            self.ask(async |docker| fields::of_each(docker.list_containers(Some(options)).await))?;
        let listed = listed.into_iter().filter_map(|container: ListedFields| {
            let state = container.state.as_deref().and_then(state_called);
            Some(Listed { id: container.id?, state })
        });
        Ok(listed.filter(|container| container.id.starts_with(prefix)).collect())
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
        let (answer, _): (InspectedNetwork, _) = self.ask(async |docker| {
            fields::of(docker.inspect_network(network.as_str(), None::<InspectNetworkOptions>).await)
        })?;
        answer.internal.ok_or_else(|| self.nonsense(&"a network that is neither internal nor not"))
    }

    /// Asks one thing of the engine, on a connection and a runtime that are gone when this returns: setns(2)
    /// refuses a process with more than one thread. Also returns the user that makes the claims.
    fn ask<T>(
        &self,
        question: impl AsyncFnOnce(bollard::Docker) -> Result<T, Bollard>,
    ) -> Result<(T, Uid), EngineError> {
        // Most hosts lack most engines: a socket that is not there need not cost a runtime to find out.
        fs::metadata(&self.socket).map_err(|error| self.explained(&error))?;
        if let Some(silence) = self.limit.sockets.silence(&self.socket) {
            return Err(silence);
        }
        if self.limit.left().is_zero() {
            return Err(self.slow());
        }
        self.ask_now(question).inspect_err(|error| self.limit.sockets.remember_silence(&self.socket, error))
    }

    fn ask_now<T>(
        &self,
        question: impl AsyncFnOnce(bollard::Docker) -> Result<T, Bollard>,
    ) -> Result<(T, Uid), EngineError> {
        let (socket, speaker) = (self.socket.clone(), Arc::new(OnceLock::new()));
        let heard = Arc::clone(&speaker);
        let transport = move |request| send(socket.clone(), Arc::clone(&heard), request);
        // bollard's own limit counts whole seconds: ours runs outside of it, and earlier.
        let left = self.limit.left();
        let seconds = left.as_secs() + 1;
        let docker = bollard::Docker::connect_with_custom_transport(
            transport,
            Some("http://localhost"),
            seconds,
            API_DEFAULT_VERSION,
        );
        let docker = docker.map_err(|error| self.explained(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| self.nonsense(&error))?;
        let answer = runtime.block_on(async { tokio::time::timeout(left, question(docker)).await });
        let heard = Arc::into_inner(speaker).and_then(OnceLock::into_inner);
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
                Unheard::HasEnded => EngineError::Dead { engine, socket },
                Unheard::OtherPids(listener) => EngineError::OtherPidNamespace { engine, socket, listener },
            });
        }
        let answer = answer.map_err(|_elapsed| self.slow())?.map_err(|error| match error {
            Bollard::RequestTimeoutError => self.slow(),
            Bollard::DockerResponseServerError { status_code, message } => {
                EngineError::Refused { engine: self.engine, status: status_code, message }
            }
            // bollard passes it off as its own: the chain of causes begins behind it.
            Bollard::IOError { err } => self.explained(&err),
            error => self.explained(&error),
        })?;
        let speaker = speaker.and_then(Result::ok).ok_or_else(|| self.nonsense(&"an answer from nobody"))?;
        Ok((answer, speaker))
    }

    fn container(&self, answer: InspectedFields, claimed_by: Uid) -> Result<Container, EngineError> {
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
            id: answer.id.filter(|id| !id.is_empty()).ok_or_else(|| missing("ID"))?,
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
            Some(io::ErrorKind::PermissionDenied) => {
                let group = group_of(&socket);
                EngineError::NotPermitted { engine, socket, group }
            }
            _ => self.nonsense(&deepest(error)),
        }
    }

    fn slow(&self) -> EngineError {
        let (engine, socket) = (self.engine, self.socket.clone());
        EngineError::Slow { engine, socket, timeout: self.limit.each() }
    }

    fn nonsense(&self, what: &dyn Display) -> EngineError {
        EngineError::Nonsense { engine: self.engine, socket: self.socket.clone(), what: what.to_string() }
    }
}

/// A container in the API's list.
pub(super) struct Listed {
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

/// One request on one connection, over which no more comes in than an honest answer needs.
async fn send(
    socket: PathBuf,
    heard: Arc<OnceLock<HeardSpeaker>>,
    request: BollardRequest,
) -> Result<hyper::Response<hyper::body::Incoming>, Bollard> {
    let stream = UnixStream::connect(&socket).await?;
    if heard.get_or_init(|| HeardSpeaker::of(&stream, &socket)).speaker.is_err() {
        return Err(io::Error::from(io::ErrorKind::Unsupported).into());
    }
    let stream = Limited { stream, left: state::MOST_BYTES };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(hyper::header::HOST, hyper::header::HeaderValue::from_static("localhost"));
    if let Some(path) = parts.uri.path_and_query().cloned() {
        parts.uri = path.into();
    }
    Ok(sender.send_request(BollardRequest::from_parts(parts, body)).await?)
}

/// Whose claims are heard, or why nobody's are.
type Speaker = Result<Uid, Unheard>;

#[derive(Debug, Clone, Copy)]
enum Unheard {
    /// What listened was killed since.
    HasEnded,
    /// What listens is not in our PID namespace; its PID here, if it has one.
    OtherPids(Option<Pid>),
}

/// What is at the other end of a connection.
struct HeardSpeaker {
    speaker: Speaker,
    listener: Option<SocketListener>,
}

impl HeardSpeaker {
    fn of(stream: &UnixStream, socket: &Path) -> Self {
        match SocketListener::behind(stream.as_fd()) {
            Ok(listener) => HeardSpeaker { speaker: speaker_of(&listener, socket), listener: Some(listener) },
            Err(_) => HeardSpeaker { speaker: Err(Unheard::OtherPids(None)), listener: None },
        }
    }
}

/// The user is that of the process which listens, or the ordinary user whose file the socket is. The file alone would not
/// do: its owner can put a link to root's socket in its place.
fn speaker_of(listener: &SocketListener, socket: &Path) -> Speaker {
    if !listener.has_our_pids() {
        return Err(if listener.has_ended() { Unheard::HasEnded } else { Unheard::OtherPids(listener.pid) });
    }
    let owner = fs::metadata(socket).map_or(u32::MAX, |meta| meta.uid());
    Ok(if listener.user.is_root() { Uid::from_raw(owner) } else { listener.user })
}

/// A stream that ends with an error once more than `left` bytes have been read from it.
struct Limited {
    stream: UnixStream,
    left: u64,
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = (buf.filled().len() - before) as u64;
        match self.left.checked_sub(read) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other("its answer is too long"))),
        }
        polled
    }
}

impl AsyncWrite for Limited {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
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

fn group_of(socket: &Path) -> Option<String> {
    let group = Gid::from_raw(fs::metadata(socket).ok()?.gid());
    // Only a group other than root's is one that people are meant to join.
    let name = Group::from_gid(group).ok()??.name;
    (name != "root").then_some(name)
}
