//! `--explain`, and what is said of the rule that fails when the kernel says no.

#![allow(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, which the functions they share have not"
)]

mod against_reality;
mod docker;
mod random;
mod refusals;
mod shown;
