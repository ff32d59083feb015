//! One request to an engine, on a connection of its own: sent at one time, answered at another, so that the caller can do
//! something else while the engine makes its answer. Nothing of it is left when the answer is there: setns(2) refuses a
//! process with more than one thread.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bollard::errors::Error as Bollard;
use bollard::{API_DEFAULT_VERSION, BollardRequest};
use hyper::rt::{Read, ReadBufCursor, Write};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket};
use nix::unistd::{Pid, Uid};
use tokio::runtime::Runtime;
use tokio::time::error::Elapsed;

use super::super::listener::SocketListener;
use super::super::state;

/// What bollard understood of an answer, unless that did not come in time.
type Answer<T> = Result<Result<T, Bollard>, Elapsed>;

/// An answer that has come while the caller did something else is read in less than this part of the time that it had.
const AT_LEAST: u32 = 4;

/// A request that is on its way, and the runtime that waits for its answer.
pub(in super::super) struct SentApiRequest<T> {
    answer: PendingAnswer<T>,
    since: Instant,
    left: Duration,
    wire: Arc<Wire>,
    runtime: Runtime,
}

enum PendingAnswer<T> {
    Came(Answer<T>),
    Awaited(Pin<Box<dyn Future<Output = Result<T, Bollard>>>>),
}

/// Why a request cannot be sent.
pub(super) enum ConnectError {
    Runtime(io::Error),
    Bollard(Bollard),
}

/// What is known of the connection.
#[derive(Default)]
struct Wire {
    stream: OnceLock<OwnedFd>,
    speaker: OnceLock<HeardSpeaker>,
    progress: Mutex<WireProgress>,
}

/// How far the request is.
#[derive(Default)]
struct WireProgress {
    is_written: bool,
    /// Whether the answer is waited for, so that it is read.
    is_awaited: bool,
    /// What sleeps until it is written, or until hyper has read all that there is.
    request: Option<Waker>,
    /// hyper's connection, if it has read all that there is.
    reader: Option<Waker>,
}

impl<T: 'static> SentApiRequest<T> {
    /// Sends it; an answer has `left` from now on, and is waited for by [`SentApiRequest::answer`].
    pub(super) fn send(
        socket: &Path,
        left: Duration,
        request: impl AsyncFnOnce(bollard::Docker) -> Result<T, Bollard> + 'static,
    ) -> Result<Self, ConnectError> {
        let (socket, wire) = (socket.to_owned(), Arc::new(Wire::default()));
        let transport = {
            let wire = Arc::clone(&wire);
            move |request| send_on(socket.clone(), Arc::clone(&wire), request)
        };
        // bollard's own limit counts whole seconds: ours runs outside of it, and earlier.
        let seconds = left.as_secs() + 1;
        let docker = bollard::Docker::connect_with_custom_transport(
            transport,
            Some("http://localhost"),
            seconds,
            API_DEFAULT_VERSION,
        );
        let docker = docker.map_err(ConnectError::Bollard)?;
        // No driver for sockets: of the only one here this thread waits for itself, in one system call instead of twenty.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(ConnectError::Runtime)?;
        let since = Instant::now();
        let mut answer: Pin<Box<dyn Future<Output = Result<T, Bollard>>>> =
            Box::pin(async move { request(docker).await });
        let came = poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(came) => Poll::Ready(Some(came)),
            Poll::Pending => wire.written(context).map(|()| None),
        });
        let came = runtime.block_on(async { tokio::time::timeout(left, came).await });
        let answer = match came.transpose() {
            Some(came) => PendingAnswer::Came(came),
            None => PendingAnswer::Awaited(answer),
        };
        Ok(SentApiRequest { answer, since, left, wire, runtime })
    }
}

