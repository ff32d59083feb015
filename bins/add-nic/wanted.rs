//! What the words mean together. Contradictions, and addresses that nobody can have, are refused here, before anything
//! is looked at.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;

use common::cidr::Cidr;
use common::failure::Failure;
use common::output::quotable;
use common::target::{IfName, Mac, Target};
use serde::{Deserialize, Serialize};

use crate::cli::Cli;
use crate::firewall::WantedRules;
use crate::plan::Parent;
use crate::step::{IpvlanMode, MacvlanMode, On};
use crate::sysctl::Setting;

/// What to do, one thing of many.
#[derive(Debug)]
pub enum Job {
    /// Plug a NIC in.
    Add(Target, Box<Wanted>),
    /// Take one out, or all of ours.
    Remove(Target, Option<Which>),
    /// Show all of ours, or those of one container.
    List(Option<Target>),
    /// Show what is not as we made it.
    Check(Option<Target>),
    /// Keep those plugged in that this file describes.
    Watch(PathBuf),
}

/// Which NIC of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// By its name, inside or outside.
    Name(IfName),
    /// By its address.
    Address(IpAddr),
}

/// A NIC as it is asked for. The same call again is told by this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its addresses.
    pub addresses: Vec<Cidr>,
    /// Where its other end goes.
    pub other_end: WantedEnd,
    /// What the other end has.
    pub other_addresses: OtherAddresses,
    /// Its name in the container.
    pub name: Option<IfName>,
    /// The other end's.
    pub other_name: Option<IfName>,
    /// Its link-layer address.
    pub mac: Option<Mac>,
    /// The greatest packet that it carries.
    pub mtu_bytes: Option<u32>,
    /// Default routes.
    pub gateways: Vec<IpAddr>,
    /// Other routes.
    pub routes: Vec<WantedRoute>,
    /// Of these routes.
    pub metric: Option<u32>,
    /// Whether replies leave by it that come from its addresses, by routes of its own.
    pub sbr: bool,
    /// Settings of the container's network.
    pub sysctls: Vec<Setting>,
    /// What packet filters are to do for it.
    pub firewall: WantedRules,
}

/// Where the other end goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WantedEnd {
    /// To the host.
    Host,
    /// Into this bridge.
    Bridge(Bridge),
    /// Into this container, as a TARGET means it.
    Peer(String),
    /// Nowhere: it stands on this link of the host.
    On(Parent),
    /// Nowhere: it is this NIC of the host's, moved in.
    Phys(IfName),
}

/// What addresses the other end has: the host on a cable or on a bridge, or the other container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherAddresses {
    /// As fits: on a cable, and on a bridge that is made, the first free ones.
    Fitting,
    /// None.
    None,
    /// These.
    These(Vec<IpAddr>),
}

/// A bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Its name.
    pub name: IfName,
    /// Whether it is made if there is none.
    pub create: bool,
}

/// A route through the NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedRoute {
    /// Where it leads.
    pub to: Cidr,
    /// The router that is next; on the link itself if `None`.
    pub via: Option<IpAddr>,
}

impl Job {
    /// What was asked for.
    ///
    /// # Errors
    /// What makes no sense, and why.
    pub fn of(cli: &Cli) -> Result<Self, Failure> {
        if let Some(file) = &cli.watch {
            return Ok(Job::Watch(file.clone()));
        }
        let (target, rest) = match cli.words.split_first() {
            Some((word, rest)) => (Some(target(word)?), rest),
            None => (None, &[][..]),
        };
        let at_most = |most: usize| match rest.get(most) {
            Some(word) => Err(Failure::trouble(quotable(word), "is one word too many")),
            None => Ok(()),
        };
        match target {
            target if cli.list => at_most(0).map(|()| Job::List(target)),
            target if cli.check => at_most(0).map(|()| Job::Check(target)),
            None => Err(Failure::trouble("TARGET", "none was given").hint("add-nic --help")),
            Some(target) if cli.rm => {
                at_most(1)?;
                Ok(Job::Remove(target, rest.first().map(|word| Which::of(word)).transpose()?))
            }
            Some(target) => {
                let wanted = Wanted::of(cli, rest, &target)?;
                Ok(Job::Add(target, Box::new(wanted)))
            }
        }
    }
}

