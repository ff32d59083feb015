//! `--explain`, and what is said of the rule that fails when the kernel says no.

mod against_reality;
mod docker;
mod random;
mod refusals;
mod shown;
