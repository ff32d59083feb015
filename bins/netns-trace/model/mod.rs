//! What a trace is about and what comes of it: plain data, no I/O.

mod hop;
mod obstacle;
mod probe;
mod report;
mod verdict;

pub use hop::{HopHook, HopPlace, TraceHop};
pub use obstacle::TraceObstacle;
pub use probe::{ProbeProtocol, TraceProbe};
pub use report::{EvidenceLevel, TraceReport};
pub use verdict::TraceVerdict;
