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
use crate::model::wanted::{OtherAddresses, Wanted};
use crate::plan::conflicts::is_taken;
use crate::plan::input::PlanInput;
use crate::preflight::warning::{Warning, WarningKind};

/// A gateway elsewhere on the network answers within milliseconds; a request or two may get lost.
const WAITS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];

/// The gateways that answer no request on the bridge. A bridge that does not exist yet gets the gateway's address itself, and
/// an address of the host's own is answered by it.
pub fn silent_gateways(nic: &Nic, wanted: &Wanted, host: &NetnsState) -> Result<Vec<IpAddr>, Failure> {
    let asked = SilentGateways::ask(std::iter::once((nic, wanted)), host)?;
    Ok(asked.of(nic, wanted, host))
}

/// The gateways of several NICs that answer no request. All are asked at once: each that is silent costs as long as all.
#[derive(Debug, Default)]
pub struct SilentGateways(Vec<(u32, IpAddr)>);

impl SilentGateways {
    /// Asks those of these NICs.
    pub fn ask<'a>(
        nics: impl Iterator<Item = (&'a Nic, &'a Wanted)>,
        host: &NetnsState,
    ) -> Result<Self, Failure> {
        let mut segments: Vec<(Segment, Vec<IpAddr>)> = Vec::new();
        for (segment, gateway) in nics.flat_map(|(nic, wanted)| questions(nic, wanted, host)) {
            match segments.iter_mut().find(|(known, _)| known.index == segment.index) {
                Some((_, gateways)) if gateways.contains(&gateway) => {}
                Some((_, gateways)) => gateways.push(gateway),
                None => segments.push((segment, vec![gateway])),
            }
        }
        thread::scope(|scope| {
            let ask = |(segment, gateways): (Segment, Vec<IpAddr>)| {
                thread::Builder::new().spawn_scoped(scope, move || silent_on(segment, gateways))
            };
            let asking: Vec<_> = segments.into_iter().map(ask).collect::<Result<_, _>>()?;
            let mut silent = Vec::new();
            for asked in asking {
                let gone = || Failure::failed("the gateways", "could not be asked");
                silent.extend(asked.join().map_err(|_| gone())??);
            }
            Ok(SilentGateways(silent))
        })
    }

    /// Those of one NIC.
    pub fn of(&self, nic: &Nic, wanted: &Wanted, host: &NetnsState) -> Vec<IpAddr> {
        let asked = questions(nic, wanted, host);
        let silent = asked.filter(|(segment, gateway)| self.0.contains(&(segment.index, *gateway)));
        silent.map(|(_, gateway)| gateway).collect()
    }
}

/// The gateways of a NIC that another host must have, and where to ask.
fn questions<'a>(
    nic: &'a Nic,
    wanted: &'a Wanted,
    host: &'a NetnsState,
) -> impl Iterator<Item = (Segment, IpAddr)> + 'a {
    let is_the_hosts = |gateway: &IpAddr| {
        host.holder(*gateway).is_some()
            || nic.other_end.host_addresses().iter().any(|cidr| cidr.address() == *gateway)
    };
    let others = wanted.gateways.iter().copied().filter(move |gateway| !is_the_hosts(gateway));
    segment(nic, host)
        .into_iter()
        .flat_map(move |segment| others.clone().map(move |gateway| (segment, gateway)))
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
    let host = &input.snapshot.host;
    let Some(link) = bridge(nic, host) else { return vec![] };
    let bridge = OnBridge { nic, input, link };
    let mut warnings = Vec::new();
    let mut silent = silent.to_vec();
    let mut networks: Vec<&Cidr> = Vec::new();
    for cidr in &nic.addresses {
        let is_known = networks.iter().any(|known| known.network() == cidr.network());
        if !is_known && !matches!(input.wanted.other_addresses, OtherAddresses::None) && !bridge.reaches(cidr)
        {
            let gateway = silent.iter().position(|gateway| cidr.contains(*gateway));
            warnings.push(bridge.no_address(cidr, gateway.map(|at| silent.remove(at))));
        }
        networks.push(cidr);
    }
    warnings.extend(silent.into_iter().map(|gateway| bridge.silent(gateway)));
    warnings
}

struct OnBridge<'a> {
    nic: &'a Nic,
    input: &'a PlanInput<'a>,
    link: &'a Link,
}

impl OnBridge<'_> {
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

    fn no_address(&self, cidr: &Cidr, gateway: Option<IpAddr>) -> Warning {
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
        let fix = own.and_then(|own| Some((own, self.fitting(cidr, own)?)));
        let fix = match (fix, gateway) {
            (Some((own, fitting)), Some(_)) => {
                hint!("add-nic {} {} -b {} -g {}", container, fitting, name, own.address())
            }
            (Some((_, fitting)), None) => hint!("add-nic {} {} -b {}", container, fitting, name),
            (None, Some(gateway)) => common::same_with!("--host-addr {}", gateway),
            (None, None) => {
                let free = cidr.hosts().take(65536).find(|address| !is_taken(*address, self.input));
                free.map_or_else(
                    || common::same_with!("--host-addr none"),
                    |free| common::same_with!("--host-addr {}", free),
                )
            }
        };
        Warning { kind: WarningKind::NoHostAddress, message: format!("{has}: {so}"), fix }
    }

    /// The same host in the bridge's network, or the first free one there.
    fn fitting(&self, cidr: &Cidr, own: Cidr) -> Option<Cidr> {
        let same = match (cidr.address(), own.network().address()) {
            (IpAddr::V4(host), IpAddr::V4(network)) => {
                let mask = u32::MAX.checked_shr(u32::from(own.prefix_len())).unwrap_or(0);
                Some(IpAddr::V4(Ipv4Addr::from_bits(network.to_bits() | host.to_bits() & mask)))
            }
            _ => None,
        };
        let is_free = |address: &IpAddr| {
            let is_host = own.with_address(*address).is_some_and(|cidr| !cidr.is_network_address());
            is_host && own.broadcast().map(IpAddr::V4) != Some(*address) && !is_taken(*address, self.input)
        };
        let free = same.filter(is_free).or_else(|| own.hosts().take(65536).find(is_free));
        free.and_then(|address| own.with_address(address))
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
