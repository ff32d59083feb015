//! An address that is asked for, and what came of it.

use std::time::Duration;

use super::tally::Tally;
use crate::network::neighbours::NeighbourLink;
use crate::resolve::destination::Destination;

/// An address that is asked for.
#[derive(Debug)]
pub struct ArpTarget {
    pub to: Destination,
    pub via: NeighbourLink,
    pub tally: Tally,
    /// When the last probe left, by CLOCK_REALTIME.
    pub left_at: Duration,
}
