//! cpid, end to end.
//!
//! Observers: `docker inspect`, `/proc`, and the requests that a fake engine was sent.

#![cfg(test)]

mod broken_engine;
mod docker;
mod docker_group;
mod faults;
mod of;
mod release;
mod unreachable;
mod words;
