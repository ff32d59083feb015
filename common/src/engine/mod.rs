//! Container engines: one file each, behind one trait. An engine only *says* things; what it says about a
//! PID is verified in [`crate::find`] before anybody acts on it.

mod docker;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, SignedDurationRound, Timestamp, Unit};
use nix::unistd::Pid;
use serde::{Serialize, Serializer};

pub use crate::target::EngineName;

use crate::failure::Failure;
use crate::output::one_line;
use crate::target::Name;

/// What every engine can be asked.
pub trait Engine {
    /// The prefix that names it in a TARGET.
    fn name(&self) -> EngineName;

    /// The containers that `name` can mean, running or not: one by exact ID or name, or all whose ID begins
    /// with it. None is an answer too: this engine has no such container.
    ///
    /// # Errors
    /// When the engine could not be asked, or what it said made no sense.
    fn find(&self, name: &Name) -> Result<Vec<Container>, EngineError>;
}

/// The engines of this host that a user could mean, in the order in which they are asked.
pub fn engines(wanted: Option<EngineName>, timeout: Duration) -> Vec<Box<dyn Engine>> {
    let docker: Box<dyn Engine> = Box::new(docker::Docker::from_environment(timeout));
    [docker].into_iter().filter(|engine| wanted.is_none_or(|wanted| wanted == engine.name())).collect()
}

/// A container as its engine describes it: the same object in every tool's JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Whose it is.
    #[serde(serialize_with = "as_text")]
    pub engine: EngineName,
    /// The whole ID; 64 hexadecimal digits for most engines.
    pub id: String,
    /// The name without any decoration.
    pub name: String,
    /// The PID of its first process in our PID namespace, while it has one.
    #[serde(serialize_with = "as_number")]
    pub pid: Option<Pid>,
    /// What it is doing.
    pub state: State,
    /// The exit status of its last run, once it has ended.
    pub exit_code: Option<i64>,
    /// When its last run began.
    pub started_at: Option<Timestamp>,
    /// When its last run ended.
    pub finished_at: Option<Timestamp>,
    /// The image it was made from, as the user named it.
    pub image: Option<String>,
    /// How we came to know.
    pub source: Source,
}

/// What a container is doing, in the words that engines share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Frozen, its processes and namespaces are there.
    Paused,
    /// Between two runs.
    Restarting,
    /// Ended.
    Exited,
    /// Being removed, or what is left of a removal that failed.
    Dead,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Created => "created",
            State::Running => "running",
            State::Paused => "paused",
            State::Restarting => "restarting",
            State::Exited => "exited",
            State::Dead => "dead",
        })
    }
}

/// How we came to know of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The engine's API answered.
    Api,
    /// The engine's state on disk was read.
    State,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Api => "API",
            Source::State => "state on disk",
        })
    }
}

impl Container {
    /// Why it has no process now: `exited, code 0, 3 minutes ago`.
    pub fn why_not_running(&self, now: Timestamp) -> String {
        let mut why = self.state.to_string();
        if let (State::Exited | State::Dead, Some(code)) = (self.state, self.exit_code) {
            why.push_str(&format!(", code {code}"));
        }
        if let Some(finished_at) = self.finished_at {
            why.push_str(&format!(", {}", ago(now.duration_since(finished_at))));
        }
        why
    }

    /// The ID as people write it: twelve digits.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} container {} ({})", self.engine, one_line(&self.name), self.short_id())
    }
}

