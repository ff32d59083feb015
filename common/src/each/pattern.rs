//! Which containers are meant: the grammar of TARGETs with wildcards for names. Pure.

use std::str::FromStr;

use crate::engine::{Container, EngineName};
use crate::output::quotable;
use crate::target::{NameError, UserWord};

use super::glob::{Glob, GlobError};

/// What a user typed for "in which containers".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// `web-*`, `docker:web-*`: by the container's name, or by the beginning of its ID.
    Container {
        /// The one engine that it is about, if it is.
        engine: Option<EngineName>,
        /// Whose engine, if it is one user's.
        user: Option<UserWord>,
        /// Its name.
        name: Glob,
        /// The beginning of its ID, if it may be one.
        id: Option<String>,
    },
    /// `pod:web-*`, `pod:prod/*`: a pod, through its sandbox; `pod:prod/*/app`: containers in pods.
    Pod {
        /// The Kubernetes namespace.
        namespace: Option<Glob>,
        /// The pod's name.
        pod: Glob,
        /// The container's, if it is not pods that are meant.
        container: Option<Glob>,
    },
}

/// Why a word is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing at all: what `$(cpid nope)` leaves behind.
    #[error("it is empty (was it the output of a command that failed?)")]
    Empty,
    /// An option in a pattern's place.
    #[error("it cannot begin with '-'")]
    Dash,
    /// A kind of TARGET that is none of containers.
    #[error("'{}:' does not name containers; use docker: or another engine, or pod:", quotable(.0))]
    Kind(String),
    /// `engine@` with what is no user.
    #[error("{0}")]
    User(NameError),
    /// Too many parts for a pod.
    #[error("pods are pod:POD, pod:NAMESPACE/POD or pod:NAMESPACE/POD/CONTAINER")]
    Pod,
    /// What is wrong with the pattern of a name.
    #[error(transparent)]
    Glob(#[from] GlobError),
}

/// Fewer digits of an ID may as well be a word: a container called `db` must not stand for all whose IDs begin
/// so. Engines print this many.
const SHORT_ID: usize = 12;

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        match text.as_bytes().first() {
            None => return Err(PatternError::Empty),
            Some(b'-') => return Err(PatternError::Dash),
            _ => {}
        }
        match text.split_once(':') {
            None => of_containers(None, None, text),
            Some(("pod", rest)) => of_pods(rest),
            Some((kind, rest)) => {
                let (word, user) =
                    kind.split_once('@').map_or((kind, None), |(word, user)| (word, Some(user)));
                let engine = word.parse().map_err(|_| PatternError::Kind(kind.to_owned()))?;
                let user = user.map(str::parse).transpose().map_err(PatternError::User)?;
                of_containers(Some(engine), user, rest)
            }
        }
    }
}

fn of_containers(
    engine: Option<EngineName>,
    user: Option<UserWord>,
    text: &str,
) -> Result<Pattern, PatternError> {
    let is_id = text.len() >= SHORT_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = is_id.then(|| text.to_owned());
    Ok(Pattern::Container { engine, user, name: Glob::new(text)?, id })
}

fn of_pods(text: &str) -> Result<Pattern, PatternError> {
    let parts = text.split('/').map(Glob::new).collect::<Result<Vec<_>, _>>()?;
    let (namespace, pod, container) = match <[Glob; 1]>::try_from(parts) {
        Ok([pod]) => (None, pod, None),
        Err(parts) => match <[Glob; 2]>::try_from(parts) {
            Ok([namespace, pod]) => (Some(namespace), pod, None),
            Err(parts) => {
                let [namespace, pod, container] =
                    <[Glob; 3]>::try_from(parts).map_err(|_| PatternError::Pod)?;
                (Some(namespace), pod, Some(container))
            }
        },
    };
    Ok(Pattern::Pod { namespace, pod, container })
}

impl Pattern {
    /// The engines to ask: one, all (`None`), or those that know pods.
    pub fn engines(&self) -> Vec<Option<EngineName>> {
        match self {
            Pattern::Container { engine, .. } => vec![*engine],
            Pattern::Pod { .. } => {
                EngineName::ALL.into_iter().filter(|engine| engine.knows_pods()).map(Some).collect()
            }
        }
    }

    /// The one user's engine that it is about, if it is.
    pub fn of_user(&self) -> Option<(EngineName, &UserWord)> {
        match self {
            Pattern::Container { engine, user, .. } => engine.zip(user.as_ref()),
            Pattern::Pod { .. } => None,
        }
    }

