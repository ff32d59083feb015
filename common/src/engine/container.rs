//! A container as its engine describes it, in the words that engines share.

use std::fmt;
use std::path::Path;

use jiff::{SignedDuration, SignedDurationRound, Timestamp, Unit};
use nix::unistd::{Pid, Uid, User, geteuid};
use serde::{Serialize, Serializer};

use super::state;
use crate::hint::Hint;
use crate::output::{one_line, quotable, shortened};
use crate::target::{EngineName, Name, UserWord};

/// A registry, a repository, a tag and a digest have less.
const LONGEST_IMAGE: usize = 512;

/// A container as its engine describes it: the same object in every tool's JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Whose it is.
    pub engine: EngineName,
    /// The whole ID; 64 hexadecimal digits for most engines.
    pub id: String,
    /// The name without any decoration.
    pub name: String,
    /// The PID of its first process in our PID namespace, while it has one.
    #[serde(serialize_with = "as_number")]
    pub pid: Option<Pid>,
    /// What it is doing.
    pub state: ContainerState,
    /// The exit status of its last run, once it has ended.
    pub exit_code: Option<i64>,
    /// When its last run began.
    pub started_at: Option<Timestamp>,
    /// When its last run ended.
    pub finished_at: Option<Timestamp>,
    /// The image it was made from, as the user named it.
    pub image: Option<String>,
    /// How we came to know.
    pub source: ContainerSource,
    /// The Kubernetes pod it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// The user that claims all this, and what must agree with the kernel before the PID is used.
    #[serde(flatten)]
    pub proof: Proof,
}

/// A Kubernetes pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// The Kubernetes namespace.
    pub namespace: String,
    /// The pod's name in it.
    pub name: String,
    /// Whether this container is the pod's sandbox: the one that holds its network namespace.
    pub is_sandbox: bool,
}

/// What an engine, or its state on disk, tells about a container's first process beside the PID, and who
/// vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The user whose socket or state file says so. What root says is believed of every process; what user U
    /// says, only of processes in user namespaces that belong to U. In JSON it is there where it is not root.
    #[serde(rename = "owner", skip_serializing_if = "is_root", serialize_with = "uid_as_number")]
    pub claimed_by: Uid,
    /// When the process started, in clock ticks since boot: field 22 of `/proc/PID/stat`.
    #[serde(skip)]
    pub start_time_ticks: Option<u64>,
    /// The inode of its pidfd (Linux 6.9).
    #[serde(skip)]
    pub pidfd_inode: Option<u64>,
    /// When the engine said, or wrote down, that there is this process: it is a little older than that.
    #[serde(skip)]
    pub made_at: Option<Timestamp>,
}

impl Proof {
    /// Nothing beside `user`'s claim.
    pub const fn word_of(user: Uid) -> Self {
        Proof { claimed_by: user, start_time_ticks: None, pidfd_inode: None, made_at: None }
    }
}

/// What a container is doing, in the words that engines share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
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

impl ContainerState {
    /// Whether it has run and ended, so that there is an exit status.
    pub const fn has_ended(self) -> bool {
        matches!(self, ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting)
    }
}

impl fmt::Display for ContainerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContainerState::Created => "created",
            ContainerState::Running => "running",
            ContainerState::Paused => "paused",
            ContainerState::Restarting => "restarting",
            ContainerState::Exited => "exited",
            ContainerState::Dead => "dead",
        })
    }
}

/// How we came to know of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerSource {
    /// The engine's API answered.
    Api,
    /// The engine's state on disk was read.
    #[default]
    State,
}

impl fmt::Display for ContainerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContainerSource::Api => "API",
            ContainerSource::State => "state on disk",
        })
    }
}

/// What something of an engine's is called: `name`, or its ID where that is no name, for an engine may say anything.
pub(super) fn name_to_show(name: String, id: &str) -> String {
    let is_name = |word: &str| word.parse::<Name>().is_ok();
    match (is_name(&name), is_name(id)) {
        (true, _) => name,
        (false, true) => id.to_owned(),
        (false, false) => quotable(&name),
    }
}

impl Container {
    /// One that is there, and of which nothing else is known: dead, called by its ID, by its state on disk.
    pub fn unknown(engine: EngineName, id: &str, claimed_by: Uid) -> Self {
        Container {
            engine,
            id: id.to_owned(),
            name: id.to_owned(),
            pid: None,
            state: ContainerState::Dead,
            exit_code: None,
            started_at: None,
            finished_at: None,
            image: None,
            source: ContainerSource::State,
            pod: None,
            proof: Proof::word_of(claimed_by),
        }
    }