/// Why an engine could not be asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// There is no socket: it does not run, or runs elsewhere.
    #[error("{engine} is not running: {} is not there", socket.display())]
    Absent {
        /// Which engine.
        engine: EngineName,
        /// Where we looked.
        socket: PathBuf,
    },
    /// There is a socket, but nobody listens.
    #[error("{engine} is not running: nobody listens on {}", socket.display())]
    Dead {
        /// Which engine.
        engine: EngineName,
        /// Where we looked.
        socket: PathBuf,
    },
    /// The socket is not for us.
    #[error("{engine}: no permission for {}", socket.display())]
    NotPermitted {
        /// Which engine.
        engine: EngineName,
        /// Which socket.
        socket: PathBuf,
        /// The group that may use it.
        group: Option<String>,
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
    /// It took longer than it may.
    #[error("{engine} did not answer on {} within {timeout:?}", socket.display())]
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
    #[error("{engine}: {} gave an answer that makes no sense: {}", socket.display(), one_line(what))]
    Nonsense {
        /// Which engine.
        engine: EngineName,
        /// Which socket.
        socket: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file that says where the engine is cannot be used.
    #[error("{}: {what}", file.display())]
    Configuration {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let failure = Failure { message: Some(error.to_string()), ..Failure::trouble("", "") };
        match &error {
            EngineError::Absent { .. } | EngineError::Dead { .. } => failure.hint(
                "start it (systemctl start docker), or say where it is: DOCKER_HOST=unix:///path/docker.sock",
            ),
            EngineError::NotPermitted { group: Some(group), .. } => failure.hint(format_args!(
                "run it with sudo, or join the group: sudo usermod -aG {group} $USER, and log in again"
            )),
            EngineError::NotPermitted { group: None, .. } => failure.hint("run it with sudo"),
            EngineError::Address { address, .. } if address.starts_with('/') => {
                failure.hint(format_args!("DOCKER_HOST=unix://{address}"))
            }
            EngineError::Remote { .. } => failure.hint("run the tool on that host"),
            EngineError::Slow { .. } => {
                failure.hint("--engine-timeout 5s waits longer; pid:N needs no engine")
            }
            _ => failure,
        }
    }
}

fn ago(duration: SignedDuration) -> String {
    let count = |number: i64, unit: &str| match number {
        1 => format!("1 {unit} ago"),
        number => format!("{number} {unit}s ago"),
    };
    let seconds =
        duration.round(SignedDurationRound::new().smallest(Unit::Second)).unwrap_or(duration).as_secs();
    match seconds.max(0) {
        0 => "just now".to_owned(),
        1..60 => count(seconds, "second"),
        60..3_600 => count(seconds / 60, "minute"),
        3_600..86_400 => count(seconds / 3_600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

fn as_text<S: Serializer>(engine: &EngineName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(engine.as_str())
}

#[expect(clippy::ref_option, reason = "serde gives the field by reference")]
fn as_number<S: Serializer>(pid: &Option<Pid>, serializer: S) -> Result<S::Ok, S::Error> {
    pid.map(Pid::as_raw).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(state: State, exit_code: Option<i64>, finished_at: Option<&str>) -> String {
        let container = Container {
            engine: EngineName::Docker,
            id: "3f2a".repeat(16),
            name: "nginx".to_owned(),
            pid: None,
            state,
            exit_code,
            started_at: None,
            finished_at: finished_at.map(|text| text.parse().unwrap()),
            image: None,
            source: Source::Api,
        };
        container.why_not_running("2026-01-01T00:03:10Z".parse().unwrap())
    }

    #[test]
    fn a_stopped_container_says_how_it_ended_and_when() {
        assert_eq!(
            stopped(State::Exited, Some(0), Some("2026-01-01T00:00:00Z")),
            "exited, code 0, 3 minutes ago"
        );
        assert_eq!(
            stopped(State::Exited, Some(137), Some("2026-01-01T00:03:09Z")),
            "exited, code 137, 1 second ago"
        );
        assert_eq!(stopped(State::Dead, Some(1), Some("2025-12-30T00:00:00Z")), "dead, code 1, 2 days ago");
    }

    #[test]
    fn one_that_never_ran_has_no_exit_code() {
        assert_eq!(stopped(State::Created, Some(0), None), "created");
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_panic() {
        assert_eq!(stopped(State::Exited, Some(0), Some("2027-01-01T00:00:00Z")), "exited, code 0, just now");
    }
}
