//! Why a TARGET was not found, and what the user can do about it.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use nix::unistd::Pid;

use super::{NetworkError, UnplacedProcess, meant};
use crate::engine::{Container, ContainerState, EngineError, EngineName, EngineSession};
use crate::failure::{Failure, Status};
use crate::hint;
use crate::hint::Hint;
use crate::namespace::NamespaceError;
use crate::netns::NetnsError;
use crate::output::one_line;
use crate::process::ProcessError;
use crate::sentence;
use crate::target::{LinkName, Name, Target, UserWord};
use crate::typed::{instead_of, with_sudo};

/// Why a TARGET was not found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No engine has such a container.
    #[error("{target}: no such container (asked: {}){}", names(&search.asked), did_you_mean(&search.nearest))]
    NotFound {
        /// What was asked for.
        target: Target,
        /// Where it was looked for.
        search: Box<FailedSearch>,
    },
    /// An engine that may have it could not be asked, or could not tell; whether another engine has it or not.
    #[error("{target}: {}{why}", undecided(hit.as_deref(), *engine, why))]
    CannotTell {
        /// What was asked for.
        target: Target,
        /// The container that another engine has.
        hit: Option<Box<Container>>,
        /// Which may have it, too.
        engine: EngineName,
        /// Why it could not be asked.
        why: Box<EngineError>,
    },
    /// Its control group is called after a container that it is not in.
    #[error("PID {}: its control group is named after {}{}, but it is not a process of that container", .0, one_line(&.1.target()), .1.of_whom())]
    Pretender(Pid, Box<Container>),
    /// The container is there, but has no process.
    #[error("{} is not running ({})", one_line(&.0.name), .0.why_not_running(Timestamp::now()))]
    NotRunning(Box<Container>),
    /// It ended between the engine's answer and our hold on it; or the engine's answer was that old.
    #[error("{} exited while it was being looked up", one_line(&.0.name))]
    Exited(Box<Container>),
    /// The engine says that a process is the container's, and nothing about the process does.
    #[error("{}: {} says that its process is PID {}, but nothing shows that: PID {} is in no control group that root has named after the container, and did not start when the container did", one_line(&.0.name), .0.engine, .0.pid.map_or(0, Pid::as_raw), .0.pid.map_or(0, Pid::as_raw))]
    Unproven(Box<Container>),
    /// An ordinary user's engine claims a process that is not that user's.
    #[error("{}: {} of user {} claims PID {}, which is not in a user namespace of that user", one_line(&.0.name), .0.engine, .0.proof.claimed_by, .0.pid.map_or(0, Pid::as_raw))]
    NotTheirs(Box<Container>),
    /// No process has the PID, but containers are called so.
    #[error("PID {pid}: no such process, but {} of that name or ID", there_are(hits))]
    CalledSo {
        /// The PID.
        pid: Pid,
        /// The containers.
        hits: Vec<Container>,
    },
    /// No engine of this host knows the process, and it is not the host's alone; or no engine that could be asked, and why
    /// another could not.
    #[error("{}", unknown_to_all(.0, .1.as_deref()))]
    Unplaced(Box<UnplacedProcess>, Option<Box<EngineError>>),
    /// No engine of this host knows the process, which has nothing of its own.
    #[error("PID {0}: is not in a container")]
    InNone(Pid),
    /// There is no engine to ask, of any kind that was meant.
    #[error("{}", no_engine(looked_for))]
    NoEngine {
        /// Which were looked for.
        looked_for: Vec<EngineName>,
    },
    /// Several containers begin with these digits, or several engines have this name.
    #[error("{target}: means {} containers:", hits.len())]
    Ambiguous {
        /// What was asked for.
        target: Target,
        /// What it can mean.
        hits: Vec<Container>,
    },
    /// No namespace, or none for certain, has that address or other end.
    #[error(transparent)]
    Network(#[from] Box<NetworkError>),
    /// The TARGET is a namespace, and the tool needs a process.
    #[error("{0}: is a namespace without a process")]
    NoProcess(Target),
    /// An engine could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Only root may read what the one engine of this host keeps on disk.
    #[error("{engine} could not be asked: {why}")]
    Closed {
        /// Which engine.
        engine: EngineName,
        /// What may not be read.
        why: EngineError,
    },
    /// A process could not be held.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A namespace could not be opened.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The registry could not be read.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The word is a link's, made for a container that does not run in there any more.
    #[error(
        "{link}: is not a container, but a stale link to a network that {} no longer has",
        one_line(owner)
    )]
    Orphan {
        /// The link.
        link: LinkName,
        /// The container that it was made for.
        owner: String,
    },
    /// The engine of that user has left nothing on this host.
    #[error("{engine} of user {user} has no containers: {} is not there", place.display())]
    NoEngineOfUser {
        /// Which engine.
        engine: EngineName,
        /// Whose it would be.
        user: UserWord,
        /// Where it was looked for.
        place: PathBuf,
    },
    /// Nobody is called so.
    #[error("{0}: no such user")]
    NoSuchUser(UserWord),
    /// No name is linked so under `/run/netns`.
    #[error("netns:{0}: no such link under /run/netns")]
    NoSuchLink(LinkName),
}