impl<T> SentApiRequest<T> {
    /// The answer, once it is there, and who gave it, if anybody was spoken to.
    pub(super) fn answer(self) -> (Answer<T>, Option<HeardSpeaker>) {
        let SentApiRequest { answer, since, left, wire, runtime } = self;
        let answer = match answer {
            PendingAnswer::Came(answer) => answer,
            PendingAnswer::Awaited(mut answer) => {
                let left = left.saturating_sub(since.elapsed()).max(left / AT_LEAST);
                let until = Instant::now() + left;
                wire.progress().is_awaited = true;
                let came = poll_fn(|context| match answer.as_mut().poll(context) {
                    Poll::Ready(came) => Poll::Ready(came),
                    Poll::Pending => wire.wait(until, context),
                });
                runtime.block_on(async { tokio::time::timeout(left, came).await })
            }
        };
        // What it has of the connection goes with it.
        drop(runtime);
        (answer, Arc::into_inner(wire).and_then(|wire| wire.speaker.into_inner()))
    }
}

impl Wire {
    fn progress(&self) -> MutexGuard<'_, WireProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when the request has been written.
    fn written(&self, context: &Context<'_>) -> Poll<()> {
        let mut progress = self.progress();
        if progress.is_written {
            return Poll::Ready(());
        }
        progress.request = Some(context.waker().clone());
        Poll::Pending
    }

    fn note_written(&self) {
        let mut progress = self.progress();
        progress.is_written = true;
        progress.request.take().into_iter().for_each(Waker::wake);
    }

    /// hyper has read all that there is: whoever waits for the answer sees whether that was it, and waits for more.
    fn note_empty(&self, context: &Context<'_>) {
        let mut progress = self.progress();
        progress.reader = Some(context.waker().clone());
        progress.request.take().into_iter().for_each(Waker::wake);
    }

    /// Once hyper has read all that there is, sleeps until there is more, or until the time for that is over: this is all
    /// that the thread waits for. Never ready: the runtime's clock ends the request.
    fn wait<T>(&self, until: Instant, context: &Context<'_>) -> Poll<T> {
        let reader = {
            let mut progress = self.progress();
            progress.request = Some(context.waker().clone());
            progress.reader.take()
        };
        let (Some(reader), Some(stream)) = (reader, self.stream.get()) else { return Poll::Pending };
        let mut wanted = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
        loop {
            // Rounded up, so that the clock has run out, too.
            let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            match poll(&mut wanted, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Err(Errno::EINTR) => {}
                // Readable, or broken: reading says which.
                Ok(1..) => {
                    reader.wake();
                    break;
                }
                _ => break,
            }
        }
        Poll::Pending
    }
}

/// One request on one connection, over which no more comes in than an honest answer needs.
async fn send_on(
    socket: PathBuf,
    wire: Arc<Wire>,
    request: BollardRequest,
) -> Result<hyper::Response<hyper::body::Incoming>, Bollard> {
    let stream = LimitedStream { left: state::MOST_BYTES, wire: Arc::clone(&wire), socket: socket.clone() };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(hyper::header::HOST, hyper::header::HeaderValue::from_static("localhost"));
    if let Some(path) = parts.uri.path_and_query().cloned() {
        parts.uri = path.into();
    }
    // Last, so that the request is there when the engine first reads: it need not go to sleep in between.
    let stream = connected(&socket).map_err(io::Error::from)?;
    wire.stream.get_or_init(|| stream);
    Ok(sender.send_request(BollardRequest::from_parts(parts, body)).await?)
}

/// Whose claims are heard, or why nobody's are.
pub(super) type Speaker = Result<Uid, UnheardPeer>;

#[derive(Debug, Clone, Copy)]
pub(super) enum UnheardPeer {
    /// What listened was killed since.
    HasEnded,
    /// What listens is not in our PID namespace; its PID here, if it has one.
    OtherPids(Option<Pid>),
}

/// What is at the other end of a connection.
pub(super) struct HeardSpeaker {
    pub speaker: Speaker,
    pub listener: Option<SocketListener>,
}

