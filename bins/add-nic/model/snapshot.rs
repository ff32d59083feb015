//! The state of both sides: all that a plan is made from.

use std::net::IpAddr;

use common::netlink::{Address, Link, PortVlan, Route, Rule};

use crate::model::filter::FilterState;
use crate::model::netns::Netns;
use crate::model::sysctl::SysctlValues;

/// Links that are only planned have indices from here on, which no kernel comes to.
pub const FIRST_PLANNED_INDEX: u32 = 1 << 30;

/// The state of one network namespace.
#[derive(Debug, Clone, Default)]
pub struct NetnsState {
    pub links: Vec<Link>,
    pub addresses: Vec<Address>,
    pub routes: Vec<Route>,
    /// Of the ports of bridges with VLAN filtering.
    pub port_vlans: Vec<PortVlan>,
    pub rules: Vec<Rule>,
    /// Whether new links may have IPv6 addresses; `None` if the kernel has no IPv6, or if it was not read.
    pub allows_ipv6: Option<bool>,
}

/// The state that was read before planning.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub host: NetnsState,
    pub inside: NetnsState,
    /// The other container, where there is one.
    pub peer: NetnsState,
    /// Whether both are the same namespace.
    pub is_one: bool,
    /// Those that were read.
    pub settings: SysctlValues,
    /// The packet filters, if they were read.
    pub filters: FilterState,
    /// For a host interface that is to move: its settings under /proc/sys/net that differ from those of a new link.
    pub switches: Vec<(String, String)>,
}

impl NetnsState {
    /// The link of that name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name.to_str() == Some(name))
    }

    /// The name of the link of that index, for messages.
    pub fn name_of(&self, index: u32) -> String {
        let name = self.links.iter().find(|link| link.index == index);
        name.map_or_else(|| format!("link {index}"), |link| link.name.to_string_lossy().into_owned())
    }

    /// The assignment of that address.
    pub fn holder(&self, address: IpAddr) -> Option<&Address> {
        self.addresses.iter().find(|held| held.address == address)
    }

    /// The addresses of one link.
    pub fn addresses_of(&self, index: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |held| held.index == index)
    }
}

impl Snapshot {
    /// The state of that namespace.
    pub fn side(&self, netns: Netns) -> &NetnsState {
        match netns {
            Netns::Host => &self.host,
            Netns::Container => &self.inside,
            Netns::Peer => &self.peer,
        }
    }

    /// The same, to be filled in.
    pub fn side_mut(&mut self, netns: Netns) -> &mut NetnsState {
        match netns {
            Netns::Host => &mut self.host,
            Netns::Container => &mut self.inside,
            Netns::Peer => &mut self.peer,
        }
    }
}
