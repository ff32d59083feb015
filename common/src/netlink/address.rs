//! Addresses: RTM_GETADDR, RTM_NEWADDR, RTM_DELADDR, linux/if_addr.h.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::socket::flag;
use super::wire::{MalformedMessage, NetlinkRequest, attributes, family_of, ip, number, u32_at, until_nul};
use super::{NetlinkError, Socket};
use crate::cidr::Cidr;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
/// struct ifaddrmsg: family, prefix length, flags, scope, index.
const FIXED_BYTES: usize = 8;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
/// linux/if_addr.h
const IFA_F_SECONDARY: u32 = 0x01;
const IFA_F_NODAD: u8 = 0x02;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;
const IFA_F_PERMANENT: u32 = 0x80;
/// IFAPROT_KERNEL_RA, IFAPROT_KERNEL_LL: the kernel gives and takes these itself (Linux 5.18).
const FROM_A_ROUTER: u8 = 2;
const LINK_LOCAL: u8 = 3;
/// linux/rtnetlink.h: RT_SCOPE_UNIVERSE
const SCOPE_UNIVERSE: u8 = 0;

/// An address that a link has, as `ip address` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// How it was given.
    pub given: AddressAttributes,
    /// Whether one that is given so again would be the same: it has no lifetime, and no flags but the usual ones.
    pub is_plain: bool,
    /// Whether the kernel gave it by itself, and would again.
    pub is_kernels: bool,
    /// Whether duplicate address detection has found another host with it (IPv6): it is not used.
    pub is_refused: bool,
}

/// What is said of an address when it is given to a link, besides what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressAttributes {
    /// Its network's broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// IPv4: a name for it, the link's own or one that begins so.
    pub label: Option<String>,
    /// How far it is valid: rtnetlink(7), 0 the whole world.
    pub scope: u8,
    /// IPv6: whether it was set without duplicate address detection.
    pub no_dad: bool,
}

impl Address {
    /// One that is given to a link without anything else being said of it. For planned addresses and tests, which set what they
    /// need.
    pub fn plain(index: u32, address: IpAddr, prefix_len: u8) -> Self {
        let given = AddressAttributes::default();
        Address {
            index,
            address,
            prefix_len,
            peer: None,
            scope: 0,
            given,
            is_plain: true,
            is_kernels: false,
            is_refused: false,
        }
    }

    /// Reads the payload of an RTM_NEWADDR; `None` for one of a family that is neither IPv4 nor IPv6.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let &[family, prefix_len, flags, scope, ..] = payload else { return Err(MalformedMessage::Short) };
        let index = u32_at(payload, 4).ok_or(MalformedMessage::Short)?;
        let (mut prefix_address, mut local) = (None, None);
        let (mut flags, mut origin, mut is_plain) = (u32::from(flags), 0, true);
        let mut given = AddressAttributes { scope, ..AddressAttributes::default() };
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            match attribute? {
                (IFA_ADDRESS, value) => prefix_address = ip(family, value),
                (IFA_LOCAL, value) => local = ip(family, value),
                (IFA_BROADCAST, value) => {
                    given.broadcast = value.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets));
                }
                (IFA_LABEL, value) => given.label = String::from_utf8(until_nul(value).to_owned()).ok(),
                (IFA_FLAGS, value) => flags = number(value)?,
                (IFA_PROTO, value) => origin = *value.first().ok_or(MalformedMessage::Short)?,
                (IFA_CACHEINFO, _) => {}
                _ => is_plain = false,
            }
        }
        // if_addr.h: IFA_ADDRESS is the prefix's address, and the peer's on point-to-point links; IFA_LOCAL is
        // ours. IPv6 leaves IFA_LOCAL out when there is no peer.
        let Some(address) = local.or(prefix_address) else { return Ok(None) };
        let peer = prefix_address.filter(|peer| *peer != address);
        given.no_dad = flags & u32::from(IFA_F_NODAD) != 0;
        let usual = IFA_F_SECONDARY | u32::from(IFA_F_NODAD) | IFA_F_TENTATIVE | IFA_F_PERMANENT;
        is_plain &= flags & !usual == 0 && flags & IFA_F_PERMANENT != 0;
        let is_kernels = matches!(origin, FROM_A_ROUTER | LINK_LOCAL);
        let is_refused = flags & IFA_F_DADFAILED != 0;
        Ok(Some(Address { index, address, prefix_len, peer, scope, given, is_plain, is_kernels, is_refused }))
    }
}

/// An address to give to a link, or to take from it.
///
/// ```no_run
/// use common::netlink::{NewAddress, Socket};
///
/// let mut socket = Socket::open()?;
/// let link = socket.link_named(&"eth1".parse()?)?.ok_or("there is no eth1")?;
/// socket.add_address(&NewAddress::usual(link.index, "10.1.0.2/24".parse()?, None))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAddress {
    /// The index of its link.
    pub index: u32,
    /// The address, and the prefix that is reached through the link.
    pub cidr: Cidr,
    /// The other end's, on a point-to-point link: then the prefix is that one's.
    pub peer: Option<IpAddr>,
    /// How it is given.
    pub given: AddressAttributes,
}

impl NewAddress {
    /// An address given as is usual: its network's broadcast address, valid everywhere, and nobody is asked who has it. Who
    /// wants that has asked before; the kernel's own request takes a second and more, in which the address does not work.
    pub fn usual(index: u32, cidr: Cidr, peer: Option<IpAddr>) -> Self {
        let broadcast = if peer.is_none() { cidr.broadcast() } else { None };
        let no_dad = cidr.address().is_ipv6();
        let given = AddressAttributes { broadcast, label: None, scope: SCOPE_UNIVERSE, no_dad };
        NewAddress { index, cidr, peer, given }
    }

    fn request(&self, name: &'static str, kind: u16, flags: u16) -> NetlinkRequest {
        let (address, family) = (self.cidr.address(), family_of(self.cidr.address()));
        let prefix_len = self.peer.map_or(self.cidr.prefix_len(), |peer| Cidr::host(peer).prefix_len());
        let AddressAttributes { broadcast, label, scope, no_dad } = &self.given;
        let flags_of_address = if *no_dad { IFA_F_NODAD } else { 0 };
        let index = self.index.to_ne_bytes();
        let fixed = [&[family, prefix_len, flags_of_address, *scope], &index[..]].concat();
        let mut request = NetlinkRequest::new(name, kind, flags, &fixed)
            .with_ip(IFA_LOCAL, address)
            .with_ip(IFA_ADDRESS, self.peer.unwrap_or(address));
        if let Some(broadcast) = broadcast {
            request = request.with_ip(IFA_BROADCAST, (*broadcast).into());
        }
        match label {
            Some(label) => request.with_text(IFA_LABEL, label),
            None => request,
        }
    }
}

/// Asks for all addresses.
pub(super) fn request(flags: u16) -> NetlinkRequest {
    NetlinkRequest::new("addresses", RTM_GETADDR, flags, &[0; FIXED_BYTES])
}

impl Socket {
    /// All IPv4 and IPv6 addresses of the namespace.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn addresses(&mut self) -> Result<Vec<Address>, NetlinkError> {
        Ok(self.dump(request, Address::read)?.into_iter().flatten().collect())
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
