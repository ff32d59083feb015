//! ICMP echo, to each of a few destinations.

use common::failure::{Failure, Status};

use crate::cli::Cli;
use crate::inside::Inside;
use crate::wanted::From;

/// Pings until it is told to stop, or has what it wants.
pub fn echo(from: &From, cli: &Cli) -> Result<Status, Failure> {
    let _inside = Inside::find(&from.target, cli)?;
    Err(Failure::trouble("echo", "not yet"))
}
