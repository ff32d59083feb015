//! The network that is probed from: its namespace, its links, and which containers have a MAC.

pub mod holders;
pub mod neighbours;
pub mod netns;
