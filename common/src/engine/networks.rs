//! The networks that a container is on, as its engine says: what its links, addresses and routes should be. Whoever asks pays
//! for it; no look-up of a container does.

use std::net::IpAddr;

use serde::Serialize;

use crate::cidr::Cidr;
use crate::target::Mac;

/// A network that an engine has put a container on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerNetwork {
    /// As the engine calls it.
    pub name: String,
    /// What no other network of that engine has; Podman's and CNI's is the name.
    pub id: String,
    /// The container's addresses there.
    pub addresses: Vec<NetworkAddress>,
    /// The MAC of the container's link.
    pub mac: Option<Mac>,
    /// The name of that link, where the engine tells.
    pub interface: Option<String>,
    /// Whether the network brings default routes; `None` where that is not known yet .
    pub default_route: Option<bool>,
}

/// An address of a container on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NetworkAddress {
    /// The address, and the prefix length of its network.
    pub address: Cidr,
    /// The network's own router.
    pub gateway: Option<IpAddr>,
}
