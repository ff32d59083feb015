//! A NIC as it is planned, and where its other end is.

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

/// Where the other end is. Its methods say what not every kind has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherEnd {
    /// On the host, as the end of a veth pair.
    Host(VethPort),
    /// A port of a bridge.
    Bridge { bridge: IfName, port: VethPort, vlan: Option<u16> },
    /// In another container.
    Peer(VethPort),
    /// None: the NIC is stacked on a link of the host.
    On(ParentLink),
    /// None: the NIC is a host interface, moved in. This is its name on the host.
    Phys(IfName),
}

/// The link that it is stacked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentLink {
    pub name: IfName,
    pub on: StackedKind,
    /// If set, the parent is this VLAN of the link.
    pub vlan: Option<u16>,
}

impl ParentLink {
    /// The name of the link below on the host.
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
    /// Its own, or those that we added to the bridge.
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

    /// The other end of the veth pair, and its netns.
    pub fn other_port(&self) -> Option<(Netns, &VethPort)> {
        match self {
            OtherEnd::Host(port) | OtherEnd::Bridge { port, .. } => Some((Netns::Host, port)),
            OtherEnd::Peer(port) => Some((Netns::Peer, port)),
            OtherEnd::On(_) | OtherEnd::Phys(_) => None,
        }
    }

    /// Its end on the host.
    pub fn port(&self) -> Option<&VethPort> {
        self.other_port().filter(|(netns, _)| *netns == Netns::Host).map(|(_, port)| port)
    }

    /// The name of its link on the host, or of the interface that was moved.
    pub fn host_name(&self) -> Option<&IfName> {
        match self {
            OtherEnd::Phys(name) => Some(name),
            _ => self.port().map(|port| &port.name),
        }
    }

    /// The addresses that the host has because of it.
    pub fn host_addresses(&self) -> &[Cidr] {
        self.port().map_or(&[], |port| &port.addresses)
    }

    /// The bridge that it is attached to.
    pub fn bridge(&self) -> Option<&IfName> {
        match self {
            OtherEnd::Bridge { bridge, .. } => Some(bridge),
            OtherEnd::Host(_) | OtherEnd::Peer(_) | OtherEnd::On(_) | OtherEnd::Phys(_) => None,
        }
    }

    /// The link of the host that it is stacked on.
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

    /// Whether there may be other hosts on its segment, which resolve and cache its addresses.
    pub fn has_neighbours(&self) -> bool {
        match self {
            OtherEnd::Host(_) | OtherEnd::Peer(_) => false,
            OtherEnd::Bridge { .. } | OtherEnd::Phys(_) => true,
            OtherEnd::On(parent) => parent.on.answers_arp(),
        }
    }
}
