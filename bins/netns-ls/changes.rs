//! What is different between two maps, in lines: `nginx: eth1 10.1.0.2/24 added`. Pure.

use std::collections::HashMap;

use common::output::one_line;
use serde::Serialize;

use crate::saved::{SavedContainer, SavedEnd, SavedLink, SavedMap, SavedNetns};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MapChange {
    change: ChangeKind,
    /// What the namespace is called.
    name: String,
    netns_inode: u64,
    ifname: Option<String>,
    field: ChangedField,
    value: Option<String>,
    was: Option<String>,
}

/// Whether something came, went, or is another now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ChangeKind {
    Added,
    Removed,
    Changed,
}

/// What it is that came, went or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ChangedField {
    Namespace,
    Container,
    Interface,
    Ifname,
    Address,
    State,
    Mtu,
    Mac,
    Master,
    Peer,
    Lower,
}

impl ChangedField {
    const fn as_str(self) -> &'static str {
        match self {
            ChangedField::Namespace => "network namespace",
            ChangedField::Container => "container",
            ChangedField::Interface | ChangedField::Ifname => "interface",
            ChangedField::Address => "address",
            ChangedField::State => "state",
            ChangedField::Mtu => "MTU",
            ChangedField::Mac => "MAC",
            ChangedField::Master => "master",
            ChangedField::Peer => "peer",
            ChangedField::Lower => "lower interface",
        }
    }
}

impl MapChange {
    /// The line for people, safe to show.
    pub fn line(&self) -> String {
        let MapChange { change, name, netns_inode, ifname, field, value, was } = self;
        let value = value.as_deref().unwrap_or("none");
        let was = was.as_deref().unwrap_or("none");
        let verb = match change {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
        };
        let about = match ifname {
            Some(ifname) => format!("{name}: {ifname}"),
            None => name.clone() + ":",
        };
        let line = match (field, change) {
            (ChangedField::Namespace, ChangeKind::Changed) => {
                format!("{about} restarted in network namespace {netns_inode} (was {was})")
            }
            (ChangedField::Namespace, _) => format!("{about} network namespace {netns_inode} {verb}"),
            (ChangedField::Container, _) => format!("{about} container {value} {verb}"),
            (ChangedField::Interface, ChangeKind::Added) => format!("{about} added, {value}"),
            (ChangedField::Interface, _) => format!("{about} {verb}"),
            (ChangedField::Ifname, _) => format!("{about} renamed, was {was}"),
            (ChangedField::Address, _) => format!("{about} {value} {verb}"),
            (field, _) => format!("{about} {} {value} (was {was})", field.as_str()),
        };
        one_line(&line).into_owned()
    }
}

/// What changed from one map to the other, in the order of the later one.
pub fn changes(old: &SavedMap, new: &SavedMap) -> Vec<MapChange> {
    let pairs = pairs(old, new);
    let mut changes = Vec::new();
    let is_kept = |netns: &SavedNetns| pairs.iter().flatten().any(|kept| std::ptr::eq(*kept, netns));
    for gone in old.namespaces.iter().filter(|netns| !is_kept(netns)) {
        changes.push(of_netns(gone, ChangeKind::Removed, ChangedField::Namespace, None, None));
    }
    for (netns, before) in new.namespaces.iter().zip(&pairs) {
        match before {
            None => {
                changes.push(of_netns(netns, ChangeKind::Added, ChangedField::Namespace, None, None));
                let nothing =
                    SavedNetns { containers: netns.containers.clone(), links: vec![], ..netns.clone() };
                compare_links(&nothing, netns, (old, new), &mut changes);
            }
            Some(before) => {
                if before.inode != netns.inode && !netns.is_own {
                    let was = Some(before.inode.to_string());
                    changes.push(of_netns(netns, ChangeKind::Changed, ChangedField::Namespace, None, was));
                }
                compare_containers(before, netns, &mut changes);
                compare_links(before, netns, (old, new), &mut changes);
            }
        }
    }
    changes
}

