//! Who is there, of many addresses: ARP and neighbour discovery on-link, ICMP beyond.

use common::failure::{Failure, Status};

use crate::cli::Cli;
use crate::wanted::From;

/// Asks all of them.
pub fn sweep(_from: &From, _cli: &Cli) -> Result<Status, Failure> {
    Err(Failure::trouble("sweep", "not yet"))
}
