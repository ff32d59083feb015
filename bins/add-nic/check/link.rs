//! Changes to links.

use common::netlink::{Link, PortVlan};
use common::target::IfName;

use crate::model::change::{AccessPort, BridgeSpec, PlanStep, Veth};
use crate::model::netns::Netns;
use crate::model::plan::Plan;
use crate::model::snapshot::{NetnsState, Snapshot};

pub(super) fn bridge_differs(bridge: &BridgeSpec, host: &NetnsState) -> Option<String> {
    match host.link(bridge.name.as_str()).filter(|link| link.is_bridge()) {
        Some(link) if link.mac == Some(bridge.mac) => None,
        Some(_) => Some(format!("{} has not the MAC address that it was created with", bridge.name)),
        None => Some(format!("the bridge {} is gone", bridge.name)),
    }
}

pub(super) fn access_port_differs(port: &AccessPort, host: &NetnsState) -> Option<String> {
    let index = host.link(port.link.as_str())?.index;
    let vlans: Vec<&PortVlan> = host.port_vlans.iter().filter(|vlan| vlan.index == index).collect();
    let is_as_made = matches!(vlans[..], [only] if only.id == port.vlan && only.is_pvid && only.is_untagged);
    (!is_as_made).then(|| format!("{} is not only in VLAN {}", port.link, port.vlan))
}

pub(super) fn veth_differs(veth: &Veth, snapshot: &Snapshot) -> Option<String> {
    let (inner, outer) = (&snapshot.inside, snapshot.side(veth.other_netns));
    let find = |side: &NetnsState, is_end: fn(&Veth, &Link) -> bool| {
        side.links.iter().find(|link| is_end(veth, link)).cloned()
    };
    let other = find(outer, Veth::is_other_end);
    let other = other.or_else(|| other_end(&find(inner, Veth::is_inside_end)?, outer).cloned())?;
    let other = &other;
    let Some(inside) = other_end(other, inner) else {
        return Some(format!("{} was moved to another namespace", veth.inside.name));
    };
    for (link, end) in [(other, &veth.other), (inside, &veth.inside)] {
        if name(link) != end.name.as_str() {
            return Some(format!("{} was renamed to {}", end.name, name(link)));
        }
        if link.mac != Some(end.mac) {
            return Some(format!("{} has a different MAC address", end.name));
        }
    }
    let wanted_mtu = veth.mtu_bytes.unwrap_or(1500);
    for link in [other, inside] {
        if link.mtu_bytes != wanted_mtu {
            return Some(format!("{} has MTU {}, not {wanted_mtu}", name(link), link.mtu_bytes));
        }
    }
    let master = other.master.map(|index| outer.name_of(index));
    let wanted = veth.bridge.as_ref().map(ToString::to_string);
    (master != wanted).then(|| match master {
        Some(master) => format!("{} is attached to {master}", veth.other.name),
        None => format!("{} is not attached to a bridge", veth.other.name),
    })
}

/// The snapshot with the links that steps name under the names that they had when the NIC was made; `None` if they still have them.
pub(super) fn with_made_names(plan: &Plan, snapshot: &Snapshot) -> Option<Snapshot> {
    type IsIt<'a> = Box<dyn Fn(&Link) -> bool + 'a>;
    let inside = (Netns::Container, &plan.nic.name);
    let mut made: Vec<(Netns, &IfName, IsIt<'_>)> = Vec::new();
    if let Some(veth) = plan.veth() {
        made.push((inside.0, &veth.inside.name, Box::new(|link| veth.is_inside_end(link))));
        made.push((veth.other_netns, &veth.other.name, Box::new(|link| veth.is_other_end(link))));
    }
    if let Some(stacked) = plan.stacked_link() {
        made.push((inside.0, inside.1, Box::new(|link| stacked.matches(link))));
    }
    if let Some(like) = plan.moved().and_then(|moved| moved.most_like(&snapshot.inside.links)) {
        made.push((inside.0, inside.1, Box::new(|link| link.index == like.index)));
    }
    for known in &plan.links {
        made.push((known.netns, &known.name, Box::new(|link| known.matches(link))));
    }
    let mut named = None;
    for (netns, made, is_it) in made {
        let found = snapshot.side(netns).links.iter().position(is_it);
        let Some(at) = found.filter(|at| name(&snapshot.side(netns).links[*at]) != made.as_str()) else {
            continue;
        };
        let links = &mut named.get_or_insert_with(|| snapshot.clone()).side_mut(netns).links;
        // Another link has its name by now.
        links.iter_mut().filter(|link| name(link) == made.as_str()).for_each(|link| link.name.clear());
        links[at].name = made.as_str().into();
    }
    named
}

/// A link that steps of the plan name and that has another name by now, and that name. The steps find it by its index; as a command each
/// would be about whatever has the old name.
pub fn renamed(plan: &Plan, snapshot: &Snapshot) -> Option<(IfName, String)> {
    type IsIt<'a> = Box<dyn Fn(&Link) -> bool + 'a>;
    let mut links: Vec<(Netns, &IfName, IsIt<'_>)> = Vec::new();
    for (step, _) in &plan.steps {
        match step {
            PlanStep::AddVeth(veth) => {
                links.push((Netns::Container, &veth.inside.name, Box::new(|link| veth.is_inside_end(link))));
                links.push((veth.other_netns, &veth.other.name, Box::new(|link| veth.is_other_end(link))));
            }
            PlanStep::AddBridge(bridge) => {
                let is_it = |link: &Link| link.is_bridge() && link.mac == Some(bridge.mac);
                links.push((Netns::Host, &bridge.name, Box::new(is_it)));
            }
            PlanStep::AddStackedLink(stacked) => {
                links.push((stacked.netns, &stacked.name, Box::new(|link| stacked.matches(link))));
            }
            PlanStep::TakeNic(moved) => {
                links.push((Netns::Container, &plan.nic.name, Box::new(|link| moved.looks_like(link))));
            }
            _ => {}
        }
    }
    for known in &plan.links {
        links.push((known.netns, &known.name, Box::new(|link| known.matches(link))));
    }
    links.into_iter().find_map(|(netns, made, is_it)| {
        let link = snapshot.side(netns).links.iter().find(|link| is_it(link))?;
        (name(link) != made.as_str()).then(|| (made.clone(), name(link)))
    })
}

fn other_end<'a>(end: &Link, side: &'a NetnsState) -> Option<&'a Link> {
    let index = end.other_end()?;
    side.links.iter().find(|link| link.index == index && link.is_veth())
}

fn name(link: &Link) -> String {
    link.name.to_string_lossy().into_owned()
}
