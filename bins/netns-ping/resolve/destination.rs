//! Where packets go: what a DEST turned out to be, seen from inside.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::rc::Rc;

use common::hint::Hint;
use common::namespace::Namespace;
use common::netlink::RouteLookup;
use common::process::Process;

/// NUD_* of linux/neighbour.h that say that a neighbour's address is known: permanent, without ARP, reachable, stale,
/// delay, probe.
pub const NUD_VALID: u16 = 0x80 | 0x40 | 0x02 | 0x04 | 0x08 | 0x10;

/// A DEST with its address, and the route there.
#[derive(Debug, Clone)]
pub struct Destination {
    /// As it was typed.
    pub word: String,
    /// What to call it: the word, or of another container its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// How we know.
    pub known: AddressSource,
    /// The route that packets take from inside.
    pub route: RouteLookup,
    /// The name of the link of that route.
    pub link: String,
    /// The container that has the address, where a TARGET was typed.
    pub container: Option<Rc<ContainerDest>>,
}

/// A container that is pinged.
#[derive(Debug)]
pub struct ContainerDest {
    /// Its name, or the TARGET.
    pub name: String,
    /// The TARGET that means it.
    pub target: String,
    /// Its network.
    pub netns: Namespace,
    /// Its process, if it has one.
    pub process: Option<Process>,
    /// Whether it was paused when it was found, and what makes it run again.
    pub paused: Option<Option<Hint>>,
}

impl Destination {
    /// The neighbour that packets are given to: the router, or the destination itself.
    pub fn next_hop(&self) -> IpAddr {
        self.route.gateway.unwrap_or(self.address)
    }

    /// Of an IPv6 address that is of one link, that one's index; otherwise 0.
    pub fn scope(&self) -> u32 {
        match self.address {
            IpAddr::V6(address) if address.is_unicast_link_local() || address.is_multicast() => {
                self.route.index.unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// As sendto(2) takes it.
    pub fn socket_address(&self) -> SocketAddr {
        match self.address {
            IpAddr::V4(address) => (address, 0).into(),
            IpAddr::V6(address) => SocketAddrV6::new(address, 0, 0, self.scope()).into(),
        }
    }

    /// Whether it means several hosts, each of which answers with its own address.
    pub fn is_group(&self) -> bool {
        self.route.is_group
            || self.address.is_multicast()
            || matches!(self.address, IpAddr::V4(v4) if v4.is_broadcast())
    }
}

/// How an address came to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressSource {
    /// It was typed.
    Typed,
    /// The container's `/etc/hosts` has it.
    Hosts,
    /// A name server of the container's has said so.
    Server(IpAddr),
    /// A default route leads through it.
    Gateway,
    /// It is one of another container's, which is called so.
    Container(String),
}