/// Where a container was looked for that does not exist.
#[derive(Debug, Default)]
pub struct FailedSearch {
    /// The engines that were asked.
    pub asked: Vec<EngineName>,
    /// Why the APIs of some did not answer, so that their state on disk was read.
    pub silent: Vec<EngineError>,
    /// Which engines of other users could not be.
    pub unasked: Vec<EngineError>,
    /// Which of our engines answered without a wait, so that they can be asked something else.
    pub prompt: Vec<EngineName>,
    /// Names of containers that look like the one asked for.
    pub nearest: Vec<String>,
}

impl FailedSearch {
    /// What an ordinary user can do where there are engines that only root may ask.
    fn hint_for_users(&self) -> Option<Hint> {
        let is_limited = self.unasked.iter().any(EngineError::is_roots_alone);
        with_sudo().filter(|_| is_limited).and_then(|sudo| sentence!("root can see more: {}", sudo))
    }
}

impl FindError {
    /// The same, with the names that a mistyped one may have meant. The engines of `session` are asked for their lists.
    #[must_use]
    pub fn with_nearest(mut self, session: &EngineSession) -> Self {
        if let FindError::NotFound { target, search } = &mut self {
            search.nearest = meant::nearest(target, &search.prompt, session);
        }
        self
    }

    /// Whether none of the engines that were meant is on this host.
    pub fn is_absence(&self) -> bool {
        matches!(self, FindError::NoEngine { .. }) || self.of_an_engine().is_some_and(EngineError::is_absence)
    }

    /// That `engine` could not be asked; its name is said before what does not say it itself.
    pub(super) fn closed((engine, why): (EngineName, EngineError)) -> Self {
        match why {
            EngineError::Unreadable { .. } => FindError::Closed { engine, why },
            why => why.into(),
        }
    }

    /// Why an engine could not be asked, if that is what is wrong.
    pub fn of_an_engine(&self) -> Option<&EngineError> {
        match self {
            FindError::Engine(why) | FindError::Closed { why, .. } => Some(why),
            FindError::CannotTell { why, .. } | FindError::Unplaced(_, Some(why)) => Some(why),
            _ => None,
        }
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        let message = error.to_string();
        let no = |message| Failure::said(Status::No, message);
        match error {
            FindError::NotFound { ref target, ref search } => {
                no(message).hint(meant::hint_for_unknown(target)).or_hint(search.hint_for_users())
            }
            FindError::InNone(_)
            | FindError::Pretender(..)
            | FindError::Exited(_)
            | FindError::NoSuchLink(_)
            | FindError::NoSuchUser(_) => no(message),
            FindError::Orphan { ref link, .. } => no(message)
                .hint(crate::hint!("netns-link --rm {}", link))
                .or_hint(sentence!("use netns:{} for the network that it keeps", link)),
            FindError::NotRunning(container) => match container.state {
                ContainerState::Created | ContainerState::Exited => no(message).hint(container.start_hint()),
                _ => no(message),
            },
            FindError::Ambiguous { target, hits } => {
                Failure::said(Status::Failed, message).and_lines(rows(&hits)).hint(each_alone(&target, &hits))
            }
            FindError::CannotTell { target, hit, engine, why } => {
                let failure = Failure::said(Status::Failed, message);
                match hit.and_then(|hit| alone(&target, &hit, engine)) {
                    Some(word) => failure.hint(sentence!("use {} for that container", word)),
                    None => failure.hinting_as((*why).into()),
                }
            }
            FindError::CalledSo { pid, hits } => {
                let name = pid.to_string().parse().ok();
                let words = words_for_each(name.as_ref(), &hits);
                let typed = [pid.to_string(), format!("pid:{pid}")];
                let hint = match words.as_slice() {
                    [Some(word)] => instead_of(&typed.each_ref().map(String::as_str), word),
                    _ => some_of(words),
                };
                no(message).hint(hint)
            }
            FindError::Unplaced(_, Some(why)) => {
                Failure::said(Status::Failed, message).hinting_as((*why).into())
            }
            FindError::Unplaced(unplaced, None) => {
                let failure = Failure::said(Status::Failed, message);
                if unplaced.was_looked_at { failure } else { failure.hint(with_sudo()) }
            }
            FindError::Unproven(container) => Failure::said(Status::Failed, message).hint(sentence!(
                "does that engine run on this host? pid:{} is that process, whosever it is",
                container.pid.map_or(0, Pid::as_raw)
            )),
            FindError::NoEngine { .. }
            | FindError::NoEngineOfUser { .. }
            | FindError::NotTheirs(_)
            | FindError::NoProcess(_) => Failure::said(Status::Failed, message),
            FindError::Network(error) => (*error).into(),
            FindError::Engine(error) => error.into(),
            FindError::Closed { why, .. } => Failure::said(Status::Failed, message).hinting_as(why.into()),
            FindError::Process(error) => error.into(),
            FindError::Namespace(error) => error.into(),
            FindError::Netns(error) => error.into(),
        }
    }
}

