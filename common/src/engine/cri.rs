//! Kubernetes as the annotations of containers' OCI configurations tell it: which container is a pod's sandbox, which is a
//! container in it. containerd and CRI-O say the same in different words; what a user asks for, and which of
//! several generations is meant, is the same for both.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::state::{self, StatePath};
use super::{Container, ContainerState, EngineAnswer, EngineError, Pod};
use crate::target::Name;

/// The annotations of an OCI configuration.
pub(super) type Annotations = BTreeMap<String, String>;

/// What a container is to Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Role {
    /// Whether it is the sandbox, which holds the pod's namespaces.
    pub is_sandbox: bool,
    /// The container's name in the pod; none for a sandbox.
    pub container: Option<String>,
    /// The ID of its sandbox; a sandbox's own.
    pub sandbox_id: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The image as it was asked for.
    pub image: Option<String>,
}

/// How one CRI implementation says what a container is to Kubernetes; `None`: it is nothing to it.
pub(super) type Dialect = fn(&Annotations) -> Option<Role>;

/// A container's directory with its `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bundle {
    /// The partition that it is in, where the engine has such.
    pub within: String,
    /// The whole ID.
    pub id: String,
    /// Where its files are.
    pub directory: StatePath,
}

/// Bundles, and the words in which their annotations are written.
#[derive(Debug)]
pub(super) struct Bundles {
    /// All there are.
    pub all: Vec<Bundle>,
    dialect: Dialect,
    /// How many bytes of configurations may still be read.
    left: Cell<usize>,
}

/// A thousand containers' configurations are some 20 MB; an ordinary user's directory may hold anything.
const MOST_BYTES_IN_ALL: usize = 128 << 20;

/// What was meant, and what could not be read on the way and may be meant too.
#[derive(Debug, Default)]
pub(super) struct MeantBundles<'a> {
    pub hits: Vec<(&'a Bundle, Option<Role>)>,
    pub errors: Vec<EngineError>,
}

#[derive(Deserialize)]
struct BundleConfig {
    annotations: Option<Annotations>,
}

impl Bundles {
    pub(super) fn new(all: Vec<Bundle>, dialect: Dialect) -> Self {
        Bundles { all, dialect, left: Cell::new(MOST_BYTES_IN_ALL) }
    }

