//! What is wanted, as the command line says it. Contradictions, and addresses that nobody can have, are refused here, before
//! anything is looked at.

mod sense;
mod words;

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
use crate::step::On;
use crate::sysctl::Setting;
use words::{address, other_addresses, parent, route, settings};

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
    /// The VLAN that the port is in.
    pub vlan: Option<u16>,
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
            Some((word, rest)) => {
                (Some(target(word).map_err(|failure| in_order(failure, word, rest))?), rest)
            }
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

/// Says so if the words stand the other way round.
fn in_order(failure: Failure, word: &str, rest: &[String]) -> Failure {
    match (word.parse::<Cidr>(), rest) {
        (Ok(address), [target, ..]) => {
            failure.hint(common::hint!("the container comes first: add-nic {} {}", target, address))
        }
        _ => failure,
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
        if let Some(peer) = cli.peer.as_ref().filter(|_| cli.vlan.is_none()) {
            return target(peer).map(|peer| WantedEnd::Peer(peer.to_string()));
        }
        for (option, word) in [("--macvlan", &cli.macvlan), ("--ipvlan", &cli.ipvlan)] {
            if let Some(word) = word {
                return parent(option, word, cli.vlan).map(WantedEnd::On);
            }
        }
        match (cli.phys.clone(), cli.vlan) {
            (Some(name), Some(id)) => {
                return Ok(WantedEnd::On(Parent { name, on: On::Vlan(id), vlan: None }));
            }
            (Some(name), None) => return Ok(WantedEnd::Phys(name)),
            (None, _) => {}
        }
        Ok(match cli.bridge.clone() {
            Some(name) => WantedEnd::Bridge(Bridge { name, create: cli.create, vlan: cli.vlan }),
            None if cli.vlan.is_some() => {
                return Err(Failure::trouble("--vlan", "is of no use on a cable of its own")
                    .hint("--bridge BR, --phys IF, --macvlan PARENT or --ipvlan PARENT"));
            }
            None => WantedEnd::Host,
        })
    }

    /// The VLAN of a bridge's port: the bridge itself is not in it.
    pub fn vlan_of_port(&self) -> Option<u16> {
        match self {
            WantedEnd::Bridge(bridge) => bridge.vlan,
            _ => None,
        }
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
            return Err(Failure::trouble("ADDR", "none was given")
                .hint(common::hint!("add-nic {} 10.1.0.2/24", target)));
        }
        let addresses: Vec<Cidr> = words.iter().map(|word| address(word)).collect::<Result<_, _>>()?;
        for (at, cidr) in addresses.iter().enumerate() {
            if addresses[..at].iter().any(|other| other.address() == cidr.address()) {
                return Err(Failure::trouble(cidr.address(), "is given twice"));
            }
        }
        let other_end = WantedEnd::of(cli)?;
        let other_addresses = match other_end {
            _ if other_end.vlan_of_port().is_some() && !cli.host_addr.is_empty() => {
                return Err(Failure::trouble(
                    "--host-addr",
                    "would be the bridge's, which is not in that VLAN itself",
                ));
            }
            _ if other_end.vlan_of_port().is_some() => OtherAddresses::None,
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
}
