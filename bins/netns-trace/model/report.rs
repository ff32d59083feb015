//! What a trace found out: the object of `--json`.

use common::diagnose::Cause;
use common::hint::Hint;
use serde::Serialize;

use super::{HopPlace, TraceHop, TraceVerdict};

/// From where something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceLevel {
    /// Programs of our own at the kernel's tracepoints.
    Bpf,
    /// The same tracepoints by perf_event_open(2).
    Perf,
    /// The trace of netfilter.
    Netfilter,
    /// What is set up.
    State,
}

/// What a trace found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceReport {
    /// The version of these fields.
    pub schema: u32,
    /// What became of the packet.
    pub verdict: TraceVerdict,
    /// Why, in a word; nothing where nothing is wrong.
    pub cause: Option<Cause>,
    /// The same in a sentence. Nothing in it drives a terminal.
    pub text: String,
    /// Where it was stopped.
    pub hop: Option<HopPlace>,
    /// The rule that stopped it, as its program writes it.
    pub rule: Option<String>,
    /// What this is known from.
    pub evidence: Vec<EvidenceLevel>,
    /// What could not be seen, a sentence each.
    pub not_seen: Vec<String>,
    /// Commands that undo the cause, in their order.
    pub fix: Vec<Hint>,
    /// What else helps.
    pub advice: Option<String>,
    /// The way, as far as it is known.
    pub hops: Vec<TraceHop>,
}

impl TraceReport {
    /// The version of the fields.
    pub const SCHEMA: u32 = 1;
}
