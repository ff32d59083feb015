//! What is asked of packet filters for one NIC.

use serde::{Deserialize, Serialize};

use super::publish::PublishedPort;

/// What packet filters are to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedRules {
    /// Let it out to the world.
    pub nat: bool,
    /// Let those on its bridge talk to each other.
    pub forward: bool,
    /// Ports of the host that lead to it.
    pub publish: Vec<PublishedPort>,
}

impl WantedRules {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        *self == WantedRules::default()
    }

    /// The option that asks for it, for messages.
    pub fn option(&self) -> &'static str {
        match self {
            WantedRules { nat: true, .. } => "--nat",
            WantedRules { publish, .. } if !publish.is_empty() => "--publish",
            _ => "--forward",
        }
    }
}
