//! IPv4 or IPv6.

use std::net::IpAddr;

/// The version of the Internet Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// With ARP (RFC 826) and ICMP (RFC 792).
    V4,
    /// With ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861).
    V6,
}

impl IpFamily {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { IpFamily::V4 } else { IpFamily::V6 }
    }
}
