//! Which addresses are asked for how: ARP and neighbour discovery for those on a link, ICMP echo for those beyond a router.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::Failure;
use common::netlink::{Route, RouteLookup};
use common::target::Dest;

use super::address_set::Block;
use crate::network::neighbours::{ContainerLinks, NeighbourLink};
use crate::resolve::ContainerRoutes;
use crate::resolve::destination::Destination;

/// A /8 of IPv4: half an hour at the usual rate, and 80 MB of memory.
const MOST: u128 = 1 << 24;
/// A larger IPv6 network is not asked address by address: its nodes are asked all together.
const MOST_IPV6: u128 = 1 << 16;

/// Addresses that are asked for in the same way.
#[derive(Debug)]
pub enum ScanGroup {
    /// Each is asked for on that link.
    Ask(NeighbourLink, Block),
    /// All nodes of that link are asked, and which of them are in the network.
    AllNodes(NeighbourLink, Cidr),
    /// Each gets an echo request.
    Echo(Block),
}

/// All of a scan, and what of it cannot be done.
#[derive(Debug, Default)]
pub struct ScanGroups {
    pub groups: Vec<ScanGroup>,
    pub failures: Vec<Failure>,
}

/// The addresses of a DEST. Of a network those addresses that a host can have; a range is taken as it was typed.
pub fn block(dest: &Dest, found: Option<&Destination>) -> Option<Block> {
    match (dest, found) {
        (Dest::Range(first, last), _) => Some(Block::new(*first, *last)),
        (Dest::Network(cidr), _) => Some(hosts(cidr)),
        (_, Some(found)) => Some(Block::new(found.address, found.address)),
        _ => None,
    }
}

fn hosts(cidr: &Cidr) -> Block {
    let network = cidr.network();
    let mut block = Block::new(network.address(), network.address());
    let behind = if block.is_ipv4 { 32 } else { 128 } - u32::from(cidr.prefix_len());
    block.last |= u128::MAX.checked_shr(128 - behind).unwrap_or(0);
    if network.is_network_address() {
        block.first += 1;
    }
    if network.broadcast().is_some() {
        block.last -= 1;
    }
    block
}

/// Sorts one DEST out.
pub fn groups(
    dest: &Dest,
    block: Block,
    routes: &[Route],
    (links, net): (&ContainerLinks, &ContainerRoutes),
    is_arp_only: bool,
) -> Result<ScanGroups, Failure> {
    if !block.is_ipv4 && block.len() > MOST_IPV6 {
        return Ok(ScanGroups { groups: vec![all_nodes(dest, links, net)?], failures: vec![] });
    }
    if block.len() > MOST {
        let hours = block.len() as f64 / 10_000.0 / 3600.0;
        let what = format_args!(
            "has {} addresses, which would take {hours:.0} hours; the largest network is a /8",
            block.len()
        );
        return Err(Failure::failed(dest, what));
    }
    let mut groups = ScanGroups::default();
    let link = net.origin.link.as_ref().map(|(_, index)| *index);
    let parts = if link.is_some() { vec![block] } else { block.parts(routes) };
    for part in parts {
        match group(part, links, net, is_arp_only) {
            Ok(group) => groups.groups.extend(group),
            Err(why) => groups.failures.push(why),
        }
    }
    Ok(groups)
}

/// What goes for the first address goes for all of a part. Our own addresses are left out. `-I` with a
/// link is taken at its word, whatever the routes say.
fn group(
    part: Block,
    links: &ContainerLinks,
    net: &ContainerRoutes,
    is_arp_only: bool,
) -> Result<Option<ScanGroup>, Failure> {
    let first = part.first_address();
    if let Some((_, index)) = net.origin.link.as_ref().filter(|(_, index)| links.has_neighbours(*index)) {
        let source = net.origin.address.filter(|source| source.is_ipv4() == part.is_ipv4);
        return Ok(Some(ScanGroup::Ask(links.neighbour_link(*index, first, source)?, part)));
    }
    let route =
        net.route_to(first, None).map_err(|error| net.no_route(&name(&part), first, error).failure)?;
    let index = match route {
        RouteLookup { is_local: true, .. } if part.len() == 1 => return Ok(None),
        RouteLookup { is_local: false, gateway: None, index, .. } => {
            index.filter(|index| links.has_neighbours(*index))
        }
        _ => None,
    };
    match index {
        Some(index) => Ok(Some(ScanGroup::Ask(links.neighbour_link(index, first, route.source)?, part))),
        None if is_arp_only => {
            let what = match route.gateway {
                Some(router) => {
                    format!(
                        "is behind the router {router}, and only hosts on the link answer ARP: leave out --arp"
                    )
                }
                None => "is on an interface without ARP".to_owned(),
            };
            let (target, name) = (&links.target, name(&part));
            Err(Failure::failed(&name, what).hint(common::hint!("netns-ping {} {}", target, name)))
        }
        None => Ok(Some(ScanGroup::Echo(part))),
    }
}

fn all_nodes(dest: &Dest, links: &ContainerLinks, net: &ContainerRoutes) -> Result<ScanGroup, Failure> {
    let Dest::Network(cidr) = dest else {
        return Err(Failure::failed(dest, "has too many addresses to ask one by one").hint(
            common::sentence!(
                "use a network that is on-link, such as fd00::/64: its nodes are asked all at once"
            ),
        ));
    };
    let address = cidr.network().address();
    let link = match &net.origin.link {
        Some((_, index)) => Some(*index),
        None if is_link_local(address) => net.only_link(address).map(Some)?,
        None => {
            let route = net.route_to(IpAddr::from(host_of(cidr)), None);
            let route = route.map_err(|error| net.no_route(&dest.to_string(), address, error).failure)?;
            route.index.filter(|_| route.gateway.is_none())
        }
    };
    let beyond = || {
        Failure::failed(dest, "has too many addresses to ask one by one, and is behind a router")
            .hint(common::sentence!("the largest network behind a router is a /112"))
    };
    let index = link.ok_or_else(beyond)?;
    Ok(ScanGroup::AllNodes(links.neighbour_link(index, address, None)?, *cidr))
}

/// An address of the network that is no router's anycast one.
fn host_of(cidr: &Cidr) -> std::net::Ipv6Addr {
    match cidr.network().address() {
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() | 0xfffe),
        IpAddr::V4(_) => std::net::Ipv6Addr::UNSPECIFIED,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn name(part: &Block) -> String {
    match (part.first_address(), part.last_address()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(dest: &str) -> String {
        name(&block(&dest.parse().unwrap(), None).unwrap())
    }

    #[test]
    fn of_a_network_hosts_are_asked_for_and_a_range_is_as_it_was_typed() {
        assert_eq!(range("10.1.0.7/24"), "10.1.0.1-10.1.0.254");
        assert_eq!(range("10.1.0.2/31"), "10.1.0.2-10.1.0.3");
        assert_eq!(range("10.1.0.2/32"), "10.1.0.2");
        assert_eq!(range("10.1.0.0-255"), "10.1.0.0-10.1.0.255");
        assert_eq!(range("0.0.0.0/0"), "0.0.0.1-255.255.255.254");
        assert_eq!(range("fd00::/120"), "fd00::1-fd00::ff");
        assert_eq!(range("fd00::5/128"), "fd00::5");
    }
}