    /// Whether `container` is meant, or its pod is. As in a TARGET, a pod's sandbox is none of the containers that
    /// a bare name can mean.
    pub fn fits(&self, container: &Container) -> bool {
        match (self, &container.pod) {
            (Pattern::Container { name, id, .. }, pod) => {
                let is_sandbox = pod.as_ref().is_some_and(|pod| pod.is_sandbox);
                (!is_sandbox && name.fits(&container.name))
                    || id.as_ref().is_some_and(|id| container.id.starts_with(id.as_str()))
            }
            (Pattern::Pod { .. }, None) => false,
            (Pattern::Pod { namespace, pod, container: wanted }, Some(its)) => {
                namespace.as_ref().is_none_or(|namespace| namespace.fits(&its.namespace))
                    && pod.fits(&its.name)
                    && wanted.as_ref().is_none_or(|name| !its.is_sandbox && name.fits(&container.name))
            }
        }
    }

    /// Whether it means pods, each of which is entered through one of its containers.
    pub fn means_pods(&self) -> bool {
        matches!(self, Pattern::Pod { container: None, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{container, in_pod};
    use super::*;

    fn fitting(pattern: &str, containers: &[Container]) -> Vec<String> {
        let pattern: Pattern = pattern.parse().unwrap();
        containers.iter().filter(|one| pattern.fits(one)).map(Container::full_name).collect()
    }

    #[test]
    fn a_bare_pattern_is_for_names_and_not_for_pods() {
        let all = [
            container("web-1"),
            container("db"),
            in_pod("prod", "web-2", "web-app"),
            in_pod("prod", "web-2", ""),
        ];
        assert_eq!(fitting("web-*", &all), ["web-1", "prod/web-2/web-app"]);
        assert_eq!(fitting("*", &all), ["web-1", "db", "prod/web-2/web-app"]);
    }

    #[test]
    fn pods_are_named_by_their_parts() {
        let all = [
            in_pod("prod", "web-1", ""),
            in_pod("prod", "web-1", "app"),
            in_pod("test", "web-1", "app"),
            container("web-1"),
        ];
        assert_eq!(fitting("pod:prod/*", &all), ["prod/web-1", "prod/web-1/app"]);
        assert_eq!(fitting("pod:web-*", &all), ["prod/web-1", "prod/web-1/app", "test/web-1/app"]);
        assert_eq!(fitting("pod:*/web-1/a*", &all), ["prod/web-1/app", "test/web-1/app"]);
        assert_eq!(fitting("pod:prod/web-1/*", &all), ["prod/web-1/app"]);
    }

    #[test]
    fn the_beginning_of_an_id_is_one_when_it_is_long_enough_to_be_no_word() {
        let web = Container { id: "deadbeefdb00".repeat(5), ..container("web") };
        assert_eq!(fitting("deadbeefdb00", std::slice::from_ref(&web)), ["web"]);
        assert_eq!(fitting("deadbeef", std::slice::from_ref(&web)), Vec::<String>::new());
        assert_eq!(fitting("d*", &[web]), Vec::<String>::new());
    }

    #[test]
    fn only_containers_can_be_many() {
        for (text, why) in [
            ("", PatternError::Empty),
            ("-n", PatternError::Dash),
            ("netns:blue-*", PatternError::Kind("netns".to_owned())),
            ("pid:1", PatternError::Kind("pid".to_owned())),
            ("pod:a/b/c/d", PatternError::Pod),
            ("pod:", PatternError::Glob(GlobError::Empty)),
            ("docker:", PatternError::Glob(GlobError::Empty)),
            ("/run/netns/*", PatternError::Glob(GlobError::Character('/'))),
            ("containerd:k8s.io/*", PatternError::Glob(GlobError::Character('/'))),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(why), "{text}");
        }
        let of_alice: Pattern = "podman@alice:web-*".parse().unwrap();
        assert_eq!(
            of_alice.of_user().map(|(engine, user)| (engine, user.as_str())),
            Some((EngineName::Podman, "alice"))
        );
        assert!("podman@:web".parse::<Pattern>().is_err() && "pod@alice:web".parse::<Pattern>().is_err());
        assert_eq!("docker:web".parse::<Pattern>().unwrap().engines(), [Some(EngineName::Docker)]);
    }
}
