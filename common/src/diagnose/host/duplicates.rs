//! Addresses that two interfaces of one segment have: IP addresses and MACs.

use std::net::IpAddr;

use super::facts::{HostFacts, LinkSpot};
use super::segment::LinkSegment;
use super::{Finding, FindingKind};
use crate::hint;
use crate::hint::Hint;
use crate::netlink::Address;
use crate::target::Mac;

pub(super) fn duplicates(facts: &HostFacts, segment: &LinkSegment<'_>) -> Vec<Finding> {
    if segment.has_vlans {
        return Vec::new();
    }
    let stations: Vec<LinkSpot<'_>> = segment.stations().collect();
    let mut found = Vec::new();
    for (at, one) in stations.iter().enumerate() {
        for other in &stations[at + 1..] {
            found.extend(same_address(facts, *one, *other));
            found.extend(same_mac(facts, segment, *one, *other));
        }
    }
    found
}

/// An address of one host alone is often on several: virtual servers, anycast. One that detection has refused is not used.
fn is_of_a_network(own: &Address) -> bool {
    !own.is_refused && own.prefix_len < if own.address.is_ipv4() { 32 } else { 128 }
}

fn same_address(facts: &HostFacts, one: LinkSpot<'_>, other: LinkSpot<'_>) -> Option<Finding> {
    // Two links of one namespace: the kernel answers for either.
    if one.netns.inode == other.netns.inode {
        return None;
    }
    let mut addresses = one.addresses().filter(|own| is_of_a_network(own));
    let shared = addresses.find(|own| {
        let is_same = |own: &Address, its: &Address| own.address == its.address && is_of_a_network(its);
        other.addresses().any(|its| is_same(own, its))
    })?;
    // Who is asked to give it up: not the one that others use as their gateway, nor the host.
    let (keeps, gives) =
        if other.netns.is_own || other.link.link.is_bridge() { (other, one) } else { (one, other) };
    let address = shared.address;
    let text = format!("{} and {} both have {address}", facts.at(gives), facts.at(keeps));
    let what = FindingKind::AddressConflict;
    let finding = Finding::of(what, gives.netns.inode, Some(gives.name()), text);
    let remove = remove_address(facts, gives, address);
    Some(finding.fixed_by([remove]).advised(format!("take it from {}", facts.who(keeps.netns.inode))))
}

/// `ip addr del` of that address.
pub(super) fn remove_address(facts: &HostFacts, spot: LinkSpot<'_>, address: IpAddr) -> Option<Hint> {
    let own = spot.link.addresses.iter().find(|own| own.address == address)?;
    let cidr = format!("{address}/{}", own.prefix_len);
    facts.inside(spot.netns.inode, hint!("ip addr del {} dev {}", cidr, spot.pasted()?))
}

fn same_mac(
    facts: &HostFacts,
    segment: &LinkSegment<'_>,
    one: LinkSpot<'_>,
    other: LinkSpot<'_>,
) -> Option<Finding> {
    let mac = one.link.link.mac.filter(|mac| mac.0 != [0; 6])?;
    let is_below = |one: LinkSpot<'_>, other: LinkSpot<'_>| {
        facts.end_of(one).is_some_and(|below| below.place() == other.place()) && !one.link.link.is_veth()
    };
    // A macvlan in passthru mode has the MAC of the link below.
    if other.link.link.mac != Some(mac) || is_below(one, other) || is_below(other, one) {
        return None;
    }
    let (keeps, changes) =
        if other.netns.is_own || other.link.link.is_bridge() { (other, one) } else { (one, other) };
    let text = format!("{} and {} both have the MAC {mac}", facts.at(changes), facts.at(keeps));
    let finding = Finding::of(FindingKind::MacConflict, changes.netns.inode, Some(changes.name()), text);
    let name = changes.pasted();
    let free = free_mac(segment, mac);
    let set = name.and_then(|name| hint!("ip link set {} address {}", name, free));
    Some(finding.fixed_by([facts.inside(changes.netns.inode, set)]))
}

/// One that nothing on the segment has: locally administered, and the same again for the same hosts.
fn free_mac(segment: &LinkSegment<'_>, mac: Mac) -> Mac {
    let is_taken = |candidate: Mac| segment.links.iter().any(|spot| spot.link.link.mac == Some(candidate));
    let mut candidate = Mac([0x02, mac.0[1], mac.0[2], mac.0[3], mac.0[4], mac.0[5]]);
    while is_taken(candidate) {
        let next = u16::from_be_bytes([candidate.0[4], candidate.0[5]]).wrapping_add(1).to_be_bytes();
        (candidate.0[4], candidate.0[5]) = (next[0], next[1]);
    }
    candidate
}
