//! Who hears a frame that leaves a link: the stations of a segment of Ethernet, and the way to each of them, as cables, bridges and
//! macvlan links make it. Whether all on that way lets it pass is looked at later. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use common::map::{HostMap, LinkEnd, LinkPlace, MappedLink};

/// A step of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameStep {
    /// It crosses a cable, from the first end to the second.
    Cable(LinkPlace, LinkPlace),
    /// A bridge takes it from one port to another; a port that is missing is the bridge's own namespace.
    Bridge { bridge: LinkPlace, from: Option<LinkPlace>, to: Option<LinkPlace> },
    /// It goes from a macvlan link to the one below, to one of the same parent, or up again.
    Macvlan(LinkPlace, LinkPlace),
}

/// A link that takes frames for its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentStation {
    /// The link.
    pub place: LinkPlace,
    /// The way of a frame to it.
    pub way: Vec<FrameStep>,
}

/// Everything that hears a link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameReach {
    /// Those that take frames, the nearest first.
    pub stations: Vec<SegmentStation>,
    /// Links by which frames leave what is on the map: hardware, tunnels, ends that were not seen; with the way there.
    pub exits: Vec<SegmentStation>,
}

/// Searches from the link that a frame leaves by.
pub fn reach(map: &HostMap, from: LinkPlace) -> FrameReach {
    let mut search = ReachSearch { map, seen: BTreeSet::new(), reach: FrameReach::default() };
    search.leave(from, Vec::new());
    search.reach.stations.sort_by_key(|station| station.way.len());
    search.reach.stations.retain(|station| station.place != from);
    search.reach
}

impl FrameReach {
    /// The stations that have an address.
    pub fn with_address<'a>(
        &'a self,
        map: &'a HostMap,
        address: IpAddr,
    ) -> impl Iterator<Item = &'a SegmentStation> + 'a {
        self.stations.iter().filter(move |station| {
            map.link(station.place).is_some_and(|link| has_address(link, address))
                // An address of any other link is answered for, too: arp_ignore is 0.
                || address.is_ipv4() && map.link(station.place).is_some_and(answers)
                    && map.netns(station.place.netns).is_some_and(|netns| {
                        netns.links.iter().any(|link| !link.link.is_loopback() && has_address(link, address))
                            && !self.stations.iter().any(|other| {
                                other.place.netns == station.place.netns
                                    && map.link(other.place).is_some_and(|link| has_address(link, address))
                            })
                    })
        })
    }

    /// Whether a link is one of its stations.
    pub fn has(&self, place: LinkPlace) -> bool {
        self.stations.iter().any(|station| station.place == place)
    }
}

/// Whether a link has that address, and uses it.
pub fn has_address(link: &MappedLink, address: IpAddr) -> bool {
    link.addresses.iter().any(|own| own.address == address && !own.is_refused)
}

/// Whether it can answer ARP for other links of its namespace: it has IPv4 itself.
fn answers(link: &MappedLink) -> bool {
    link.link.is_set_up() && link.addresses.iter().any(|own| own.address.is_ipv4())
}

struct ReachSearch<'a> {
    map: &'a HostMap,
    seen: BTreeSet<(LinkPlace, bool)>,
    reach: FrameReach,
}

impl ReachSearch<'_> {
    /// A frame leaves by a link.
    fn leave(&mut self, place: LinkPlace, way: Vec<FrameStep>) {
        if !self.seen.insert((place, true)) {
            return;
        }
        let Some(link) = self.map.link(place) else { return };
        let known = match link.end {
            Some(LinkEnd::Known(end)) => Some(end),
            _ => None,
        };
        match (link.link.kind.as_deref(), known) {
            _ if link.link.is_loopback() => {}
            (Some("bridge"), _) => self.through(place, None, way),
            (Some("veth" | "netkit"), Some(end)) => {
                self.arrive(end, added(&way, FrameStep::Cable(place, end)))
            }
            (Some("macvlan"), Some(parent)) => {
                for child in self.children(parent).into_iter().filter(|child| *child != place) {
                    self.arrive(child, added(&way, FrameStep::Macvlan(place, child)));
                }
                self.leave(parent, added(&way, FrameStep::Macvlan(place, parent)));
            }
            _ => self.reach.exits.push(SegmentStation { place, way }),
        }
    }

    /// A frame comes in by a link.
    fn arrive(&mut self, place: LinkPlace, way: Vec<FrameStep>) {
        if !self.seen.insert((place, false)) {
            return;
        }
        let Some(link) = self.map.link(place) else { return };
        let master = link.link.master.map(|index| LinkPlace { index, ..place });
        match master.filter(|master| self.map.link(*master).is_some_and(|link| link.link.is_bridge())) {
            Some(bridge) => self.through(bridge, Some(place), way),
            None => {
                for child in self.children(place) {
                    self.arrive(child, added(&way, FrameStep::Macvlan(place, child)));
                }
                self.reach.stations.push(SegmentStation { place, way });
            }
        }
    }

    /// A bridge has a frame.
    fn through(&mut self, bridge: LinkPlace, from: Option<LinkPlace>, way: Vec<FrameStep>) {
        if from.is_some() && self.seen.insert((bridge, false)) {
            let way = added(&way, FrameStep::Bridge { bridge, from, to: None });
            self.reach.stations.push(SegmentStation { place: bridge, way });
        }
        let Some(netns) = self.map.netns(bridge.netns) else { return };
        let ports = netns.ports_of(bridge.index).map(|port| LinkPlace { index: port.link.index, ..bridge });
        for port in ports.filter(|port| Some(*port) != from).collect::<Vec<_>>() {
            self.leave(port, added(&way, FrameStep::Bridge { bridge, from, to: Some(port) }));
        }
    }

    /// The macvlan links above a link.
    fn children(&self, parent: LinkPlace) -> Vec<LinkPlace> {
        let of_netns = |netns: &'_ common::map::MappedNetns| {
            let inode = netns.inode;
            let stands_on_it = |link: &&MappedLink| {
                link.end == Some(LinkEnd::Known(parent)) && link.link.kind.as_deref() == Some("macvlan")
            };
            let above = netns.links.iter().filter(stands_on_it);
            above.map(|link| LinkPlace { netns: inode, index: link.link.index }).collect::<Vec<_>>()
        };
        self.map.namespaces.iter().flat_map(of_netns).collect()
    }
}

fn added(way: &[FrameStep], step: FrameStep) -> Vec<FrameStep> {
    let mut way = way.to_vec();
    way.push(step);
    way
}
