//! What is wanted of a NIC, as it is asked for.

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
    pub sysctls: Vec<SysctlSetting>,
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
    Bridge(WantedBridge),
    /// Into this container, as a TARGET means it.
    Peer(String),
    /// Nowhere: it stands on this link of the host.
    On(ParentLink),
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
pub struct WantedBridge {
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

impl WantedEnd {
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
