//! Which addresses the two ends can have: none that somebody has, and none that would not be reached. Pure.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::Failure;
use common::netlink::Link;
use common::target::IfName;

use crate::journal::Record;
use crate::plan::{Basis, OtherEnd, Plugged};
use crate::snapshot::Side;
use crate::wanted::HostAddresses;

/// Refuses an address that somebody has, and one that would not be reached because its network is reached elsewhere.
pub fn refuse_taken(basis: &Basis<'_>) -> Result<(), Failure> {
    for cidr in &basis.wanted.addresses {
        refuse_held(cidr.address(), basis)?;
        let (inside, outside) = (&basis.snapshot.inside, &basis.snapshot.outside);
        if !basis.snapshot.is_one
            && let Some(other) = way_elsewhere(inside, *cidr, |_| true)
        {
            return Err(Failure::trouble(
                other.network,
                format_args!(
                    "is already on {} in {}, where answers to it would leave",
                    other.link,
                    basis.who()
                ),
            ));
        }
        // With no address there the host does not reach it anyway; on a bridge it is the bridge that does.
        if matches!(basis.wanted.host, HostAddresses::None)
            || (basis.snapshot.is_one && basis.wanted.other_end.bridge().is_none())
        {
            continue;
        }
        let own_bridge = basis.wanted.other_end.bridge().map(IfName::as_str);
        let is_elsewhere = |link: &Link| own_bridge.is_none() || link.name.to_str() != own_bridge;
        if let Some(other) = way_elsewhere(outside, *cidr, is_elsewhere) {
            return Err(on_another_cable(&other, basis));
        }
    }
    Ok(())
}

fn refuse_held(address: IpAddr, basis: &Basis<'_>) -> Result<(), Failure> {
    let recorded = |record: &&Record| record.plan.nic.addresses.iter().any(|cidr| cidr.address() == address);
    if let Some(record) = basis.records.iter().find(recorded) {
        let (who, nic) = (&record.inside.name, &record.plan.nic.name);
        return Err(Failure::trouble(address, format_args!("is the address of {nic} in {who}"))
            .hint(format_args!("add-nic --rm {who} {nic}")));
    }
    if let Some(held) = basis.snapshot.inside.holder(address) {
        let link = basis.snapshot.inside.name_of(held.index);
        return Err(Failure::trouble(
            address,
            format_args!("is the address of {link} in {} already", basis.who()),
        ));
    }
    if let Some(held) = basis.snapshot.outside.holder(address) {
        let link = basis.snapshot.outside.name_of(held.index);
        return Err(Failure::trouble(address, format_args!("is the address of the host's {link}")));
    }
    Ok(())
}

/// A network that is reached through another link, and takes the packets of ours.
struct Elsewhere {
    network: Cidr,
    index: u32,
    link: String,
    through: Option<IpAddr>,
}

/// Of two routes the longer prefix wins, and of two equal ones the first: then the second link is never used.
fn way_elsewhere(side: &Side, cidr: Cidr, counts: impl Fn(&Link) -> bool) -> Option<Elsewhere> {
    let takes = |network: Cidr| network.prefix_len() >= cidr.prefix_len() && network.contains(cidr.address());
    let counts = |index: u32| {
        side.links.iter().any(|link| link.index == index && link.flags & LOOPBACK == 0 && counts(link))
    };
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
    Some(Elsewhere { network, index, link: side.name_of(index), through })
}

/// netdevice(7)
const LOOPBACK: u32 = 8;

fn on_another_cable(other: &Elsewhere, basis: &Basis<'_>) -> Failure {
    let outside = &basis.snapshot.outside;
    let link = outside.links.iter().find(|link| link.index == other.index);
    let ours = basis.records.iter().find(|record| {
        let cable = match &record.plan.nic.other_end {
            OtherEnd::Host(port) => Some(port.mac),
            OtherEnd::Bridge { .. } => None,
        };
        cable.is_some() && link.is_some_and(|link| link.mac == cable)
    });
    let is_bridge = link.is_some_and(Link::is_bridge);
    match (ours, other.through) {
        (Some(record), _) => Failure::trouble(
            other.network,
            format_args!("is already on {}'s cable, {}", record.inside.name, other.link),
        )
        .hint("--bridge NAME --create for both"),
        (None, Some(router)) => Failure::trouble(
            other.network,
            format_args!("is reached through {router} on the host's {} already", other.link),
        ),
        (None, None) => {
            let failure =
                Failure::trouble(other.network, format_args!("is already on the host's {}", other.link));
            if is_bridge { failure.hint(format_args!("--bridge {}", other.link)) } else { failure }
        }
    }
}

