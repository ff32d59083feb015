//! By what a probe is told from every other packet, wherever it is on its way: what NAT and routers leave as it is.

use std::net::IpAddr;

use common::packet::IpFamily;
use common::packet::icmp::TOKEN_BYTES;

/// What a probe looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeSignature {
    /// Where it goes, before NAT.
    pub destination: IpAddr,
    /// Its bytes with the IP header.
    pub packet_bytes: u16,
    /// What is in it.
    pub content: SignedContent,
}

/// What of its content nothing else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedContent {
    /// An ICMP echo request; a reply has all of it, too.
    Echo {
        /// Its identifier, which NAT may change.
        ident: u16,
        /// Its sequence number.
        sequence: u16,
        /// The first bytes of its data.
        token: [u8; TOKEN_BYTES],
    },
    /// The first packet of a connection. What answers it acknowledges its sequence number.
    Syn {
        /// The sequence number.
        sequence: u32,
    },
    /// A datagram. What answers it goes to its source port.
    Datagram {
        /// Its source port.
        source_port: u16,
        /// The first bytes of its data.
        token: [u8; TOKEN_BYTES],
    },
}

impl ProbeSignature {
    /// Its family.
    pub fn family(&self) -> IpFamily {
        if self.destination.is_ipv4() { IpFamily::V4 } else { IpFamily::V6 }
    }
}
