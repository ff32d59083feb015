//! Addresses: RTM_GETADDR, linux/if_addr.h.

use std::net::IpAddr;

use super::wire::{Malformed, Question, attributes, u32_at};
use super::{NetlinkError, Socket};

const RTM_GETADDR: u16 = 22;
/// struct ifaddrmsg: family, prefix length, flags, scope, index.
const FIXED_BYTES: usize = 8;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

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

fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match i32::from(family) {
        libc::AF_INET => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        libc::AF_INET6 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Asks for all addresses.
pub(super) fn question(flags: u16) -> Question {
    Question::new("addresses", RTM_GETADDR, flags, &[0; FIXED_BYTES])
}

impl Socket {
    /// All IPv4 and IPv6 addresses of the namespace.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn addresses(&mut self) -> Result<Vec<Address>, NetlinkError> {
        Ok(self.dump(question, Address::read)?.into_iter().flatten().collect())
    }
}
