//! Which addresses the other end gets: those that were asked for, or those that fit. Pure.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::Failure;
use common::hint::Verbatim;

use crate::model::netns::Netns;
use crate::model::wanted::OtherAddresses;
use crate::plan::bridge::BridgePlan;
use crate::plan::conflicts::is_taken;
use crate::plan::input::PlanInput;

/// What the other end gets: the host on the veth or on the bridge, or the other container.
pub fn other_addresses(input: &PlanInput<'_>, bridge: Option<&BridgePlan>) -> Result<Vec<Cidr>, Failure> {
    match &input.wanted.other_addresses {
        OtherAddresses::None => Ok(vec![]),
        OtherAddresses::These(these) => {
            these.iter().filter_map(|address| requested(*address, input, bridge).transpose()).collect()
        }
        // A bridge that is there has what its owner wants; both ends in one namespace need no address to be reached.
        OtherAddresses::Fitting if bridge.is_some_and(|bridge| bridge.index.is_some()) => Ok(vec![]),
        OtherAddresses::Fitting if input.snapshot.is_one && input.other_netns() == Netns::Host => Ok(vec![]),
        OtherAddresses::Fitting => automatic(input),
    }
}

/// An address that was asked for; `None` if the bridge has it already.
fn requested(
    address: IpAddr,
    input: &PlanInput<'_>,
    bridge: Option<&BridgePlan>,
) -> Result<Option<Cidr>, Failure> {
    let held = input.snapshot.side(input.other_netns()).holder(address);
    if let (Some(held), Some(index)) = (held, bridge.and_then(|bridge| bridge.index))
        && held.index == index
    {
        return Ok(None);
    }
    if held.is_some() || is_taken(address, input) {
        let option = input.option_of_addresses();
        return Err(Failure::failed(format_args!("{option} {address}"), "already in use"));
    }
    let network = input.wanted.addresses.iter().find(|cidr| cidr.contains(address));
    Ok(network.map_or(Some(Cidr::host(address)), |cidr| cidr.with_address(address)))
}

/// For each network the gateway, if there is one in it, or the first free address.
fn automatic(input: &PlanInput<'_>) -> Result<Vec<Cidr>, Failure> {
    let (option, other) = (input.option_of_addresses(), input.name_of(input.other_netns()));
    let mut chosen: Vec<Cidr> = Vec::new();
    for cidr in &input.wanted.addresses {
        if chosen.iter().any(|other| other.network() == cidr.network()) {
            continue;
        }
        let routers = input.wanted.gateways.iter().copied();
        let routers = routers.chain(input.wanted.routes.iter().filter_map(|route| route.via));
        let router = routers.into_iter().find(|router| cidr.contains(*router));
        if let Some(router) = router.filter(|router| is_taken(*router, input)) {
            return Err(Failure::failed(
                router,
                format_args!("already in use: it cannot be the address of {other} here"),
            ));
        }
        let free = || cidr.hosts().take(65536).find(|address| !is_taken(*address, input));
        match router.or_else(free) {
            Some(address) => chosen.extend(cidr.with_address(address)),
            None if cidr.is_host() => {
                return Err(Failure::failed(
                    cidr,
                    format_args!("a network of one address has none left for {other}"),
                )
                .hint(common::same_with!("--{} none", Verbatim(option.trim_start_matches("--")))));
            }
            None => {
                return Err(Failure::failed(
                    cidr.network(),
                    format_args!("no free address left for {other}"),
                )
                .hint(common::same_with!("--{} none", Verbatim(option.trim_start_matches("--")))));
            }
        }
    }
    Ok(chosen)
}
