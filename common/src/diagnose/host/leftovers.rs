//! What nobody cleaned up: names without a namespace, veth pairs without a use, networks of containers that are gone, and
//! host ends that fell out of their bridge.

use std::path::Path;

use super::facts::{HostFacts, LinkSpot, StaleName};
use super::segment::{MAIN_TABLE, networks};
use super::{Finding, FindingKind};
use crate::hint;
use crate::map::{LinkEnd, MappedNetns, NetnsHolder};
use crate::output::one_line;

/// Where Docker mounts the networks of its containers, under names of twelve digits; other names there are its own networks'.
const DOCKERS: &str = "/run/docker/netns";

/// Names under `/run/netns` that lead to no namespace.
pub(super) fn names(facts: &HostFacts) -> Vec<Finding> {
    let Some(own) = facts.map.own() else { return Vec::new() };
    let finding = |stale: &StaleName| {
        let why = if stale.is_symlink {
            "a symbolic link that leads nowhere"
        } else {
            "a file without a namespace"
        };
        let text = format!("/run/netns/{}: {why}", one_line(&stale.name));
        let path = Path::new("/run/netns").join(&stale.name);
        Finding::of(FindingKind::NameStale, own.inode, None, text).fixed_by([hint!("rm {}", path.display())])
    };
    facts.stale_names.iter().map(finding).collect()
}

/// Veth pairs of which both ends are in one namespace, of no use to anybody.
pub(super) fn pairs(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in facts.spots().filter(|spot| spot.link.link.is_veth()) {
        let Some(other) = facts.end_of(one).filter(|other| other.netns.inode == one.netns.inode) else {
            continue;
        };
        let (first, second) = (one.link.link.index, other.link.link.index);
        let is_idle = is_unused(facts, one) && is_unused(facts, other);
        // While one of them is down, nothing can pass.
        if first >= second || !is_idle || (one.link.link.is_set_up() && other.link.link.is_set_up()) {
            continue;
        }
        let text = format!(
            "{}: its other end, {}, is in the same namespace, one is down, and neither has an address or is in a bridge",
            facts.at(one),
            other.shown()
        );
        let finding = Finding::of(FindingKind::VethOrphaned, one.netns.inode, Some(one.name()), text);
        found.push(finding.fixed_by([delete(facts, one)]));
    }
    found
}

fn delete(facts: &HostFacts, spot: LinkSpot<'_>) -> Option<crate::hint::Hint> {
    facts.inside(spot.netns.inode, hint!("ip link del {}", spot.pasted()?))
}

fn is_unused(facts: &HostFacts, spot: LinkSpot<'_>) -> bool {
    let carries = LinkEnd::Known(spot.place());
    let is_below = |other: LinkSpot<'_>| other.link.end == Some(carries) && !other.link.link.is_veth();
    let is_watched = spot.link.link.flags & libc::IFF_PROMISC.cast_unsigned() != 0;
    spot.addresses().next().is_none()
        && !spot.is_port()
        && !is_watched
        && spot.link.programs.is_empty()
        && !facts.spots().any(is_below)
}

/// Networks without a process that are still plugged into a bridge, and that nobody has given a name.
pub(super) fn networks_of_nobody(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for netns in facts.map.namespaces.iter().filter(|netns| is_forgotten(netns)) {
        for link in &netns.links {
            let spot = LinkSpot { netns, link };
            let Some(end) = facts.end_of(spot).filter(|end| end.is_port() && link.link.is_veth()) else {
                continue;
            };
            let Some(bridge) = end.master() else { continue };
            let Some(own) = spot.addresses().next() else { continue };
            let text = format!(
                "{}: no process is in the network that is plugged in there, which still has {}: {} keeps it",
                facts.at(end),
                own.address,
                held_by(netns),
            );
            let finding = Finding::of(FindingKind::NetnsOrphaned, end.netns.inode, Some(end.name()), text);
            let advice = format!("the address in {} is free again when the pair is gone", bridge.shown());
            found.push(finding.fixed_by([delete(facts, end)]).advised(advice));
        }
    }
    found
}

