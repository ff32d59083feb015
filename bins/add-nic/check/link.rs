//! Links that are no longer as we made them.

use common::netlink::Link;

use crate::snapshot::{Side, Snapshot};
use crate::step::{NewBridge, Veth};

pub(super) fn bridge_differs(bridge: &NewBridge, outside: &Side) -> Option<String> {
    match outside.link(bridge.name.as_str()).filter(|link| link.is_bridge()) {
        Some(link) if link.mac == Some(bridge.mac) => None,
        Some(_) => Some(format!("{} is another bridge", bridge.name)),
        None => Some(format!("the bridge {} is gone", bridge.name)),
    }
}

pub(super) fn veth_differs(veth: &Veth, snapshot: &Snapshot) -> Option<String> {
    let outside = snapshot.outside.veth(veth.outside.mac)?;
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

fn name(link: &Link) -> String {
    link.name.to_string_lossy().into_owned()
}
