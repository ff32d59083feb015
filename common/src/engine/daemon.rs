//! The process of an engine's daemon, whose command line says where it keeps things: what runs is right, whatever its
//! configuration and the usual places are.
//!
//! It is what listens on the engine's socket or, where systemd does that for it, what its PID file names. Only a process of
//! the user whose engine it is, in our PID namespace, is asked: no other user's process says where root's state is.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{Pid, Uid};

use super::listener::SocketListener;
use super::state::{self, StatePath};
use super::{EngineError, EngineName};
use crate::process::Process;

/// What listens on a socket where an engine's daemon does, or did.
#[derive(Debug, Clone)]
pub(super) enum Daemon {
    /// Nothing does.
    Absent,
    /// The daemon, or what passes on what is said to it.
    Process(Arc<DaemonCommand>),
    /// It is there, and which process it is could not be found out.
    Unknown(EngineError),
}

/// What a process was started with.
#[derive(Debug)]
pub(super) struct DaemonCommand {
    process: Process,
    words: Vec<OsString>,
}

impl Daemon {
    /// What listens on `socket` for `engine`, whose daemon's program is called `name` and writes its PID into `pid_file`; where
    /// that is `known`, nothing connects to see it. It has to be a process of the user that owns the engine's files.
    pub(super) fn of(
        engine: EngineName,
        socket: &StatePath,
        name: &str,
        pid_file: Option<&StatePath>,
        known: Option<SocketListener>,
    ) -> Daemon {
        let path = || socket.as_path().to_owned();
        let unknown = || Daemon::Unknown(EngineError::unlocated(engine, socket.as_path()));
        let written = || {
            let pid = state::number(pid_file?).ok().flatten()?;
            let process = Process::open(Pid::from_raw(pid)).ok()?;
            DaemonCommand::of(process, socket.owner()).filter(|line| line.is_of(name)).map(Arc::new)
        };
        let listener = match known.map_or_else(|| listener_on(socket.as_path()), Ok) {
            Ok(listener) => listener,
            Err(Errno::EACCES | Errno::EPERM) => {
                return Daemon::Unknown(EngineError::Unreadable { file: path() });
            }
            // It has hung for so long that nothing more can wait for it.
            Err(Errno::EAGAIN) => return written().map_or_else(unknown, Daemon::Process),
            Err(_) => return Daemon::Absent,
        };
        if !listener.has_our_pids() {
            return match listener.has_ended() {
                true => Daemon::Absent,
                false => Daemon::Unknown(EngineError::other_pids(engine, path(), listener.pid)),
            };
        }
        let Ok(process) = listener.process else { return Daemon::Absent };
        if !is_systemd(&process) {
            let line = DaemonCommand::of(process, socket.owner()).map(Arc::new);
            return line.map_or_else(unknown, Daemon::Process);
        }
        written().map_or_else(unknown, Daemon::Process)
    }

    /// Its command line, where it runs and its program is called `name`; nothing where it does not run.
    ///
    /// # Errors
    /// Why it could not be found out.
    pub(super) fn command_line(self, name: &str) -> Result<Option<Arc<DaemonCommand>>, EngineError> {
        match self {
            Daemon::Absent => Ok(None),
            Daemon::Process(line) => Ok(Some(line).filter(|line| line.is_of(name))),
            Daemon::Unknown(error) => Err(error),
        }
    }
}

impl DaemonCommand {
    /// `None` of a process that is not all `owner`'s, or not in our PID namespace.
    fn of(process: Process, owner: Uid) -> Option<DaemonCommand> {
        let status = process.status().ok()?;
        let is_owners =
            [status.ruid, status.euid, status.suid, status.fuid].iter().all(|uid| *uid == owner.as_raw());
        if !is_owners || !process.is_in_our_pid_namespace().unwrap_or(false) {
            return None;
        }
        let bytes = process.read("cmdline").ok()?;
        let words = bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
        Some(DaemonCommand { process, words })
    }

    /// Whether its program is called `name`, or begins so.
    pub(super) fn is_of(&self, name: &str) -> bool {
        let program = self.words.first().and_then(|word| Path::new(word).file_name());
        program.is_some_and(|program| program.as_bytes().starts_with(name.as_bytes()))
    }

    /// The last value of an option that has one of these names: `--name VALUE`, `--name=VALUE` or `-n VALUE`.
    pub(super) fn option(&self, names: &[&str]) -> Option<&OsStr> {
        let mut found = None;
        let mut words = self.words.iter().skip(1);
        while let Some(word) = words.next() {
            if names.iter().any(|name| word == name) {
                found = words.next().map(OsString::as_os_str).or(found);
            } else if let Some(value) = names.iter().find_map(|name| after(word, name)) {
                found = Some(value);
            }
        }
        found
    }

    /// The same, of an option whose value is a path; as the process sees it, where it is not a whole one.
    pub(super) fn path(&self, names: &[&str]) -> Option<PathBuf> {
        let path = Path::new(self.option(names)?);
        if path.is_absolute() {
            return Some(path.to_owned());
        }
        let directory = std::fs::read_link(format!("/proc/{}/cwd", self.process.pid())).ok()?;
        self.process.is_alive().then(|| directory.join(path))
    }
}

/// What is behind `=` in `--name=VALUE`.
fn after<'a>(word: &'a OsStr, name: &str) -> Option<&'a OsStr> {
    let value = word.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
    name.starts_with("--").then(|| OsStr::from_bytes(value))
}

/// A hung daemon accepts nothing, and the kernel connects us all the same.
fn listener_on(path: &Path) -> nix::Result<SocketListener> {
    let address = UnixAddr::new(path)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &address)?;
    SocketListener::behind(socket.as_fd())
}

/// The system's or a user's: it listens for what it has not started yet, and goes on listening.
fn is_systemd(process: &Process) -> bool {
    process.read("comm").is_ok_and(|name| name.trim_ascii() == b"systemd")
}
