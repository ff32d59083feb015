//! `ip:`, `mac:` and `veth:`: who owns an address, or the other end of a veth, on a host with many networks.
//!
//! Observers: `ip -j -d link`, `ip -j address`, `lsns -J`, and `docker inspect`.

#![cfg(test)]

mod churn;
mod details;
mod docker;
mod filters;
mod held;
mod lookup;
mod plugged;
mod scale;
mod seen;
mod strangers;
mod unprivileged;
