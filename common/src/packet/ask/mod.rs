//! Questions to a segment, many at once: who has an address, and the answers, with the kernel's own time stamps. Nobody's
//! table of neighbours learns anything of it but that of whoever is asked.

mod filter;
mod read;
mod socket;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr};

pub use read::{Answer, Oddity, read};
pub use socket::{AskSocket, Heard};

use super::{arp, nd};
use crate::target::Mac;

/// Who asks: a link's address, and the ones that the link has of each family. Without one the question comes from nobody,
/// as it does from who looks whether an address is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// What our frames come from.
    pub mac: Mac,
    /// Our own address of that family, if there is one.
    pub address: Option<IpAddr>,
}

impl Asker {
    /// The frame that asks everybody who has `address`: an ARP request (RFC 826), a neighbour solicitation (RFC 4861).
    pub fn question(&self, address: IpAddr) -> Vec<u8> {
        match (address, self.address) {
            (IpAddr::V4(address), Some(IpAddr::V4(own))) if own != address => {
                arp::request(self.mac, own, address)
            }
            (IpAddr::V4(address), _) => arp::probe(self.mac, address),
            (IpAddr::V6(address), Some(IpAddr::V6(own))) if own != address => {
                nd::solicitation(self.mac, own, address)
            }
            (IpAddr::V6(address), _) => nd::probe(self.mac, address),
        }
    }

    /// The frame that asks all IPv6 nodes of the segment to answer an echo request; `None` without an address to answer.
    pub fn to_all_nodes(&self, own: Ipv6Addr, ident: u16) -> Vec<u8> {
        nd::echo_to_all_nodes(self.mac, own, ident)
    }
}
