//! The network namespaces that a NIC is between.

use serde::{Deserialize, Serialize};

/// In which namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Netns {
    /// In the one that add-nic runs in.
    #[serde(rename = "outside")]
    Host,
    /// In the container's.
    #[serde(rename = "inside")]
    Container,
    /// In that of the container at the other end of the cable.
    Peer,
}