    /// With words that can be shown and typed. An engine, and who writes its files, may say anything: a name that is none would
    /// be text of a stranger's in tables and messages, and one that people paste. Such a container is called by its ID.
    #[must_use]
    pub(super) fn presentable(mut self) -> Self {
        let is_name = |word: &str| word.parse::<Name>().is_ok();
        self.name = name_to_show(self.name, &self.id);
        self.pod = self.pod.filter(|pod| is_name(&pod.name) && is_name(&pod.namespace));
        self.image = self.image.map(|image| shortened(&image, LONGEST_IMAGE).into_owned());
        self
    }

    /// What it is if its process is gone, whatever its engine or its state on disk still says. How and when this run ended is
    /// not known.
    #[must_use]
    pub fn ended(self) -> Self {
        Container { pid: None, state: ContainerState::Exited, exit_code: None, finished_at: None, ..self }
    }

    /// Why it has no process now: `exited, code 0, 3 minutes ago`.
    pub fn why_not_running(&self, now: Timestamp) -> String {
        let mut why = self.state.to_string();
        if let (ContainerState::Exited | ContainerState::Dead, Some(code)) = (self.state, self.exit_code) {
            why.push_str(&format!(", code {code}"));
        }
        if let Some(finished_at) = self.finished_at {
            why.push_str(&format!(", {}", ago(now.duration_since(finished_at))));
        }
        why
    }

    /// The command that has it go on where it is paused; nothing of an engine that has none, or of another user's.
    pub fn unpause_hint(&self) -> Option<Hint> {
        let name = self.name.parse::<Name>();
        let word = name.as_ref().map_or(self.short_id(), Name::as_str);
        match self.engine {
            _ if self.stranger().is_some() => None,
            EngineName::Docker | EngineName::Podman | EngineName::Nerdctl => {
                crate::hint!("{} unpause {}", self.engine, word)
            }
            _ => None,
        }
    }

    /// The command that starts it again; `None` where its engine has none. Kubernetes starts a container again by itself, and
    /// what an OCI runtime was called for by hand is started by hand.
    pub fn start_hint(&self) -> Option<Hint> {
        // Root's command would start something of root's.
        if self.stranger().is_some() {
            return None;
        }
        let name = self.name.parse::<Name>();
        let word = name.as_ref().map_or(self.short_id(), Name::as_str);
        match self.engine {
            EngineName::Docker | EngineName::Podman | EngineName::Nerdctl => {
                crate::hint!("{} start {}", self.engine, word)
            }
            EngineName::Lxc => match Path::new(&self.id).parent().filter(|path| path.is_absolute()) {
                Some(path) => crate::hint!("lxc-start -P {} {}", path.display(), word),
                None => crate::hint!("lxc-start {}", word),
            },
            EngineName::Incus => match self.project() {
                Some(project) => crate::hint!("incus start --project {} {}", project, word),
                None => crate::hint!("incus start {}", word),
            },
            EngineName::Lxd => match self.project() {
                Some(project) => crate::hint!("lxc start --project {} {}", project, word),
                None => crate::hint!("lxc start {}", word),
            },
            EngineName::Machine => crate::hint!("machinectl start {}", word),
            EngineName::Containerd | EngineName::Crio | EngineName::Oci => None,
        }
    }

    /// The name, and in which pod: other pods have containers of the same name. `prod/web/app`, or `prod/web`
    /// for the pod's sandbox.
    pub fn full_name(&self) -> String {
        match &self.pod {
            None => self.name.clone(),
            Some(Pod { namespace, name, is_sandbox: true }) => format!("{namespace}/{name}"),
            Some(Pod { namespace, name, .. }) => format!("{namespace}/{name}/{}", self.name),
        }
    }

    /// The TARGET that means this container and no other's.
    pub fn target(&self) -> String {
        let kind = match &self.pod {
            // A pod's containers are all of root's.
            Some(_) if self.stranger().is_none() => "pod".to_owned(),
            _ => self.engine_word(),
        };
        match self.project() {
            Some(project) => format!("{kind}:{project}/{}", self.full_name()),
            None => format!("{kind}:{}", self.full_name()),
        }
    }

