//! What a container has of networks, and by which addresses another one is its neighbour there. Pure.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::netlink::{Address, Link, Route};

use crate::request::Families;

/// A container's links, addresses and routes, as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// All its links.
    pub links: Vec<Link>,
    /// All their addresses.
    pub addresses: Vec<Address>,
    /// Its default routes, the preferred ones first.
    pub defaults: Vec<Route>,
    /// Addresses that others can reach, with their networks and the indices of their links: those links are up.
    pub own: Vec<(Cidr, u32)>,
}

/// An address of another container on a network that both are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedAddress {
    /// The other one's address.
    pub address: IpAddr,
    /// Our own link there.
    pub index: u32,
}

impl Network {
    /// What of these counts, in the wanted families.
    pub fn of(links: Vec<Link>, addresses: Vec<Address>, routes: Vec<Route>, families: Families) -> Self {
        let counts = |index: u32| {
            links.iter().any(|link| link.index == index && link.is_set_up() && !link.is_loopback())
        };
        let is_wanted = |own: &&Address| families.has(own.address) && !is_link_local(own.address);
        let own = addresses.iter().filter(|own| counts(own.index)).filter(is_wanted);
        let own = own.filter_map(|own| Some((Cidr::new(own.address, own.prefix_len)?, own.index))).collect();
        let mut defaults: Vec<Route> = routes;
        defaults.retain(|route| route.is_default() && route.is_ordinary());
        defaults.retain(|route| families.has(route.destination.address()));
        defaults.sort_by_key(|route| route.metric);
        Network { links, addresses, defaults, own }
    }

    /// The default routers: one of each family that has any, and the index of the link that leads there.
    pub fn gateways(&self) -> Vec<(IpAddr, u32)> {
        let of_family = |is_v4: bool| {
            let routes =
                self.defaults.iter().filter(move |route| route.destination.address().is_ipv4() == is_v4);
            routes.filter_map(|route| Some((route.gateway?, route.index?))).next()
        };
        [true, false].into_iter().filter_map(of_family).collect()
    }

    /// Whether there is a default route for addresses of this family, through a router or not.
    pub fn has_default(&self, like: IpAddr) -> bool {
        self.defaults.iter().any(|route| route.destination.address().is_ipv4() == like.is_ipv4())
    }

    /// The link that has this address, if others can reach it there.
    pub fn link_of(&self, address: IpAddr) -> Option<u32> {
        self.own.iter().find(|(own, _)| own.address() == address).map(|(_, index)| *index)
    }

    /// An address of `other` on each network that both are on, IPv4 first.
    pub fn shared(&self, other: &Network) -> Vec<SharedAddress> {
        let mut found: Vec<SharedAddress> = Vec::new();
        let mut own: Vec<&(Cidr, u32)> = self.own.iter().collect();
        own.sort_by_key(|(own, _)| own.address().is_ipv6());
        let mut networks: Vec<(Cidr, u32)> = Vec::new();
        for (ours, index) in own {
            let is_shared = |theirs: &Cidr| {
                let (our_address, their_address) = (ours.address(), theirs.address());
                our_address != their_address && ours.contains(their_address) && theirs.contains(our_address)
            };
            let theirs = other.own.iter().map(|(theirs, _)| theirs).find(|theirs| is_shared(theirs));
            if let Some(theirs) = theirs
                && !networks.contains(&(ours.network(), *index))
            {
                networks.push((ours.network(), *index));
                found.push(SharedAddress { address: theirs.address(), index: *index });
            }
        }
        found
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(addresses: &[&str]) -> Network {
        let own = (2..).zip(addresses).map(|(index, address)| (address.parse().unwrap(), index));
        Network { own: own.collect(), ..Network::default() }
    }

    fn between(here: &[&str], there: &[&str]) -> Vec<String> {
        let shared = network(here).shared(&network(there));
        shared.iter().map(|shared| shared.address.to_string()).collect()
    }

    #[test]
    fn two_are_neighbours_on_each_network_that_both_are_on() {
        assert_eq!(between(&["10.1.0.2/24"], &["10.2.0.3/24", "10.1.0.3/24"]), ["10.1.0.3"]);
        assert_eq!(
            between(&["fd00::2/64", "10.1.0.2/24"], &["fd00::3/64", "10.1.0.3/24"]),
            ["10.1.0.3", "fd00::3"]
        );
        assert_eq!(between(&["10.1.0.2/24"], &["10.1.0.3/24", "10.1.0.4/24"]), ["10.1.0.3"]);
        let none: [&str; 0] = [];
        assert_eq!(between(&["10.1.0.2/24"], &["10.2.0.3/24"]), none);
        assert_eq!(between(&["10.1.0.2/24"], &["10.1.0.3/32"]), none, "it does not reach us");
        assert_eq!(between(&["10.1.0.2/24"], &["10.1.0.2/24"]), none, "an address that both have");
        assert_eq!(between(&[], &["10.1.0.2/24"]), none);
    }
}
