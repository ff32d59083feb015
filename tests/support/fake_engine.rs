//! An engine's socket for hostile and broken engines: says the bytes it was given, at the pace it was given, or nothing.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::run::LIMIT;
use super::tools;

/// What the engine does with one request.
#[derive(Clone, Debug)]
pub struct Answer {
    bytes: Vec<u8>,
    /// How long to wait before each byte; zero for all at once.
    pace: Duration,
    then: Then,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Then {
    NextRequest,
    HangUp,
    SayNothing,
    RepeatForEver,
}

impl Answer {
    /// A response as it should be: `Answer::new(200, "application/json", "[]")`.
    pub fn new(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Answer { bytes: [head.as_bytes(), body].concat(), pace: Duration::ZERO, then: Then::NextRequest }
    }

    /// A healthy answer in JSON.
    pub fn json(status: u16, body: &str) -> Answer {
        Answer::new(status, "application/json", body)
    }

    /// These bytes, whatever they are, and the end of the connection.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Answer {
        Answer { bytes: bytes.into(), pace: Duration::ZERO, then: Then::HangUp }
    }

    /// Takes the request and never answers.
    pub fn never() -> Answer {
        Answer { then: Then::SayNothing, ..Answer::bytes([]) }
    }

    /// Takes the request and closes the connection.
    pub fn hang_up() -> Answer {
        Answer::bytes([])
    }

    /// A body with no end, `chunk` after `chunk`, for as long as somebody reads.
    pub fn endless(content_type: &str, chunk: &str) -> Answer {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            u64::MAX >> 1
        );
        // Many at once, or the engine would be slow instead. The head is told from them by its empty line.
        let chunk = chunk.repeat(1 + (1 << 16) / chunk.len());
        Answer {
            bytes: [head.as_bytes(), chunk.as_bytes()].concat(),
            pace: Duration::ZERO,
            then: Then::RepeatForEver,
        }
    }

    /// The same, but only the first `length` bytes of the body, and then the connection is closed.
    pub fn truncated_to(mut self, length: usize) -> Answer {
        self.bytes.truncate(head_length(&self.bytes) + length);
        Answer { then: Then::HangUp, ..self }
    }

    /// The same, a byte at a time.
    pub fn a_byte_every(self, pace: Duration) -> Answer {
        Answer { pace, ..self }
    }

    /// Whether the connection is to go on afterwards.
    fn say(&self, to: &mut UnixStream, engine: &Engine) -> std::io::Result<bool> {
        if self.pace.is_zero() {
            to.write_all(&self.bytes)?;
        }
        for byte in self.bytes.iter().filter(|_| !self.pace.is_zero()) {
            if engine.is_over_within(self.pace) {
                return Ok(false);
            }
            to.write_all(&[*byte])?;
        }
        match self.then {
            Then::NextRequest => return Ok(true),
            Then::HangUp => {}
            // Ends when either side has had enough; what comes meanwhile is read and ignored.
            Then::SayNothing => drop(std::io::copy(to, &mut std::io::sink())?),
            Then::RepeatForEver => loop {
                to.write_all(&self.bytes[head_length(&self.bytes)..])?;
            },
        }
        Ok(false)
    }
}

fn head_length(bytes: &[u8]) -> usize {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4)
}

/// What an engine will say, path by path; `listen` makes it one.
#[derive(Default)]
pub struct Script {
    answers: HashMap<String, Answer>,
    first: HashMap<String, Answer>,
    otherwise: Option<Answer>,
}

impl Script {
    /// An engine that knows no path.
    pub fn new() -> Script {
        Script::default()
    }

    /// What a request for `path`, with or without a query, is answered.
    pub fn on(mut self, path: &str, answer: Answer) -> Script {
        self.answers.insert(path.to_owned(), answer);
        self
    }

    /// What the first request for `path` is answered; those after it as [`Script::on`] says.
    pub fn first(mut self, path: &str, answer: Answer) -> Script {
        self.first.insert(path.to_owned(), answer);
        self
    }

    /// What every other request is answered; without this, Docker's 404.
    pub fn otherwise(mut self, answer: Answer) -> Script {
        self.otherwise = Some(answer);
        self
    }

    /// Listens on a new socket at `path`: one of a `Scratch`, or `lab.path("/run/docker.sock")`, where it is an engine of
    /// that lab's.
    #[track_caller]
    pub fn listen(self, path: impl AsRef<Path>) -> FakeEngine {
        let mut parts = path.as_ref().components().skip(1);
        let mut next = || parts.next().and_then(|part| part.as_os_str().to_str().map(str::to_owned));
        let perl = match (next().as_deref(), next(), next().as_deref()) {
            (Some("proc"), Some(pid), Some("root")) => Some(perl_beside(&pid)),
            _ => None,
        };
        self.listen_held_by(perl, path.as_ref())
    }

    /// The same on a socket whose path is the same in a lab or a world, as one of a `Scratch`: `perl` runs there, and is
    /// the engine for the kernel. `script.listen_by(lab.command("perl"), dir.path("sock"))`
    #[track_caller]
    pub fn listen_by(self, perl: Command, path: impl AsRef<Path>) -> FakeEngine {
        self.listen_held_by(Some(perl), path.as_ref())
    }

