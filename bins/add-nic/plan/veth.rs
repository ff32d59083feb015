//! A veth pair: its other end is the host's, a port of a bridge, or another container's.

use common::cidr::Cidr;
use common::failure::Failure;
use common::target::IfName;

use super::addressing::{address_spec, allow_ipv6, link_local};
use crate::model::change::{AccessPort, PlanStep, Undo, Veth, VethEndSpec};
use crate::model::netns::Netns;
use crate::model::nic::{Nic, OtherEnd, VethPort};
use crate::model::plan::Plan;
use crate::plan::addresses::other_addresses;
use crate::plan::bridge::BridgePlan;
use crate::plan::conflicts::refuse_conflicts;
use crate::plan::input::PlanInput;
use crate::plan::names;

/// The kernel's default for a veth or a bridge (ETH_DATA_LEN).
const USUAL_MTU: u32 = 1500;

/// The NIC, its other end, and the bridge if there is one.
pub(super) fn veth(name: IfName, input: &PlanInput<'_>) -> Result<Plan, Failure> {
    let other_name = input.other_name()?;
    let bridge = input.bridge()?;
    refuse_conflicts(input)?;
    let other_netns = input.other_netns();
    let port = VethPort {
        name: other_name,
        mac: if other_netns == Netns::Host { input.port_mac() } else { input.peer_mac() },
        addresses: other_addresses(input, bridge.as_ref())?,
    };
    let bridge_mtu = bridge.as_ref().and_then(|bridge| bridge.mtu_bytes);
    let vlan = input.wanted.other_end.vlan_of_port();
    let default_vlan = bridge.as_ref().and_then(|bridge| bridge.default_vlan);
    let (other_end, mut steps) = match bridge {
        Some(BridgePlan { name, steps, .. }) => (OtherEnd::Bridge { bridge: name, port, vlan }, steps),
        None if other_netns == Netns::Peer => (OtherEnd::Peer(port), Vec::new()),
        None => (OtherEnd::Host(port), Vec::new()),
    };
    let nic = Nic {
        name,
        mac: input.nic_mac()?,
        addresses: input.wanted.addresses.clone(),
        mtu_bytes: input.wanted.mtu_bytes.or(bridge_mtu).unwrap_or(USUAL_MTU),
        other_end,
    };
    refuse_greater_mtu(&nic, bridge_mtu)?;
    steps.extend(pair(&nic, default_vlan, input)?);
    Ok(Plan { nic, steps, links: vec![] })
}

fn refuse_greater_mtu(nic: &Nic, bridge: Option<u32>) -> Result<(), Failure> {
    match (nic.other_end.bridge(), bridge) {
        (Some(name), Some(most)) if nic.mtu_bytes > most => Err(Failure::failed(
            format_args!("MTU {}", nic.mtu_bytes),
            format_args!("larger than the MTU of {name}, {most}"),
        )),
        _ => Ok(()),
    }
}

/// The pair, its addresses, and both ends up.
fn pair(
    nic: &Nic,
    default_vlan: Option<u16>,
    input: &PlanInput<'_>,
) -> Result<Vec<(PlanStep, Undo)>, Failure> {
    let Some((netns, other)) = nic.other_end.other_port() else { return Ok(vec![]) };
    let bridge = nic.other_end.bridge();
    let end = |name: &IfName, mac| VethEndSpec { name: name.clone(), mac };
    let veth = Veth {
        inside: end(&nic.name, nic.mac),
        other: end(&other.name, other.mac),
        other_netns: netns,
        mtu_bytes: Some(nic.mtu_bytes).filter(|mtu| *mtu != USUAL_MTU),
        bridge: bridge.cloned(),
        indices: None,
    };
    let mut steps = vec![(PlanStep::AddVeth(veth.clone()), Undo::By(PlanStep::DelVeth(veth)))];
    let with_its_link = |step| (step, Undo::WithItsLink);
    // One container is not told another's name.
    if netns == Netns::Host {
        let alias = names::alias(input.container_name(), &nic.name);
        steps.push(with_its_link(PlanStep::SetAlias { link: other.name.clone(), alias }));
    }
    // Before it is up: it was never active in the default VLAN.
    if let Some(vlan) = nic.other_end.vlan() {
        let not_in = default_vlan.filter(|default| *default != 0 && *default != vlan);
        steps.push(with_its_link(PlanStep::SetAccessPort(AccessPort {
            link: other.name.clone(),
            vlan,
            not_in,
        })));
    }
    // An address on a bridge that existed before is removed again; others are deleted with their link.
    let (outer, outlives_the_nic) = match bridge {
        Some(bridge) => (bridge, input.snapshot.host.link(bridge.as_str()).is_some()),
        None => (&other.name, false),
    };
    steps.extend(allow_ipv6(netns, outer, &other.addresses, input)?.map(with_its_link));
    steps.extend(allow_ipv6(Netns::Container, &nic.name, &nic.addresses, input)?.map(with_its_link));
    if !outlives_the_nic {
        let mac = if bridge.is_some() { input.bridge_mac() } else { other.mac };
        steps.extend(link_local(netns, outer, mac, &other.addresses).map(with_its_link));
    }
    steps.extend(link_local(Netns::Container, &nic.name, nic.mac, &nic.addresses).map(with_its_link));
    // Up before it is addressed: an IPv6 peer's route is tried once, and fails on a link that is down
    // (__ipv6_ifa_notify in net/ipv6/addrconf.c).
    for (netns, link) in [(netns, &other.name), (Netns::Container, &nic.name)] {
        steps.push(with_its_link(PlanStep::SetUp { netns, link: link.clone() }));
    }
    steps.extend(address_steps(nic, (netns, outer), other, outlives_the_nic));
    Ok(steps)
}

/// The addresses of both ends: those of the other one are set on `outer`, which is a bridge if there is one.
fn address_steps(
    nic: &Nic,
    (netns, outer): (Netns, &IfName),
    other: &VethPort,
    outlives_the_nic: bool,
) -> Vec<(PlanStep, Undo)> {
    let of_other = other.addresses.iter().map(|cidr| {
        let peer = nic.addresses.iter().filter(|inside| inside.is_host()).map(Cidr::address);
        let spec = address_spec(netns, outer, *cidr, peer);
        let undoing = match outlives_the_nic {
            true => Undo::WhenUnused(PlanStep::DelAddress(spec.clone())),
            false => Undo::WithItsLink,
        };
        (PlanStep::AddAddress(spec), undoing)
    });
    let of_nic = nic.addresses.iter().map(|cidr| {
        let peer = other.addresses.iter().filter(|cidr| cidr.is_host()).map(Cidr::address);
        let spec = address_spec(Netns::Container, &nic.name, *cidr, peer);
        (PlanStep::AddAddress(spec), Undo::WithItsLink)
    });
    of_other.chain(of_nic).collect()
}
