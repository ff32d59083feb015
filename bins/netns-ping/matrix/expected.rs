//! What a container's networks should be, as its engine says, and where they are not so. Pure.

use std::net::IpAddr;

use common::diagnose::Cause;
use common::engine::{ContainerNetwork, NetworkAddress};
use common::hint;
use common::hint::{Hint, Verbatim};
use common::netlink::Link;
use common::output::one_line;

use super::network::Network;
use crate::request::Families;

/// A network that an engine has put a container on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedNetwork {
    /// The engine that says so, and where it is a user's whose: `docker`, `podman@alice`.
    pub engine: String,
    /// What it says.
    pub network: ContainerNetwork,
}

/// What of a container is not as its engine set it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFault {
    /// The network, by its name.
    pub network: String,
    /// By what no other has: the engine, and the network's ID.
    pub key: (String, String),
    /// The address that it is about; `None` for all of that network.
    pub address: Option<IpAddr>,
    /// What it is.
    pub kind: FaultKind,
    /// In words that go after the container's name: `eth0 is down`.
    pub says: String,
    /// Commands that mend it, inside.
    pub fix: Vec<Hint>,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no link with the MAC or the addresses that the engine names.
    LinkGone,
    /// The link is down.
    LinkDown,
    /// It is up, and its other end is not.
    NoCarrier,
    /// The link has not the address.
    AddressGone,
    /// There is no default route.
    NoDefaultRoute,
}

impl FaultKind {
    /// As the judge would call it.
    pub const fn cause(self) -> Cause {
        match self {
            FaultKind::LinkGone => Cause::LinkGone,
            FaultKind::LinkDown => Cause::LinkDown,
            FaultKind::NoCarrier => Cause::NoCarrier,
            FaultKind::AddressGone => Cause::AddressGone,
            FaultKind::NoDefaultRoute => Cause::NoRoute,
        }
    }
}

impl NetworkFault {
    /// The commands that mend it, in one line.
    pub fn hint(&self) -> Option<Hint> {
        let mut fix = self.fix.iter().cloned();
        let first = fix.next()?;
        fix.try_fold(first, |all, next| hint!("{} && {}", all, next))
    }
}

impl ExpectedNetwork {
    /// What no other network has.
    pub fn key(&self) -> (String, String) {
        (self.engine.clone(), self.network.id.clone())
    }

    /// The container's addresses in these families.
    pub fn addresses(&self, families: Families) -> impl Iterator<Item = &NetworkAddress> {
        self.network.addresses.iter().filter(move |own| families.has(own.address.address()))
    }

    /// The link that it should be: the one that has an address of it, else its MAC, else its name.
    fn link<'a>(&self, found: &'a Network) -> Option<&'a Link> {
        let expected = &self.network;
        let has = |link: &&Link, own: &NetworkAddress| {
            let is_it = |there: &common::netlink::Address| {
                there.index == link.index && there.address == own.address.address()
            };
            found.addresses.iter().any(is_it)
        };
        let links = || found.links.iter().filter(|link| !link.is_loopback());
        let by_address = links().find(|link| expected.addresses.iter().any(|own| has(link, own)));
        let by_mac = || links().find(|link| expected.mac.is_some() && link.mac == expected.mac);
        let by_name =
            || links().find(|link| expected.interface.as_ref().is_some_and(|name| link.name == **name));
        by_address.or_else(by_mac).or_else(by_name)
    }
}

/// All that is not as it should be, in the order of the networks; of a network whose link is down only that.
pub fn faults(
    found: &Network,
    expected: &[ExpectedNetwork],
    families: Families,
    target: &str,
) -> Vec<NetworkFault> {
    let mut faults: Vec<NetworkFault> =
        expected.iter().flat_map(|one| network_faults(found, one, families, target)).collect();
    for is_v4 in [true, false] {
        if let Some(missing) = no_default_route(found, expected, families, target, is_v4)
            // The route went with the link or the address.
            && !faults.iter().any(|fault| fault.key == missing.key)
        {
            faults.push(missing);
        }
    }
    faults
}

