//! Why an engine could not be asked, and what the user can do about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Pid, Uid, geteuid};

use crate::failure::{Failure, Status};
use crate::namespace::{self, NamespaceError};
use crate::output::{one_line, time};
use crate::target::EngineName;
use crate::typed::{again, with_sudo};

/// As much of an engine's own words, or of those in its files, as an error quotes.
pub(super) const LONGEST_WORDS: usize = 300;

/// Why an engine could not be asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// There is neither a socket nor state: it does not run, or runs elsewhere.
    #[error("{engine} {}: {} is not there", if *engine == EngineName::Docker { "is not running" } else { "has no containers on this host" }, socket.display())]
    Absent {
        /// Which engine.
        engine: EngineName,
        /// Where we looked.
        socket: PathBuf,
    },
    /// There is no socket where the user says that it is.
    #[error("{engine} is not running: {} is not there (DOCKER_HOST or the docker context)", socket.display())]
    Missing {
        /// Which engine.
        engine: EngineName,
        /// Where the user says.
        socket: PathBuf,
    },
    /// There is a socket, but no process listens.
    #[error("{engine} is not running: nothing listens on {}", socket.display())]
    Dead {
        /// Which engine.
        engine: EngineName,
        /// Where we looked.
        socket: PathBuf,
    },
    /// There is a socket that nothing listens on any more, and nothing of that engine runs.
    #[error("{engine} is not running: nothing listens on {}", socket.display())]
    Stale {
        /// Which engine.
        engine: EngineName,
        /// Where we looked.
        socket: PathBuf,
    },
    /// systemd keeps its socket and would have to start it first, and it has run nothing since the host's start.
    #[error("{engine} did not answer on {} within {}, and has run nothing since the host's start", socket.display(), time(*timeout))]
    Unused {
        /// Which engine.
        engine: EngineName,
        /// Where we looked.
        socket: PathBuf,
        /// How long it had.
        timeout: Duration,
    },
    /// The socket is not for us, or the user has named it.
    #[error("{engine}: no permission for {}{}", socket.display(), of_group(group.as_deref()))]
    NotPermitted {
        /// Which engine.
        engine: EngineName,
        /// Which socket.
        socket: PathBuf,
        /// The group that may use it.
        group: Option<String>,
    },
    /// The socket is root's, and no group was given to it: for an ordinary user it is no engine of theirs.
    #[error("{engine}: no permission for {}, which only root has", socket.display())]
    RootsAlone {
        /// Which engine.
        engine: EngineName,
        /// Which socket.
        socket: PathBuf,
    },
    /// Its PIDs would be another machine's.
    #[error("{engine} is on another host: {address}")]
    Remote {
        /// Which engine.
        engine: EngineName,
        /// What DOCKER_HOST or the context says.
        address: String,
    },
    /// What DOCKER_HOST or the context says is no address.
    #[error("{engine}: '{address}' is not an address (DOCKER_HOST or the docker context)")]
    Address {
        /// Which engine.
        engine: EngineName,
        /// What was said.
        address: String,
    },
    /// What listens on its socket is not in our PID namespace, or cannot be seen: the PIDs that it would tell are other
    /// processes here.
    #[error("{engine}'s containers are in another PID namespace: what listens on {} does not show in ours", socket.display())]
    OtherPidNamespace {
        /// Which engine.
        engine: EngineName,
        /// Which socket.
        socket: PathBuf,
        /// What listens there, where it has a PID in our PID namespace too.
        listener: Option<Pid>,
    },
    /// Which process listens on its socket cannot be seen: there is nothing to see any process by.
    #[error("{engine} could not be asked: {}", NamespaceError::NoProc)]
    NoProc {
        /// Which engine.
        engine: EngineName,
    },
    /// A process that its state on disk names started before the first process of our PID namespace did: it is none of ours,
    /// whether it has ended or not, and its PID is another process's here.
    #[error("{engine}'s containers are in another PID namespace: the process that {} names started before PID 1 of ours", file.display())]
    EarlierProcess {
        /// Which engine.
        engine: EngineName,
        /// Where the process is named.
        file: PathBuf,
    },
    /// Something listens on its socket, and which process the daemon is could not be found out, nor so where its state is.
    #[error("{}", unlocated(*engine, socket, why.as_deref()))]
    Unlocated {
        /// Which engine.
        engine: EngineName,
        /// Which socket.
        socket: PathBuf,
        /// Why its API did not tell, where it was asked.
        why: Option<Box<EngineError>>,
    },
    /// It took longer than it may.
    #[error("{engine} did not answer on {} within {}", socket.display(), time(*timeout))]
    Slow {
        /// Which engine.
        engine: EngineName,
        /// Which socket.
        socket: PathBuf,
        /// How long it had.
        timeout: Duration,
    },
    /// It refused, in its own words.
    #[error("{engine} says: {} (HTTP status {status})", one_line(message.trim_end()))]
    Refused {
        /// Which engine.
        engine: EngineName,
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// What it answered is not what its API documents.
    #[error("{engine}: {} gave an invalid answer: {}", socket.display(), one_line(what))]
    Nonsense {
        /// Which engine.
        engine: EngineName,
        /// Which socket.
        socket: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file that says where the engine is, or what its containers are, cannot be used.
    #[error("{}: {what}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A container that runs, as its file says, has no process where its engine records that.
    #[error("{}: {engine} has written there that it runs, and its process was not found where {engine} usually records it", file.display())]
    Unrecorded {
        /// Which engine.
        engine: EngineName,
        /// What the container is called.
        name: String,
        /// Its file.
        file: PathBuf,
    },
    /// A state file or directory belongs to another user than the engine.
    #[error("{}: belongs to {}, not to {}, so it is not used", file.display(), whose(*found), whose(*owner))]
    Foreign {
        /// Which file.
        file: PathBuf,
        /// The user it must belong to.
        owner: Uid,
        /// The user it belongs to.
        found: Uid,
    },
    /// A state file or directory is not for us.
    #[error("{}: permission denied: only its owner, or CAP_DAC_READ_SEARCH, may read it", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
    },
}

