//! Where each link of the map is drawn: as a line of its namespace's box, as a bridge, or as a port of one.

use std::collections::HashMap;

use common::map::LinkPlace;
use common::netlink::Link;

use super::model::PlugId;
use crate::named_map::{LinkAt, NamedMap};

/// Where a link is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkSeat {
    /// A line in the box of its namespace.
    Row(PlugId),
    /// A bridge of the middle column, and its line in the box of its namespace.
    Bridge { bridge: PlugId, row: PlugId },
    /// A port in the bridge at that place.
    Port(PlugId, LinkPlace),
}

impl LinkSeat {
    /// What a cable to the link ends at.
    pub const fn plug(self) -> PlugId {
        match self {
            LinkSeat::Row(id) | LinkSeat::Port(id, _) | LinkSeat::Bridge { bridge: id, .. } => id,
        }
    }
}

/// The seat of each link.
#[derive(Debug, Default)]
pub struct LinkSeats(HashMap<LinkPlace, LinkSeat>);

impl LinkSeats {
    /// Numbers are given in the order of the map, so that one map has one picture.
    pub fn of(map: &NamedMap) -> Self {
        let mut next = 0;
        let mut id = || {
            next += 1;
            PlugId(next)
        };
        let seat = |link: LinkAt<'_>| {
            let seat = match bridge_of_port(map, link) {
                _ if is_bridge(&link.mapped.link) => LinkSeat::Bridge { bridge: id(), row: id() },
                Some(bridge) if !is_hardware(&link.mapped.link) => LinkSeat::Port(id(), bridge.place()),
                _ => LinkSeat::Row(id()),
            };
            (link.place(), seat)
        };
        LinkSeats(map.links().map(seat).collect())
    }

    /// That of the link there, if it is on the map.
    pub fn at(&self, place: LinkPlace) -> Option<LinkSeat> {
        self.0.get(&place).copied()
    }
}

/// Whether other links are its ports, as those of a switch are.
pub fn is_bridge(link: &Link) -> bool {
    link.kind.as_deref().is_some_and(|kind| matches!(kind, "bridge" | "openvswitch"))
}

/// Whether no software made it: what packets leave the machine by.
pub fn is_hardware(link: &Link) -> bool {
    link.kind.is_none() && !link.is_loopback()
}

/// The bridge that the link is a port of.
pub fn bridge_of_port<'a>(map: &NamedMap, link: LinkAt<'a>) -> Option<LinkAt<'a>> {
    map.master(link).filter(|master| is_bridge(&master.mapped.link))
}
