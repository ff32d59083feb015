//! Every running container to every other one, and to its gateway.

use common::failure::{Failure, Status};

use crate::cli::Cli;

/// Of all containers, or of those that `pattern` fits.
pub fn matrix(_pattern: Option<&str>, _cli: &Cli) -> Result<Status, Failure> {
    Err(Failure::trouble("--matrix", "not yet"))
}
