//! What a trace is about and what comes of it: plain data, no I/O.

mod drop;
mod drop_report;
mod event;
mod hop;
mod mtu;
mod obstacle;
mod probe;
mod published;
mod report;
mod signature;
mod verdict;
mod walk;

pub use drop::{
    DropCause, DropEnd, DropHook, DropKind, DroppedContent, DroppedFlow, DroppedPacket, SeenDrops, TCP_ACK,
    TCP_FIN, TCP_RST, TCP_SYN,
};
pub use drop_report::{DropReport, DropSummary};
pub use event::{FilterDecision, FilterOutcome, FilterRuleNumber, SeenPacket, TraceEvent, TraceEventKind};
pub use hop::{HopHook, HopPlace, TraceHop};
pub use mtu::{MtuReport, MtuWay};
pub use obstacle::TraceObstacle;
pub use probe::{ProbeProtocol, TraceProbe};
pub use published::{PublishedBy, ReverseReport};
pub use report::{EvidenceLevel, TraceReport};
pub use signature::{ProbeSignature, SignedContent};
pub use verdict::TraceVerdict;
pub use walk::TraceWalk;
