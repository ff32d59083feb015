//! Who listens where: `cpid :8080`, `netns-ls --ports` and `netns-ls :8080`, end to end.
//!
//! Observers: what a server says of itself, `ss -lntup` in its network, `iptables -t nat -S`, docker.

#![cfg(test)]

mod docker;
mod rules;
mod server;
mod sockets;
