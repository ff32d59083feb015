//! What firewall rules cannot do here, found before anything is changed. Pure.

use std::net::IpAddr;

use common::failure::Failure;

use super::filter_point::FilterPoint;
use crate::model::filter::{FilterState, PublishedPort};

/// Refuses what is missing, or in use.
pub fn unfit(filter_point: &FilterPoint<'_>) -> Result<(), Failure> {
    let wanted = &filter_point.input.wanted.firewall;
    if wanted.nat.is_on() || !wanted.publish.is_empty() {
        no_nftables(&filter_point.input.snapshot.filters, wanted.option())?;
        unreachable(filter_point)?;
    }
    wanted.publish.iter().try_for_each(|published| unpublishable(published, filter_point))
}

/// Refuses rules of our own where nothing could add them.
pub fn no_nftables(filters: &FilterState, option: &str) -> Result<(), Failure> {
    if filters.chains.is_none() {
        return Err(
            Failure::failed(option, "the kernel has no nf_tables").hint(common::hint!("modprobe nf_tables"))
        );
    }
    if !filters.has_nft {
        return Err(Failure::failed(option, "nft is not installed")
            .hint(common::sentence!("install the package nftables")));
    }
    Ok(())
}

/// The host must have an address in each of its networks, to forward from and to it.
fn unreachable(filter_point: &FilterPoint<'_>) -> Result<(), Failure> {
    let option = filter_point.input.wanted.firewall.option();
    let bridge = filter_point
        .nic
        .other_end
        .bridge()
        .and_then(|name| filter_point.input.snapshot.host.link(name.as_str()));
    let there = bridge.into_iter().flat_map(|link| filter_point.input.snapshot.host.addresses_of(link.index));
    let hosts: Vec<IpAddr> = filter_point
        .nic
        .other_end
        .host_addresses()
        .iter()
        .map(|cidr| cidr.address())
        .chain(there.map(|held| held.address))
        .collect();
    let is_across = |cidr: &common::cidr::Cidr, host: &IpAddr| {
        cidr.contains(*host) || (cidr.is_host() && cidr.address().is_ipv4() == host.is_ipv4())
    };
    match filter_point.nic.addresses.iter().find(|cidr| !hosts.iter().any(|host| is_across(cidr, host))) {
        None => Ok(()),
        Some(cidr) => Err(Failure::failed(
            option,
            format_args!("the host has no address in {} and cannot forward for it", cidr.network()),
        )
        .hint(common::sentence!("give --host-addr A too"))),
    }
}

/// Refuses a port that is in use, or an address that the host does not have.
fn unpublishable(published: &PublishedPort, filter_point: &FilterPoint<'_>) -> Result<(), Failure> {
    let about = || format!("--publish {published}");
    if !filter_point.nic.addresses.iter().any(|cidr| cidr.address().is_ipv4()) {
        return Err(Failure::failed(about(), "needs an IPv4 address on the NIC"));
    }
    let snapshot = filter_point.input.snapshot;
    if let Some(address) = published.address
        && !address.is_loopback()
        && snapshot.host.holder(address.into()).is_none()
        && !filter_point
            .nic
            .other_end
            .host_addresses()
            .iter()
            .any(|cidr| cidr.address() == IpAddr::V4(address))
    {
        return Err(Failure::failed(about(), format_args!("{address} is not an address of the host")));
    }
    let taken = filter_point
        .input
        .records
        .iter()
        .find(|record| record.wanted.firewall.publish.iter().any(|other| other.clashes(published)));
    if let Some(record) = taken {
        let (container, nic) = (&record.inside.name, &record.plan.nic.name);
        return Err(Failure::failed(about(), format_args!("already forwarded to {nic} of {container}"))
            .hint(common::hint!("add-nic --rm {} {}", container, nic)));
    }
    match snapshot.filters.listeners.iter().find(|listener| listener.clashes(published)) {
        None => Ok(()),
        Some(listener) => Err(Failure::failed(
            about(),
            format_args!("a program on the host listens on {} port {}", listener.address, listener.port),
        )
        .hint(common::hint!(
            "ss -Hlnp{} {}",
            &published.protocol.name()[..1],
            format_args!("sport = {}", published.host_port)
        ))),
    }
}
