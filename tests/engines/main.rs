//! Every engine, as its state on disk and, where it is in the world, the engine itself tells of containers; and
//! waiting for containers.
//!
//! Observers: the engines' own programs, `/proc`, and state directories written by hand from their formats.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by their attribute, which the functions they share have not"
)]

#[path = "../support/mod.rs"]
mod support;

mod by_hand;
mod containerd;
mod cri;
mod crio;
mod docker;
mod docker_by_hand;
mod fake_monitor;
mod hand;
mod lxc;
mod machine;
mod nerdctl;
mod oci;
mod podman;
mod podman_rootless;
mod realms;
mod spare_docker;
mod trust;
mod wait;
