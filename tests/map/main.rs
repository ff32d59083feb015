//! `ip:`, `mac:` and `veth:`: who owns an address, or the far end of a veth, on a host with many networks.
//!
//! Observers: `ip -j -d link`, `ip -j address`, `lsns -J`, and `docker inspect`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by their attribute, which what they share has not"
)]

mod docker;
mod lookup;
mod scale;
mod strangers;
#[path = "../support/mod.rs"]
mod support;
