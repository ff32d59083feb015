//! The Docker API on a local socket, which Podman speaks too: asked through bollard, within a time limit and
//! a size limit.
//!
//! Paths are asked without an API version: every engine from 20.10 to 29 answers those, while no single
//! version is taken by all of them, and negotiating one costs more than the question.

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::errors::Error as Bollard;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, BollardRequest};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send as send_bytes, socket,
};
use nix::unistd::{Gid, Group, Pid, Uid};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use super::{Container, EngineError, EngineName, Proof, Source, State, state};

/// The events that change what a container is; others tell of every health check.
const CHANGES: [&str; 7] = ["create", "start", "die", "destroy", "pause", "unpause", "rename"];

/// An engine's socket, not yet asked anything.
#[derive(Debug, Clone)]
pub(super) struct Api {
    engine: EngineName,
    socket: PathBuf,
    timeout: Duration,
}

impl Api {
    pub(super) fn new(engine: EngineName, socket: PathBuf, timeout: Duration) -> Self {
        Api { engine, socket, timeout }
    }

    /// Where it is asked.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The one container that the engine takes `name` for: its name, its ID, or the beginning of its ID.
    ///
    /// # Errors
    /// `Refused` with status 404 when there is none, with another when there are several.
    pub(super) fn inspect(&self, name: &str) -> Result<Container, EngineError> {
        let answer =
            self.ask(async |docker| docker.inspect_container(name, None::<InspectContainerOptions>).await)?;
        self.container(answer)
    }

    /// The IDs of all containers, running or not, that begin with `prefix`.
    ///
    /// The daemon's own filter by ID is of no use: a prefix that several have matches none of them.
    ///
    /// # Errors
    /// [`EngineError`].
    pub(super) fn ids(&self, prefix: &str) -> Result<Vec<String>, EngineError> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let listed = self.ask(async |docker| docker.list_containers(Some(options)).await)?;
        let ids = listed.into_iter().filter_map(|container| container.id);
        Ok(ids.filter(|id| id.starts_with(prefix)).collect())
    }

    /// A stream on which the engine says something when a container has changed, from now on. What it says is
    /// of no matter, so it is not read here; the answer's head comes first, and at once.
    ///
    /// Without bollard, whose streams live in a runtime: this one must be a descriptor for poll(2).
    pub(super) fn events(&self) -> Option<OwnedFd> {
        let address = UnixAddr::new(&self.socket).ok()?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
        connect(socket.as_raw_fd(), &address).ok()?;
        // Docker and Podman begin to listen for events only after the head is out: `since` closes that gap.
        let since = Timestamp::now().as_second();
        let request = format!(
            "GET /events?since={since}&filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B{}%5D%7D \
             HTTP/1.1\r\nHost: localhost\r\n\r\n",
            CHANGES.map(|change| format!("%22{change}%22")).join("%2C"),
        );
        let sent = send_bytes(socket.as_raw_fd(), request.as_bytes(), MsgFlags::MSG_NOSIGNAL).ok()?;
        (sent == request.len()).then_some(socket)
    }

    /// Whom the socket belongs to: whose word its answers are.
    fn owner(&self) -> Result<Uid, EngineError> {
        let meta = fs::metadata(&self.socket).map_err(|error| self.explained(&error))?;
        Ok(Uid::from_raw(meta.uid()))
    }

    /// Asks one thing of the engine, on a connection and a runtime that are gone when this returns: setns(2)
    /// refuses a process with more than one thread.
    fn ask<T>(
        &self,
        question: impl AsyncFnOnce(bollard::Docker) -> Result<T, Bollard>,
    ) -> Result<T, EngineError> {
        let slow =
            || EngineError::Slow { engine: self.engine, socket: self.socket.clone(), timeout: self.timeout };
        let socket = self.socket.clone();
        let transport = move |request| send(socket.clone(), request);
        // bollard's own limit counts whole seconds: ours runs outside of it, and earlier.
        let seconds = self.timeout.as_secs() + 1;
        let docker = bollard::Docker::connect_with_custom_transport(
            transport,
            Some("http://localhost"),
            seconds,
            API_DEFAULT_VERSION,
        );
        let docker = docker.map_err(|error| self.explained(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| self.nonsense(&error))?;
        let answer = runtime.block_on(async { tokio::time::timeout(self.timeout, question(docker)).await });
        answer.map_err(|_elapsed| slow())?.map_err(|error| match error {
            Bollard::RequestTimeoutError => slow(),
            Bollard::DockerResponseServerError { status_code, message } => {
                EngineError::Refused { engine: self.engine, status: status_code, message }
            }
            // bollard passes it off as its own: the chain of causes begins behind it.
            Bollard::IOError { err } => self.explained(&err),
            error => self.explained(&error),
        })
    }

    fn container(&self, answer: ContainerInspectResponse) -> Result<Container, EngineError> {
        let missing = |what: &str| self.nonsense(&format_args!("a container without {what}"));
        let state = answer.state.ok_or_else(|| missing("state"))?;
        let pid = state.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0).map(Pid::from_raw);
        // While it runs the API still tells how the run before ended.
        let over = pid.is_none();
        Ok(Container {
            engine: self.engine,
            id: answer.id.filter(|id| !id.is_empty()).ok_or_else(|| missing("ID"))?,
            name: answer.name.ok_or_else(|| missing("name"))?.trim_start_matches('/').to_owned(),
            pid,
            exit_code: state.exit_code.filter(|_| over),
            started_at: state.started_at.as_deref().and_then(time),
            finished_at: state.finished_at.as_deref().and_then(time).filter(|_| over),
            image: answer.config.and_then(|config| config.image),
            source: Source::Api,
            pod: None,
            proof: Proof::word_of(self.owner()?),
            state: match state.status.ok_or_else(|| missing("status"))? {
                ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING => State::Running,
                ContainerStateStatusEnum::PAUSED => State::Paused,
                ContainerStateStatusEnum::RESTARTING => State::Restarting,
                ContainerStateStatusEnum::EXITED => State::Exited,
                ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD => State::Dead,
                ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY => State::Created,
            },
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
            Some(io::ErrorKind::PermissionDenied) => {
                let group = group_of(&socket);
                EngineError::NotPermitted { engine, socket, group }
            }
            _ => self.nonsense(&deepest(error)),
        }
    }

    fn nonsense(&self, what: &dyn Display) -> EngineError {
        EngineError::Nonsense { engine: self.engine, socket: self.socket.clone(), what: what.to_string() }
    }
}

/// A time as the API writes it. Docker's word for one that has not come is year 1, Podman's too.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().filter(|time| time.as_second() > 0)
}

/// One request on one connection, over which no more comes in than an honest answer needs.
async fn send(
    socket: PathBuf,
    request: BollardRequest,
) -> Result<hyper::Response<hyper::body::Incoming>, Bollard> {
    let stream = Limited { stream: UnixStream::connect(socket).await?, left: state::MOST_BYTES };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(hyper::header::HOST, hyper::header::HeaderValue::from_static("localhost"));
    if let Some(path) = parts.uri.path_and_query().cloned() {
        parts.uri = path.into();
    }
    Ok(sender.send_request(BollardRequest::from_parts(parts, body)).await?)
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
            None => return Poll::Ready(Err(io::Error::other("its answer is longer than any honest one"))),
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
