//! Which links of the map are on one segment, so that a broadcast of one comes to all others: bridges with their ports, both
//! ends of veth pairs, and macvlan links with the link below. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use super::facts::{HostFacts, LinkSpot};
use crate::cidr::Cidr;
use crate::map::{LinkEnd, LinkPlace};
use crate::netlink::{Route, UNICAST};

/// RT_TABLE_MAIN, linux/rtnetlink.h.
pub(super) const MAIN_TABLE: u32 = 254;

/// Links that hear each other.
#[derive(Debug)]
pub(super) struct LinkSegment<'a> {
    /// All of them.
    pub links: Vec<LinkSpot<'a>>,
    /// Whether all of it is on the map: no hardware, no tunnel, nothing that was not seen, and no program in between.
    pub is_closed: bool,
    /// Whether a bridge keeps VLANs apart in it, so that not all hear all.
    pub has_vlans: bool,
}

/// Links that have their default route by one address of a link of another namespace, on the same segment.
#[derive(Debug)]
pub(super) struct GatewayClients<'a> {
    /// The link that has the address.
    pub gateway: LinkSpot<'a>,
    pub address: IpAddr,
    /// The links whose default routes lead there.
    pub clients: Vec<LinkSpot<'a>>,
}

impl<'a> LinkSegment<'a> {
    /// The links that send and receive for their namespace: no ports, and only those that carry packets now.
    pub fn stations(&self) -> impl Iterator<Item = LinkSpot<'a>> + '_ {
        self.links.iter().copied().filter(|spot| !spot.is_port() && spot.is_running())
    }

    /// The stations that have the address.
    pub fn with_address(&self, address: IpAddr) -> impl Iterator<Item = LinkSpot<'a>> + '_ {
        let has_it = move |spot: &LinkSpot<'a>| {
            spot.link.addresses.iter().any(|own| own.address == address && !own.is_refused)
        };
        self.stations().filter(has_it)
    }

    pub fn has(&self, place: LinkPlace) -> bool {
        self.links.iter().any(|spot| spot.place() == place)
    }

    /// By which addresses of it others of it leave, of both families.
    pub fn gateways(&self, facts: &'a HostFacts) -> Vec<GatewayClients<'a>> {
        let mut all: Vec<GatewayClients<'a>> = Vec::new();
        for client in self.stations() {
            for route in default_routes(facts, client) {
                let Some(address) = route.gateway else { continue };
                let elsewhere = |spot: &LinkSpot<'a>| spot.netns.inode != client.netns.inode;
                let mut owners = self.with_address(address).filter(elsewhere);
                // Of several, which one answers is not known.
                let (Some(gateway), None) = (owners.next(), owners.next()) else { continue };
                match all.iter_mut().find(|known| known.address == address) {
                    Some(known) => known.clients.push(client),
                    None => all.push(GatewayClients { gateway, address, clients: vec![client] }),
                }
            }
        }
        all
    }
}

/// The default routes of the main table that lead through this link.
pub(super) fn default_routes<'a>(facts: &'a HostFacts, spot: LinkSpot<'a>) -> Vec<&'a Route> {
    let index = spot.link.link.index;
    all_default_routes(facts, spot.netns.inode)
        .into_iter()
        .filter(|route| route.index == Some(index))
        .collect()
}

/// All default routes of the main table of a namespace, the preferred ones first.
pub(super) fn all_default_routes(facts: &HostFacts, netns: u64) -> Vec<&Route> {
    let routes = facts.of(netns).and_then(|facts| facts.routes.as_deref()).unwrap_or_default();
    let is_default = |route: &&Route| {
        route.destination.prefix_len() == 0 && route.table == MAIN_TABLE && route.kind == UNICAST
    };
    let mut found: Vec<&Route> = routes.iter().filter(is_default).collect();
    found.sort_by_key(|route| route.metric);
    found
}

/// The link of a namespace's IPv4 default route, if that carries packets.
pub(super) fn way_out(facts: &HostFacts, netns: u64) -> Option<(LinkSpot<'_>, &Route)> {
    let of_ipv4 = |route: &&Route| route.destination.address().is_ipv4();
    let route = all_default_routes(facts, netns).into_iter().find(of_ipv4)?;
    let spot = facts.spot(LinkPlace { netns, index: route.index? })?;
    spot.is_running().then_some((spot, route))
}

/// The networks of a link's addresses, without those of one host.
pub(super) fn networks(spot: LinkSpot<'_>) -> impl Iterator<Item = Cidr> {
    let network = |own: &crate::netlink::Address| Cidr::new(own.peer.unwrap_or(own.address), own.prefix_len);
    spot.addresses().filter_map(network).filter(|cidr| !cidr.is_host())
}

/// All segments of more than one link.
pub(super) fn segments(facts: &HostFacts) -> Vec<LinkSegment<'_>> {
    let mut union = LinkUnion::default();
    let spots: Vec<LinkSpot<'_>> = facts.spots().filter(|spot| !spot.link.link.is_loopback()).collect();
    for spot in &spots {
        union.root(spot.place());
        if let Some(master) = spot.master().filter(|master| master.link.link.is_bridge()) {
            union.join(spot.place(), master.place());
        }
        let hears_the_other = matches!(spot.link.link.kind.as_deref(), Some("veth" | "macvlan" | "macvtap"));
        if let Some(LinkEnd::Known(place)) = spot.link.end.filter(|_| hears_the_other) {
            union.join(spot.place(), place);
        }
    }
    let mut by_root: HashMap<LinkPlace, Vec<LinkSpot<'_>>> = HashMap::new();
    let mut order = Vec::new();
    for spot in spots {
        let root = union.root(spot.place());
        by_root
            .entry(root)
            .or_insert_with(|| {
                order.push(root);
                Vec::new()
            })
            .push(spot);
    }
    let mut all: Vec<LinkSegment<'_>> =
        order.into_iter().filter_map(|root| by_root.remove(&root)).map(LinkSegment::of).collect();
    all.retain(|segment| segment.links.len() > 1);
    all
}

impl<'a> LinkSegment<'a> {
    fn of(links: Vec<LinkSpot<'a>>) -> Self {
        let is_known = |spot: &LinkSpot<'_>| {
            let ends_here = match spot.link.link.kind.as_deref() {
                Some("bridge") => true,
                Some("veth" | "macvlan") => matches!(spot.link.end, Some(LinkEnd::Known(_))),
                _ => false,
            };
            let master = spot.master();
            let is_bridged = !spot.is_port() || master.is_some_and(|master| master.link.link.is_bridge());
            ends_here && is_bridged && spot.link.programs.is_empty()
        };
        let has_vlans = |spot: &LinkSpot<'_>| spot.link.link.vlan_filtering.is_some_and(|vlans| vlans.is_on);
        LinkSegment { is_closed: links.iter().all(is_known), has_vlans: links.iter().any(has_vlans), links }
    }
}

/// Union-find over links.
#[derive(Debug, Default)]
struct LinkUnion(HashMap<LinkPlace, LinkPlace>);

impl LinkUnion {
    fn root(&mut self, place: LinkPlace) -> LinkPlace {
        let mut at = place;
        loop {
            let above = *self.0.entry(at).or_insert(at);
            if above == at {
                break;
            }
            at = above;
        }
        self.0.insert(place, at);
        at
    }

    fn join(&mut self, one: LinkPlace, other: LinkPlace) {
        let (one, other) = (self.root(one), self.root(other));
        self.0.insert(other, one);
    }
}