fn target(word: &str) -> Result<Target, Failure> {
    word.parse().map_err(|error| Failure::trouble(quotable(word), error))
}

impl Which {
    fn of(word: &str) -> Result<Self, Failure> {
        let address = word.split_once('/').map_or(word, |(address, _)| address);
        match address.parse() {
            Ok(address) => Ok(Which::Address(address)),
            Err(_) => word.parse().map(Which::Name).map_err(|error| Failure::trouble(quotable(word), error)),
        }
    }
}

impl WantedEnd {
    fn of(cli: &Cli) -> Result<Self, Failure> {
        if let Some(peer) = &cli.peer {
            return target(peer).map(|peer| WantedEnd::Peer(peer.to_string()));
        }
        for (option, word) in [("--macvlan", &cli.macvlan), ("--ipvlan", &cli.ipvlan)] {
            if let Some(word) = word {
                return parent(option, word).map(WantedEnd::On);
            }
        }
        if let Some(nic) = &cli.phys {
            return Ok(WantedEnd::Phys(nic.clone()));
        }
        Ok(match cli.bridge.clone() {
            Some(name) => WantedEnd::Bridge(Bridge { name, create: cli.create }),
            None => WantedEnd::Host,
        })
    }

    /// The bridge that it is plugged into.
    pub fn bridge(&self) -> Option<&IfName> {
        match self {
            WantedEnd::Bridge(bridge) => Some(&bridge.name),
            WantedEnd::Host | WantedEnd::Peer(_) | WantedEnd::On(_) | WantedEnd::Phys(_) => None,
        }
    }

    /// The other container.
    pub fn peer(&self) -> Option<Target> {
        match self {
            WantedEnd::Peer(peer) => peer.parse().ok(),
            WantedEnd::Host | WantedEnd::Bridge(_) | WantedEnd::On(_) | WantedEnd::Phys(_) => None,
        }
    }
}

impl Wanted {
    fn of(cli: &Cli, words: &[String], target: &Target) -> Result<Self, Failure> {
        if words.is_empty() {
            return Err(
                Failure::trouble("ADDR", "none was given").hint(format_args!("add-nic {target} 10.1.0.2/24"))
            );
        }
        let addresses: Vec<Cidr> = words.iter().map(|word| address(word)).collect::<Result<_, _>>()?;
        for (at, cidr) in addresses.iter().enumerate() {
            if addresses[..at].iter().any(|other| other.address() == cidr.address()) {
                return Err(Failure::trouble(cidr.address(), "is given twice"));
            }
        }
        let other_end = WantedEnd::of(cli)?;
        let other_addresses = match other_end {
            WantedEnd::Peer(_) => other_addresses("--peer-addr", &cli.peer_addr, &addresses)?,
            _ => other_addresses("--host-addr", &cli.host_addr, &addresses)?,
        };
        let wanted = Wanted {
            other_end,
            other_addresses,
            name: cli.name.clone(),
            other_name: cli.host_name.clone().or_else(|| cli.peer_name.clone()),
            mac: cli.mac,
            mtu_bytes: cli.mtu,
            gateways: cli.gateway.clone(),
            routes: cli.route.iter().map(|word| route(word)).collect::<Result<_, _>>()?,
            metric: cli.metric,
            sbr: cli.sbr,
            sysctls: settings(&cli.sysctl)?,
            firewall: WantedRules::of(cli)?,
            addresses,
        };
        wanted.makes_sense().map(|()| wanted)
    }

    fn makes_sense(&self) -> Result<(), Failure> {
        if let Some(mac) = self.mac.filter(|mac| !mac.is_unicast()) {
            return Err(Failure::trouble(mac, "is a group's address, or nobody's, and no NIC's"));
        }
        if let (Some(mac), WantedEnd::On(parent)) = (self.mac, &self.other_end)
            && parent.on.has_parents_mac()
        {
            return Err(Failure::trouble(
                format_args!("--mac {mac}"),
                format_args!("cannot be: {} has the address of {}", parent.on, parent.name),
            ));
        }
        self.mtu_makes_sense()?;
        let next = self.gateways.iter().copied().chain(self.routes.iter().filter_map(|route| route.via));
        for router in next {
            self.is_on_the_link(router)?;
        }
        for family in [true, false] {
            if let Some(second) = self.gateways.iter().filter(|gateway| gateway.is_ipv4() == family).nth(1) {
                return Err(Failure::trouble(second, "is a second gateway of the same family"));
            }
        }
        self.routes_make_sense()?;
        match (self.other_end.bridge(), &self.other_name) {
            (Some(bridge), Some(name)) if bridge == name => {
                Err(Failure::trouble(name, "is the bridge's name, and no other link's of the host"))
            }
            _ => Ok(()),
        }
    }

