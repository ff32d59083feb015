//! Nobody on the segment has the address of the next hop: why, where the map says it.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::diagnose::Cause;
use common::hint;
use common::hint::Hint;
use common::map::{LinkEnd, LinkPlace, MappedLink};
use common::netlink::Address;

use super::routes::network_of;
use super::segment::{FrameReach, has_address, reach};
use super::walker::{StopReason, Walker};
use crate::model::{HopHook, TraceVerdict};

impl Walker<'_> {
    /// Nobody that hears `out` has the address.
    pub fn nobody(&mut self, out: LinkPlace, next_hop: IpAddr, reach: &FrameReach) {
        let owner = self.owner_elsewhere(out, next_hop);
        let found = self.down_port(reach)
            || self.disabled_ipv6(out, next_hop, reach)
            || self.macvlan_parent(out, next_hop)
            || owner.is_some_and(|owner| self.not_in_bridge(out, owner, reach))
            || self.too_wide(out, next_hop, owner)
            || owner.is_some_and(|owner| self.overlapping(out, next_hop, owner));
        if !found {
            self.silent(out, next_hop);
        }
    }

    /// The link of another namespace, or another link of this one, that has the address.
    fn owner_elsewhere(&self, out: LinkPlace, address: IpAddr) -> Option<LinkPlace> {
        self.owner_of(address).filter(|owner| *owner != out)
    }

    /// A link of the map that has the address: the destination's own first.
    pub fn owner_of(&self, address: IpAddr) -> Option<LinkPlace> {
        let places = self.state.map.namespaces.iter().flat_map(|netns| {
            let inode = netns.inode;
            netns.links.iter().map(move |link| (LinkPlace { netns: inode, index: link.link.index }, link))
        });
        let mut owners: Vec<LinkPlace> = places
            .filter(|(_, link)| !link.link.is_loopback() && has_address(link, address))
            .map(|(place, _)| place)
            .collect();
        owners.sort_by_key(|place| Some(place.netns) != self.dest);
        owners.first().copied()
    }

    /// Whoever has the address is behind an interface that is down: of IPv6 the address is gone with it.
    fn down_port(&mut self, reach: &FrameReach) -> bool {
        let down = reach.stations.iter().map(|station| station.place).find(|place| {
            self.dest == Some(place.netns)
                && self.state.map.link(*place).is_some_and(|link| !link.link.is_set_up())
        });
        if let Some(place) = down {
            self.link_down(place, Cause::DestLinkDown);
        }
        down.is_some()
    }

    fn disabled_ipv6(&mut self, out: LinkPlace, next_hop: IpAddr, reach: &FrameReach) -> bool {
        if next_hop.is_ipv4() {
            return false;
        }
        let mut off: Vec<LinkPlace> = Vec::new();
        for station in &reach.stations {
            let key = format!("ipv6/conf/{}/disable_ipv6", self.link_name(station.place));
            if self.state.is_on(station.place.netns, &key) == Some(true) {
                off.push(station.place);
            }
        }
        let meant = off.iter().copied().find(|place| self.dest == Some(place.netns));
        let Some(place) = meant.or(off.first().copied().filter(|_| off.len() == 1)) else { return false };
        // Who is alone at the other end of the cable is who has to have the address.
        let is_alone = reach.stations.len() == 1 && next_hop == self.packet.destination;
        self.ipv6_off(place, is_alone.then_some(out));
        true
    }

    /// IPv6 is switched off on an interface, which has to have the destination as its address again if `asker` asks for that there.
    pub fn ipv6_off(&mut self, place: LinkPlace, asker: Option<LinkPlace>) {
        let text = format!("{}: IPv6 is disabled there", self.at(place));
        let key = self.pasted(place).map(|name| format!("net/ipv6/conf/{name}/disable_ipv6=0"));
        let command = key.and_then(|key| hint!("sysctl -w {}", key));
        let reason = StopReason::new(Cause::Ipv6Disabled, TraceVerdict::Lost, text)
            .fixed_by(self.inside(place.netns, command))
            .fixed_by(asker.and_then(|asker| self.with_destination(place, asker)))
            .advised("its IPv6 addresses and routes are gone, and have to be set again");
        let where_it_is = self.link_place(place, None);
        self.stop(where_it_is, reason);
    }

    /// The command that gives an interface the destination as its address, in the network of `asker`.
    fn with_destination(&self, place: LinkPlace, asker: LinkPlace) -> Option<Hint> {
        let address = self.packet.destination;
        let own = &self.state.map.link(asker)?.addresses;
        let network = own.iter().filter_map(network_of).find(|network| network.contains(address))?;
        let cidr = format!("{address}/{}", network.prefix_len());
        let command = hint!("ip addr add {} dev {}", cidr, self.pasted(place)?);
        self.inside(place.netns, command)
    }

    /// The parent of a macvlan interface has the address: it hears nothing of its children.
    fn macvlan_parent(&mut self, out: LinkPlace, next_hop: IpAddr) -> bool {
        let map = &self.state.map;
        let parent_of = |link: &MappedLink| match link.end {
            Some(LinkEnd::Known(parent)) if link.link.kind.as_deref() == Some("macvlan") => Some(parent),
            _ => None,
        };
        let child_has_it = map
            .namespaces
            .iter()
            .flat_map(|netns| &netns.links)
            .any(|link| parent_of(link) == Some(out) && has_address(link, next_hop));
        let parent = map.link(out).and_then(parent_of);
        let parent_has_it =
            parent.is_some_and(|parent| map.link(parent).is_some_and(|link| has_address(link, next_hop)));
        let place = match (parent, child_has_it) {
            (Some(parent), _) if parent_has_it => parent,
            (_, true) => out,
            _ => return false,
        };
        let text =
            format!("{}: exchanges no packets with the macvlan interfaces that stand on it", self.at(place));
        let reason = StopReason::new(Cause::MacvlanParent, TraceVerdict::Lost, text)
            .advised("give the host a macvlan interface of its own there, or use another network for it");
        let where_it_is = self.link_place(place, None);
        self.stop(where_it_is, reason);
        true
    }

    /// The end of a cable should be a port of a bridge, and is not: the owner's, or our own.
    fn not_in_bridge(&mut self, out: LinkPlace, owner: LinkPlace, reach: &FrameReach) -> bool {
        let bridge_in = |place: LinkPlace| {
            let link = self.state.map.link(place).filter(|link| link.link.is_veth())?;
            let Some(LinkEnd::Known(end)) = link.end else { return None };
            let end_link = self.state.map.link(end)?;
            Some((end, end_link.link.master.map(|index| LinkPlace { index, ..end }), end_link))
        };
        let is_alone = |link: &MappedLink| link.addresses.iter().all(|own| own.address.is_ipv6());
        let own_bridge = reach
            .stations
            .iter()
            .map(|station| station.place)
            .find(|place| self.state.map.link(*place).is_some_and(|link| link.link.is_bridge()));
        let own_bridge =
            own_bridge.or_else(|| self.state.map.link(out).filter(|link| link.link.is_bridge()).map(|_| out));
        let (port, bridge) = match (bridge_in(owner), bridge_in(out), own_bridge) {
            (Some((end, None, link)), _, Some(bridge)) if end.netns == bridge.netns && is_alone(link) => {
                (end, bridge)
            }
            (Some((_, Some(bridge), _)), Some((end, None, link)), _)
                if end.netns == bridge.netns && is_alone(link) =>
            {
                (end, bridge)
            }
            _ => return false,
        };
        let text = format!(
            "{}: is a port of no bridge, and others of that network are on {}",
            self.at(port),
            self.shown(bridge)
        );
        let command =
            self.pasted(port).and_then(|name| hint!("ip link set {} master {}", name, self.pasted(bridge)?));
        let reason = StopReason::new(Cause::NotInBridge, TraceVerdict::Lost, text)
            .fixed_by(self.inside(port.netns, command));
        let place = self.link_place(port, None);
        self.stop(place, reason);
        true
    }

    /// An address of the interface has a prefix that makes the destination seem to be on the link.
    fn too_wide(&mut self, out: LinkPlace, next_hop: IpAddr, owner: Option<LinkPlace>) -> bool {
        let Some(link) = self.state.map.link(out).filter(|_| next_hop == self.packet.destination) else {
            return false;
        };
        let wide: Vec<&Address> = link
            .addresses
            .iter()
            .filter(|own| network_of(own).is_some_and(|network| network.contains(next_hop)))
            .collect();
        let Some(wide) = wide.iter().min_by_key(|own| own.prefix_len) else { return false };
        // The right one is narrower, and does not have the destination in it.
        let narrow = |own: &&Address| {
            own.prefix_len > wide.prefix_len
                && network_of(own).is_some_and(|network| !network.contains(next_hop))
                && network_of(wide).is_some_and(|network| network.contains(own.address))
        };
        let right = link.addresses.iter().find(narrow);
        let owner_network = owner.and_then(|owner| {
            let link = self.state.map.link(owner)?;
            link.addresses.iter().find(|own| own.address == next_hop).and_then(network_of)
        });
        let is_owners_narrower = owner_network
            .is_some_and(|network| network.prefix_len() > wide.prefix_len && !network.contains(wide.address));
        if right.is_none() && !is_owners_narrower {
            return false;
        }
        let cidr = format!("{}/{}", wide.address, wide.prefix_len);
        let text = format!(
            "{}: the address {cidr} makes {next_hop} appear to be on the link, and nobody there has it",
            self.at(out)
        );
        let command = self.pasted(out).and_then(|name| hint!("ip addr del {} dev {}", cidr, name));
        let fix = self.inside(out.netns, command).filter(|_| right.is_some());
        let reason = StopReason::new(Cause::PrefixTooWide, TraceVerdict::Unreachable, text)
            .fixed_by(fix)
            .or_advised("give the interface its address with the prefix length of its network");
        let place = self.link_place(out, None);
        self.stop(place, reason);
        true
    }

    /// A route leads to this link, and the network of the destination is on another one.
    fn overlapping(&mut self, out: LinkPlace, next_hop: IpAddr, owner: LinkPlace) -> bool {
        let Some(netns) = self.state.map.netns(out.netns) else { return false };
        let others = netns.links.iter().map(|link| LinkPlace { index: link.link.index, ..out });
        let leads_there = |place: &LinkPlace| *place != out && reach(&self.state.map, *place).has(owner);
        let Some(right) = others.filter(|place| *place != out).find(leads_there) else { return false };
        let Some(route) = self.deciding_route(out.netns, None).filter(|route| route.index == Some(out.index))
        else {
            return false;
        };
        let text = format!(
            "{}: the route {} leads there, and {next_hop} is behind {}",
            self.at(out),
            route.destination,
            self.shown(right)
        );
        let command = self.route_deleted(&route);
        let reason = StopReason::new(Cause::RouteOverlap, TraceVerdict::Unreachable, text)
            .fixed_by(self.inside(out.netns, command));
        let place = self.place(out.netns, Some(out), Some(HopHook::Route));
        self.stop(place, reason);
        true
    }

    /// Nothing explains it.
    fn silent(&mut self, out: LinkPlace, next_hop: IpAddr) {
        let is_router = next_hop != self.packet.destination;
        let (cause, what) = match is_router {
            true => (Cause::RouterSilent, "the router"),
            false => (Cause::NeighbourSilent, "the destination"),
        };
        let text = format!(
            "{}: {what} {next_hop} is an address that nobody there has, so nobody answers {}",
            self.at(out),
            self.asking()
        );
        let reason = StopReason::new(cause, TraceVerdict::Unreachable, text);
        let reason = match is_router {
            true => reason
                .fixed_by(self.right_router(out))
                .or_advised(format!("give the address {next_hop} to the router, or route by another one")),
            false => reason.advised(format!("{next_hop} may be wrong, or its owner does not run")),
        };
        let place = self.link_place(out, Some(HopHook::Neighbour));
        self.stop(place, reason);
    }

    /// The route that was taken, by the router that is there.
    fn right_router(&self, out: LinkPlace) -> Option<Hint> {
        let route = self.deciding_route(out.netns, None)?;
        let router = self.router_at(out)?;
        let (ip, name) = (self.ip(), self.pasted(out)?);
        let to = if route.is_default() { "default".to_owned() } else { route.destination.to_string() };
        let command = match (route.metric, self.packet.is_six()) {
            (0, _) | (1024, true) => hint!("{} route replace {} via {} dev {}", ip, to, router, name),
            (metric, _) => hint!("{} route replace {} via {} dev {} metric {}", ip, to, router, name, metric),
        };
        self.inside(out.netns, command)
    }

    /// The one address of a router on the segment of a link that the link's namespace could use.
    pub fn router_at(&self, out: LinkPlace) -> Option<IpAddr> {
        let map = &self.state.map;
        let networks: Vec<Cidr> = map.link(out)?.addresses.iter().filter_map(network_of).collect();
        let is_usable = |address: IpAddr| {
            address.is_ipv6() == self.packet.is_six()
                && networks.iter().any(|network| network.contains(address))
        };
        let others: Vec<LinkPlace> = reach(map, out)
            .stations
            .iter()
            .map(|station| station.place)
            .filter(|place| place.netns != out.netns)
            .collect();
        let of_those = |is_router: &dyn Fn(LinkPlace) -> bool| -> Vec<IpAddr> {
            let routers =
                others.iter().filter(|place| is_router(**place)).filter_map(|place| map.link(*place));
            let addresses = routers.flat_map(|link| &link.addresses).map(|own| own.address);
            let mut found: Vec<IpAddr> = addresses.filter(|address| is_usable(*address)).collect();
            found.dedup();
            found
        };
        let mut found = of_those(&|place| self.forwards(place));
        // Where nobody forwards, it is for who is connected to the network of the destination to do so.
        if found.is_empty() {
            found = of_those(&|place| self.is_connected(place.netns));
        }
        let [router] = found[..] else { return None };
        Some(router)
    }

    /// Whether an interface of the namespace is in the network of the destination.
    fn is_connected(&self, netns: u64) -> bool {
        let links = self.state.map.netns(netns).map(|netns| netns.links.as_slice()).unwrap_or_default();
        let networks = links.iter().flat_map(|link| &link.addresses).filter_map(network_of);
        networks.into_iter().any(|network| network.contains(self.packet.destination))
    }

    /// Whether what comes in by a link is forwarded.
    pub fn forwards(&self, place: LinkPlace) -> bool {
        let key = match self.packet.is_six() {
            false => format!("ipv4/conf/{}/forwarding", self.link_name(place)),
            true => "ipv6/conf/all/forwarding".to_owned(),
        };
        self.state.is_on(place.netns, &key) == Some(true)
    }
}
