//! The tests of finding containers of each engine: real ones, and state and sockets that lie.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by their attribute, which shared code has not"
)]

#[path = "../support/mod.rs"]
mod support;

mod by_hand;
mod docker;
mod docker_by_hand;
mod podman;
mod spare_docker;
mod trust;
