//! The link of the container on which neighbours can be asked: that it has MACs, that it is up, and which of its addresses
//! the probe comes from.

use std::net::IpAddr;

use common::failure::Failure;
use common::netlink::{Address, Link, Socket};
use common::output::one_line;
use common::packet::neighbour::ProbeSender;
use nix::libc;

use crate::network::netns::TargetNetns;

/// linux/if.h: there is a carrier. The operational state says so too, but up to a second later (link_watch.c).
const IFF_LOWER_UP: libc::c_int = 0x10000;

/// A link on which neighbours can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourLink {
    /// The link's index.
    pub index: u32,
    /// The link's name.
    pub link: String,
    /// The sender of probes there.
    pub sender: ProbeSender,
}

/// The links and addresses of the container, as they were.
#[derive(Debug, Default)]
pub struct ContainerLinks {
    /// What to call the container.
    pub name: String,
    /// The TARGET, for hints.
    pub target: String,
    /// Its links.
    pub links: Vec<Link>,
    /// Their addresses.
    pub addresses: Vec<Address>,
}

impl ContainerLinks {
    /// As they are now.
    pub fn take(inside: &TargetNetns) -> Result<Self, Failure> {
        let mut socket = inside.open(Socket::open)?;
        let (name, target) = (inside.name.clone(), inside.target.to_string());
        Ok(ContainerLinks { name, target, links: socket.links()?, addresses: socket.addresses()? })
    }

    /// The index of the link that has `address` as one of its own.
    pub fn own(&self, address: IpAddr) -> Option<u32> {
        self.addresses.iter().find(|own| own.address == address).map(|own| own.index)
    }

    /// Whether the link of that index is one on which neighbours have MAC addresses.
    pub fn has_neighbours(&self, index: u32) -> bool {
        let without = (libc::IFF_NOARP | libc::IFF_LOOPBACK).cast_unsigned();
        let link = self.links.iter().find(|link| link.index == index);
        link.is_some_and(|link| link.mac.is_some() && link.flags & without == 0)
    }

    /// The sender of probes for `address` on the link of that index; `source` is what the route or `-I` says that packets come from.
    ///
    /// # Errors
    /// Why no neighbour can be asked there.
    pub fn neighbour_link(
        &self,
        index: u32,
        address: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<NeighbourLink, Failure> {
        let link = self.links.iter().find(|link| link.index == index);
        let link =
            link.ok_or_else(|| Failure::failed(address, format_args!("interface {index} no longer exists")))?;
        let name = one_line(&link.name.to_string_lossy()).into_owned();
        let about = format!("{address} on {name}");
        let has = |flag: libc::c_int| link.flags & flag.cast_unsigned() != 0;
        let (Some(mac), false, false) = (link.mac, has(libc::IFF_NOARP), has(libc::IFF_LOOPBACK)) else {
            let kind =
                link.kind.as_deref().unwrap_or(if has(libc::IFF_LOOPBACK) { "loopback" } else { "link" });
            let what = format_args!("there are no MAC addresses: this kind of interface ({kind}) has no ARP");
            let hint = common::hint!("netns-ping {} {}", self.target, address);
            return Err(Failure::failed(about, what).hint(hint));
        };
        if !link.is_set_up() {
            let hint = common::hint!("nsenter-rs -t {} -n ip link set {} up", self.target, name);
            return Err(Failure::failed(about, "the interface is down").hint(hint));
        }
        if !has(IFF_LOWER_UP) {
            let plugged = common::hint!("netns-ls {}", self.target);
            return Err(Failure::failed(about, "the interface has no carrier").hint(plugged));
        }
        let address = source.or_else(|| self.address_on(index, address));
        Ok(NeighbourLink { index, link: name, sender: ProbeSender { mac, address } })
    }

    /// Of the link's addresses one of the same family: of the same network if there is one, of IPv6 else the link-local
    /// one.
    fn address_on(&self, index: u32, like: IpAddr) -> Option<IpAddr> {
        let is_link_local = |address: IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let own = self.addresses.iter().filter(|own| own.index == index);
        let mut own: Vec<&Address> = own.filter(|own| own.address.is_ipv4() == like.is_ipv4()).collect();
        own.sort_by_key(|own| {
            let network = common::cidr::Cidr::new(own.address, own.prefix_len);
            (!network.is_some_and(|network| network.contains(like)), !is_link_local(own.address))
        });
        own.first().map(|own| own.address)
    }
}