impl HeardSpeaker {
    fn of(stream: BorrowedFd<'_>, socket: &Path) -> Self {
        match SocketListener::behind(stream) {
            Ok(listener) => HeardSpeaker { speaker: speaker_of(&listener, socket), listener: Some(listener) },
            Err(_) => HeardSpeaker { speaker: Err(UnheardPeer::OtherPids(None)), listener: None },
        }
    }
}

/// The user is that of the process which listens, or the ordinary user whose file the socket is. The file alone would not
/// do: its owner can put a link to root's socket in its place.
fn speaker_of(listener: &SocketListener, socket: &Path) -> Speaker {
    if !listener.has_our_pids() {
        return Err(if listener.has_ended() {
            UnheardPeer::HasEnded
        } else {
            UnheardPeer::OtherPids(listener.pid)
        });
    }
    let owner = fs::metadata(socket).map_or(u32::MAX, |meta| meta.uid());
    Ok(if listener.user.is_root() { Uid::from_raw(owner) } else { listener.user })
}

/// A hung engine accepts nothing, and the kernel connects us all the same, until too many wait: EAGAIN.
fn connected(path: &Path) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let stream = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(stream.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(stream)
}

/// The connection as hyper sees it, which ends with an error once more than `left` bytes have been read from it.
struct LimitedStream {
    left: u64,
    wire: Arc<Wire>,
    socket: PathBuf,
}

/// How much is read at once: a container's description has some five thousand bytes.
const AT_ONCE: usize = 8192;

impl LimitedStream {
    fn stream(&self) -> io::Result<BorrowedFd<'_>> {
        self.wire.stream.get().map(AsFd::as_fd).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Read for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.wire.progress().is_awaited {
            self.wire.note_empty(cx);
            return Poll::Pending;
        }
        let mut room = [0; AT_ONCE];
        let most = room.len().min(buffer.remaining());
        let read = loop {
            match recv(self.stream()?.as_raw_fd(), &mut room[..most], MsgFlags::empty()) {
                Ok(read) => break read,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.wire.note_empty(cx);
                    return Poll::Pending;
                }
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
        };
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other("its answer is too long"))),
        }
        buffer.put_slice(&room[..read]);
        Poll::Ready(Ok(()))
    }
}

impl Write for LimitedStream {
    /// A request is short, and nobody has written on this connection before: it fits, or the engine is not there any more.
    /// While the engine reads it, we look at who listens: an answer is read only of somebody whom we believe.
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.stream()?;
        let written = loop {
            match send(stream.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
                Err(Errno::EINTR) => {}
                written => break written,
            }
        };
        self.wire.note_written();
        let speaker = self.wire.speaker.get_or_init(|| HeardSpeaker::of(stream, &self.socket));
        if speaker.speaker.is_err() {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        }
        Poll::Ready(written.map_err(io::Error::from))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use bollard::query_parameters::InspectContainerOptions;

    use super::*;

    /// A request to something that answers at once, and says so before the answer is read.
    fn asked(socket: &Path, left: Duration) -> SentApiRequest<String> {
        let listener = UnixListener::bind(socket).unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            let body = r#"{"Id":"web"}"#;
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            stream
        });
        let sent = SentApiRequest::send(socket, left, async |docker| {
            let answer = docker.inspect_container("web", None::<InspectContainerOptions>).await?;
            Ok(answer.id.unwrap_or_default())
        });
        // It has been written, and the connection stays as long as the other end has it.
        std::mem::forget(answering.join().unwrap());
        sent.unwrap_or_else(|_| panic!("not sent"))
    }

    #[test]
    fn an_answer_that_came_while_the_caller_did_something_else_is_not_late() {
        let socket = std::env::temp_dir().join(format!("netns-toolbox-{}-late", std::process::id()));
        let _ = fs::remove_file(&socket);
        let left = Duration::from_secs(2);
        let sent = asked(&socket, left);
        fs::remove_file(&socket).unwrap();
        std::thread::sleep(left);
        let (answer, heard) = sent.answer();
        assert!(matches!(answer, Ok(Ok(id)) if id == "web"));
        assert!(heard.is_some_and(|heard| heard.speaker.is_ok()));
    }
}
