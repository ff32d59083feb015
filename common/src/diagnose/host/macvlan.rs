//! A macvlan container and the host that has the link below: neither reaches the other through that link.

use std::net::IpAddr;

use super::facts::{HostFacts, LinkSpot};
use super::segment::{MAIN_TABLE, networks};
use super::{Finding, FindingKind};
use crate::hint;
use crate::netlink::Neighbour;

/// Those that tried to reach each other.
pub(super) fn parents(facts: &HostFacts) -> Vec<Finding> {
    let children =
        facts.spots().filter(|spot| spot.link.link.kind.as_deref() == Some("macvlan") && spot.is_running());
    children.filter_map(|child| parent(facts, child)).collect()
}

fn parent(facts: &HostFacts, child: LinkSpot<'_>) -> Option<Finding> {
    let below = facts.end_of(child).filter(|below| below.netns.inode != child.netns.inode)?;
    let (child_address, own_address) = child.addresses().find_map(|own| {
        let its = networks(below).find(|network| network.contains(own.address))?;
        Some((own.address, its.address()))
    })?;
    let tried = is_unanswered(facts, below, child_address) || is_unanswered(facts, child, own_address);
    if !tried || is_led_elsewhere(facts, below, child_address) {
        return None;
    }
    let text = format!(
        "{}: {} does not reach {child_address} there, nor is it reached: macvlan does not carry packets between a link and the links on it",
        facts.at(child),
        facts.at(below),
    );
    let finding = Finding::of(FindingKind::MacvlanParent, below.netns.inode, Some(below.name()), text);
    let name = shim_name(below);
    let parent = below.pasted()?;
    let commands = [
        hint!("ip link add {} link {} type macvlan mode bridge", name, parent),
        hint!("ip link set {} up", name),
        hint!("ip route add {} dev {}", child_address, name),
    ];
    Some(finding.fixed_by(commands.map(|command| facts.inside(below.netns.inode, command))))
}

/// Whether the neighbour was asked for on that link, and has not answered.
fn is_unanswered(facts: &HostFacts, spot: LinkSpot<'_>, address: IpAddr) -> bool {
    let neighbours = facts.of(spot.netns.inode).and_then(|own| own.neighbours.as_deref()).unwrap_or_default();
    let is_it =
        |one: &Neighbour| one.index == spot.link.link.index && one.address == address && one.is_unanswered();
    neighbours.iter().any(is_it)
}

/// Whether a more exact route already leads there by another link.
fn is_led_elsewhere(facts: &HostFacts, below: LinkSpot<'_>, address: IpAddr) -> bool {
    let routes = facts.of(below.netns.inode).and_then(|own| own.routes.as_deref()).unwrap_or_default();
    let to_it =
        routes.iter().filter(|route| route.table == MAIN_TABLE && route.destination.contains(address));
    let best = to_it.max_by_key(|route| route.destination.prefix_len());
    best.is_some_and(|route| route.index.is_some_and(|index| index != below.link.link.index))
}

/// A free name for a macvlan link of the host's own.
fn shim_name(below: LinkSpot<'_>) -> String {
    let is_taken = |name: &str| below.netns.links.iter().any(|link| link.link.name == *name);
    let mut numbers = 0..;
    let mut name = "shim".to_owned();
    while is_taken(&name) {
        name = format!("shim{}", numbers.next().unwrap_or(0_u32));
    }
    name
}
