//! ICMP echo: how it is pinged, and what is shown.

use std::time::Duration;

use common::packet::icmp::PathMtu;

use super::ProbeEndpoints;

/// ICMP echo, to each of a few addresses.
#[derive(Debug)]
pub struct EchoRequest {
    pub endpoints: ProbeEndpoints,
    pub config: EchoConfig,
}

/// How it is pinged.
#[derive(Debug, Clone)]
pub struct EchoConfig {
    /// Between two packets; zero: the next one with each answer.
    pub interval: Duration,
    /// How many packets to each DEST.
    pub count: Option<u64>,
    /// When it ends, whatever has come.
    pub deadline: Option<Duration>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// Bytes of data in each packet.
    pub payload_bytes: u16,
    /// How many routers a packet may pass.
    pub ttl: Option<u8>,
    /// What is done about packets that are larger than the path's MTU.
    pub path_mtu: Option<PathMtu>,
    /// Whether the next packet is sent with each answer, and no sooner.
    pub is_adaptive: bool,
    /// How many packets are sent at once at the beginning: at least one.
    pub preload: u32,
    /// What packets are filled with behind the random bytes, if not as ping(8) does.
    pub pattern: Option<Vec<u8>>,
    /// The type of service, or traffic class.
    pub tos: Option<u8>,
    /// The firewall mark.
    pub mark: Option<u32>,
    /// Whether no router may be used.
    pub is_on_link_only: bool,
    /// What is shown.
    pub show: ShowOptions,
}

/// What is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShowOptions {
    /// Only the first line and the summary.
    pub quiet: bool,
    /// No names in front of addresses.
    pub numeric: bool,
    /// Dots in place of lines.
    pub flood: bool,
    /// A line where an answer is outstanding when the next packet is sent.
    pub outstanding: bool,
    /// The time of day in front of each line.
    pub time_of_day: bool,
    /// Only what ping(8) prints.
    pub plain: bool,
    /// A line of JSON for each event.
    pub json: bool,
}

impl EchoConfig {
    /// Whether the next packet is sent with each answer, and not at its time.
    pub fn is_unlimited(&self) -> bool {
        self.interval.is_zero()
    }
}