/// For each namespace of the new map what it was in the old one: our own; the one with the same number, which is given again, so
/// unless its containers are others; the one that a container was in that has been restarted.
fn pairs<'a>(old: &'a SavedMap, new: &SavedMap) -> Vec<Option<&'a SavedNetns>> {
    let by_inode: HashMap<u64, &SavedNetns> =
        old.namespaces.iter().map(|netns| (netns.inode, netns)).collect();
    let same_number = |netns: &SavedNetns| {
        let before = *by_inode.get(&netns.inode)?;
        let is_anothers =
            !before.containers.is_empty() && !netns.containers.is_empty() && !before.shares_container(netns);
        (!is_anothers && before.is_own == netns.is_own).then_some(before)
    };
    let own = |netns: &SavedNetns| {
        if netns.is_own { old.namespaces.iter().find(|before| before.is_own) } else { None }
    };
    let mut pairs: Vec<Option<&SavedNetns>> =
        new.namespaces.iter().map(|netns| own(netns).or_else(|| same_number(netns))).collect();
    for (at, netns) in new.namespaces.iter().enumerate() {
        if pairs[at].is_some() || netns.containers.is_empty() {
            continue;
        }
        let is_free = |before: &&SavedNetns| !pairs.iter().flatten().any(|kept| std::ptr::eq(*kept, *before));
        let before = old
            .namespaces
            .iter()
            .filter(|before| !before.is_own)
            .find(|before| before.shares_container(netns));
        pairs[at] = before.filter(is_free);
    }
    pairs
}

fn of_netns(
    netns: &SavedNetns,
    change: ChangeKind,
    field: ChangedField,
    value: Option<String>,
    was: Option<String>,
) -> MapChange {
    let (name, netns_inode) = (netns.name.clone(), netns.inode);
    MapChange { change, name, netns_inode, ifname: None, field, value, was }
}

fn compare_containers(old: &SavedNetns, new: &SavedNetns, changes: &mut Vec<MapChange>) {
    let is_in =
        |one: &SavedContainer, netns: &SavedNetns| netns.containers.iter().any(|two| one.is_same_as(two));
    let gone = old.containers.iter().filter(|one| !is_in(one, new)).map(|one| (one, ChangeKind::Removed));
    let come = new.containers.iter().filter(|one| !is_in(one, old)).map(|one| (one, ChangeKind::Added));
    for (one, change) in gone.chain(come) {
        let value = Some(format!("{}:{}", one.engine, one.name));
        changes.push(of_netns(new, change, ChangedField::Container, value, None));
    }
}

fn compare_links(
    old: &SavedNetns,
    new: &SavedNetns,
    maps: (&SavedMap, &SavedMap),
    changes: &mut Vec<MapChange>,
) {
    // A link that is called otherwise now, by its index, which no other one of a living namespace gets.
    let renamed = |link: &SavedLink| {
        let before =
            old.links.iter().find(|before| before.ifindex == link.ifindex && old.inode == new.inode)?;
        let is_free = !new.links.iter().any(|other| other.ifname == before.ifname);
        (is_free && before.kind == link.kind).then_some(before)
    };
    let before = |link: &SavedLink| {
        old.links.iter().find(|before| before.ifname == link.ifname).or_else(|| renamed(link))
    };
    let kept: Vec<Option<&SavedLink>> = new.links.iter().map(before).collect();
    let is_kept = |link: &SavedLink| kept.iter().flatten().any(|kept| std::ptr::eq(*kept, link));
    let of_link = |link: &SavedLink, change, field, value, was| MapChange {
        ifname: Some(link.ifname.clone()),
        ..of_netns(new, change, field, value, was)
    };
    for gone in old.links.iter().filter(|link| !is_kept(link)) {
        changes.push(of_link(gone, ChangeKind::Removed, ChangedField::Interface, None, None));
    }
    for (link, before) in new.links.iter().zip(&kept) {
        let Some(before) = before else {
            let value = Some(described(link, maps.1));
            changes.push(of_link(link, ChangeKind::Added, ChangedField::Interface, value, None));
            for address in &link.addresses {
                let value = Some(address.clone());
                changes.push(of_link(link, ChangeKind::Added, ChangedField::Address, value, None));
            }
            continue;
        };
        let mut changed = |field, value: Option<String>, was: Option<String>| {
            if value != was {
                changes.push(of_link(link, ChangeKind::Changed, field, value, was));
            }
        };
        changed(ChangedField::Ifname, Some(link.ifname.clone()), Some(before.ifname.clone()));
        changed(ChangedField::State, Some(link.state.clone()), Some(before.state.clone()));
        changed(ChangedField::Mtu, Some(link.mtu.to_string()), Some(before.mtu.to_string()));
        changed(ChangedField::Mac, link.mac.clone(), before.mac.clone());
        changed(ChangedField::Master, link.master.clone(), before.master.clone());
        // The same one is not called otherwise here because its namespace is.
        if link.peer != before.peer {
            changed(ChangedField::Peer, end(link.peer.as_ref(), maps.1), end(before.peer.as_ref(), maps.0));
        }
        if link.lower != before.lower {
            changed(
                ChangedField::Lower,
                end(link.lower.as_ref(), maps.1),
                end(before.lower.as_ref(), maps.0),
            );
        }
        let gone = before.addresses.iter().filter(|one| !link.addresses.contains(one));
        let come = link.addresses.iter().filter(|one| !before.addresses.contains(one));
        let gone = gone.map(|one| (one, ChangeKind::Removed));
        for (one, change) in gone.chain(come.map(|one| (one, ChangeKind::Added))) {
            changes.push(of_link(link, change, ChangedField::Address, Some(one.clone()), None));
        }
    }
}