    fn routes_make_sense(&self) -> Result<(), Failure> {
        for (at, route) in self.routes.iter().enumerate() {
            let refuse = |why: &str| Err(Failure::trouble(route.to, why));
            if route.to.prefix_len() == 0 {
                return refuse("is a default route")
                    .map_err(|failure| failure.hint("--gateway IP makes one"));
            }
            if route.via.is_some_and(|via| via.is_ipv4() != route.to.address().is_ipv4()) {
                return refuse("goes through a router of another family");
            }
            if self.routes[..at].iter().any(|other| other.to == route.to) {
                return refuse("is given twice");
            }
            // The kernel makes that one with the address. For IPv6 it has a metric that no other has.
            let is_own = |cidr: &Cidr| cidr.address().is_ipv4() && cidr.network() == route.to;
            if self.metric.unwrap_or(0) == 0 && self.addresses.iter().any(is_own) {
                return refuse("is where the NIC is, and needs no route");
            }
        }
        Ok(())
    }

    fn mtu_makes_sense(&self) -> Result<(), Failure> {
        let Some(mtu) = self.mtu_bytes else { return Ok(()) };
        // RFC 791, RFC 8200; veth.c has ETH_MAX_MTU.
        let least = if self.addresses.iter().any(|cidr| cidr.address().is_ipv6()) { 1280 } else { 68 };
        if !(least..=65535).contains(&mtu) {
            return Err(Failure::trouble(format_args!("MTU {mtu}"), format_args!("is not {least} to 65535")));
        }
        Ok(())
    }

    /// A router must be reached without a router.
    fn is_on_the_link(&self, router: IpAddr) -> Result<(), Failure> {
        if self.addresses.iter().any(|cidr| cidr.address() == router) {
            return Err(Failure::trouble(router, "is the NIC's own address, and no router to go through"));
        }
        let is_other_end =
            matches!(&self.other_addresses, OtherAddresses::These(these) if these.contains(&router));
        match self.addresses.iter().find(|cidr| cidr.contains(router)) {
            None if !is_other_end => {
                let networks: Vec<String> =
                    self.addresses.iter().map(|cidr| cidr.network().to_string()).collect();
                Err(Failure::trouble(
                    router,
                    format_args!("is not in {}, where the NIC is", networks.join(", ")),
                ))
            }
            Some(cidr) if !is_other_end => refuse_unusable(cidr.with_address(router)),
            _ => Ok(()),
        }
    }
}

/// An ADDR of the container's.
fn address(word: &str) -> Result<Cidr, Failure> {
    let cidr: Cidr = word.parse().map_err(|error| match word.contains('/') {
        true => Failure::trouble(quotable(word), error),
        false => Failure::said(common::failure::Status::Trouble, error),
    })?;
    refuse_unusable(Some(cidr))?;
    if cidr.prefix_len() == 0 {
        return Err(Failure::trouble(cidr, "makes a network of all addresses there are"));
    }
    Ok(cidr)
}

/// What no host can have as its address.
fn refuse_unusable(cidr: Option<Cidr>) -> Result<(), Failure> {
    let Some(cidr) = cidr else { return Ok(()) };
    let address = cidr.address();
    let refuse = |why: &dyn Display| Err(Failure::trouble(cidr, why));
    match address {
        _ if address.is_unspecified() => refuse(&"is nobody's address"),
        _ if address.is_multicast() => refuse(&"is a group's address, and no host's"),
        _ if address.is_loopback() => refuse(&"is a loopback address, which stays in its host"),
        IpAddr::V4(v4) if v4.octets()[0] >= 240 || v4.octets()[0] == 0 => {
            refuse(&"is of a range that no host can have")
        }
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            refuse(&"is an IPv4 address in the disguise of IPv6")
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            refuse(&"is a link-local address: each link makes one for itself")
        }
        IpAddr::V4(_) if cidr.is_network_address() => refuse(&"is the address of the network itself"),
        IpAddr::V6(_) if cidr.is_network_address() => {
            refuse(&"is the address of any router in that network, and no host's (RFC 4291)")
        }
        IpAddr::V4(v4) if cidr.broadcast() == Some(v4) => refuse(&"is the broadcast address of its network"),
        _ => Ok(()),
    }
}

