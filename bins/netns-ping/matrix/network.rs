//! What a container has of networks, and by which address another one is its neighbour there. Pure.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::netlink::{Address, Link, Route};

use crate::request::Families;

/// A container's addresses and gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Its own addresses with their networks, and the indices of their links.
    pub own: Vec<(Cidr, u32)>,
    /// Its default router, and the index of the link that leads there.
    pub gateway: Option<(IpAddr, u32)>,
}

impl Network {
    /// What of these counts: addresses on links that are up, that others can reach.
    pub fn of(links: &[Link], addresses: &[Address], routes: &[Route]) -> Self {
        let counts = |index: u32| {
            links.iter().any(|link| link.index == index && link.is_set_up() && !link.is_loopback())
        };
        let own = addresses.iter().filter(|own| counts(own.index) && !is_link_local(own.address));
        let own = own.filter_map(|own| Some((Cidr::new(own.address, own.prefix_len)?, own.index)));
        let mut defaults: Vec<&Route> =
            routes.iter().filter(|route| route.is_default() && route.is_ordinary()).collect();
        defaults.sort_by_key(|route| (route.destination.address().is_ipv6(), route.metric));
        let gateway = defaults.iter().find_map(|route| Some((route.gateway?, route.index?)));
        Network { own: own.collect(), gateway }
    }

    /// Leaves out what is of another family.
    pub fn keep(&mut self, families: Families) {
        self.own.retain(|(own, _)| families.has(own.address()));
        self.gateway = self.gateway.filter(|(gateway, _)| families.has(*gateway));
    }

    /// The address of `other` on a network that both are on, IPv4 first: with our link and its own.
    pub fn neighbour(&self, other: &Network) -> Option<(IpAddr, u32, u32)> {
        let pairs = self.own.iter().flat_map(|ours| other.own.iter().map(move |theirs| (ours, theirs)));
        let shared = pairs.filter(|((ours, _), (theirs, _))| {
            let (our_address, their_address) = (ours.address(), theirs.address());
            our_address != their_address && ours.contains(their_address) && theirs.contains(our_address)
        });
        let best = shared.min_by_key(|((ours, _), _)| ours.address().is_ipv6());
        best.map(|((_, our_link), (theirs, their_link))| (theirs.address(), *our_link, *their_link))
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
        Network { own: own.collect(), gateway: None }
    }

    fn between(here: &[&str], there: &[&str]) -> Option<String> {
        network(here).neighbour(&network(there)).map(|(address, ..)| address.to_string())
    }

    #[test]
    fn two_are_neighbours_on_a_network_that_both_are_on() {
        assert_eq!(between(&["10.1.0.2/24"], &["10.2.0.3/24", "10.1.0.3/24"]).as_deref(), Some("10.1.0.3"));
        assert_eq!(
            between(&["fd00::2/64", "10.1.0.2/24"], &["fd00::3/64", "10.1.0.3/24"]).as_deref(),
            Some("10.1.0.3")
        );
        assert_eq!(between(&["fd00::2/64"], &["fd00::3/64"]).as_deref(), Some("fd00::3"));
        assert_eq!(between(&["10.1.0.2/24"], &["10.2.0.3/24"]), None);
        assert_eq!(between(&["10.1.0.2/24"], &["10.1.0.3/32"]), None, "it does not reach us");
        assert_eq!(between(&["10.1.0.2/24"], &["10.1.0.2/24"]), None, "an address that both have");
        assert_eq!(between(&[], &["10.1.0.2/24"]), None);
    }
}