    /// Those whose ID begins with `name`, and containers of Kubernetes that are called so.
    pub(super) fn named(&self, name: &Name) -> MeantBundles<'_> {
        let name = name.as_str();
        // A container's name in a pod has at most 63 characters (RFC 1123 label), a whole ID 64.
        let is_whole_id = name.len() == 64;
        let mut meant = MeantBundles::default();
        for bundle in &self.all {
            if bundle.id.starts_with(name) {
                // Its annotations only adorn it.
                meant.hits.push((bundle, self.role(bundle).ok().flatten()));
            } else if !is_whole_id {
                meant.add_if(bundle, self.role_if(bundle, name), |role| {
                    role.container.as_deref() == Some(name)
                });
            }
        }
        meant
    }

    /// The sandboxes of that pod, or the containers of that name in it.
    pub(super) fn in_pod(
        &self,
        namespace: Option<&Name>,
        pod: &Name,
        container: Option<&Name>,
    ) -> MeantBundles<'_> {
        let same_pod = |role: &Role| {
            role.pod.as_deref() == Some(pod.as_str())
                && namespace.is_none_or(|namespace| role.namespace.as_deref() == Some(namespace.as_str()))
        };
        let mut sandboxes = MeantBundles::default();
        for bundle in &self.all {
            let role = self.role_if(bundle, pod.as_str());
            sandboxes.add_if(bundle, role, |role| role.is_sandbox && same_pod(role));
        }
        let Some(container) = container else { return sandboxes };
        let ids: HashSet<&str> = sandboxes.hits.iter().map(|(bundle, _)| bundle.id.as_str()).collect();
        let mut members = self.members(&ids, container.as_str(), same_pod);
        members.errors.extend(sandboxes.errors);
        members
    }

    /// The containers of these sandboxes, of which `same_pod` may know too by their own annotations.
    fn members(
        &self,
        sandboxes: &HashSet<&str>,
        container: &str,
        same_pod: impl Fn(&Role) -> bool,
    ) -> MeantBundles<'_> {
        let mut members = MeantBundles::default();
        for bundle in &self.all {
            members.add_if(bundle, self.role_if(bundle, container), |role| {
                let known = role.sandbox_id.as_deref().is_some_and(|id| sandboxes.contains(id));
                !role.is_sandbox && role.container.as_deref() == Some(container) && (known || same_pod(role))
            });
        }
        members
    }

    /// All containers of the pod that this sandbox holds.
    pub(super) fn inhabitants(&self, sandbox: &str) -> MeantBundles<'_> {
        let mut inside = MeantBundles::default();
        for bundle in &self.all {
            inside.add_if(bundle, self.role_if(bundle, sandbox), |role| {
                !role.is_sandbox && role.sandbox_id.as_deref() == Some(sandbox)
            });
        }
        inside
    }

    /// What the bundle is to Kubernetes.
    ///
    /// # Errors
    /// As [`state::json`].
    pub(super) fn role(&self, bundle: &Bundle) -> Result<Option<Role>, EngineError> {
        self.role_if(bundle, "")
    }

    /// The same, without a parse when `word` is not in the file: engines write names as they are.
    fn role_if(&self, bundle: &Bundle, word: &str) -> Result<Option<Role>, EngineError> {
        let file = bundle.directory.join("config.json");
        if self.left.get() == 0 {
            return Err(state::wrong(&file, "comes after more than any engine writes"));
        }
        let Some(bytes) = state::read(&file)? else { return Ok(None) };
        self.left.set(self.left.get().saturating_sub(bytes.len()));
        if !state::mentions(&bytes, word) {
            return Ok(None);
        }
        let config: BundleConfig =
            serde_json::from_slice(&bytes).map_err(|error| state::wrong(&file, error))?;
        Ok(config.annotations.as_ref().and_then(self.dialect))
    }

    /// The pod that a container of this role is in. Containers that lack its name say whose sandbox is theirs.
    pub(super) fn pod(&self, bundle: &Bundle, role: &Role) -> Option<Pod> {
        let named = |role: &Role, is_sandbox| {
            let (name, namespace) = (role.pod.clone()?, role.namespace.clone().unwrap_or_default());
            Some(Pod { namespace, name, is_sandbox })
        };
        let sandbox = || {
            let id = role.sandbox_id.as_deref()?;
            let same = |other: &&Bundle| other.within == bundle.within && other.id == id;
            named(&self.role(self.all.iter().find(same)?).ok()??, false)
        };
        match (&role.pod, &role.namespace) {
            (Some(_), Some(_)) => named(role, role.is_sandbox),
            _ => sandbox().or_else(|| named(role, role.is_sandbox)),
        }
    }
}

impl<'a> MeantBundles<'a> {
    fn add_if(
        &mut self,
        bundle: &'a Bundle,
        role: Result<Option<Role>, EngineError>,
        wanted: impl FnOnce(&Role) -> bool,
    ) {
        match role {
            Ok(Some(role)) if wanted(&role) => self.hits.push((bundle, Some(role))),
            Ok(_) => {}
            Err(error) => self.errors.push(error),
        }
    }

    /// Every hit made a container, those that are gone by now left out. What could not be read on the way stays in doubt:
    /// containers of several pods have one name.
    pub(super) fn containers(
        self,
        make: impl Fn(&Bundle, Option<&Role>) -> Result<Option<Container>, EngineError>,
    ) -> EngineAnswer {
        let mut answer = EngineAnswer { doubts: self.errors, ..EngineAnswer::default() };
        self.hits.iter().for_each(|(bundle, role)| answer.add(make(bundle, role.as_ref())));
        answer
    }
}

/// What is meant where Kubernetes made a container again: state of earlier runs stays for a while next to
/// the run of today. Of those with one name in one pod the ones that have a process are meant; when none
/// has, the one that was started last.
pub(super) fn latest(answer: EngineAnswer) -> EngineAnswer {
    EngineAnswer { containers: latest_of(answer.containers), ..answer }
}

