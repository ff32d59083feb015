//! What sends requests on a link, and the requests.

use std::net::{IpAddr, Ipv6Addr};

use super::{arp, nd};
use crate::target::Mac;

/// The source of requests: a link's MAC, and an address of the link. Without an address no neighbour learns anything from
/// the request, as in duplicate address detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeSender {
    /// The source of our frames.
    pub mac: Mac,
    /// Our own address of that family, if there is one.
    pub address: Option<IpAddr>,
}

impl ProbeSender {
    /// The frame that asks who has `address`: an ARP request (RFC 826), a neighbour solicitation (RFC 4861). Without an
    /// address of our own, or for that one, it is a probe of duplicate address detection (RFC 5227, RFC 4862).
    pub fn request(&self, address: IpAddr) -> Vec<u8> {
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

    /// The same request to one MAC address only, as the kernel sends it before it gives a neighbour up (RFC 1122, 2.3.2.1;
    /// RFC 4861, 7.3.3).
    pub fn request_to(&self, address: IpAddr, mac: Mac) -> Vec<u8> {
        let mut frame = match (address, self.address) {
            (IpAddr::V6(address), Some(IpAddr::V6(own))) if own != address => {
                nd::unicast_solicitation(self.mac, own, address)
            }
            _ => self.request(address),
        };
        if let Some(destination) = frame.get_mut(..6) {
            destination.copy_from_slice(&mac.0);
        }
        frame
    }

    /// The frame that asks all IPv6 nodes of the link to answer an echo request to `own`.
    pub fn to_all_nodes(&self, own: Ipv6Addr, ident: u16) -> Vec<u8> {
        nd::echo_to_all_nodes(self.mac, own, ident)
    }
}

/// The frame that tells all neighbours that `mac` has `address` now: RFC 5227's ARP announcement, RFC 4861's unsolicited
/// neighbour advertisement.
pub(super) fn announcement(mac: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp::announcement(mac, address),
        IpAddr::V6(address) => nd::announcement(mac, address),
    }
}
