//! Decides what `--watch` changes, from what all links and all containers are now. Pure.

use std::collections::HashMap;

use common::find::VerifiedContainer;
use common::namespace::NamespaceId;
use common::target::LinkName;

use crate::links::NetnsLink;
use crate::plan::{default_name, one_of_each};
use crate::state::LinkState;

/// One thing to change.
#[derive(Debug)]
pub enum Change<'a> {
    /// The container has no link yet.
    Link(&'a VerifiedContainer),
    /// The link's container runs in another namespace now.
    Relink(&'a NetnsLink, &'a VerifiedContainer),
    /// The link's container is gone.
    Unlink(&'a NetnsLink),
}

/// What is to be changed so that every network namespace of a running container has one link, and none of a
/// container that is gone is left. `host` gets no link; `complete` says whether every engine could be asked.
///
/// Only links that were made for a container are removed or replaced, whatever name the user chose for them,
/// and only when they are stale. What was made for a process, as an empty namespace, or by other programs, stays.
pub fn changes<'a>(
    links: &'a [NetnsLink],
    containers: &'a [VerifiedContainer],
    host: Option<NamespaceId>,
    complete: bool,
) -> Vec<Change<'a>> {
    let stale = links.iter().filter_map(|link| stale(link, host, complete));
    let (gone, mut changes): (Vec<_>, Vec<_>) = stale.partition(|change| matches!(change, Change::Unlink(_)));
    let kept = links.iter().filter(|link| !gone.iter().any(|change| is_about(change, link)));
    // Which namespace each name will lead to.
    let mut names: HashMap<&LinkName, u64> =
        kept.filter_map(|link| Some((&link.name, link.netns()?.inode))).collect();
    for change in &changes {
        if let Change::Relink(link, known) = change {
            names.extend(known.process.netns_inode.map(|netns| (&link.name, netns)));
        }
    }
    // Names are freed before they are used.
    changes.splice(0..0, gone);
    let missing =
        one_of_each(containers, host).into_iter().filter(|known| !is_named(known, containers, &names));
    changes.extend(missing.map(Change::Link));
    changes
}

/// What to do about a link, if it is stale.
fn stale<'a>(link: &'a NetnsLink, host: Option<NamespaceId>, complete: bool) -> Option<Change<'a>> {
    if !link.is_for_a_container() {
        return None;
    }
    let running = link.container.as_ref().filter(|known| known.container.pid.is_some());
    match (link.state, running) {
        (LinkState::Restarted | LinkState::Dangling, Some(known)) => match known.process.netns_inode {
            Some(netns) if Some(netns) == host.map(|host| host.inode) => Some(Change::Unlink(link)),
            Some(_) => Some(Change::Relink(link, known)),
            None => None,
        },
        // A process that has ended is proof, whatever its engine can say just now. Without one the engine's
        // word counts, and that it is silent is none.
        (LinkState::Pinned | LinkState::Dangling, None) if is_gone(link, complete) => {
            Some(Change::Unlink(link))
        }
        _ => None,
    }
}

fn is_gone(link: &NetnsLink, complete: bool) -> bool {
    let has_process = link.record.as_ref().is_some_and(|record| record.process.is_some());
    if has_process { link.process_is_gone } else { complete }
}

fn is_about(change: &Change<'_>, link: &NetnsLink) -> bool {
    matches!(change, Change::Unlink(gone) if gone.name == link.name)
}

/// Whether the namespace that `known` is in has the name of any container that shares it: one link is enough,
/// and it keeps its name when other containers join the namespace.
fn is_named(
    known: &VerifiedContainer,
    containers: &[VerifiedContainer],
    names: &HashMap<&LinkName, u64>,
) -> bool {
    let Some(netns) = known.process.netns_inode else { return false };
    let sharing = containers.iter().filter(|other| other.process.netns_inode == Some(netns));
    let mut names_of = sharing.filter_map(|other| default_name(&"", Some(&other.container)).ok());
    names_of.any(|name| names.get(&name) == Some(&netns))
}

#[cfg(test)]
mod tests {
    use common::namespace::{Namespace, NamespaceKind};
    use common::netns::{LinkEntry, LinkRecord, RecordedContainer, RecordedProcess};
    use nix::unistd::Pid;

    use super::*;

    /// Any namespaces whose identities differ will do.
    fn identity(kind: NamespaceKind) -> NamespaceId {
        Namespace::current(kind).unwrap().identity()
    }

    fn home() -> NamespaceId {
        identity(NamespaceKind::Net)
    }

    fn container(name: &str, netns_inode: Option<u64>) -> VerifiedContainer {
        let mut known = crate::state::tests::known(netns_inode);
        known.container.id = name.repeat(3);
        known.container.name = name.to_owned();
        known.container.pid = netns_inode.map(|_| Pid::from_raw(7));
        known
    }

