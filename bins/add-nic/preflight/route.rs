//! Missing default routes, and outgoing interfaces with a smaller MTU than the NIC.

use common::cidr::Cidr;

use crate::model::nic::Nic;
use crate::plan::input::PlanInput;
use crate::preflight::warning::{Warning, WarningKind};

pub fn warnings(nic: &Nic, input: &PlanInput<'_>) -> Vec<Warning> {
    no_default_route(nic, input).into_iter().chain(narrow_link(nic, input)).collect()
}

/// `--nat` has no effect if the container has no route through the NIC.
fn no_default_route(nic: &Nic, input: &PlanInput<'_>) -> Option<Warning> {
    if !input.wanted.firewall.nat.is_on()
        || !input.wanted.gateways.is_empty()
        || !input.wanted.routes.is_empty()
    {
        return None;
    }
    let host = &input.snapshot.host;
    let bridge = nic.other_end.bridge().and_then(|name| host.link(name.as_str()));
    let there = bridge.into_iter().flat_map(|link| host.addresses_of(link.index)).map(|held| held.address);
    let mut hosts = nic.other_end.host_addresses().iter().map(Cidr::address).chain(there);
    let gateway = hosts.find(|host| nic.addresses.iter().any(|cidr| cidr.contains(*host)))?;
    Some(Warning::new(
        WarningKind::NoDefaultRoute,
        "--nat",
        format_args!(
            "{} has no route through {} and will send no traffic there",
            input.container_name(),
            nic.name
        ),
        common::same_with!("--gateway {}", gateway),
    ))
}

/// The host's outgoing interface has a smaller MTU than the NIC: each connection needs path MTU discovery.
fn narrow_link(nic: &Nic, input: &PlanInput<'_>) -> Option<Warning> {
    let host = &input.snapshot.host;
    let through_host = input.wanted.gateways.iter().find(|gateway| {
        nic.other_end.host_addresses().iter().any(|cidr| cidr.address() == **gateway)
            || host.holder(**gateway).is_some()
    })?;
    let is_default = |route: &&common::netlink::Route| {
        route.is_ordinary()
            && route.destination.prefix_len() == 0
            && route.destination.address().is_ipv4() == through_host.is_ipv4()
    };
    let route = host.routes.iter().filter(is_default).min_by_key(|route| route.metric)?;
    let link = host.links.iter().find(|link| Some(link.index) == route.index)?;
    (link.mtu_bytes < nic.mtu_bytes).then(|| {
        let name = link.name.to_string_lossy();
        Warning::new(
            WarningKind::MtuMismatch,
            through_host,
            format_args!(
                "the host's outgoing interface {name} has MTU {}, the NIC {}",
                link.mtu_bytes, nic.mtu_bytes
            ),
            common::same_with!("--mtu {}", link.mtu_bytes),
        )
    })
}
