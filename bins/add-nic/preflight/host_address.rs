//! A bridge on which the host has no address in the NIC's network, and gateways that nobody on the bridge has.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use common::cidr::Cidr;
use common::failure::Failure;
use common::hint;
use common::netlink::Link;
use common::packet::neighbour::Segment;

use crate::model::nic::{Nic, OtherEnd};
use crate::model::snapshot::{FIRST_PLANNED_INDEX, NetnsState};
use crate::model::wanted::OtherAddresses;
use crate::plan::conflicts::is_taken;
use crate::plan::input::PlanInput;
use crate::preflight::warning::{Warning, WarningKind};

/// A gateway elsewhere on the network answers within milliseconds; a request or two may get lost.
const WAITS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];

/// No more addresses are asked for, so that a hint can propose one of them.
const MOST_CANDIDATES: usize = 4;

/// The addresses on the bridge that answer no request: gateways that nobody is, and candidates for what a hint proposes. A bridge that
/// does not exist yet gets the gateway's address itself, and an address of the host's own is answered by it.
pub fn silent_addresses(nic: &Nic, input: &PlanInput<'_>) -> Result<Vec<IpAddr>, Failure> {
    Ok(SilentAddresses::ask(std::iter::once((nic, *input)))?.of(nic, input))
}

/// The addresses that answer no request, of those that are asked for because of several NICs. All are asked for at once: each that is
/// silent costs as long as all.
#[derive(Debug, Default)]
pub struct SilentAddresses(Vec<(u32, IpAddr)>);

impl SilentAddresses {
    /// Asks for those of these NICs.
    pub fn ask<'a>(nics: impl Iterator<Item = (&'a Nic, PlanInput<'a>)>) -> Result<Self, Failure> {
        let mut segments: Vec<(Segment, Vec<IpAddr>)> = Vec::new();
        for (segment, address) in nics.flat_map(|(nic, input)| questions(nic, &input)) {
            match segments.iter_mut().find(|(known, _)| known.index == segment.index) {
                Some((_, addresses)) if addresses.contains(&address) => {}
                Some((_, addresses)) => addresses.push(address),
                None => segments.push((segment, vec![address])),
            }
        }
        thread::scope(|scope| {
            let ask = |(segment, addresses): (Segment, Vec<IpAddr>)| {
                thread::Builder::new().spawn_scoped(scope, move || silent_on(segment, addresses))
            };
            let asking: Vec<_> = segments.into_iter().map(ask).collect::<Result<_, _>>()?;
            let mut silent = Vec::new();
            for asked in asking {
                let gone = || Failure::failed("the gateways", "could not be asked");
                silent.extend(asked.join().map_err(|_| gone())??);
            }
            Ok(SilentAddresses(silent))
        })
    }

    /// Those of one NIC.
    pub fn of(&self, nic: &Nic, input: &PlanInput<'_>) -> Vec<IpAddr> {
        let asked = questions(nic, input).into_iter();
        let silent = asked.filter(|(segment, address)| self.0.contains(&(segment.index, *address)));
        silent.map(|(_, address)| address).collect()
    }
}

/// The addresses of a NIC to ask for, and where: gateways that another host must have, and candidates.
fn questions(nic: &Nic, input: &PlanInput<'_>) -> Vec<(Segment, IpAddr)> {
    let host = &input.snapshot.host;
    let Some(segment) = segment(nic, host) else { return vec![] };
    let is_the_hosts = |gateway: &IpAddr| {
        host.holder(*gateway).is_some()
            || nic.other_end.host_addresses().iter().any(|cidr| cidr.address() == *gateway)
    };
    let gateways = input.wanted.gateways.iter().copied().filter(|gateway| !is_the_hosts(gateway));
    let bridge = OnBridge::of(nic, input);
    let candidates = bridge.iter().flat_map(|bridge| {
        bridge.unreached().into_iter().flat_map(|cidr| bridge.candidates(cidr)).collect::<Vec<_>>()
    });
    gateways.chain(candidates).map(|address| (segment, address)).collect()
}

/// Asks for all of them until only silent ones are left.
fn silent_on(segment: Segment, mut gateways: Vec<IpAddr>) -> Result<Vec<(u32, IpAddr)>, Failure> {
    while !gateways.is_empty() {
        let Some(claim) = segment.who_has(&gateways, &WAITS, None)? else { break };
        gateways.retain(|gateway| *gateway != claim.address);
    }
    Ok(gateways.into_iter().map(|gateway| (segment.index, gateway)).collect())
}

/// The bridge as a segment to ask on. Of a VLAN that it only switches, it hears nothing itself.
fn segment(nic: &Nic, host: &NetnsState) -> Option<Segment> {
    let link = bridge(nic, host).filter(|link| link.index < FIRST_PLANNED_INDEX)?;
    Some(Segment { index: link.index, mac: link.mac? })
}

fn bridge<'a>(nic: &Nic, host: &'a NetnsState) -> Option<&'a Link> {
    match &nic.other_end {
        OtherEnd::Bridge { bridge, vlan: None, .. } => host.link(bridge.as_str()),
        _ => None,
    }
}

/// A warning for each network in which the host has no address, unless that is what was asked for; and for each other gateway
/// that is silent.
pub fn warnings(nic: &Nic, input: &PlanInput<'_>, silent: &[IpAddr]) -> Vec<Warning> {
    let Some(bridge) = OnBridge::of(nic, input) else { return vec![] };
    let mut gateways = input.wanted.gateways.clone();
    gateways.retain(|gateway| silent.contains(gateway));
    let mut warnings = Vec::new();
    for cidr in bridge.unreached() {
        let gateway = gateways.iter().position(|gateway| cidr.contains(*gateway));
        warnings.push(bridge.no_address(cidr, gateway.map(|at| gateways.remove(at)), silent));
    }
    warnings.extend(gateways.into_iter().map(|gateway| bridge.silent(gateway)));
    warnings
}

