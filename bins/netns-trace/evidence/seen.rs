//! An event as a source of evidence has it.

use crate::model::TraceEvent;

/// An event, and the address of the function that dropped the packet.
#[derive(Debug)]
pub(super) struct SeenEvent {
    pub(super) event: TraceEvent,
    pub(super) function: Option<u64>,
}
