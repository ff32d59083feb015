//! The packet that is followed.

use std::net::IpAddr;

/// The packet that is followed, as the container sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceProbe {
    /// The address that it comes from.
    pub source: IpAddr,
    /// Whether that address was asked for, so that the kernel does not choose.
    pub is_bound: bool,
    /// Where it goes.
    pub destination: IpAddr,
    /// Of a link-local destination, the index of the interface.
    pub scope: Option<u32>,
    /// What it is.
    pub protocol: ProbeProtocol,
    /// Its bytes with the IP header; a packet whose size was asked for may not be split.
    pub packet_bytes: u16,
    /// Whether no router may split it.
    pub dont_fragment: bool,
    /// Whether it is sent whatever is known of the MTU on the way.
    pub ignores_known_mtu: bool,
}

/// What a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeProtocol {
    /// An ICMP echo request.
    Echo,
    /// The first packet of a connection to that port.
    Tcp(u16),
    /// A datagram to that port.
    Udp(u16),
}

impl ProbeProtocol {
    /// The port that it is for.
    pub fn port(self) -> Option<u16> {
        match self {
            ProbeProtocol::Echo => None,
            ProbeProtocol::Tcp(port) | ProbeProtocol::Udp(port) => Some(port),
        }
    }
}
