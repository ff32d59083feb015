//! A NIC as it is requested.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::target::{IfName, Mac, Target};
use serde::{Deserialize, Serialize};

use crate::model::filter::WantedRules;
use crate::model::nic::ParentLink;
use crate::model::sysctl::SysctlSetting;

/// Which NIC of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NicSelector {
    /// By its name, inside or outside.
    Name(IfName),
    /// By its address.
    Address(IpAddr),
}

/// A NIC as it is requested. Identifies the same command when it is run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its addresses.
    pub addresses: Vec<Cidr>,
    /// Where its other end goes.
    pub other_end: WantedEnd,
    /// The addresses of the other end.
    pub other_addresses: OtherAddresses,
    /// Its name in the container.
    pub name: Option<IfName>,
    /// The start of its name, where it is not given; `eth` if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<IfName>,
    /// The name of the other end.
    pub other_name: Option<IfName>,
    /// Its link-layer address.
    pub mac: Option<Mac>,
    /// Its MTU.
    pub mtu_bytes: Option<u32>,
    /// Default routes.
    pub gateways: Vec<IpAddr>,
    /// Other routes.
    pub routes: Vec<WantedRoute>,
    /// The metric of these routes.
    pub metric: Option<u32>,
    /// Source-based routing: whether packets from its addresses use routes of its own.
    pub sbr: bool,
    /// Settings of the container's network.
    pub sysctls: Vec<SysctlSetting>,
    /// Firewall rules for it.
    pub firewall: WantedRules,
}

/// Where the other end is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WantedEnd {
    /// On the host.
    Host,
    /// A port of this bridge.
    Bridge(WantedBridge),
    /// In this container, as a TARGET.
    Peer(String),
    /// None: it is stacked on this link of the host.
    On(ParentLink),
    /// None: it is this host interface, moved into the container.
    Phys(IfName),
}

/// The addresses of the other end: of the host, on a veth pair or a bridge, or of the other container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherAddresses {
    /// Chosen: the first free ones, on a veth pair and on a new bridge.
    Fitting,
    /// None.
    None,
    /// These.
    These(Vec<IpAddr>),
}

/// A bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedBridge {
    /// Its name.
    pub name: IfName,
    /// Whether it is created if it does not exist.
    pub create: bool,
    /// The VLAN that the port is in.
    pub vlan: Option<u16>,
}

/// A route through the NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedRoute {
    /// The destination.
    pub to: Cidr,
    /// The next hop; `None` for an on-link route.
    pub via: Option<IpAddr>,
}

impl WantedEnd {
    /// The VLAN of a bridge's port: the bridge itself is not in it.
    pub fn vlan_of_port(&self) -> Option<u16> {
        match self {
            WantedEnd::Bridge(bridge) => bridge.vlan,
            _ => None,
        }
    }

    /// The bridge that the other end is attached to.
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
