//! Addresses: RTM_GETADDR, RTM_NEWADDR, RTM_DELADDR, linux/if_addr.h.

use std::net::IpAddr;

use super::socket::flag;
use super::wire::{Malformed, Request, attributes, family_of, ip, u32_at};
use super::{NetlinkError, Socket};
use crate::cidr::Cidr;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
/// struct ifaddrmsg: family, prefix length, flags, scope, index.
const FIXED_BYTES: usize = 8;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// linux/if_addr.h
const IFA_F_NODAD: u8 = 0x02;
/// linux/rtnetlink.h: RT_SCOPE_UNIVERSE
const SCOPE_UNIVERSE: u8 = 0;

/// An address that a link has, as `ip address` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The index of its link.
    pub index: u32,
    /// The address itself.
    pub address: IpAddr,
    /// How many bits of it, or of the peer's, are the network's.
    pub prefix_len: u8,
    /// The other end's address, on point-to-point links that were given one.
    pub peer: Option<IpAddr>,
    /// rtnetlink(7): 0 the whole world, 253 this link, 254 this host.
    pub scope: u8,
}

impl Address {
    /// Reads the payload of an RTM_NEWADDR; `None` for one of a family that is neither IPv4 nor IPv6.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, Malformed> {
        let &[family, prefix_len, _flags, scope, ..] = payload else { return Err(Malformed::Short) };
        let index = u32_at(payload, 4).ok_or(Malformed::Short)?;
        let (mut prefix_address, mut local) = (None, None);
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(Malformed::Short)?) {
            match attribute? {
                (IFA_ADDRESS, value) => prefix_address = ip(family, value),
                (IFA_LOCAL, value) => local = ip(family, value),
                _ => {}
            }
        }
        // if_addr.h: IFA_ADDRESS is the prefix's address, and the peer's on point-to-point links; IFA_LOCAL is
        // ours. IPv6 leaves IFA_LOCAL out when there is no peer.
        let Some(address) = local.or(prefix_address) else { return Ok(None) };
        let peer = prefix_address.filter(|peer| *peer != address);
        Ok(Some(Address { index, address, prefix_len, peer, scope }))
    }
}

/// An address to give to a link, or to take from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAddress {
    /// The index of its link.
    pub index: u32,
    /// The address, and the prefix that is reached through the link.
    pub cidr: Cidr,
    /// The other end's, on a point-to-point link: then the prefix is that one's.
    pub peer: Option<IpAddr>,
}

impl NewAddress {
    fn request(&self, name: &'static str, kind: u16, flags: u16) -> Request {
        let (address, family) = (self.cidr.address(), family_of(self.cidr.address()));
        let prefix_len = self.peer.map_or(self.cidr.prefix_len(), |peer| Cidr::host(peer).prefix_len());
        // Whether the address is another's has been asked by whoever wants that; the kernel's own question takes a
        // second and more, in which the address does not work.
        let no_dad = if address.is_ipv6() { IFA_F_NODAD } else { 0 };
        let index = self.index.to_ne_bytes();
        let fixed = [&[family, prefix_len, no_dad, SCOPE_UNIVERSE], &index[..]].concat();
        let request = Request::new(name, kind, flags, &fixed)
            .with_ip(IFA_LOCAL, address)
            .with_ip(IFA_ADDRESS, self.peer.unwrap_or(address));
        match self.cidr.broadcast() {
            Some(broadcast) if self.peer.is_none() => request.with_ip(IFA_BROADCAST, broadcast.into()),
            _ => request,
        }
    }
}

/// Asks for all addresses.
pub(super) fn question(flags: u16) -> Request {
    Request::new("addresses", RTM_GETADDR, flags, &[0; FIXED_BYTES])
}

impl Socket {
    /// All IPv4 and IPv6 addresses of the namespace.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn addresses(&mut self) -> Result<Vec<Address>, NetlinkError> {
        Ok(self.dump(question, Address::read)?.into_iter().flatten().collect())
    }

    /// Gives a link an address.
    ///
    /// # Errors
    /// [`NetlinkError`]: EEXIST if it has it.
    pub fn add_address(&mut self, address: &NewAddress) -> Result<(), NetlinkError> {
        self.change(|flags| address.request("address", RTM_NEWADDR, flags | flag::CREATE | flag::EXCLUSIVE))
    }

    /// Takes an address from a link.
    ///
    /// # Errors
    /// [`NetlinkError`]: EADDRNOTAVAIL if it does not have it.
    pub fn delete_address(&mut self, address: &NewAddress) -> Result<(), NetlinkError> {
        self.change(|flags| address.request("address", RTM_DELADDR, flags))
    }
}
