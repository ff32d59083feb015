//! Reads the current state: the container and its network, both sides of the NIC, settings and packet filters.

pub mod container;
pub mod endpoints;
pub mod filter;
pub mod owner;
mod ports;
pub mod snapshot;
pub mod sockets;
pub mod sysctl;
