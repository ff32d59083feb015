//! A NIC as it will be, and where its other end goes.

use common::cidr::Cidr;
use common::target::{IfName, Mac};
use serde::{Deserialize, Serialize};

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
    Host(Port),
    /// Into a bridge, whose port it is.
    Bridge { bridge: IfName, port: Port },
}

/// A veth end here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub name: IfName,
    pub mac: Mac,
    /// What the host has on the cable, or on the bridge because of us.
    pub addresses: Vec<Cidr>,
}

impl OtherEnd {
    /// The word for it, the option's if there is one.
    pub fn kind(&self) -> &'static str {
        match self {
            OtherEnd::Host(_) => "host",
            OtherEnd::Bridge { .. } => "bridge",
        }
    }

    /// The link that is here because of it.
    pub fn port(&self) -> Option<&Port> {
        match self {
            OtherEnd::Host(port) | OtherEnd::Bridge { port, .. } => Some(port),
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
            OtherEnd::Host(_) => None,
        }
    }
}
