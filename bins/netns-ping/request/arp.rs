//! ARP and neighbour discovery: what is asked of, or told to, the neighbours.

use std::time::Duration;

use super::ProbeEndpoints;

/// One of the jobs with ARP.
#[derive(Debug)]
pub struct ArpRequest {
    pub endpoints: ProbeEndpoints,
    pub mode: ArpMode,
    /// A line of JSON for each event.
    pub json: bool,
    /// Only the first line and the summary.
    pub quiet: bool,
    /// Only what arping(8) prints.
    pub plain: bool,
}

/// Which of the jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArpMode {
    /// Ask repeatedly which host has it.
    Ask(AskConfig),
    /// Ask whether it is taken, and listen that long after each probe.
    Duplicate { waits: Vec<Duration> },
    /// Tell the neighbours that the container has it.
    Announce { times: u64, interval: Duration },
}

/// How it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskConfig {
    /// How many probes for each address; with a deadline, how many answers.
    pub count: Option<u64>,
    /// Between two probes.
    pub interval: Duration,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// When it ends, whatever has come.
    pub deadline: Option<Duration>,
}
