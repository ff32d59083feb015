//! cpid, end to end.
//!
//! Observers: `docker inspect`, `/proc`, and the requests that a fake engine was sent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by their attribute, which the functions they share have not"
)]

#[path = "../support/mod.rs"]
mod support;

mod broken_engine;
mod docker;
mod of;
mod release;
mod unreachable;
mod words;
