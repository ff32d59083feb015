//! A veth pair: its other end is the host's, or a port of a bridge.

use common::cidr::Cidr;
use common::failure::Failure;
use common::target::IfName;

use super::addressing::{allow_ipv6, held};
use super::{Basis, Nic, OtherEnd, Plan, Plugged, Port};
use crate::addresses::{host_addresses, refuse_taken};
use crate::names;
use crate::step::{End, Place, Step, Undoing, Veth};

/// The kernel's for a veth and a bridge that nobody says anything about (ETH_DATA_LEN).
const USUAL_MTU: u32 = 1500;

/// The NIC, its cable, and the bridge where there is one.
pub(super) fn cable(name: IfName, basis: &Basis<'_>) -> Result<Plan, Failure> {
    let host_name = basis.host_name()?;
    let bridge = basis.bridge()?;
    refuse_taken(basis)?;
    let port =
        Port { name: host_name, mac: basis.port_mac(), addresses: host_addresses(basis, bridge.as_ref())? };
    let bridge_mtu = bridge.as_ref().and_then(|bridge| bridge.mtu_bytes);
    let (other_end, mut steps) = match bridge {
        Some(Plugged { name, steps, .. }) => (OtherEnd::Bridge { bridge: name, port }, steps),
        None => (OtherEnd::Host(port), Vec::new()),
    };
    let nic = Nic {
        name,
        mac: basis.wanted.mac.unwrap_or_else(|| basis.mac(0)),
        addresses: basis.wanted.addresses.clone(),
        mtu_bytes: basis.wanted.mtu_bytes.or(bridge_mtu).unwrap_or(USUAL_MTU),
        other_end,
    };
    refuse_greater_mtu(&nic, bridge_mtu)?;
    steps.extend(pair(&nic, basis)?);
    Ok(Plan { nic, steps })
}

fn refuse_greater_mtu(nic: &Nic, bridge: Option<u32>) -> Result<(), Failure> {
    match (nic.other_end.bridge(), bridge) {
        (Some(name), Some(most)) if nic.mtu_bytes > most => Err(Failure::trouble(
            format_args!("MTU {}", nic.mtu_bytes),
            format_args!("is more than {name} carries, which is {most}"),
        )),
        _ => Ok(()),
    }
}

/// The pair, its addresses, and both ends up.
fn pair(nic: &Nic, basis: &Basis<'_>) -> Result<Vec<(Step, Undoing)>, Failure> {
    let (OtherEnd::Host(port) | OtherEnd::Bridge { port, .. }) = &nic.other_end;
    let bridge = nic.other_end.bridge();
    let end = |name: &IfName, mac| End { name: name.clone(), mac };
    let veth = Veth {
        outside: end(&port.name, port.mac),
        inside: end(&nic.name, nic.mac),
        mtu_bytes: Some(nic.mtu_bytes).filter(|mtu| *mtu != USUAL_MTU),
        bridge: bridge.cloned(),
    };
    let mut steps = vec![(Step::AddVeth(veth.clone()), Undoing::By(Step::DelVeth(veth)))];
    let alias = names::alias(basis.who(), &nic.name);
    let with_its_link = |step| (step, Undoing::WithItsLink);
    steps.push(with_its_link(Step::SetAlias { link: port.name.clone(), alias }));
    // What is given to a bridge that was there before is taken from it again; all else goes with its link.
    let (outer, by_the_last) = match bridge {
        Some(bridge) => (bridge, basis.snapshot.outside.link(bridge.as_str()).is_some()),
        None => (&port.name, false),
    };
    steps.extend(allow_ipv6(Place::Outside, outer, &port.addresses, basis)?.map(with_its_link));
    steps.extend(allow_ipv6(Place::Inside, &nic.name, &nic.addresses, basis)?.map(with_its_link));
    // Up before it is addressed: an IPv6 peer's route is tried once, and fails on a link that is down
    // (__ipv6_ifa_notify in net/ipv6/addrconf.c).
    for (place, link) in [(Place::Outside, &port.name), (Place::Inside, &nic.name)] {
        steps.push(with_its_link(Step::SetUp { place, link: link.clone() }));
    }
    for cidr in &port.addresses {
        let peer = nic.addresses.iter().filter(|inside| inside.is_host()).map(Cidr::address);
        let held = held(Place::Outside, outer, *cidr, peer);
        let undoing = match by_the_last {
            true => Undoing::ByTheLast(Step::DelAddress(held.clone())),
            false => Undoing::WithItsLink,
        };
        steps.push((Step::AddAddress(held), undoing));
    }
    for cidr in &nic.addresses {
        let peer = port.addresses.iter().filter(|outside| outside.is_host()).map(Cidr::address);
        steps.push(with_its_link(Step::AddAddress(held(Place::Inside, &nic.name, *cidr, peer))));
    }
    Ok(steps)
}
