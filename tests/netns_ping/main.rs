//! netns-ping, end to end.
//!
//! Observers: `ping`, `ip -j`, and responders of the tests' own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by their attribute, which shared code has not"
)]

#[path = "../support/mod.rs"]
mod support;

mod words;
