//! Addresses that the NIC cannot have: they are in use, or would be unreachable. Pure.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::Failure;
use common::netlink::Link;
use common::target::IfName;

use crate::model::netns::Netns;
use crate::model::nic::OtherEnd;
use crate::model::record::NicRecord;
use crate::model::snapshot::NetnsState;
use crate::model::wanted::{OtherAddresses, WantedEnd};
use crate::plan::input::PlanInput;

/// Refuses an address that is in use, or that is unreachable because another link has its network.
pub fn refuse_conflicts(input: &PlanInput<'_>) -> Result<(), Failure> {
    for cidr in &input.wanted.addresses {
        refuse_used(cidr.address(), input)?;
        if !input.snapshot.is_one {
            refuse_other_link(Netns::Container, *cidr, input)?;
        }
        match &input.wanted.other_end {
            // With no address there the other end does not reach it anyway.
            _ if matches!(input.wanted.other_addresses, OtherAddresses::None) => {}
            WantedEnd::Peer(_) => refuse_other_link(Netns::Peer, *cidr, input)?,
            WantedEnd::Host if input.snapshot.is_one => {}
            // The host does not reach it through its parent, whatever networks are there.
            WantedEnd::On(_) | WantedEnd::Phys(_) => {}
            WantedEnd::Host | WantedEnd::Bridge(_) => refuse_other_host_link(*cidr, input)?,
        }
    }
    Ok(())
}

/// Refuses an address that another NIC of ours has in the same container: it was added by the same call with other options.
pub fn refuse_own(input: &PlanInput<'_>) -> Result<(), Failure> {
    let here: Vec<&NicRecord> =
        input.records.iter().filter(|record| record.inside.is_same_as(input.inside)).collect();
    for address in input.wanted.addresses.iter().map(Cidr::address) {
        if let Some(record) = here.iter().find(|record| has(record, address)) {
            let (container, nic) = (&record.inside.name, &record.plan.nic.name);
            let what = format!(
                "already the address of {nic} in {container}, which add-nic added with other options"
            );
            return Err(Failure::failed(address, what).hint(common::same_with!("--replace")));
        }
    }
    Ok(())
}

fn has(record: &NicRecord, address: IpAddr) -> bool {
    record.plan.nic.addresses.iter().any(|cidr| cidr.address() == address)
}

fn refuse_other_link(netns: Netns, cidr: Cidr, input: &PlanInput<'_>) -> Result<(), Failure> {
    match competing_route(input.snapshot.side(netns), cidr, |_| true) {
        None => Ok(()),
        Some(other) => Err(Failure::failed(
            other.network,
            format_args!("already on {} in {}: replies would leave there", other.link, input.name_of(netns)),
        )
        .hint(common::sentence!("use a network that is not {}", other.network))),
    }
}

/// On a bridge it is the bridge that reaches it.
fn refuse_other_host_link(cidr: Cidr, input: &PlanInput<'_>) -> Result<(), Failure> {
    let own_bridge = input.wanted.other_end.bridge().map(IfName::as_str);
    let is_elsewhere = |link: &Link| own_bridge.is_none() || link.name.to_str() != own_bridge;
    match competing_route(&input.snapshot.host, cidr, is_elsewhere) {
        Some(other) => Err(on_another_veth(&other, input)),
        None => Ok(()),
    }
}

/// Between two containers, addresses of the host and of its other NICs do not matter.
fn refuse_used(address: IpAddr, input: &PlanInput<'_>) -> Result<(), Failure> {
    let is_between = input.wanted.other_end.peer().is_some();
    let recorded = |record: &&NicRecord| !is_between && record.peer.is_none() && has(record, address);
    if let Some(record) = input.records.iter().find(recorded) {
        let (container, nic) = (&record.inside.name, &record.plan.nic.name);
        let held = format!("already the address of {nic} in {container}");
        return Err(Failure::failed(address, held).hint(common::hint!("add-nic --rm {} {}", container, nic)));
    }
    for netns in [Netns::Container, input.other_netns()] {
        let side = input.snapshot.side(netns);
        if let Some(held) = side.holder(address) {
            let (link, container) = (side.name_of(held.index), input.name_of(netns));
            return Err(match netns {
                Netns::Host => {
                    Failure::failed(address, format_args!("already the address of {link} on the host"))
                }
                _ => Failure::failed(address, format_args!("already the address of {link} in {container}")),
            });
        }
    }
    Ok(())
}

/// A route through another link that takes precedence for our addresses.
struct CompetingRoute {
    network: Cidr,
    index: u32,
    link: String,
    through: Option<IpAddr>,
}

/// Of two routes the longer prefix wins, and of two equal ones the first: then the second link is never used.
fn competing_route(side: &NetnsState, cidr: Cidr, counts: impl Fn(&Link) -> bool) -> Option<CompetingRoute> {
    let takes = |network: Cidr| network.prefix_len() >= cidr.prefix_len() && network.contains(cidr.address());
    let counts =
        |index: u32| side.links.iter().any(|link| link.index == index && !link.is_loopback() && counts(link));
    let of_address = side
        .addresses
        .iter()
        .filter(|held| held.peer.is_none())
        .filter_map(|held| Some((Cidr::new(held.address, held.prefix_len)?.network(), held.index, None)));
    let of_route = side
        .routes
        .iter()
        .filter(|route| route.is_ordinary())
        .filter_map(|route| Some((route.destination, route.index?, route.gateway)));
    let (network, index, through) =
        of_address.chain(of_route).find(|(network, index, _)| takes(*network) && counts(*index))?;
    Some(CompetingRoute { network, index, link: side.name_of(index), through })
}

fn on_another_veth(other: &CompetingRoute, input: &PlanInput<'_>) -> Failure {
    let host = &input.snapshot.host;
    let link = host.links.iter().find(|link| link.index == other.index);
    let ours = input.records.iter().find(|record| {
        let port_mac = match &record.plan.nic.other_end {
            OtherEnd::Host(port) => Some(port.mac),
            OtherEnd::Bridge { .. } | OtherEnd::Peer(_) | OtherEnd::On(_) | OtherEnd::Phys(_) => None,
        };
        port_mac.is_some() && link.is_some_and(|link| link.mac == port_mac)
    });
    let is_bridge = link.is_some_and(Link::is_bridge);
    match (ours, other.through) {
        (Some(record), _) => Failure::failed(
            other.network,
            format_args!("already on the veth pair of {}, {}", record.inside.name, other.link),
        )
        .hint(common::sentence!("add both to one bridge: --bridge NAME --create")),
        (None, Some(router)) => Failure::failed(
            other.network,
            format_args!("already routed through {router} on the host's {}", other.link),
        ),
        (None, None) => {
            let failure =
                Failure::failed(other.network, format_args!("already on the host's {}", other.link));
            if is_bridge { failure.hint(common::same_with!("--bridge {}", other.link)) } else { failure }
        }
    }
}

/// Whether either side, or any NIC of ours that the host is to reach, has that address or is about to.
pub fn is_taken(address: IpAddr, input: &PlanInput<'_>) -> bool {
    let nics = input.records.iter().map(|record| &record.plan.nic);
    let mut recorded = nics.flat_map(|nic| nic.addresses.iter().chain(nic.other_end.host_addresses()));
    let is_between = input.wanted.other_end.peer().is_some();
    input.wanted.addresses.iter().any(|cidr| cidr.address() == address)
        || input.snapshot.inside.holder(address).is_some()
        || input.snapshot.side(input.other_netns()).holder(address).is_some()
        || !is_between && recorded.any(|cidr| cidr.address() == address)
}
