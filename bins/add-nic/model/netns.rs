//! The network namespaces that a NIC is between.

use serde::{Deserialize, Serialize};

/// In which namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In the one that add-nic runs in.
    Outside,
    /// In the container's.
    Inside,
    /// In that of the container at the other end of the cable.
    Peer,
}
