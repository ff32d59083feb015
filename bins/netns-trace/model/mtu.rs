//! What the largest packets are that pass.

use serde::Serialize;

use super::TraceReport;

/// Both ways between a container and a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MtuReport {
    /// The version of these fields.
    pub schema: u32,
    /// From the container.
    pub there: MtuWay,
    /// To it; nothing where it could not be measured.
    pub back: Option<MtuWay>,
    /// Why the way back was not measured.
    pub not_measured: Option<String>,
}

/// One way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MtuWay {
    /// The largest packet that passes, with its IP header, that no router may split; nothing if not even a small one does.
    pub bytes: Option<u16>,
    /// The first interface, as it came, with its container.
    pub first: String,
    /// Its MTU.
    pub first_bytes: u16,
    /// Whether the hop that is too small says so; where none is, or nothing passes, nothing.
    pub is_told: Option<bool>,
    /// What becomes of a packet that is a byte larger, or of the small one.
    pub limit: Option<TraceReport>,
}

impl MtuWay {
    /// Whether larger packets vanish, and nobody says why.
    pub fn is_black_hole(&self) -> bool {
        self.is_told == Some(false)
    }
}
