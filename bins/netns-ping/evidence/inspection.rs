//! Where evidence is looked for, and how a probe was sent, so that it can be sent again.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use common::packet::icmp::EchoOptions;
use common::packet::port::PortOptions;
use common::target::DestPort;

use crate::network::netns::TargetNetns;
use crate::request::ProbeEndpoints;
use crate::resolve::ContainerRoutes;
use crate::resolve::destination::Destination;

/// The data of a small probe, as ping(8) has it.
pub const SMALL_BYTES: usize = 56;

/// Who looks, and from where.
pub struct Inspection<'a> {
    /// The container that is probed from.
    pub inside: &'a TargetNetns,
    /// Its routes.
    pub net: &'a ContainerRoutes,
    /// What was asked for.
    pub endpoints: &'a ProbeEndpoints,
    /// Looking ends when this can be read: the user has had enough.
    pub stop: BorrowedFd<'a>,
}

/// How a probe was sent, so that it can be sent again.
#[derive(Debug, Clone, Default)]
pub struct EchoSpec {
    /// Options of its socket.
    pub options: EchoOptions,
    /// Bytes of data.
    pub payload_bytes: usize,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

/// How a probe of a port was sent.
#[derive(Debug, Clone)]
pub struct PortSpec {
    /// The port.
    pub port: DestPort,
    /// What a datagram holds.
    pub payload: Vec<u8>,
    /// Options of its socket.
    pub options: PortOptions,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl EchoSpec {
    /// The whole IP packet.
    pub fn packet_bytes(&self, to: &Destination) -> usize {
        self.payload_bytes + if to.address.is_ipv4() { 28 } else { 48 }
    }
}
