//! The networks that a container is on, as its engine says: what its links, addresses and routes should be. Whoever asks pays
//! for it; no look-up of a container does.

use std::net::IpAddr;

use serde::Serialize;

use super::container::name_to_show;
use crate::cidr::Cidr;
use crate::output::quotable;
use crate::target::{IfName, Mac};

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
    /// Whether the network brings default routes; `None` where that is not known yet.
    pub default_route: Option<bool>,
}

impl ContainerNetwork {
    /// With words that can be shown, as [`Container::presentable`](super::Container::presentable).
    #[must_use]
    pub(super) fn presentable(self) -> Self {
        ContainerNetwork {
            name: name_to_show(self.name, &self.id),
            id: quotable(&self.id),
            interface: self.interface.filter(|link| link.parse::<IfName>().is_ok()),
            ..self
        }
    }
}

/// An address of a container on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NetworkAddress {
    /// The address, and the prefix length of its network.
    pub address: Cidr,
    /// The network's own router.
    pub gateway: Option<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(name: &str, id: &str, interface: &str) -> (String, String, Option<String>) {
        let (name, id, interface) = (name.to_owned(), id.to_owned(), Some(interface.to_owned()));
        let addresses = Vec::new();
        let network = ContainerNetwork { name, id, addresses, mac: None, interface, default_route: None };
        let shown = network.presentable();
        (shown.name, shown.id, shown.interface)
    }

    #[test]
    fn what_is_no_name_of_a_network_is_not_shown_as_one() {
        let id = "3f2a".repeat(16);
        assert_eq!(
            network("front_1", &id, "eth0"),
            ("front_1".to_owned(), id.clone(), Some("eth0".to_owned()))
        );
        for hostile in ["a\u{1b}[2J", "a\nb", "--rm", "a b", "\u{202e}x", "", &"x".repeat(9000)] {
            assert_eq!(network(hostile, &id, hostile), (id.clone(), id.clone(), None), "{hostile:?}");
            let (name, id, _) = network(hostile, hostile, hostile);
            for shown in [name, id] {
                assert!(shown.len() < 500 && !shown.contains(char::is_control), "{shown:?}");
                assert!(!shown.contains('\u{202e}'), "{shown:?}");
            }
        }
    }
}