/// What is known of a container that may be `engine`'s.
fn undecided(hit: Option<&Container>, engine: EngineName, why: &EngineError) -> String {
    match hit {
        None if matches!(why, EngineError::Unrecorded { .. }) => {
            "cannot tell which process is its first: ".to_owned()
        }
        Some(hit) => {
            format!("{hit} was found, but {engine} could not be asked, and may have one of that name too: ")
        }
        None => "cannot tell whether there is such a container: ".to_owned(),
    }
}

/// What is known of a process that no engine knows that could be asked.
fn unknown_to_all(process: &UnplacedProcess, why: Option<&EngineError>) -> String {
    match why {
        None => process.to_string(),
        Some(why) => format!("{}; {why}", process.described("no engine that answered")),
    }
}

/// The word that means `hit` alone, where asking one engine leaves out the one that could not be asked.
fn alone(target: &Target, hit: &Container, unasked: EngineName) -> Option<String> {
    let Target::Container { engine: None, name, .. } = target else { return None };
    (unasked != hit.engine).then(|| format!("{}:{name}", hit.engine_word()))
}

/// The words that mean each of `hits` alone.
fn each_alone(target: &Target, hits: &[Container]) -> Option<Hint> {
    let name = match target {
        Target::Container { engine: None, name, .. } => Some(name),
        _ => None,
    };
    some_of(words_for_each(name, hits))
}

/// For each of `hits` a TARGET that means no other of them: its pod and name, its engine with the name that was typed, or
/// its engine with its ID.
fn words_for_each(name: Option<&Name>, hits: &[Container]) -> Vec<Option<String>> {
    let only = |fits: &dyn Fn(&&Container) -> bool| hits.iter().filter(fits).count() == 1;
    let word = |hit: &Container| {
        let of_engine = |other: &&Container| other.engine_word() == hit.engine_word();
        if hit.pod.is_some() && only(&|other| other.target() == hit.target()) {
            return Some(hit.target());
        }
        if let (Some(name), true) = (name, only(&of_engine)) {
            return Some(format!("{}:{name}", hit.engine_word()));
        }
        let begins =
            |id: &str| only(&|other| of_engine(other) && (other.id.starts_with(id) || other.name == id));
        let id = [hit.short_id(), &hit.id].into_iter().find(|id| begins(id))?;
        Some(format!("{}:{id}", hit.engine_word()))
    };
    let words = hits.iter().map(word);
    // What is no TARGET, or would be ended by a shell, helps nobody.
    words.map(|word| word.filter(|word| word.parse::<Target>().is_ok())).collect()
}

/// More than that many TARGETs are no hint any more.
const MOST_HINTED: usize = 4;

fn some_of(words: Vec<Option<String>>) -> Option<Hint> {
    let words: Vec<String> = words.into_iter().flatten().take(MOST_HINTED).collect();
    if words.is_empty() {
        None
    } else {
        hint::any_of(&words).and_then(|words| sentence!("say which: {}", words))
    }
}

fn did_you_mean(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        [others @ .., last] if !others.is_empty() => {
            format!("; did you mean {} or {}?", one_line(&others.join(", ")), one_line(last))
        }
        [one, ..] => format!("; did you mean {}?", one_line(one)),
    }
}

fn there_are(hits: &[Container]) -> String {
    match hits {
        [hit] => format!("{} has a container", hit.engine),
        several => format!("there are {} containers", several.len()),
    }
}

