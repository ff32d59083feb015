//! Every engine, as its state on disk and, where it is in the world, the engine itself tells of containers; and
//! waiting for containers.
//!
//! Observers: the engines' own programs, `/proc`, and state directories written by hand from their formats.

#![cfg(test)]

mod by_hand;
mod changing;
mod containerd;
mod cri;
mod crio;
mod docker;
mod docker_by_hand;
mod fake_monitor;
mod incus;
mod lxc;
mod lxc_monitors;
mod machine;
mod moved;
mod nerdctl;
mod oci;
mod owners;
mod pid_namespaces;
mod places;
mod podman;
mod podman_rootless;
mod realms;
mod reused_pids;
mod silence;
mod trust;
mod two_users;
mod wait;
