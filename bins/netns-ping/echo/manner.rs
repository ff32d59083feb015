//! In which manner is pinged: what the options mean together. Pure.

use std::time::Duration;

use common::failure::Failure;
use common::packet::icmp::PathMtu;

use crate::cli::{Cli, PathMtu as Typed};

/// Without another word, as ping(8) has it.
const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
const PAYLOAD_BYTES: u16 = 56;

/// How it is pinged.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Between two packets; none: the next one with each answer.
    pub interval: Duration,
    /// How many packets to each DEST.
    pub count: Option<u64>,
    /// When it ends, whatever has come.
    pub deadline: Option<Duration>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// Bytes of data in each packet.
    pub payload_bytes: u16,
    /// Routers on the way, at most.
    pub ttl: Option<u8>,
    /// What is done about packets that are larger than the path's MTU.
    pub path_mtu: Option<PathMtu>,
    /// What is shown.
    pub show: Show,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
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
    /// A line of JSON for each event.
    pub json: bool,
}

impl Manner {
    /// What was asked for.
    ///
    /// # Errors
    /// What makes no sense.
    pub fn of(cli: &Cli) -> Result<Self, Failure> {
        if cli.rate.is_some() {
            return Err(Failure::trouble("--rate", "is for scans; for packets to one DEST use --interval"));
        }
        // ping(8): 0 waits for ever.
        let timeout =
            cli.timeout.map_or(TIMEOUT, |timeout| if timeout.is_zero() { Duration::MAX } else { timeout });
        Ok(Manner {
            interval: cli.interval.unwrap_or(if cli.flood { Duration::ZERO } else { INTERVAL }),
            count: cli.count,
            deadline: cli.deadline(),
            timeout,
            payload_bytes: cli.size.unwrap_or(PAYLOAD_BYTES),
            ttl: cli.ttl,
            path_mtu: cli.pmtudisc.map(|how| match how {
                Typed::Do => PathMtu::Do,
                Typed::Want => PathMtu::Want,
                Typed::Probe => PathMtu::Probe,
                Typed::Dont => PathMtu::Dont,
            }),
            show: Show {
                quiet: cli.quiet,
                numeric: cli.numeric,
                flood: cli.flood,
                outstanding: cli.outstanding,
                time_of_day: cli.time_of_day,
                json: cli.json,
            },
        })
    }

    /// Whether the next packet is sent with each answer, and not at its time.
    pub fn is_unlimited(&self) -> bool {
        self.interval.is_zero()
    }
}