impl EngineError {
    /// Something listens on `socket`, and which process the daemon is could not be found out.
    pub(super) fn unlocated(engine: EngineName, socket: &Path) -> Self {
        EngineError::Unlocated { engine, socket: socket.to_owned(), why: None }
    }

    /// What listens on `socket` is not among the processes that we see.
    pub(super) fn other_pids(engine: EngineName, socket: PathBuf, listener: Option<Pid>) -> Self {
        match namespace::is_proc_mounted() {
            true => EngineError::OtherPidNamespace { engine, socket, listener },
            false => EngineError::NoProc { engine },
        }
    }

    /// Whether the engine said that it has no such container.
    pub fn is_not_found(&self) -> bool {
        matches!(self, EngineError::Refused { status: 404, .. })
    }

    /// Whether we are an ordinary user, and only root may read that or connect there: it is no part of our engines, and its
    /// silence is no doubt about what they say.
    pub fn is_roots_alone(&self) -> bool {
        let is_closed = matches!(self, EngineError::Unreadable { .. } | EngineError::RootsAlone { .. });
        is_closed && !geteuid().is_root()
    }

    /// Whether nothing of this engine can be running, so that nothing is hidden by its silence.
    pub fn is_absence(&self) -> bool {
        matches!(self, EngineError::Absent { .. } | EngineError::Stale { .. } | EngineError::Unused { .. })
    }
}

fn unlocated(engine: EngineName, socket: &Path, why: Option<&EngineError>) -> String {
    let unknown = "where it keeps its state could not be found out: what listens";
    match why {
        Some(why) => format!("{why}, and {unknown} there is not {engine}"),
        None => format!("{engine} runs, and {unknown} on {} is not {engine}", socket.display()),
    }
}

/// Who has the permission without being root.
fn of_group(group: Option<&str>) -> String {
    group.map(|group| format!(", which the group {} has", one_line(group))).unwrap_or_default()
}

/// `root`, or `user 1000`.
fn whose(user: Uid) -> String {
    if user.is_root() { "root".to_owned() } else { format!("user {user}") }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let failure = Failure::said(Status::Failed, &error);
        let failure = match &error {
            EngineError::Absent { engine: EngineName::Docker, .. }
            | EngineError::Stale { engine: EngineName::Docker, .. }
            | EngineError::Dead { engine: EngineName::Docker, .. } => {
                failure.hint(crate::hint!("systemctl start docker"))
            }
            EngineError::NotPermitted { .. }
            | EngineError::RootsAlone { .. }
            | EngineError::Unreadable { .. } => failure.hint(with_sudo()),
            EngineError::Address { address, .. } if address.starts_with('/') => failure
                .hint(again().and_then(|line| crate::hint!("env DOCKER_HOST=unix://{} {}", address, line))),
            EngineError::Remote { .. } => failure.hint(crate::sentence!("run the tool on that host")),
            EngineError::OtherPidNamespace { listener: None, .. } | EngineError::EarlierProcess { .. } => {
                failure.hint(crate::sentence!("run it on the host, or in a container with --pid=host"))
            }
            EngineError::OtherPidNamespace { listener: Some(pid), .. } => {
                failure.hint(crate::sentence!("run it where that engine runs: nsenter -t {} -a", pid))
            }
            EngineError::NoProc { .. } => failure.hinting_as(NamespaceError::NoProc.into()),
            EngineError::Slow { .. } => failure
                .hint(crate::same_with!("--engine-timeout 5s"))
                .or_hint(crate::sentence!("use pid:N, which needs no engine")),
            EngineError::Unlocated { why: Some(why), .. } => failure.hinting_as((**why).clone().into()),
            EngineError::Unrecorded { .. } => {
                failure.hint(crate::sentence!("use pid:N, which needs no engine"))
            }
            _ => failure,
        };
        failure.caused_by(error)
    }
}
