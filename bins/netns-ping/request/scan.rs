//! Which of many addresses answer.

use std::time::Duration;

use super::ProbeEndpoints;

/// A scan of networks and ranges.
#[derive(Debug)]
pub struct ScanRequest {
    pub endpoints: ProbeEndpoints,
    /// How neighbours are asked, by ARP and neighbour discovery.
    pub on_link: ScanConfig,
    /// How hosts beyond a router are asked, by ICMP echo.
    pub beyond: ScanConfig,
    /// Whether only neighbours may be asked: `--arp`.
    pub is_arp_only: bool,
    /// A line of JSON for each event.
    pub json: bool,
    /// The summary only.
    pub quiet: bool,
}

/// How addresses are asked for.
#[derive(Debug, Clone, Copy)]
pub struct ScanConfig {
    /// Packets a second.
    pub rate: u32,
    /// How often an address that has not answered is asked for.
    pub tries: u32,
    /// How long the last answer is waited for if none has come at all.
    pub timeout: Duration,
    /// How long at least if some have.
    pub least_silence: Duration,
}
