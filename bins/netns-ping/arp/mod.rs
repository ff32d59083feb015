//! ARP and neighbour discovery: who has an address, whether anybody has, and that we have.

use common::failure::{Failure, Status};

use crate::cli::Cli;
use crate::wanted::{Arp, From};

/// Asks the neighbours, or tells them.
pub fn arp(arp: Arp, _from: &From, _cli: &Cli) -> Result<Status, Failure> {
    Err(Failure::trouble(format_args!("{arp:?}"), "not yet"))
}
