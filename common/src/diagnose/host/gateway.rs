//! The first step out of a container: its default route, the router that this names, and whether that forwards.

use std::net::IpAddr;

use super::facts::{HostFacts, LinkSpot, family};
use super::leaving::is_masqueraded;
use super::leftovers::out_of_bridge;
use super::segment::{GatewayClients, LinkSegment, all_default_routes, default_routes, networks};
use super::{Finding, FindingKind};
use crate::hint;
use crate::hint::{Hint, Verbatim};
use crate::netlink::{Neighbour, Route};

/// NUD_FAILED, and NUD_NOARP with NUD_PERMANENT: linux/neighbour.h.
const FAILED: u16 = 0x20;
const FIXED: u16 = 0x40 | 0x80;
/// RTPROT_RA, rtnetlink(7): a router has announced itself, and takes that back when it goes.
const ANNOUNCED: u8 = 9;

/// Stations without a default route, where one is wanted.
pub(super) fn without_route(
    facts: &HostFacts,
    segment: &LinkSegment<'_>,
    gateways: &[GatewayClients<'_>],
) -> Vec<Finding> {
    let is_gateway = |spot: &LinkSpot<'_>| {
        spot.netns.is_own || gateways.iter().any(|known| known.gateway.netns.inode == spot.netns.inode)
    };
    let others = segment.stations().filter(|spot| !spot.is_port() && !is_gateway(spot));
    others.filter_map(|spot| no_route(facts, segment, gateways, spot)).collect()
}