    #[track_caller]
    fn listen_held_by(self, perl: Option<Command>, path: &Path) -> FakeEngine {
        let path = path.to_owned();
        // Nobody can connect before it is the right process that listens.
        let unready = path.with_extension("unready");
        let listener = UnixListener::bind(&unready).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        let holder = perl.map(|perl| SocketHolder::start(perl, &listener));
        fs::rename(&unready, &path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        let otherwise =
            self.otherwise.unwrap_or_else(|| Answer::json(404, r#"{"message":"page not found"}"#));
        let (answers, first, state) = (self.answers, Mutex::new(self.first), Mutex::default());
        let engine = Arc::new(Engine { answers, first, otherwise, state, changed: Condvar::new() });
        let serving = Arc::clone(&engine);
        let thread = thread::spawn(move || serving.serve(&listener));
        FakeEngine { path, engine, thread: Some(thread), _holder: holder }
    }
}

/// An engine that listens until it is dropped.
pub struct FakeEngine {
    path: PathBuf,
    engine: Arc<Engine>,
    thread: Option<JoinHandle<()>>,
    _holder: Option<SocketHolder>,
}

/// A process in another PID namespace that has called listen(2) for our socket: for the kernel it is the engine.
struct SocketHolder(Child);

/// It ends when nobody has the other end of its standard output any more.
const HOLD: &str = r#"listen(STDIN, 128) or die "listen: $!"; $| = 1; print "listening\n";
    vec(my $gone = "", fileno(STDOUT), 1) = 1; select($gone, undef, undef, undef);"#;

impl SocketHolder {
    #[track_caller]
    fn start(mut perl: Command, listener: &UnixListener) -> SocketHolder {
        perl.args(["-e", HOLD]).stdin(OwnedFd::from(listener.try_clone().unwrap())).stdout(Stdio::piped());
        let mut child = perl.spawn().expect("perl");
        let mut said = [0; 10];
        child.stdout.as_mut().unwrap().read_exact(&mut said).expect("perl listens");
        assert_eq!(&said, b"listening\n");
        SocketHolder(child)
    }
}

/// perl in the PID namespace of the process `pid`, which is a lab's first.
fn perl_beside(pid: &str) -> Command {
    let mut nsenter = tools::in_clean_environment(Command::new("nsenter"));
    nsenter.args(["--target", pid, "--pid"]);
    let user = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    if user("self") != user(pid) {
        nsenter.args(["--user", "--preserve-credentials"]);
    }
    nsenter.args(["--", "perl"]);
    nsenter
}

impl Drop for SocketHolder {
    fn drop(&mut self) {
        drop(self.0.stdout.take());
        let _ = self.0.wait();
    }
}

struct Engine {
    answers: HashMap<String, Answer>,
    first: Mutex<HashMap<String, Answer>>,
    otherwise: Answer,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<String>,
    connections: Vec<UnixStream>,
    over: bool,
}

impl FakeEngine {
    /// For `DOCKER_HOST`, if the tool sees the socket under the same path as the test does.
    pub fn url(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// The request lines so far, in their order: `GET /containers/json?all=true HTTP/1.1`.
    pub fn requests(&self) -> Vec<String> {
        self.engine.state().requests.clone()
    }

    /// How often something connected so far.
    pub fn connections(&self) -> usize {
        self.engine.state().connections.len()
    }

    /// Waits until there were `count` requests.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) {
        let enough = |state: &mut State| state.requests.len() < count;
        let waited = self.engine.changed.wait_timeout_while(self.engine.state(), LIMIT, enough).unwrap();
        assert!(!waited.1.timed_out(), "not {count} requests, but {:?}", waited.0.requests);
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        let mut state = self.engine.state();
        state.over = true;
        for connection in &state.connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        self.engine.changed.notify_all();
        // The listening thread sees that it is over when the next one comes.
        let woken = UnixStream::connect(&self.path).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

impl Engine {
    fn serve(self: Arc<Engine>, listener: &UnixListener) {
        for connection in listener.incoming().flatten() {
            let mut state = self.state();
            if state.over {
                return;
            }
            state.connections.push(connection.try_clone().unwrap());
            let engine = Arc::clone(&self);
            thread::spawn(move || engine.talk(connection));
        }
    }

    fn talk(&self, mut connection: UnixStream) {
        let mut requests = BufReader::new(connection.try_clone().unwrap());
        while let Some(path) = self.next_request(&mut requests) {
            let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
            let answer = first.as_ref().or(self.answers.get(&path)).unwrap_or(&self.otherwise);
            match answer.say(&mut connection, self) {
                Ok(true) => {}
                Ok(false) => break,
                Err(err) if matches!(err.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => break,
                Err(err) => panic!("a fake engine: {err}"),
            }
        }
        let _ = connection.shutdown(Shutdown::Both);
    }

    /// Reads a request without a body and records its first line; gives its path.
    fn next_request(&self, from: &mut impl BufRead) -> Option<String> {
        let mut lines = from.lines().map_while(Result::ok);
        let request = lines.next()?;
        lines.find(|line| line.is_empty())?;
        let path = request.split(' ').nth(1)?.split('?').next()?.to_owned();
        self.state().requests.push(request);
        self.changed.notify_all();
        Some(path)
    }

    fn is_over_within(&self, time: Duration) -> bool {
        self.changed.wait_timeout_while(self.state(), time, |state| !state.over).unwrap().0.over
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