/// PARENT[:MODE]
fn parent(option: &'static str, word: &str) -> Result<Parent, Failure> {
    let about = || format!("{option} {}", quotable(word));
    let (name, mode) = word.split_once(':').map_or((word, None), |(name, mode)| (name, Some(mode)));
    let name = name.parse().map_err(|error| Failure::trouble(about(), error))?;
    let on = match option {
        "--macvlan" => mode.map_or(Ok(MacvlanMode::Bridge), str::parse).map(On::Macvlan),
        _ => mode.map_or(Ok(IpvlanMode::L2), str::parse).map(On::Ipvlan),
    };
    let on = on.map_err(|error| Failure::trouble(about(), format_args!("what stands behind : {error}")))?;
    Ok(Parent { name, on })
}

fn other_addresses(
    option: &'static str,
    words: &[String],
    addresses: &[Cidr],
) -> Result<OtherAddresses, Failure> {
    match words {
        [] => Ok(OtherAddresses::Fitting),
        [none] if none == "none" => Ok(OtherAddresses::None),
        words if words.iter().any(|word| word == "none") => {
            Err(Failure::trouble(format_args!("{option} none"), "and an address contradict each other"))
        }
        words => {
            let these = words.iter().map(|word| other_address(option, word, addresses));
            let these: Vec<IpAddr> = these.collect::<Result<_, _>>()?;
            match these.iter().enumerate().find(|(at, address)| these[..*at].contains(address)) {
                Some((_, twice)) => Err(Failure::trouble(twice, "is given twice")),
                None => Ok(OtherAddresses::These(these)),
            }
        }
    }
}

fn other_address(option: &str, word: &str, addresses: &[Cidr]) -> Result<IpAddr, Failure> {
    let about = || format!("{option} {}", quotable(word));
    let plain = word.split_once('/').map_or(word, |(address, _)| address);
    let address: IpAddr =
        plain.parse().map_err(|_| Failure::trouble(about(), "is neither an IP address nor none"))?;
    if addresses.iter().any(|cidr| cidr.address() == address) {
        return Err(Failure::trouble(about(), "is the container's own address"));
    }
    let network = addresses.iter().find(|cidr| cidr.contains(address));
    let across =
        addresses.iter().find(|cidr| cidr.is_host() && cidr.address().is_ipv4() == address.is_ipv4());
    let Some(whole) =
        network.and_then(|cidr| cidr.with_address(address)).or_else(|| across.map(|_| Cidr::host(address)))
    else {
        return Err(Failure::trouble(about(), "is in no network of the NIC"));
    };
    if plain != word && whole.to_string() != word {
        return Err(Failure::trouble(
            about(),
            format_args!("has another prefix length on this NIC: {whole}"),
        ));
    }
    refuse_unusable(Some(whole)).map(|()| address)
}

fn settings(words: &[String]) -> Result<Vec<Setting>, Failure> {
    let mut settings: Vec<Setting> = Vec::new();
    for word in words {
        let about = || format!("--sysctl {}", quotable(word));
        let setting: Setting = word.parse().map_err(|error| Failure::trouble(about(), error))?;
        if settings.iter().any(|other| other.key == setting.key) {
            return Err(Failure::trouble(about(), "is a second value for the same"));
        }
        settings.push(setting);
    }
    Ok(settings)
}

fn route(word: &str) -> Result<WantedRoute, Failure> {
    let about = || format!("--route {}", quotable(word));
    let (to, via) = word.split_once('@').map_or((word, None), |(to, via)| (to, Some(via)));
    let to: Cidr = to.parse().map_err(|error| Failure::trouble(about(), error))?;
    if !to.is_network() {
        return Err(Failure::trouble(about(), format_args!("has bits of a host behind its prefix"))
            .hint(format_args!("--route {}", to.network())));
    }
    let via = via.map(str::parse).transpose();
    let via = via.map_err(|_| Failure::trouble(about(), "what stands behind @ is not an IP address"))?;
    Ok(WantedRoute { to, via })
}
