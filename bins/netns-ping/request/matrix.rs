//! Every container to every other one.

use std::time::Duration;

use common::cli::FindConfig;
use common::target::DestPort;

use super::Families;

/// A matrix of containers.
#[derive(Debug)]
pub struct MatrixRequest {
    /// Which containers; `None` for all.
    pub pattern: Option<String>,
    /// `-4` and `-6`.
    pub families: Families,
    /// A port that is probed, in the place of pings, and what a datagram to it holds.
    pub port: Option<(DestPort, Vec<u8>)>,
    /// How often each is pinged that does not answer.
    pub tries: u32,
    /// How long each answer is waited for.
    pub timeout: Duration,
    /// When it ends, whatever has come.
    pub deadline: Option<Duration>,
    /// A line of JSON for each event.
    pub json: bool,
    /// The summary only.
    pub quiet: bool,
    /// How to find containers.
    pub find: FindConfig,
}
