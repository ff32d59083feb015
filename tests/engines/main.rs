//! Every engine, as its state on disk and, where it is in the world, the engine itself tells of containers.
//!
//! Observers: the engines' own programs, `/proc`, and state directories written by hand from their formats.

#[path = "../support/mod.rs"]
mod support;

mod containerd;
mod cri;
mod crio;
mod hand;
mod nerdctl;
mod oci;