fn is_forgotten(netns: &MappedNetns) -> bool {
    let is_left = |holder: &NetnsHolder| match holder {
        NetnsHolder::Descriptor { .. } => true,
        NetnsHolder::Mount(path) => is_of_a_docker_container(path),
        _ => false,
    };
    !netns.is_own
        && netns.containers.is_empty()
        && netns.processes.is_empty()
        && !netns.held_by.is_empty()
        && netns.held_by.iter().all(is_left)
}

fn is_of_a_docker_container(path: &Path) -> bool {
    let name =
        path.strip_prefix(DOCKERS).or_else(|_| path.strip_prefix(Path::new("/var").join(&DOCKERS[1..])));
    let name = name.ok().and_then(Path::to_str);
    name.is_some_and(|name| name.len() == 12 && name.chars().all(|c| c.is_ascii_hexdigit()))
}

fn held_by(netns: &MappedNetns) -> String {
    let words = netns.held_by.iter().map(|holder| match holder {
        NetnsHolder::Descriptor { pid, fd } => format!("descriptor {fd} of process {pid}"),
        NetnsHolder::Mount(path) => format!("the mount {}", one_line(&path.to_string_lossy())),
        _ => "something else".to_owned(),
    });
    let mut words: Vec<String> = words.collect();
    words.truncate(2);
    words.join(" and ")
}

/// Host ends of containers whose network is that of a bridge, and which are in none.
pub(super) fn unplugged(facts: &HostFacts) -> Vec<Finding> {
    facts.spots().filter_map(|end| out_of_bridge(facts, end)).collect()
}

/// The finding that this host end is one of them.
pub(super) fn out_of_bridge(facts: &HostFacts, end: LinkSpot<'_>) -> Option<Finding> {
    let is_idle = end.link.link.is_veth() && !end.is_port() && end.addresses().next().is_none();
    let inside = facts.end_of(end).filter(|inside| is_idle && inside.netns.inode != end.netns.inode)?;
    let own = facts.of(end.netns.inode)?;
    // A route or proxy ARP makes a pair without a bridge a network of its own.
    let leads_there =
        |route: &crate::netlink::Route| route.index == Some(end.link.link.index) && route.table == MAIN_TABLE;
    let routes = own.routes.as_deref()?;
    let is_link_local = |route: &crate::netlink::Route| matches!(route.destination.address(), std::net::IpAddr::V6(address) if address.is_unicast_link_local() || address.is_multicast());
    let is_routed = routes.iter().any(|route| leads_there(route) && !is_link_local(route));
    let has_proxy = own.settings(end.link.link.index).proxy_arp != Some(false);
    let is_watched = end.link.link.flags & libc::IFF_PROMISC.cast_unsigned() != 0;
    if is_routed || has_proxy || is_watched || !end.link.programs.is_empty() {
        return None;
    }
    let network = networks(inside).next()?;
    let in_namespace = end.netns.links.iter().map(|link| LinkSpot { netns: end.netns, link });
    let is_its = |spot: &LinkSpot<'_>| {
        spot.link.link.is_bridge() && networks(*spot).any(|own| own.network() == network.network())
    };
    let mut bridges = in_namespace.filter(is_its);
    let (bridge, None) = (bridges.next()?, bridges.next()) else { return None };
    let text = format!(
        "{}: is in no bridge, and leads to {}, whose network {} is that of {}",
        facts.at(end),
        facts.at(inside),
        network.network(),
        bridge.shown()
    );
    let finding = Finding::of(FindingKind::PortUnplugged, end.netns.inode, Some(end.name()), text);
    let plug = hint!("ip link set {} master {}", end.pasted()?, bridge.pasted()?);
    Some(finding.fixed_by([facts.inside(end.netns.inode, plug)]))
}
