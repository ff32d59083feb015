//! Ports of bridges: those that do not forward, those that are kept apart, and static entries that lead to the wrong one.

use super::facts::{HostFacts, LinkSpot};
use super::segment::LinkSegment;
use super::{Finding, FindingKind};
use crate::hint;
use crate::netlink::{FdbEntry, FdbOrigin, Neighbour, PortState};

/// NUD_INCOMPLETE and NUD_FAILED, linux/neighbour.h: it was asked for, and nothing has answered.
const UNANSWERED: u16 = 0x01 | 0x20;

impl Neighbour {
    /// Whether it was asked for and has not answered.
    pub(super) fn is_unanswered(&self) -> bool {
        self.state & UNANSWERED != 0 && self.mac.is_none()
    }
}

/// Ports that are up and through which their bridge does not forward.
pub(super) fn not_forwarding(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for spot in facts.spots().filter(|spot| spot.is_running()) {
        let Some(bridge) = spot.master().filter(|master| master.link.link.is_bridge() && master.is_running())
        else {
            continue;
        };
        let has_stp = bridge.link.link.spanning_tree;
        let why = match spot.link.link.port_state {
            Some(PortState::Disabled) => "disabled",
            // With the spanning tree protocol another way leads there.
            Some(PortState::Blocking) if !has_stp => "blocking",
            _ => continue,
        };
        let leads_to = match facts.end_of(spot).filter(|_| spot.link.link.is_veth()) {
            Some(end) => format!(", which leads to {}", facts.at(end)),
            None => String::new(),
        };
        let text =
            format!("{}{leads_to}: {} does not forward: the port is {why}", facts.at(spot), bridge.shown());
        let finding = Finding::of(FindingKind::PortNotForwarding, spot.netns.inode, Some(spot.name()), text);
        let set = spot.pasted().and_then(|name| hint!("bridge link set dev {} state 3", name));
        found.push(finding.fixed_by([facts.inside(spot.netns.inode, set)]));
    }
    found
}

/// The port of a bridge by which a station is plugged in.
fn port_of<'a>(facts: &'a HostFacts, station: LinkSpot<'a>) -> Option<LinkSpot<'a>> {
    facts.end_of(station).filter(|end| station.link.link.is_veth() && end.is_port())
}

/// Stations that asked for each other at ports that are both isolated.
pub(super) fn isolated(facts: &HostFacts, segment: &LinkSegment<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for station in segment.stations() {
        let Some(port) = port_of(facts, station).filter(|port| port.link.link.is_isolated) else { continue };
        let neighbours = facts.of(station.netns.inode).and_then(|facts| facts.neighbours.as_deref());
        let of_it = |one: &&Neighbour| one.index == station.link.link.index && one.is_unanswered();
        for neighbour in neighbours.unwrap_or_default().iter().filter(of_it) {
            let Some(other) = segment.with_address(neighbour.address).next() else { continue };
            let its_port = port_of(facts, other).filter(|port| port.link.link.is_isolated);
            let Some(its_port) = its_port.filter(|its_port| {
                its_port.master().map(LinkSpot::place) == port.master().map(LinkSpot::place)
            }) else {
                continue;
            };
            // If both asked, it is told once.
            if found.iter().any(|known: &Finding| known.ifname == Some(its_port.name())) {
                continue;
            }
            let text = format!(
                "{} does not reach {} ({}): the bridge ports of both, {} and {}, are isolated",
                facts.at(station),
                facts.at(other),
                neighbour.address,
                port.shown(),
                its_port.shown(),
            );
            let finding = Finding::of(FindingKind::PortIsolated, port.netns.inode, Some(port.name()), text);
            let set = port.pasted().and_then(|name| hint!("bridge link set dev {} isolated off", name));
            found.push(finding.fixed_by([facts.inside(port.netns.inode, set)]));
            break;
        }
    }
    found
}

/// Static entries for the MAC of a station that is at another port.
pub(super) fn stale_entries(facts: &HostFacts, segment: &LinkSegment<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for bridge in segment.links.iter().filter(|spot| spot.link.link.is_bridge()) {
        let Some(fdb) = facts.of(bridge.netns.inode).and_then(|facts| facts.fdb.as_deref()) else { continue };
        let of_bridge = |entry: &&FdbEntry| {
            entry.bridge == Some(bridge.link.link.index) && entry.origin == FdbOrigin::Static
        };
        for entry in fdb.iter().filter(of_bridge) {
            found.extend(stale_entry(facts, segment, *bridge, entry));
        }
    }
    found
}

fn stale_entry(
    facts: &HostFacts,
    segment: &LinkSegment<'_>,
    bridge: LinkSpot<'_>,
    entry: &FdbEntry,
) -> Option<Finding> {
    let mut stations = segment.stations().filter(|spot| spot.link.link.mac == Some(entry.mac));
    // Two of that MAC are another finding.
    let (station, None) = (stations.next()?, stations.next()) else { return None };
    let port = port_of(facts, station)?;
    let is_of_bridge = port.master().map(LinkSpot::place) == Some(bridge.place());
    if !is_of_bridge || port.link.link.index == entry.index {
        return None;
    }
    let named = bridge.netns.link(entry.index).map(|link| LinkSpot { netns: bridge.netns, link })?;
    let text = format!(
        "{}: a static entry has {} at {}, but that is the MAC of {}, which is at {}",
        facts.at(bridge),
        entry.mac,
        named.shown(),
        facts.at(station),
        port.shown(),
    );
    let finding = Finding::of(FindingKind::FdbStale, bridge.netns.inode, Some(bridge.name()), text);
    let command = match entry.vlan {
        Some(vlan) => hint!("bridge fdb del {} dev {} vlan {} master", entry.mac, named.pasted()?, vlan),
        None => hint!("bridge fdb del {} dev {} master", entry.mac, named.pasted()?),
    };
    Some(finding.fixed_by([facts.inside(bridge.netns.inode, command)]))
}