    /// What stands before the colon in a TARGET that means this engine alone: `podman`, or `podman@alice` for a user's.
    pub fn engine_word(&self) -> String {
        let Some(user) = self.stranger() else { return self.engine.to_string() };
        let name = User::from_uid(user).ok().flatten().map(|user| user.name);
        match name.filter(|name| name.parse::<UserWord>().is_ok()) {
            Some(name) => format!("{}@{name}", self.engine),
            None => format!("{}@{user}", self.engine),
        }
    }

    /// The project of a container of Incus or LXD, if it is another one than `default`, whose name is not part of what LXC
    /// calls its containers: `PROJECT_NAME`.
    fn project(&self) -> Option<&str> {
        let is_theirs = matches!(self.engine, EngineName::Incus | EngineName::Lxd);
        is_theirs.then(|| self.id.split_once('_')).flatten().map(|(project, _)| project)
    }

    /// Whose it is, where that is another user than root and us: in whose words it is shown has to be said.
    pub fn stranger(&self) -> Option<Uid> {
        Some(self.proof.claimed_by).filter(|owner| !owner.is_root() && *owner != geteuid())
    }

    /// The same as an addition to its name: ` of user 1000`, or nothing.
    pub fn of_whom(&self) -> String {
        self.stranger().map_or(String::new(), |user| format!(" of user {user}"))
    }

    /// Whether both are one container, which several engines of one user tell of: Docker's are containerd's too, and
    /// Podman's are runc's. An ID that is a name, as runc's and LXC's, is given again in another engine, in another namespace of
    /// containerd, or to another state directory of runc: only one process makes two of these one.
    pub fn is_same_as(&self, other: &Container) -> bool {
        let same_word = self.id == other.id && self.proof.claimed_by == other.proof.claimed_by;
        let same_process = self.pid.is_some() && self.pid == other.pid;
        same_word && (self.has_unique_id() || same_process)
    }

    /// Whether its engine makes IDs at random, so that no two containers have the same one.
    pub(crate) fn has_unique_id(&self) -> bool {
        state::is_id(&self.id)
    }

    /// What no other container of this host has, although one user may give theirs the ID of another's.
    pub fn key(&self) -> (Uid, EngineName, String) {
        (self.proof.claimed_by, self.engine, self.id.clone())
    }

    /// The ID as people write it: twelve digits.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, id) = (one_line(&self.name), one_line(self.short_id()));
        write!(f, "{} container {name} ({id}){}", self.engine, self.of_whom())
    }
}

/// A stretch of time that has passed, as people say it: `3 minutes ago`.
pub fn ago(duration: SignedDuration) -> String {
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

fn is_root(user: &Uid) -> bool {
    user.is_root()
}

fn uid_as_number<S: Serializer>(user: &Uid, serializer: S) -> Result<S::Ok, S::Error> {
    user.as_raw().serialize(serializer)
}

#[expect(clippy::ref_option, reason = "serde gives the field by reference")]
fn as_number<S: Serializer>(pid: &Option<Pid>, serializer: S) -> Result<S::Ok, S::Error> {
    pid.map(Pid::as_raw).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(state: ContainerState, exit_code: Option<i64>, finished_at: Option<&str>) -> String {
        let container = Container {
            state,
            exit_code,
            finished_at: finished_at.map(|text| text.parse().unwrap()),
            ..Container::unknown(EngineName::Docker, "3f2a", Uid::from_raw(0))
        };
        container.why_not_running("2026-01-01T00:03:10Z".parse().unwrap())
    }

    #[test]
    fn a_stopped_container_says_how_it_ended_and_when() {
        assert_eq!(
            stopped(ContainerState::Exited, Some(0), Some("2026-01-01T00:00:00Z")),
            "exited, code 0, 3 minutes ago"
        );
        assert_eq!(
            stopped(ContainerState::Exited, Some(137), Some("2026-01-01T00:03:09Z")),
            "exited, code 137, 1 second ago"
        );
        assert_eq!(
            stopped(ContainerState::Dead, Some(1), Some("2025-12-30T00:00:00Z")),
            "dead, code 1, 2 days ago"
        );
    }

    #[test]
    fn one_that_never_ran_has_no_exit_code() {
        assert_eq!(stopped(ContainerState::Created, Some(0), None), "created");
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_panic() {
        assert_eq!(
            stopped(ContainerState::Exited, Some(0), Some("2027-01-01T00:00:00Z")),
            "exited, code 0, just now"
        );
    }
}