    /// A link at the container's name, judged as given.
    fn link(
        known: &VerifiedContainer,
        entry: LinkEntry,
        state: LinkState,
        process_is_gone: bool,
    ) -> NetnsLink {
        let name = &known.container.name;
        let record = LinkRecord {
            made_by: "netns-link".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
            netns_inode: 1,
            netns_handle: None,
            container: Some(RecordedContainer::of(&known.container)),
            process: Some(RecordedProcess { pid: 7, start_time_ticks: 1 }),
        };
        NetnsLink {
            name: name.parse().unwrap(),
            entry,
            leads_to: None,
            record: Some(record),
            state,
            process_is_gone,
            container: Some(known.clone()),
        }
    }

    fn says(links: &[NetnsLink], containers: &[VerifiedContainer], complete: bool) -> Vec<String> {
        let host = identity(NamespaceKind::Uts);
        let say = |change: Change<'_>| match change {
            Change::Link(known) => format!("+{}", known.container.name),
            Change::Relink(link, _) => format!("~{}", link.name),
            Change::Unlink(link) => format!("-{}", link.name),
        };
        changes(links, containers, Some(host), complete).into_iter().map(say).collect()
    }

    #[test]
    fn each_network_gets_one_link_and_the_hosts_none() {
        let host = identity(NamespaceKind::Uts).inode;
        let containers = [
            container("a", Some(1)),
            container("b", Some(1)),
            container("c", Some(2)),
            container("hosty", Some(host)),
            container("off", None),
        ];
        assert_eq!(says(&[], &containers, true), ["+a", "+c"]);
    }

    #[test]
    fn who_joins_a_network_that_has_a_name_gets_none() {
        let netns = home().inode;
        let containers = [container("a", Some(netns)), container("web", Some(netns))];
        let links = [link(&containers[1], LinkEntry::Bound(home()), LinkState::Live, false)];
        assert!(says(&links, &containers, true).is_empty());
    }

    #[test]
    fn a_network_that_outlives_its_owner_is_named_after_who_is_left() {
        let containers = [container("owner", None), container("side", Some(home().inode))];
        let links = [link(&containers[0], LinkEntry::Bound(home()), LinkState::Pinned, true)];
        assert_eq!(says(&links, &containers, true), ["-owner", "+side"]);
    }

    #[test]
    fn a_restarted_container_keeps_its_name_unless_it_is_in_the_hosts_network_now() {
        let restarted = [container("web", Some(5))];
        let links = [link(&restarted[0], LinkEntry::Bound(home()), LinkState::Restarted, true)];
        assert_eq!(says(&links, &restarted, true), ["~web"]);
        let hosty = [container("web", Some(identity(NamespaceKind::Uts).inode))];
        let links = [link(&hosty[0], LinkEntry::Bound(home()), LinkState::Restarted, true)];
        assert_eq!(says(&links, &hosty, true), ["-web"]);
    }

    #[test]
    fn only_a_process_that_has_ended_takes_its_link_with_it() {
        let stopped = [container("web", None)];
        let alive = [link(&stopped[0], LinkEntry::Bound(home()), LinkState::Pinned, false)];
        assert!(says(&alive, &stopped, true).is_empty());
        let ended = [link(&stopped[0], LinkEntry::Bound(home()), LinkState::Pinned, true)];
        assert_eq!(says(&ended, &[], false), ["-web"]);
    }

    #[test]
    fn without_a_process_to_look_at_a_silent_engine_is_no_proof() {
        let stopped = container("web", None);
        let mut unsure = link(&stopped, LinkEntry::Bound(home()), LinkState::Pinned, false);
        unsure.record.as_mut().unwrap().process = None;
        let links = [unsure];
        assert!(says(&links, &[], false).is_empty());
        assert_eq!(says(&links, &[], true), ["-web"]);
    }

    #[test]
    fn what_was_made_for_no_container_is_left_alone() {
        let gone = container("web", None);
        let mut process = link(&gone, LinkEntry::Bound(home()), LinkState::Pinned, true);
        process.record.as_mut().unwrap().container = None;
        let mut theirs = link(&gone, LinkEntry::Empty, LinkState::NotANamespace, true);
        theirs.record = None;
        assert!(says(&[process, theirs], &[], true).is_empty());
    }

    #[test]
    fn what_a_killed_watch_left_half_way_is_completed_or_removed() {
        let [runs, gone] = [container("runs", Some(5)), container("gone", None)];
        let links =
            [&runs, &gone].map(|known| link(known, LinkEntry::Empty, LinkState::Dangling, known == &gone));
        assert_eq!(says(&links, &[runs, gone], true), ["-gone", "~runs"]);
    }
}