/// What a new link is: `veth, peer host veth12, on docker0`.
fn described(link: &SavedLink, map: &SavedMap) -> String {
    let kind = link.kind.clone().unwrap_or_else(|| "interface".to_owned());
    let peer = end(link.peer.as_ref(), map).map(|peer| format!(", peer {peer}"));
    let lower = end(link.lower.as_ref(), map).map(|lower| format!(", on {lower}"));
    let master = link.master.as_ref().map(|master| format!(", port of {master}"));
    [Some(kind), peer, lower, master].into_iter().flatten().collect()
}

/// The other end of a link, as its namespace and its name.
fn end(end: Option<&SavedEnd>, map: &SavedMap) -> Option<String> {
    let SavedEnd { netns_inode, ifname, ifindex } = end?;
    let netns = netns_inode
        .map(|inode| map.netns(inode).map_or(format!("net:[{inode}]"), |netns| netns.name.clone()));
    let name = ifname.clone().or_else(|| ifindex.map(|index| format!("index {index}")));
    Some(format!("{} {}", netns.as_deref().unwrap_or("?"), name.as_deref().unwrap_or("?")))
}

#[cfg(test)]
mod tests {
    use common::map::HostMap;

    use super::*;
    use crate::sample::{container, host, link, named, netns, with_address, with_end};

    fn lines(change: impl FnOnce(&mut HostMap)) -> Vec<String> {
        let mut new = host();
        change(&mut new);
        let (old, new) = (SavedMap::of(&named(host())), SavedMap::of(&named(new)));
        changes(&old, &new).iter().map(MapChange::line).collect()
    }

    #[test]
    fn the_same_map_has_no_changes() {
        assert_eq!(lines(|_| ()), [""; 0]);
    }

    #[test]
    fn what_comes_goes_and_changes_on_an_interface_is_said() {
        let changed = lines(|map| {
            let links = &mut map.namespaces[1].links;
            links[1].addresses.clear();
            links[1] = with_address(links[1].clone(), "10.1.0.2/24");
            links[1].link.mtu_bytes = 1400;
            links.push(with_end(with_address(link(3, "eth1", "veth"), "10.2.0.2/24"), 10, 8));
            map.namespaces[0].links[3].link.master = None;
            map.namespaces[0].links[4].link.name = "vethX".into();
            map.namespaces[0].links[1].link.flags = 0;
        });
        assert_eq!(
            changed,
            [
                "host: eth0 state down (was up)",
                "host: veth1 master none (was docker0)",
                "host: vethX renamed, was veth2",
                "web: eth0 MTU 1400 (was 1500)",
                "web: eth0 172.17.0.2/16 removed",
                "web: eth0 10.1.0.2/24 added",
                "web: eth1 added, veth, peer host index 8",
                "web: eth1 10.2.0.2/24 added",
            ]
        );
    }

    #[test]
    fn namespaces_and_containers_that_come_and_go_are_said() {
        let changed = lines(|map| {
            map.namespaces.remove(3);
            map.namespaces.push(netns(50, vec![link(2, "eth0", "dummy")]));
            map.namespaces[1].containers.push(container("side"));
        });
        assert_eq!(
            changed,
            [
                "netns:blue: network namespace 40 removed",
                "web,side: container docker:side added",
                "pid:40: network namespace 50 added",
                "pid:40: eth0 added, dummy",
            ]
        );
    }

    #[test]
    fn a_container_that_was_restarted_is_the_same_in_another_namespace() {
        let changed = lines(|map| {
            map.namespaces[1].inode = 21;
            map.namespaces[0].links[3] = with_end(map.namespaces[0].links[3].clone(), 21, 2);
        });
        assert_eq!(changed, ["web: restarted in network namespace 21 (was 20)"]);
        // The number of a namespace is given again.
        let changed = lines(|map| map.namespaces[1].containers = vec![container("other")]);
        assert_eq!(
            changed[..2],
            ["web: network namespace 20 removed".to_owned(), "other: network namespace 20 added".to_owned()]
        );
    }

    #[test]
    fn an_engine_that_cannot_be_asked_takes_no_container_away() {
        let old = SavedMap::of(&named(host()));
        let mut map = host();
        map.namespaces.iter_mut().for_each(|netns| netns.containers.clear());
        map.namespaces.remove(3);
        let new = SavedMap::of(&named(map));
        let new = new.with_known_containers(&old).with_unread(&old, &["net:[40]".to_owned()]);
        assert_eq!(changes(&old, &new), []);
    }
}
