//! Networks of bridges that have addresses in common with another bridge's network, or with another route.

use super::facts::{HostFacts, LinkSpot};
use super::segment::{LinkSegment, MAIN_TABLE, networks};
use super::{Finding, FindingKind};
use crate::cidr::Cidr;
use crate::hint;
use crate::hint::{Hint, Verbatim};
use crate::map::LinkPlace;
use crate::netlink::{Route, UNICAST};

/// Networks that stand for everything private, as a default route does for everything: RFC 1918, RFC 6598, RFC 4193.
const AGGREGATES: [(&str, u8); 5] =
    [("10.0.0.0", 8), ("172.16.0.0", 12), ("192.168.0.0", 16), ("100.64.0.0", 10), ("fc00::", 7)];
/// RTPROT_KERNEL, rtnetlink(7): the route that comes with an address.
const OF_ADDRESS: u8 = 2;

/// All overlaps in a namespace.
pub(super) fn overlaps(facts: &HostFacts, segments: &[LinkSegment<'_>]) -> Vec<Finding> {
    let bridges: Vec<LinkSpot<'_>> = facts.spots().filter(|spot| is_of_containers(*spot)).collect();
    let mut found = Vec::new();
    for (at, bridge) in bridges.iter().enumerate() {
        for other in &bridges[at + 1..] {
            found.extend(twice(facts, segments, *bridge, *other));
        }
        found.extend(with_route(facts, *bridge));
    }
    found
}

/// A bridge that is no way to a LAN: it has no port of hardware, and its own address.
fn is_of_containers(spot: LinkSpot<'_>) -> bool {
    let link = &spot.link.link;
    let has_hardware = || spot.netns.ports_of(link.index).any(|port| port.link.kind.is_none());
    link.is_bridge() && link.is_set_up() && !has_hardware()
}

/// The networks of a link for which the main table has the route that came with them: a VRF has another table.
fn routed_networks(facts: &HostFacts, spot: LinkSpot<'_>) -> Vec<Cidr> {
    let routes = facts.of(spot.netns.inode).and_then(|facts| facts.routes.as_deref()).unwrap_or_default();
    let is_routed = |network: &Cidr| {
        routes.iter().any(|route| {
            route.index == Some(spot.link.link.index)
                && route.table == MAIN_TABLE
                && route.destination == *network
                && route.gateway.is_none()
        })
    };
    networks(spot).map(|network| network.network()).filter(is_routed).collect()
}

/// Two bridges of one namespace with one network.
fn twice(
    facts: &HostFacts,
    segments: &[LinkSegment<'_>],
    one: LinkSpot<'_>,
    other: LinkSpot<'_>,
) -> Option<Finding> {
    if one.netns.inode != other.netns.inode {
        return None;
    }
    // Plugged into each other, they are one segment.
    if segments.iter().any(|segment| segment.has(one.place()) && segment.has(other.place())) {
        return None;
    }
    let its = routed_networks(facts, other);
    let network = routed_networks(facts, one).into_iter().find(|network| its.contains(network))?;
    let ports = |spot: LinkSpot<'_>| spot.netns.ports_of(spot.link.link.index).count();
    // The one with less at it is to go; of two alike the younger.
    let (keeps, goes) = if ports(one) < ports(other) { (other, one) } else { (one, other) };
    let text = format!(
        "{} and {} both have the network {network}: only what is at one of them is reached",
        facts.at(goes),
        keeps.shown()
    );
    let finding = Finding::of(FindingKind::PrefixTwice, goes.netns.inode, Some(goes.name()), text);
    Some(finding.fixed_by([give_up(facts, goes, network)]).advised(advice(goes)))
}

/// Takes the bridge's address in the network away.
fn give_up(facts: &HostFacts, bridge: LinkSpot<'_>, network: Cidr) -> Option<Hint> {
    let own = bridge.link.addresses.iter().find(|own| network.contains(own.address))?;
    super::duplicates::remove_address(facts, bridge, own.address)
}

fn advice(bridge: LinkSpot<'_>) -> String {
    let name = bridge.name();
    match name.strip_prefix("br-").filter(|id| id.len() == 12 && id.chars().all(|c| c.is_ascii_hexdigit())) {
        Some(id) => format!("it is Docker's network {id}: make it again with another --subnet"),
        None if name == "docker0" => {
            "give docker0 another network: \"bip\" in /etc/docker/daemon.json".to_owned()
        }
        None => "give the bridge and what is at it another network".to_owned(),
    }
}

/// A bridge's network, and a route by another link that is for some of the same addresses.
fn with_route(facts: &HostFacts, bridge: LinkSpot<'_>) -> Option<Finding> {
    let routes = facts.of(bridge.netns.inode)?.routes.as_deref()?;
    let own = routed_networks(facts, bridge);
    for network in own {
        let overlapping = routes.iter().find(|route| is_overlap(bridge, network, route));
        let Some(route) = overlapping else { continue };
        let other = facts.spot(LinkPlace { netns: bridge.netns.inode, index: route.index? })?;
        if is_another_bridges(other) || is_beside(facts, bridge, other) {
            continue;
        }
        return Some(overlap(facts, bridge, network, route, other));
    }
    None
}

fn is_overlap(bridge: LinkSpot<'_>, network: Cidr, route: &Route) -> bool {
    let to = route.destination;
    let is_aggregate = AGGREGATES.iter().any(|(address, length)| {
        to.prefix_len() <= *length && address.parse().is_ok_and(|address| to.contains(address))
    });
    let is_special = to.is_host() || to.prefix_len() < 8 || is_aggregate;
    let is_elsewhere = route.index.is_some_and(|index| index != bridge.link.link.index);
    route.table == MAIN_TABLE
        && route.kind == UNICAST
        && is_elsewhere
        && !is_special
        && (network.contains(to.network().address()) || to.contains(network.address()))
}

/// Another bridge of containers is told of by itself.
fn is_another_bridges(other: LinkSpot<'_>) -> bool {
    is_of_containers(other)
}

/// Whether the other link leads to the same segment, as a macvlan or veth of the host's own does.
fn is_beside(facts: &HostFacts, bridge: LinkSpot<'_>, other: LinkSpot<'_>) -> bool {
    let end = facts.end_of(other);
    let is_port = |spot: LinkSpot<'_>| {
        spot.netns.inode == bridge.netns.inode && spot.link.link.master == Some(bridge.link.link.index)
    };
    end.is_some_and(|end| end.place() == bridge.place() || is_port(end))
}

fn overlap(
    facts: &HostFacts,
    bridge: LinkSpot<'_>,
    network: Cidr,
    route: &Route,
    other: LinkSpot<'_>,
) -> Finding {
    let (to, of) = (route.destination, if route.protocol == OF_ADDRESS { "network" } else { "route" });
    // The longer prefix wins.
    let lost = match to.prefix_len() > network.prefix_len() {
        true => format!("containers that have addresses of {to} are not reached"),
        false => format!("what has addresses of {network} behind {} is not reached", other.shown()),
    };
    let text = format!(
        "{}: its network {network} and the {of} {to} of {} overlap: {lost}",
        facts.at(bridge),
        other.shown()
    );
    let finding = Finding::of(FindingKind::SubnetOverlap, bridge.netns.inode, Some(bridge.name()), text);
    let remove = match route.protocol {
        // It comes with the address of a LAN, which is to stay.
        OF_ADDRESS => give_up(facts, bridge, network),
        _ => remove_route(facts, route, other),
    };
    finding.fixed_by([remove]).advised(advice(bridge))
}

fn remove_route(facts: &HostFacts, route: &Route, other: LinkSpot<'_>) -> Option<Hint> {
    let ip = Verbatim(if route.destination.address().is_ipv4() { "ip" } else { "ip -6" });
    let command = match route.gateway {
        Some(gateway) => {
            hint!("{} route del {} via {} dev {}", ip, route.destination, gateway, other.pasted()?)
        }
        None => hint!("{} route del {} dev {}", ip, route.destination, other.pasted()?),
    };
    facts.inside(other.netns.inode, command)
}