fn latest_of(containers: Vec<Container>) -> Vec<Container> {
    let key = |container: &Container| {
        container.pod.as_ref().map(|pod| (pod.namespace.clone(), pod.name.clone(), container.name.clone()))
    };
    let mut best: HashMap<_, (bool, _)> = HashMap::new();
    let rank = |container: &Container| (container.pid.is_some(), container.started_at);
    for container in &containers {
        let rank = rank(container);
        best.entry(key(container)).and_modify(|best| *best = rank.max(*best)).or_insert(rank);
    }
    let is_meant = |container: &Container| match best.get(&key(container)) {
        Some((true, _)) => container.pid.is_some(),
        Some(best) => rank(container) == *best,
        None => true,
    };
    containers.into_iter().filter(|container| container.pod.is_none() || is_meant(container)).collect()
}

/// The container through which a pod without a sandbox process is entered: CRI-O makes none for a pod that can do without
/// (its `drop_infra_ctr`). Every container of a pod is in the pod's network; the first by name that runs is
/// taken.
pub(super) fn stand_in(mut inhabitants: Vec<Container>) -> Option<Container> {
    inhabitants.sort_by(|a, b| a.name.cmp(&b.name));
    inhabitants
        .into_iter()
        .find(|container| container.pid.is_some() && container.state != ContainerState::Exited)
}

/// Of a pod's generations the one that can be entered, if one can.
pub(super) fn one_way_in(containers: Vec<Container>) -> Vec<Container> {
    let pod =
        |container: &Container| container.pod.as_ref().map(|pod| (pod.namespace.clone(), pod.name.clone()));
    let open: HashSet<_> = containers.iter().filter(|one| one.pid.is_some()).map(pod).collect();
    containers.into_iter().filter(|one| one.pid.is_some() || !open.contains(&pod(one))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineName;
    use nix::unistd::{Pid, Uid};

    fn run(id: &str, pod: &str, pid: Option<i32>, started_at: &str) -> Container {
        Container {
            name: "app".to_owned(),
            pid: pid.map(Pid::from_raw),
            started_at: started_at.parse().ok(),
            pod: Some(Pod { namespace: "prod".to_owned(), name: pod.to_owned(), is_sandbox: false }),
            ..Container::unknown(EngineName::Containerd, id, Uid::from_raw(0))
        }
    }

    fn meant(containers: &[Container]) -> Vec<String> {
        latest_of(containers.to_vec()).into_iter().map(|container| container.id).collect()
    }

    const OLD: &str = "2024-01-01T00:00:00Z";
    const NEW: &str = "2024-01-02T00:00:00Z";

    #[test]
    fn the_run_that_has_a_process_is_meant_however_old_it_is() {
        assert_eq!(meant(&[run("a", "web", None, NEW), run("b", "web", Some(7), OLD)]), ["b"]);
    }

    #[test]
    fn of_runs_that_have_all_ended_the_last_is_meant() {
        assert_eq!(meant(&[run("a", "web", None, NEW), run("b", "web", None, OLD)]), ["a"]);
        assert_eq!(meant(&[run("a", "web", None, ""), run("b", "web", None, OLD)]), ["b"]);
    }

    #[test]
    fn two_that_both_have_a_process_are_for_the_user_to_tell_apart() {
        assert_eq!(meant(&[run("a", "web", Some(7), OLD), run("b", "web", Some(8), NEW)]), ["a", "b"]);
    }

    #[test]
    fn the_same_name_in_another_pod_is_another_container() {
        assert_eq!(meant(&[run("a", "web", Some(7), OLD), run("b", "db", None, NEW)]), ["a", "b"]);
    }

    #[test]
    fn what_is_in_no_pod_has_no_generations() {
        let alone = |id| Container { pod: None, ..run(id, "web", None, OLD) };
        assert_eq!(meant(&[alone("a"), alone("b")]), ["a", "b"]);
    }
}
