//! What a trace is about and what comes of it: plain data, no I/O.

mod event;
mod hop;
mod obstacle;
mod probe;
mod report;
mod signature;
mod verdict;
mod walk;

pub use event::{FilterDecision, FilterOutcome, SeenPacket, TraceEvent, TraceEventKind};
pub use hop::{HopHook, HopPlace, TraceHop};
pub use obstacle::TraceObstacle;
pub use probe::{ProbeProtocol, TraceProbe};
pub use report::{EvidenceLevel, TraceReport};
pub use signature::{ProbeSignature, SignedContent};
pub use verdict::TraceVerdict;
pub use walk::TraceWalk;
