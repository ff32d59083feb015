//! Networks that overlap with the NIC's without being the same: part of one of them becomes unreachable.

use std::net::{IpAddr, Ipv4Addr};

use common::cidr::Cidr;
use common::hint;
use common::netlink::Route;

use crate::model::nic::Nic;
use crate::model::snapshot::NetnsState;
use crate::plan::input::PlanInput;
use crate::preflight::warning::{Warning, WarningKind};

/// One for each network of the NIC and each side, of which the longest is named.
pub fn overlaps(nic: &Nic, input: &PlanInput<'_>) -> Vec<Warning> {
    let snapshot = input.snapshot;
    let mut sides = vec![(&snapshot.inside, input.container_name())];
    if !snapshot.is_one && !nic.other_end.host_addresses().is_empty() {
        sides.push((&snapshot.host, "the host"));
    }
    let mut warnings = Vec::new();
    for network in nic.addresses.iter().map(Cidr::network) {
        for (side, whose) in &sides {
            let Some(route) = overlapping(network, side) else { continue };
            let link = route.index.map_or_else(|| "another link".to_owned(), |index| side.name_of(index));
            let other = route.destination;
            let (lost, through) = if other.prefix_len() > network.prefix_len() {
                (other, &link)
            } else {
                (network, &nic.name.to_string())
            };
            warnings.push(Warning::new(
                WarningKind::Overlap,
                network,
                format_args!("overlaps with {other}, which {whose} reaches through {link}: traffic to {lost} will use {through} only"),
                free_network(input).map_or_else(
                    || hint!("ip route get {}", other.address()),
                    |free| hint!("add-nic {} {}", input.container_name(), free),
                ),
            ));
        }
    }
    warnings
}

fn overlapping(network: Cidr, side: &NetnsState) -> Option<&Route> {
    let counts = |route: &&Route| {
        // Two /1 routes act as a default route.
        route.is_ordinary()
            && route.destination.prefix_len() > 1
            && clash(route.destination, network)
            && route.destination != network
    };
    side.routes.iter().filter(counts).max_by_key(|route| route.destination.prefix_len())
}

fn clash(one: Cidr, other: Cidr) -> bool {
    one.contains(other.address()) || other.contains(one.address())
}

/// An address in a network that neither side has a route to.
fn free_network(input: &PlanInput<'_>) -> Option<Cidr> {
    let routes = || input.snapshot.inside.routes.iter().chain(&input.snapshot.host.routes);
    let networks = (1..=254).filter_map(|third| Cidr::new(IpAddr::V4(Ipv4Addr::new(192, 168, third, 2)), 24));
    let is_free = |cidr: &Cidr| {
        !routes().any(|route| route.destination.prefix_len() > 1 && clash(route.destination, cidr.network()))
    };
    networks.into_iter().find(is_free)
}
