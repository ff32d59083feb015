//! What is no longer as we made it. Pure.

use common::cidr::Cidr;
use common::netlink::{Link, Route};

use crate::journal::Record;
use crate::routes::effective;
use crate::snapshot::{Side, Snapshot};
use crate::step::{Held, Place, Step, Veth, Way};

/// Whether the NIC is there at all: the end outside, which no container can forge.
pub fn is_there(record: &Record, outside: &Side) -> bool {
    outside.veth(record.plan.nic.host_mac).is_some()
}

/// A line for each thing that differs.
pub fn drift(record: &Record, snapshot: &Snapshot) -> Vec<String> {
    if !record.is_whole {
        return vec!["was left half made".to_owned()];
    }
    if !is_there(record, &snapshot.outside) {
        return vec!["is gone".to_owned()];
    }
    // Every network has at least lo. A network that nobody can open any more takes its links with it a moment later.
    if snapshot.inside.links.is_empty() {
        return vec!["is going: its container has ended".to_owned()];
    }
    record.plan.steps.iter().filter_map(|(step, _)| differs(step, snapshot)).collect()
}

fn side(place: Place, snapshot: &Snapshot) -> &Side {
    match place {
        Place::Outside => &snapshot.outside,
        Place::Inside => &snapshot.inside,
    }
}

impl Snapshot {
    /// Whether a step is done.
    pub fn has(&self, step: &Step) -> bool {
        differs(step, self).is_none()
    }
}

fn differs(step: &Step, snapshot: &Snapshot) -> Option<String> {
    match step {
        Step::AddVeth(veth) => veth_differs(veth, snapshot),
        Step::AddBridge(bridge) => {
            let found = snapshot.outside.link(bridge.name.as_str());
            match found.filter(|link| link.is_bridge()) {
                Some(link) if link.mac == Some(bridge.mac) => None,
                Some(_) => Some(format!("{} is another bridge", bridge.name)),
                None => Some(format!("the bridge {} is gone", bridge.name)),
            }
        }
        Step::AddAddress(held) => {
            let is_gone = !has(side(held.place, snapshot), held);
            is_gone.then(|| format!("{} is not on {}", held.cidr, held.link))
        }
        Step::SetUp { place, link } => {
            let found = side(*place, snapshot).link(link.as_str());
            found.filter(|found| !found.is_set_up()).map(|_| format!("{link} is down"))
        }
        Step::AddRoute(way) => {
            (!routed(&snapshot.inside, way)).then(|| format!("the route to {} is gone", name_of(way.to)))
        }
        Step::DelRoute(way) => {
            routed(&snapshot.inside, way).then(|| format!("the old route to {} is back", name_of(way.to)))
        }
        // For people, or seen by what it is for.
        Step::SetAlias { .. } | Step::AllowIpv6 { .. } => None,
        Step::DelBridge(_) | Step::DelVeth(_) | Step::DelLink { .. } | Step::DelAddress(_) => None,
    }
}

fn veth_differs(veth: &Veth, snapshot: &Snapshot) -> Option<String> {
    let outside = snapshot.outside.veth(veth.outside.mac)?;
    let name = |link: &Link| link.name.to_string_lossy().into_owned();
    if name(outside) != veth.outside.name.as_str() {
        return Some(format!("{} is called {} now", veth.outside.name, name(outside)));
    }
    let inside = outside
        .other_end()
        .and_then(|index| snapshot.inside.links.iter().find(|link| link.index == index && link.is_veth()));
    let Some(inside) = inside else { return Some(format!("{} is in another namespace", veth.inside.name)) };
    if name(inside) != veth.inside.name.as_str() {
        return Some(format!("{} is called {} now", veth.inside.name, name(inside)));
    }
    if inside.mac != Some(veth.inside.mac) {
        return Some(format!("{} has another MAC address", veth.inside.name));
    }
    let wanted_mtu = veth.mtu_bytes.unwrap_or(1500);
    for link in [outside, inside] {
        if link.mtu_bytes != wanted_mtu {
            return Some(format!("{} has the MTU {} and not {wanted_mtu}", name(link), link.mtu_bytes));
        }
    }
    let master = outside.master.map(|index| snapshot.outside.name_of(index));
    let wanted = veth.bridge.as_ref().map(ToString::to_string);
    (master != wanted).then(|| match master {
        Some(master) => format!("{} is plugged into {master}", veth.outside.name),
        None => format!("{} is plugged into nothing", veth.outside.name),
    })
}

fn has(side: &Side, held: &Held) -> bool {
    let Some(link) = side.link(held.link.as_str()) else { return false };
    side.addresses_of(link.index).any(|address| {
        address.address == held.cidr.address()
            && match held.peer {
                Some(peer) => address.peer == Some(peer),
                None => address.prefix_len == held.cidr.prefix_len(),
            }
    })
}

fn routed(side: &Side, way: &Way) -> bool {
    let index = side.link(way.link.as_str()).map(|link| link.index);
    side.routes.iter().any(|route: &Route| {
        route.is_ordinary()
            && route.destination == way.to
            && route.gateway == way.via
            && route.index == index
            && effective(way.to, route.metric) == effective(way.to, way.metric)
    })
}

fn name_of(network: Cidr) -> String {
    if network.prefix_len() == 0 { "everywhere".to_owned() } else { network.to_string() }
}