fn no_engine(looked_for: &[EngineName]) -> String {
    match looked_for.is_empty() || looked_for.len() == EngineName::ALL.len() {
        true => {
            format!("no container engine was found on this host (looked for {})", names(&EngineName::ALL))
        }
        false => format!("none of these engines was found on this host: {}", names(looked_for)),
    }
}

fn names(engines: &[EngineName]) -> impl fmt::Display {
    engines.iter().map(|engine| engine.as_str()).collect::<Vec<_>>().join(", ")
}

fn rows(hits: &[Container]) -> impl Iterator<Item = String> {
    hits.iter().map(|hit| {
        let (id, name) = (hit.short_id(), hit.full_name());
        format!("  {:<12} {} {}{} ({})", id, hit.engine, name, hit.of_whom(), hit.state)
    })
}

#[cfg(test)]
mod tests {
    use nix::unistd::Uid;

    use super::*;
    use crate::engine::Pod;

    fn hit(engine: EngineName, name: &str, id: &str) -> Container {
        Container {
            name: name.to_owned(),
            state: ContainerState::Running,
            ..Container::unknown(engine, &id.repeat(16), Uid::from_raw(0))
        }
    }

    fn in_pod(namespace: &str, is_sandbox: bool, hit: Container) -> Container {
        let pod = Pod { namespace: namespace.to_owned(), name: "web".to_owned(), is_sandbox };
        Container { pod: Some(pod), ..hit }
    }

    fn hinted(target: &str, hits: Vec<Container>) -> String {
        let failure = Failure::from(FindError::Ambiguous { target: target.parse().unwrap(), hits });
        failure.hint.unwrap().strip_prefix("say which: ").unwrap().to_owned()
    }

    #[test]
    fn each_of_several_containers_gets_a_word_of_its_own() {
        use EngineName::{Containerd, Crio, Docker, Podman};
        let two = |a, b| vec![hit(a, "web", "3f2a"), hit(b, "web", "3f2b")];
        assert_eq!(hinted("web", two(Docker, Podman)), "docker:web or podman:web");
        // The beginning of two IDs, in two engines and in one.
        assert_eq!(hinted("3f2", two(Docker, Podman)), "docker:3f2 or podman:3f2");
        assert_eq!(hinted("docker:3f2", two(Docker, Docker)), "docker:3f2a3f2a3f2a or docker:3f2b3f2b3f2b");
        let mut three = two(Docker, Docker);
        three.push(hit(Podman, "web", "3f2c"));
        assert_eq!(hinted("web", three), "docker:3f2a3f2a3f2a or docker:3f2b3f2b3f2b or podman:web");
        // One name in two namespaces of containerd: more of the ID is more of nothing.
        assert_eq!(
            hinted("web", two(Containerd, Containerd)),
            "containerd:3f2a3f2a3f2a or containerd:3f2b3f2b3f2b"
        );
        // The ID of one is the name of both.
        let mut lxc = [hit(EngineName::Lxc, "web", ""), hit(EngineName::Lxc, "web", "")];
        (lxc[0].id, lxc[1].id) = ("web".to_owned(), "/srv/lxc/web".to_owned());
        let failure =
            Failure::from(FindError::Ambiguous { target: "web".parse().unwrap(), hits: lxc.to_vec() });
        assert!(failure.hint.is_none());
        let pods = vec![
            in_pod("prod", true, hit(Containerd, "web", "3f2a")),
            in_pod("test", true, hit(Crio, "web", "3f2b")),
            in_pod("test", false, hit(Crio, "app", "3f2c")),
        ];
        assert_eq!(hinted("pod:web", pods), "pod:prod/web or pod:test/web or pod:test/web/app");
        // Two runs of one pod's container.
        let again = ["3f2a", "3f2b"].map(|id| in_pod("prod", false, hit(Crio, "app", id)));
        assert_eq!(hinted("pod:prod/web/app", again.to_vec()), "crio:3f2a3f2a3f2a or crio:3f2b3f2b3f2b");
    }

    #[test]
    fn a_host_without_engines_is_told_so_and_not_that_one_of_them_is_stopped() {
        let said = |looked_for: &[EngineName]| no_engine(looked_for);
        assert!(
            said(&EngineName::ALL)
                .starts_with("no container engine was found on this host (looked for docker, podman,")
        );
        assert_eq!(
            said(&[EngineName::Containerd, EngineName::Crio]),
            "none of these engines was found on this host: containerd, crio"
        );
    }
}
