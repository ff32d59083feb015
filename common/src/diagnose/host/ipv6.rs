//! IPv6 that is wanted and does not work: addresses that duplicate address detection refused, and interfaces on which it is
//! switched off.

use std::net::IpAddr;

use super::duplicates::remove_address;
use super::facts::{HostFacts, LinkSpot};
use super::segment::{LinkSegment, networks};
use super::{Finding, FindingKind};
use crate::hint;

/// Addresses that another host has: they are not used.
pub(super) fn refused_addresses(facts: &HostFacts, segments: &[LinkSegment<'_>]) -> Vec<Finding> {
    let refused_on = |spot: LinkSpot<'_>| {
        let addresses = spot.link.addresses.iter().filter(|own| own.is_refused).map(|own| own.address);
        addresses.map(|address| refused(facts, segments, spot, address)).collect::<Vec<_>>()
    };
    facts.spots().flat_map(refused_on).collect()
}

fn refused(facts: &HostFacts, segments: &[LinkSegment<'_>], spot: LinkSpot<'_>, address: IpAddr) -> Finding {
    let segment = segments.iter().find(|segment| segment.has(spot.place()));
    let other =
        segment.and_then(|segment| segment.with_address(address).find(|other| other.place() != spot.place()));
    let whose = match other {
        Some(other) => format!("{} has it", facts.at(other)),
        None => "another host on the segment has it".to_owned(),
    };
    let text =
        format!("{}: {address} is not used: duplicate address detection failed, {whose}", facts.at(spot));
    let finding = Finding::of(FindingKind::DadFailed, spot.netns.inode, Some(spot.name()), text);
    let again = "to keep it, take it from the other one, remove it here and add it again";
    finding.fixed_by([remove_address(facts, spot, address)]).advised(again)
}

/// Interfaces without IPv6 on a segment whose router has an IPv6 network.
pub(super) fn switched_off(facts: &HostFacts, segment: &LinkSegment<'_>) -> Vec<Finding> {
    // On a LAN there can be many who want none.
    if !segment.is_closed {
        return Vec::new();
    }
    let is_off = |spot: &LinkSpot<'_>| {
        let own = facts.of(spot.netns.inode);
        // For the whole namespace it is a decision.
        own.is_some_and(|own| {
            own.ipv6_disabled == Some(false) && own.settings(spot.link.link.index).ipv6_disabled == Some(true)
        })
    };
    let off =
        segment.stations().filter(|spot| !spot.netns.is_own && !spot.link.link.is_bridge()).filter(is_off);
    off.filter_map(|spot| {
        let of_ipv6 = |other: LinkSpot<'_>| {
            networks(other).find(|network| network.address().is_ipv6() && other.netns.inode != spot.netns.inode)
        };
        let routers = segment.stations().filter(|other| other.netns.is_own || other.link.link.is_bridge());
        let (router, network) = routers.filter_map(|other| Some((other, of_ipv6(other)?))).next()?;
        let text = format!(
            "{}: IPv6 is switched off, but {} has the network {} there",
            facts.at(spot),
            facts.at(router),
            network.network()
        );
        let finding = Finding::of(FindingKind::Ipv6Disabled, spot.netns.inode, Some(spot.name()), text);
        let on = spot.pasted().and_then(|name| hint!("sysctl -w net/ipv6/conf/{}/disable_ipv6=0", name));
        let again = "its addresses and routes are gone, and have to be added again: an engine does that when the container starts";
        Some(finding.fixed_by([facts.inside(spot.netns.inode, on)]).advised(again))
    })
    .collect()
}