fn no_route(
    facts: &HostFacts,
    segment: &LinkSegment<'_>,
    gateways: &[GatewayClients<'_>],
    spot: LinkSpot<'_>,
) -> Option<Finding> {
    let own = facts.of(spot.netns.inode)?;
    let routes = own.routes.as_deref()?;
    // One in any table: rules may ask it.
    let is_default =
        |route: &Route| route.destination.prefix_len() == 0 && route.destination.address().is_ipv4();
    if routes.iter().any(is_default) {
        return None;
    }
    let source = networks(spot).find(|network| network.address().is_ipv4())?;
    // The host and other routers have a way out for others; it says nothing of the rest.
    let is_router = |inode: u64| gateways.iter().any(|known| known.gateway.netns.inode == inode);
    let is_plain = |client: &LinkSpot<'_>| !client.netns.is_own && !is_router(client.netns.inode);
    let of_others =
        gateways.iter().find(|known| source.contains(known.address) && known.clients.iter().any(is_plain));
    let address = match of_others {
        Some(known) => known.address,
        None => address_of_router(segment, spot, |address| source.contains(address))?,
    };
    let is_wanted = match own.expects_default_route {
        Some(expected) => expected,
        None => {
            let router = segment.with_address(address).next()?;
            of_others.is_some() || is_masqueraded(facts, router, source.address()) == Some(true)
        }
    };
    if !is_wanted {
        return None;
    }
    let text = format!("{}: no default route", facts.at(spot));
    let finding = Finding::of(FindingKind::NoRoute, spot.netns.inode, Some(spot.name()), text);
    let add = spot.pasted().and_then(|name| hint!("ip route add default via {} dev {}", address, name));
    Some(finding.fixed_by([facts.inside(spot.netns.inode, add)]))
}

/// The address of the only station of another namespace that has one in the network.
fn address_of_router(
    segment: &LinkSegment<'_>,
    spot: LinkSpot<'_>,
    is_inside: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let routers = segment.stations().filter(|other| {
        other.netns.inode != spot.netns.inode && (other.netns.is_own || other.link.link.is_bridge())
    });
    let mut addresses =
        routers.flat_map(LinkSpot::addresses).map(|own| own.address).filter(|own| is_inside(*own));
    let (first, None) = (addresses.next()?, addresses.next()) else { return None };
    Some(first)
}

/// Default routes by a router that is not there.
pub(super) fn silent_routers(facts: &HostFacts, segments: &[LinkSegment<'_>]) -> Vec<Finding> {
    let mut found = Vec::new();
    // What is out of its bridge hears nobody, and is told of as that.
    let is_unplugged =
        |spot: LinkSpot<'_>| facts.end_of(spot).is_some_and(|end| out_of_bridge(facts, end).is_some());
    for spot in facts.spots().filter(|spot| !spot.is_port() && spot.is_running() && !is_unplugged(*spot)) {
        for route in default_routes(facts, spot) {
            let segment = segments.iter().find(|segment| segment.has(spot.place()));
            found.extend(silent_router(facts, segment, spot, route));
        }
    }
    found
}

fn silent_router(
    facts: &HostFacts,
    segment: Option<&LinkSegment<'_>>,
    spot: LinkSpot<'_>,
    route: &Route,
) -> Option<Finding> {
    let gateway = route.gateway?;
    let neighbours = facts.of(spot.netns.inode)?.neighbours.as_deref()?;
    let of_gateway = |one: &&Neighbour| one.index == spot.link.link.index && one.address == gateway;
    let entry = neighbours.iter().find(of_gateway);
    // Who is outside of its network, or fixed by hand, is answered for by something else: a routing daemon, a program.
    let is_usual = !route.on_link && networks(spot).any(|network| network.contains(gateway));
    if !is_usual || route.protocol == ANNOUNCED || entry.is_some_and(|entry| entry.state & FIXED != 0) {
        return None;
    }
    let name = spot.name();
    let finding = |why: String| {
        let text = format!("{}: the gateway {gateway} of the default route {why}", facts.at(spot));
        Finding::of(FindingKind::RouterSilent, spot.netns.inode, Some(name.clone()), text)
    };
    let Some(segment) = segment.filter(|segment| segment.is_closed && !segment.has_vlans) else {
        let is_first = all_default_routes(facts, spot.netns.inode)
            .into_iter()
            .find(|other| family(other.destination.address()) == family(gateway))
            .is_some_and(|first| first == route);
        let is_silent = entry.is_some_and(|entry| entry.state & FAILED != 0);
        let asks =
            if gateway.is_ipv4() { "does not answer ARP" } else { "does not answer neighbour solicitation" };
        return (is_first && is_silent).then(|| {
            finding(asks.to_owned()).advised(
                "the router is down, has another address, or is in another network than this interface",
            )
        });
    };
    let answers = |other: &LinkSpot<'_>| {
        let settings = facts.of(other.netns.inode).map(|facts| facts.settings(other.link.link.index));
        settings.is_none_or(|settings| settings.proxy_arp != Some(false))
    };
    let mut others = segment.links.iter().filter(|other| other.netns.inode != spot.netns.inode);
    if let Some(owner) =
        others.clone().find(|other| other.link.addresses.iter().any(|own| own.address == gateway))
    {
        if owner.link.link.is_set_up() {
            return None;
        }
        let up = owner.pasted().and_then(|name| hint!("ip link set {} up", name));
        let why = format!("is an address of {}, which is down", facts.at(*owner));
        return Some(finding(why).fixed_by([facts.inside(owner.netns.inode, up)]));
    }
    if others.any(|other| !other.is_port() && answers(other)) {
        return None;
    }
    let network = networks(spot).find(|network| network.contains(gateway))?;
    let right = address_of_router(segment, spot, |address| network.contains(address));
    let finding = finding("is nobody's: nothing on its segment has that address".to_owned());
    Some(match right {
        Some(right) => finding.fixed_by([replace_default(facts, spot, route, right)]),
        None => {
            finding.advised("give the address to the router, or the container a default route by another one")
        }
    })
}

/// The same route by another router.
fn replace_default(facts: &HostFacts, spot: LinkSpot<'_>, route: &Route, gateway: IpAddr) -> Option<Hint> {
    let ip = Verbatim(if gateway.is_ipv4() { "ip" } else { "ip -6" });
    let name = spot.pasted()?;
    // The kernel's own metric of IPv6.
    let command = match (route.metric, gateway.is_ipv4()) {
        (0, _) | (1024, false) => hint!("{} route replace default via {} dev {}", ip, gateway, name),
        (metric, _) => hint!("{} route replace default via {} dev {} metric {}", ip, gateway, name, metric),
    };
    facts.inside(spot.netns.inode, command)
}

/// A namespace by which others have their default route, and which does not forward.
pub(super) fn forwarding_off(
    facts: &HostFacts,
    known: &GatewayClients<'_>,
    segment: &LinkSegment<'_>,
) -> Option<Finding> {
    let netns = known.gateway.netns;
    let own = facts.of(netns.inode)?;
    let of = family(known.address);
    if own.settings(known.gateway.link.link.index).forwards[of] != Some(false) {
        return None;
    }
    // Without anything to forward to, it is no router.
    let leads_on = |other: LinkSpot<'_>| {
        let has_one = other.addresses().any(|own| family(own.address) == of);
        !other.link.link.is_loopback() && other.is_running() && has_one && !segment.has(other.place())
    };
    if !netns.links.iter().any(|link| leads_on(LinkSpot { netns, link })) {
        return None;
    }
    let version = if of == 0 { "IPv4" } else { "IPv6" };
    let text = format!(
        "{}: does not forward {version}, but {} has its default route by {}",
        facts.at(known.gateway),
        facts.who(known.clients.first()?.netns.inode),
        known.address,
    );
    let finding = Finding::of(FindingKind::ForwardingOff, netns.inode, Some(known.gateway.name()), text);
    let forwards_elsewhere = own.links.values().any(|settings| settings.forwards[of] == Some(true));
    let command = match (forwards_elsewhere, of) {
        (false, 0) => hint!("sysctl -w net.ipv4.ip_forward=1"),
        (false, _) => hint!("sysctl -w net.ipv6.conf.all.forwarding=1"),
        (true, 0) => hint!("sysctl -w net/ipv4/conf/{}/forwarding=1", known.gateway.pasted()?),
        (true, _) => hint!("sysctl -w net/ipv6/conf/{}/forwarding=1", known.gateway.pasted()?),
    };
    Some(finding.fixed_by([facts.inside(netns.inode, command)]))
}
