//! What happens, as `--json` says it: one object on a line for each event, of all jobs alike.

use std::io;
use std::net::IpAddr;

use common::failure::Failure;
use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A packet is on its way.
    Sent,
    /// Its first answer has come.
    Reply,
    /// None came in time.
    Lost,
    /// Another answer to what was answered already, or one with another MAC.
    Duplicate,
    /// An ICMP error, or one of the kernel, says that it cannot be delivered.
    Error,
    /// What of a container is not as its engine set it up.
    Fault,
    /// All is over.
    Summary,
    /// Why it was not answered, or that it was: the last one of each DEST.
    Verdict,
}

/// When something happened, by both clocks: the time of day, and one that is never set.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EventTime {
    /// The time of day, as RFC 3339 has it.
    pub time: Timestamp,
    /// CLOCK_MONOTONIC.
    pub monotonic_us: u64,
}

impl EventTime {
    /// Now.
    pub fn now() -> Self {
        let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map(std::time::Duration::from);
        let monotonic_us = monotonic.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        EventTime { time: Timestamp::now(), monotonic_us }
    }
}

/// One line. What it has beside this is its job's to say.
#[derive(Debug, Serialize)]
pub struct Event<'a, What> {
    /// What happened.
    pub event: EventKind,
    /// When.
    #[serde(flatten)]
    pub stamp: EventTime,
    /// The container that it was sent from.
    pub from: &'a str,
    /// What was pinged, as it was typed.
    pub dest: &'a str,
    /// The address that this is.
    pub address: Option<IpAddr>,
    /// Everything else.
    #[serde(flatten)]
    pub what: What,
}

impl<What: Serialize> Event<'_, What> {
    /// Prints it.
    ///
    /// # Errors
    /// What writing to standard output says.
    pub fn print(&self) -> Result<(), Failure> {
        Ok(common::json::line(&mut io::stdout(), self)?)
    }
}