/// What the host gets on the cable, or on the bridge.
pub fn host_addresses(basis: &Basis<'_>, bridge: Option<&Plugged>) -> Result<Vec<Cidr>, Failure> {
    match &basis.wanted.host {
        HostAddresses::None => Ok(vec![]),
        HostAddresses::These(these) => {
            these.iter().filter_map(|address| this(*address, basis, bridge).transpose()).collect()
        }
        // A bridge that is there has what its owner wants; both ends in one namespace need no address to be reached.
        HostAddresses::Fitting if bridge.is_some_and(|bridge| bridge.index.is_some()) => Ok(vec![]),
        HostAddresses::Fitting if basis.snapshot.is_one => Ok(vec![]),
        HostAddresses::Fitting => fitting(basis),
    }
}

/// An address that was asked for; `None` if the bridge has it already.
fn this(address: IpAddr, basis: &Basis<'_>, bridge: Option<&Plugged>) -> Result<Option<Cidr>, Failure> {
    let held = basis.snapshot.outside.holder(address);
    if let (Some(held), Some(index)) = (held, bridge.and_then(|bridge| bridge.index))
        && held.index == index
    {
        return Ok(None);
    }
    if held.is_some() || is_taken(address, basis) {
        return Err(Failure::trouble(format_args!("--host-addr {address}"), "is somebody's address already"));
    }
    let network = basis.wanted.addresses.iter().find(|cidr| cidr.contains(address));
    Ok(network.map_or(Some(Cidr::host(address)), |cidr| cidr.with_address(address)))
}

/// For each network the gateway, if there is one in it, or the first free address.
fn fitting(basis: &Basis<'_>) -> Result<Vec<Cidr>, Failure> {
    let mut chosen: Vec<Cidr> = Vec::new();
    for cidr in &basis.wanted.addresses {
        if chosen.iter().any(|other| other.network() == cidr.network()) {
            continue;
        }
        let routers = basis.wanted.gateways.iter().copied();
        let routers = routers.chain(basis.wanted.routes.iter().filter_map(|route| route.via));
        let router = routers.into_iter().find(|router| cidr.contains(*router));
        if let Some(router) = router.filter(|router| is_taken(*router, basis)) {
            return Err(Failure::trouble(
                router,
                "is somebody's address already, and cannot be the host's here",
            ));
        }
        let free = || cidr.hosts().take(65536).find(|address| !is_taken(*address, basis));
        match router.or_else(free) {
            Some(address) => chosen.extend(cidr.with_address(address)),
            None if cidr.is_host() => {
                return Err(Failure::trouble(
                    cidr,
                    "is alone in its network: there is no address left for the host",
                )
                .hint("--host-addr A, which can be any, or --host-addr none"));
            }
            None => {
                return Err(Failure::trouble(cidr.network(), "has no free address left for the host")
                    .hint("--host-addr none"));
            }
        }
    }
    Ok(chosen)
}

/// Whether either side, or any NIC of ours, has that address or is about to.
fn is_taken(address: IpAddr, basis: &Basis<'_>) -> bool {
    let nics = basis.records.iter().map(|record| &record.plan.nic);
    let mut recorded = nics.flat_map(|nic| nic.addresses.iter().chain(nic.other_end.host_addresses()));
    basis.wanted.addresses.iter().any(|cidr| cidr.address() == address)
        || basis.snapshot.inside.holder(address).is_some()
        || basis.snapshot.outside.holder(address).is_some()
        || recorded.any(|cidr| cidr.address() == address)
}
