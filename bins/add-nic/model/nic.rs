//! A NIC as it will be, and where its other end goes.

use common::cidr::Cidr;
use common::target::{IfName, Mac};
use serde::{Deserialize, Serialize};

use crate::model::change::StackedKind;
use crate::model::netns::Netns;

/// The NIC as it will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    pub name: IfName,
    pub mac: Mac,
    pub addresses: Vec<Cidr>,
    pub mtu_bytes: u32,
    pub other_end: OtherEnd,
}

/// Where the other end goes. Whoever wants to know something that not every kind has asks here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherEnd {
    /// To the host, as the end of a cable.
    Host(VethPort),
    /// Into a bridge, whose port it is.
    Bridge { bridge: IfName, port: VethPort, vlan: Option<u16> },
    /// Into another container.
    Peer(VethPort),
    /// Nowhere: the NIC stands on a link of the host.
    On(ParentLink),
    /// Nowhere: the NIC is the host's own, moved in. This is its name there.
    Phys(IfName),
}

/// The link that it stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentLink {
    pub name: IfName,
    pub on: StackedKind,
    /// Whether it is not that link itself but its VLAN.
    pub vlan: Option<u16>,
}

impl ParentLink {
    /// The link below, as the host calls it.
    pub fn link(&self) -> Option<IfName> {
        match self.vlan {
            None => Some(self.name.clone()),
            Some(id) => format!("{}.{id}", self.name).parse().ok(),
        }
    }
}

/// The other end of a veth pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VethPort {
    pub name: IfName,
    pub mac: Mac,
    /// Its own, or what the bridge that it is plugged into has because of us.
    pub addresses: Vec<Cidr>,
}

impl OtherEnd {
    /// The word for it, the option's if there is one.
    pub fn kind(&self) -> &'static str {
        match self {
            OtherEnd::Host(_) => "host",
            OtherEnd::Bridge { .. } => "bridge",
            OtherEnd::Peer(_) => "peer",
            OtherEnd::On(parent) => parent.on.kind(),
            OtherEnd::Phys(_) => "phys",
        }
    }

    /// The other end of the cable, and where that is.
    pub fn far(&self) -> Option<(Netns, &VethPort)> {
        match self {
            OtherEnd::Host(port) | OtherEnd::Bridge { port, .. } => Some((Netns::Host, port)),
            OtherEnd::Peer(port) => Some((Netns::Peer, port)),
            OtherEnd::On(_) | OtherEnd::Phys(_) => None,
        }
    }

    /// The link that is here because of it.
    pub fn port(&self) -> Option<&VethPort> {
        self.far().filter(|(place, _)| *place == Netns::Host).map(|(_, port)| port)
    }

    /// What the host calls the link that is here because of it, or that was here before.
    pub fn host_name(&self) -> Option<&IfName> {
        match self {
            OtherEnd::Phys(name) => Some(name),
            _ => self.port().map(|port| &port.name),
        }
    }

    /// What the host has because of it.
    pub fn host_addresses(&self) -> &[Cidr] {
        self.port().map_or(&[], |port| &port.addresses)
    }

    /// The bridge that it is plugged into.
    pub fn bridge(&self) -> Option<&IfName> {
        match self {
            OtherEnd::Bridge { bridge, .. } => Some(bridge),
            OtherEnd::Host(_) | OtherEnd::Peer(_) | OtherEnd::On(_) | OtherEnd::Phys(_) => None,
        }
    }

    /// The link of the host that it stands on.
    pub fn parent(&self) -> Option<&ParentLink> {
        match self {
            OtherEnd::On(parent) => Some(parent),
            _ => None,
        }
    }

    /// The VLAN that it is in.
    pub fn vlan(&self) -> Option<u16> {
        match self {
            OtherEnd::Bridge { vlan, .. } => *vlan,
            OtherEnd::On(ParentLink { on: StackedKind::Vlan(id), .. }) => Some(*id),
            OtherEnd::On(parent) => parent.vlan,
            OtherEnd::Host(_) | OtherEnd::Peer(_) | OtherEnd::Phys(_) => None,
        }
    }

    /// Whether there may be others who ask, and remember, whose an address is.
    pub fn has_neighbours(&self) -> bool {
        match self {
            OtherEnd::Host(_) | OtherEnd::Peer(_) => false,
            OtherEnd::Bridge { .. } | OtherEnd::Phys(_) => true,
            OtherEnd::On(parent) => parent.on.answers_arp(),
        }
    }
}
