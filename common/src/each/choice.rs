//! The containers that fit, those that share all the namespaces asked for taken together, and each called by a name that
//! no other has. Pure.

use std::collections::{BTreeMap, HashMap};

use nix::unistd::Uid;

use crate::engine::{Container, EngineName};
use crate::find::VerifiedContainer;
use crate::namespace::NamespaceId;

use super::pattern::Pattern;

/// What makes two the same one: the namespaces that are asked for.
pub type NamespaceSet = Vec<NamespaceId>;

/// What tells a container from all others.
pub type ContainerKey = (Uid, EngineName, String);

/// A container that stands for all in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What it is called: by a name that no other of them has.
    pub name: String,
    /// The container.
    pub known: VerifiedContainer,
    /// What others are called that are in the same place.
    pub also: Vec<String>,
}

/// Those of `containers` that fit, in their order; those of one place under the name of the first. One whose place could
/// not be told stands for itself.
pub fn chosen(
    pattern: &Pattern,
    containers: Vec<VerifiedContainer>,
    places: &HashMap<ContainerKey, NamespaceSet>,
) -> Vec<Chosen> {
    let fitting = containers.into_iter().filter(|known| pattern.fits(&known.container)).collect();
    let chosen = if pattern.means_pods() { one_a_pod(fitting) } else { fitting };
    let names = names(&chosen);
    let mut all: Vec<Chosen> = Vec::new();
    let mut taken: HashMap<&NamespaceSet, usize> = HashMap::new();
    for (known, name) in chosen.into_iter().zip(names) {
        let place = places.get(&known.container.key());
        match place.and_then(|place| taken.get(place)) {
            Some(&first) => all[first].also.push(name),
            None => {
                taken.extend(place.map(|place| (place, all.len())));
                all.push(Chosen { name, known, also: Vec::new() });
            }
        }
    }
    all
}

/// Of every pod its sandbox, or where it has none that runs (CRI-O can do without), its first container.
fn one_a_pod(containers: Vec<VerifiedContainer>) -> Vec<VerifiedContainer> {
    let mut pods: BTreeMap<(String, String), VerifiedContainer> = BTreeMap::new();
    for known in containers {
        let Some(pod) = &known.container.pod else { continue };
        let (key, is_sandbox) = ((pod.namespace.clone(), pod.name.clone()), pod.is_sandbox);
        if is_sandbox {
            pods.insert(key, known);
        } else {
            pods.entry(key).or_insert(known);
        }
    }
    pods.into_values().collect()
}

/// What each is called: its name, the TARGET that means it where another has that name, and its engine and ID
/// where even those are the same, or where it has no name.
fn names(containers: &[VerifiedContainer]) -> Vec<String> {
    // What is another user's says so, and takes no name of root's away.
    let forms: [fn(&Container) -> String; 3] = [
        |one| one.full_name() + &one.of_whom(),
        Container::target,
        |one| format!("{}:{}{}", one.engine, one.short_id(), one.of_whom()),
    ];
    let mut names: Vec<Option<String>> = vec![None; containers.len()];
    for form in forms {
        let candidates: Vec<String> = containers.iter().map(|known| form(&known.container)).collect();
        let mut count: HashMap<&str, usize> = HashMap::new();
        candidates.iter().for_each(|name| *count.entry(name).or_default() += 1);
        for (name, candidate) in names.iter_mut().zip(&candidates) {
            if name.is_none()
                && count[candidate.as_str()] == 1
                && !candidate.ends_with([':', '/'])
                && !candidate.is_empty()
            {
                *name = Some(candidate.clone());
            }
        }
    }
    let whole = |known: &VerifiedContainer| {
        let Container { engine, id, .. } = &known.container;
        format!("{engine}:{id}{}", known.container.of_whom())
    };
    names.into_iter().zip(containers).map(|(name, known)| name.unwrap_or_else(|| whole(known))).collect()
}

#[cfg(test)]
mod tests {
    use crate::find::ProcessInodes;
    use crate::namespace::{NamespaceKind, own_identity};

    use super::super::tests::{container, in_pod};
    use super::*;

    fn known(container: Container) -> VerifiedContainer {
        VerifiedContainer { container, process: ProcessInodes::default() }
    }

    /// `web` in the first place, `db also in` the second.
    fn said(pattern: &str, containers: &[(Container, Option<NamespaceKind>)]) -> Vec<String> {
        let places = containers.iter().filter_map(|(container, kind)| {
            // Any two identities that differ will do: those of our own namespaces.
            Some((container.key(), vec![own_identity((*kind)?).unwrap()]))
        });
        let all = containers.iter().map(|(container, _)| known(container.clone())).collect();
        let chosen = chosen(&pattern.parse().unwrap(), all, &places.collect());
        chosen.iter().map(|one| [std::slice::from_ref(&one.name), &one.also].concat().join(" ")).collect()
    }

    #[test]
    fn those_that_share_are_one_run_under_the_name_of_the_first() {
        let all = [
            (container("a"), Some(NamespaceKind::Net)),
            (container("b"), Some(NamespaceKind::Uts)),
            (container("c"), Some(NamespaceKind::Net)),
            (container("d"), None),
            (container("e"), None),
        ];
        assert_eq!(said("*", &all), ["a c", "b", "d", "e"]);
        assert_eq!(said("[bc]", &all), ["b", "c"]);
    }

    #[test]
    fn two_of_one_name_are_told_apart_by_what_means_each() {
        let other = Container { engine: EngineName::Podman, id: "b0".repeat(32), ..container("web") };
        let third = Container { id: "c0".repeat(32), ..other.clone() };
        let all = |containers: &[Container]| -> Vec<(Container, Option<NamespaceKind>)> {
            containers.iter().map(|one| (one.clone(), None)).collect()
        };
        let db = container("db");
        assert_eq!(
            said("*", &all(&[container("web"), db.clone(), other.clone()])),
            ["docker:web", "db", "podman:web"]
        );
        assert_eq!(
            said("*", &all(&[container("web"), other, third])),
            ["docker:web", "podman:b0b0b0b0b0b0", "podman:c0c0c0c0c0c0"]
        );
    }

    #[test]
    fn a_pod_is_entered_once_through_its_sandbox_or_else_its_first_container() {
        let all = [
            (in_pod("prod", "web", "app"), Some(NamespaceKind::Net)),
            (in_pod("prod", "web", ""), Some(NamespaceKind::Net)),
            (in_pod("prod", "db", "app"), Some(NamespaceKind::Uts)),
            (in_pod("prod", "db", "side"), Some(NamespaceKind::Uts)),
        ];
        assert_eq!(said("pod:prod/*", &all), ["prod/db/app", "prod/web"]);
        assert_eq!(said("app", &all), ["prod/web/app", "prod/db/app"]);
    }
}
