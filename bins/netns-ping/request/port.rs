//! Ports: how they are probed, and what is shown.

use std::time::Duration;

use super::ProbeEndpoints;

/// Probes of a port of each of a few hosts.
#[derive(Debug)]
pub struct PortRequest {
    pub endpoints: ProbeEndpoints,
    pub config: PortConfig,
}

/// How they are probed.
#[derive(Debug, Clone)]
pub struct PortConfig {
    /// Between two probes of a port.
    pub interval: Duration,
    /// How many to each.
    pub count: Option<u64>,
    /// When it ends, whatever has come.
    pub deadline: Option<Duration>,
    /// How long an answer is waited for; `None` for what is usual with TCP and with UDP.
    pub timeout: Option<Duration>,
    /// What a datagram holds; `None` for what suits the port.
    pub data: Option<Vec<u8>>,
    /// Only the first line and the summary.
    pub quiet: bool,
    /// A line of JSON for each event.
    pub json: bool,
}