struct OnBridge<'a> {
    nic: &'a Nic,
    input: &'a PlanInput<'a>,
    link: &'a Link,
}

impl<'a> OnBridge<'a> {
    /// `None` of a NIC that is on none.
    fn of(nic: &'a Nic, input: &'a PlanInput<'a>) -> Option<Self> {
        bridge(nic, &input.snapshot.host).map(|link| OnBridge { nic, input, link })
    }

    /// An address of each network of the NIC in which the host has none, unless that is what was asked for.
    fn unreached(&self) -> Vec<&'a Cidr> {
        let mut networks: Vec<&Cidr> = Vec::new();
        if !matches!(self.input.wanted.other_addresses, OtherAddresses::None) {
            for cidr in &self.nic.addresses {
                if networks.iter().all(|known| known.network() != cidr.network()) {
                    networks.push(cidr);
                }
            }
        }
        networks.retain(|cidr| !self.reaches(cidr));
        networks
    }

    /// The addresses of the bridge of that family, now and once the NIC is there.
    fn addresses(&self, like: IpAddr) -> impl Iterator<Item = Cidr> {
        let held = self.input.snapshot.host.addresses_of(self.link.index);
        let held = held.filter_map(|held| Cidr::new(held.address, held.prefix_len));
        let own = held.chain(self.nic.other_end.host_addresses().iter().copied());
        own.filter(move |cidr| cidr.address().is_ipv4() == like.is_ipv4())
            .filter(|cidr| !matches!(cidr.address(), IpAddr::V6(six) if six.is_unicast_link_local()))
    }

    /// Whether the host sends to it through the bridge: by an address there, or by a route.
    fn reaches(&self, cidr: &Cidr) -> bool {
        let is_covering = |route: &&common::netlink::Route| {
            route.is_ordinary()
                && route.index == Some(self.link.index)
                && !route.is_default()
                && route.destination.contains(cidr.address())
        };
        self.addresses(cidr.address()).any(|own| own.contains(cidr.address()) || cidr.contains(own.address()))
            || self.nic.other_end.host_addresses().iter().any(|own| own.is_host())
            || self.input.snapshot.host.routes.iter().any(|route| is_covering(&route))
    }

    fn no_address(&self, cidr: &Cidr, gateway: Option<IpAddr>, silent: &[IpAddr]) -> Warning {
        let (name, network) = (self.link.name.to_string_lossy(), cidr.network());
        let own = self.addresses(cidr.address()).next();
        let has = match own {
            Some(own) => format!("{name} has {own} and nothing in {network}"),
            None => format!("{name} has no address in {network}"),
        };
        let so = match gateway {
            Some(gateway) => format!("neither the host nor {gateway} is there"),
            None => format!("the host does not reach {}", cidr.address()),
        };
        let container = self.input.container_name();
        let free = self.candidates(cidr).into_iter().find(|address| silent.contains(address));
        let fitting = own.zip(free).and_then(|(own, free)| Some((own, own.with_address(free)?)));
        let fix = match (fitting, gateway, free) {
            (Some((own, fitting)), Some(_), _) => {
                hint!("add-nic {} {} -b {} -g {}", container, fitting, name, own.address())
            }
            (Some((_, fitting)), None, _) => hint!("add-nic {} {} -b {}", container, fitting, name),
            (None, Some(gateway), _) => common::same_with!("--host-addr {}", gateway),
            (None, None, Some(free)) => common::same_with!("--host-addr {}", free),
            (None, None, None) => common::same_with!("--host-addr none"),
        };
        Warning { kind: WarningKind::NoHostAddress, message: format!("{has}: {so}"), fix }
    }

    /// Addresses that a hint may propose if nothing on the bridge has them. Where the bridge has an address, for the NIC: the same host in
    /// the bridge's network, and the first others there; else for the bridge: the first in the NIC's network.
    fn candidates(&self, cidr: &Cidr) -> Vec<IpAddr> {
        let own = self.addresses(cidr.address()).next();
        let same = own.and_then(|own| match (cidr.address(), own.network().address()) {
            (IpAddr::V4(host), IpAddr::V4(network)) => {
                let mask = u32::MAX.checked_shr(u32::from(own.prefix_len())).unwrap_or(0);
                Some(IpAddr::V4(Ipv4Addr::from_bits(network.to_bits() | host.to_bits() & mask)))
            }
            _ => None,
        });
        let network = own.unwrap_or(*cidr);
        let is_host = |address: &IpAddr| {
            network.with_address(*address).is_some_and(|cidr| !cidr.is_network_address())
                && network.broadcast().map(IpAddr::V4) != Some(*address)
        };
        let all = same.into_iter().filter(is_host).chain(network.hosts().take(65536));
        all.filter(|address| !is_taken(*address, self.input)).take(MOST_CANDIDATES).collect()
    }

    fn silent(&self, gateway: IpAddr) -> Warning {
        let name = self.link.name.to_string_lossy();
        let own = self
            .addresses(gateway)
            .find(|own| self.nic.addresses.iter().any(|cidr| cidr.contains(own.address())));
        let fix = match own {
            Some(own) => common::same_with!("--gateway {}", own.address()),
            None => common::same_with!("--host-addr {}", gateway),
        };
        Warning {
            kind: WarningKind::SilentGateway,
            message: format!(
                "{gateway} does not answer on {name}: the default route of {} leads nowhere",
                self.input.container_name()
            ),
            fix,
        }
    }
}
