//! From which container, and to what.

use std::time::Duration;

use common::cli::FindSession;
use common::dns::Families;
use common::target::{Dest, Target};

/// From where probes go, and to what.
#[derive(Debug)]
pub struct ProbeEndpoints {
    /// The container to probe from.
    pub target: Target,
    /// At least one.
    pub dests: Vec<Dest>,
    /// The link or address that packets leave from: `-I`.
    pub source: Option<String>,
    /// The firewall mark of packets, which routing rules may ask for: `-m`.
    pub mark: Option<u32>,
    /// `-4` and `-6`.
    pub families: Families,
    /// When all ends. The look-up of a name takes no longer either.
    pub deadline: Option<Duration>,
    /// How to find containers.
    pub find: FindSession,
}