fn network_faults(
    found: &Network,
    expected: &ExpectedNetwork,
    families: Families,
    target: &str,
) -> Vec<NetworkFault> {
    let fault = |kind, address, says: String, fix: Vec<Option<Hint>>| NetworkFault {
        network: expected.network.name.clone(),
        key: expected.key(),
        address,
        kind,
        says,
        fix: fix.into_iter().flatten().collect(),
    };
    let engine = one_line(&expected.engine);
    let wanted: Vec<&NetworkAddress> = expected.addresses(families).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let Some(link) = expected.link(found) else {
        let name = one_line(&expected.network.name);
        let says = format!("its interface on {name} is gone: {engine} says that it has {}", list(&wanted));
        return vec![fault(FaultKind::LinkGone, None, says, Vec::new())];
    };
    let name = link.name.to_string_lossy();
    let (shown, pasted) = (one_line(&name), name.parse::<common::target::IfName>().ok());
    let ip =
        |command: Option<Hint>| command.and_then(|command| hint!("nsenter-rs -t {} -n {}", target, command));
    if !link.is_set_up() {
        let up = pasted.and_then(|name| ip(hint!("ip link set {} up", name)));
        return vec![fault(FaultKind::LinkDown, None, format!("{shown} is down"), vec![up])];
    }
    if !link.has_carrier() {
        let says = format!("{shown} has no carrier: its other end is down");
        return vec![fault(FaultKind::NoCarrier, None, says, Vec::new())];
    }
    let there = |address: IpAddr| found.addresses.iter().any(|own| own.address == address);
    let missing = wanted.iter().filter(|own| !there(own.address.address()));
    let missing = missing.map(|own| {
        let (address, expected_address) = (own.address.address(), own.address);
        let gateway = own.gateway.filter(|_| !found.has_default(address));
        let others: Vec<String> = found
            .own
            .iter()
            .filter(|(other, index)| *index == link.index && other.address().is_ipv4() == address.is_ipv4())
            .map(|(other, _)| other.to_string())
            .collect();
        let own = own_and_engine(own, &engine);
        let says = match others.is_empty() {
            true => format!("{shown} lacks {own}"),
            false => format!("{shown} has {} instead of {own}", others.join(" and ")),
        };
        let add =
            pasted.clone().and_then(|name| ip(hint!("ip address add {} dev {}", expected_address, name)));
        let route = gateway.and_then(|gateway| ip(default_route(gateway)));
        fault(FaultKind::AddressGone, Some(address), says, vec![add, route])
    });
    missing.collect()
}

fn no_default_route(
    found: &Network,
    expected: &[ExpectedNetwork],
    families: Families,
    target: &str,
    is_v4: bool,
) -> Option<NetworkFault> {
    let mut gateways = expected_gateways(expected, families);
    let (one, gateway) =
        gateways.find(|(_, gateway)| gateway.is_ipv4() == is_v4 && !found.has_default(*gateway))?;
    let family = if is_v4 { "" } else { "IPv6 " };
    let add = default_route(gateway).and_then(|add| hint!("nsenter-rs -t {} -n {}", target, add));
    Some(NetworkFault {
        network: one.network.name.clone(),
        key: one.key(),
        address: Some(gateway),
        kind: FaultKind::NoDefaultRoute,
        says: format!("no {family}default route, although {} gave it {gateway}", one_line(&one.engine)),
        fix: add.into_iter().collect(),
    })
}

fn default_route(gateway: IpAddr) -> Option<Hint> {
    let family = Verbatim(if gateway.is_ipv4() { "" } else { " -6" });
    common::sentence!("ip{} route add default via {}", family, gateway)
}

/// The routers of networks that bring default routes, as far as is known.
pub fn expected_gateways(
    expected: &[ExpectedNetwork],
    families: Families,
) -> impl Iterator<Item = (&ExpectedNetwork, IpAddr)> {
    let brings = expected.iter().filter(|one| one.network.default_route == Some(true));
    brings.flat_map(move |one| one.addresses(families).filter_map(move |own| Some((one, own.gateway?))))
}

fn own_and_engine(own: &NetworkAddress, engine: &str) -> String {
    format!("{}, which {engine} gave it", own.address)
}

fn list(addresses: &[&NetworkAddress]) -> String {
    addresses.iter().map(|own| own.address.to_string()).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use common::netlink::{Address, Route};

    use super::*;

    const BOTH: Families = Families { v4: true, v6: true };

    fn expected(default_route: Option<bool>) -> ExpectedNetwork {
        let own = |address: &str, gateway: &str| NetworkAddress {
            address: address.parse().unwrap(),
            gateway: gateway.parse().ok(),
        };
        let network = ContainerNetwork {
            name: "mm".to_owned(),
            id: "aa63".to_owned(),
            addresses: vec![own("198.19.0.2/24", "198.19.0.1"), own("fd77:6::2/64", "fd77:6::1")],
            mac: "02:42:c6:13:00:02".parse().ok(),
            interface: None,
            default_route,
        };
        ExpectedNetwork { engine: "docker".to_owned(), network }
    }

    /// What is wrong with a container of which nothing is there any more.
    fn said(found: &Network, expected: &[ExpectedNetwork]) -> Vec<String> {
        faults(found, expected, BOTH, "docker:db").into_iter().map(|fault| fault.says).collect()
    }

    #[test]
    fn an_interface_that_is_gone_is_one_fault_and_not_one_of_each_address() {
        let nothing = Network::of(Vec::<Link>::new(), Vec::<Address>::new(), Vec::<Route>::new(), BOTH);
        let gone = "its interface on mm is gone: docker says that it has 198.19.0.2/24 and fd77:6::2/64";
        assert_eq!(said(&nothing, &[expected(Some(true))]), [gone]);
        assert_eq!(said(&nothing, &[]), Vec::<String>::new(), "no engine says what should be");
    }

    #[test]
    fn an_internal_network_brings_no_default_route() {
        for (brings, routers) in [(Some(true), 2), (Some(false), 0), (None, 0)] {
            assert_eq!(expected_gateways(&[expected(brings)], BOTH).count(), routers, "{brings:?}");
        }
    }
}
