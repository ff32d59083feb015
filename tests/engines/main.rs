//! The engines that keep no daemon, and waiting for containers, from the outside: against the real ones, and
//! against state and sockets that lie.

#[path = "../support/mod.rs"]
mod support;

mod fake_monitor;
mod lxc;
mod machine;
mod wait;
