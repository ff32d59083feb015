//! The network namespaces that a NIC is between.

use serde::{Deserialize, Serialize};

/// One of the namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Netns {
    /// The one that add-nic runs in.
    #[serde(rename = "outside")]
    Host,
    /// The container's.
    #[serde(rename = "inside")]
    Container,
    /// The other container's, at the other end of a veth pair.
    Peer,
}
