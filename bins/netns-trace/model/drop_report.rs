//! What is shown of dropped packets.

use common::diagnose::Cause;
use common::hint::Hint;
use serde::{Serialize, Serializer};

use super::{DropCause, DropEnd, DropKind, EvidenceLevel, HopPlace};

/// A group of dropped packets: the same in whose they are, where they go, where they were dropped and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropReport {
    /// The version of these fields.
    pub schema: u32,
    /// `drop`: what the line is.
    pub kind: &'static str,
    /// When the first of them was dropped that no line was about yet.
    #[serde(serialize_with = "as_timestamp")]
    pub at: std::time::Duration,
    /// Where it comes from; nothing where the packet could not be seen.
    pub from: Option<DropEnd>,
    /// Where it goes.
    pub to: Option<DropEnd>,
    /// What it is: `tcp SYN`, `udp`, `icmp echo-request`.
    pub packet: Option<String>,
    /// Where it was dropped; nothing where that could not be seen.
    pub hop: Option<HopPlace>,
    /// The kernel's word for why.
    pub reason: String,
    /// In which function.
    pub function: Option<String>,
    /// Why, in a word of the manual's list; nothing where the kernel's is all that is known.
    pub cause: Option<Cause>,
    /// The same in a few words.
    #[serde(skip)]
    pub short: String,
    /// The same in a sentence.
    pub text: String,
    /// The rule that dropped it, as its program writes it.
    pub rule: Option<String>,
    /// Commands that undo the cause, in their order.
    pub fix: Vec<Hint>,
    /// What else helps.
    pub advice: Option<String>,
    /// How many since the line before.
    pub packets: u64,
    /// How many in all.
    pub packets_in_all: u64,
}

/// What is said at the end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DropSummary {
    /// The version of these fields.
    pub schema: u32,
    /// `summary`: what the line is.
    pub kind: &'static str,
    /// How long it was watched.
    pub seconds: f64,
    /// How many packets were shown, in how many groups.
    pub packets: u64,
    /// The groups.
    pub groups: usize,
    /// Packets of more groups than can be kept.
    pub ungrouped_packets: u64,
    /// Drops that working networks have all the time.
    pub normal_packets: u64,
    /// Drops that there was no room for: whose they were is not known.
    pub lost_packets: u64,
    /// From what this is known.
    pub evidence: EvidenceLevel,
    /// What could not be seen, a sentence each.
    pub not_seen: Vec<String>,
}

impl DropReport {
    /// A group of which nothing was counted yet.
    pub fn of(
        kind: &DropKind,
        ends: Option<[DropEnd; 2]>,
        packet: Option<String>,
        hop: Option<HopPlace>,
        why: DropCause,
    ) -> Self {
        let [from, to] = ends.map_or([None, None], |ends| ends.map(Some));
        let DropCause { cause, short, text, rule, fix, advice } = why;
        DropReport {
            schema: 1,
            kind: "drop",
            at: std::time::Duration::ZERO,
            from,
            to,
            packet,
            hop,
            reason: kind.reason.clone(),
            function: kind.function.clone(),
            cause,
            short,
            text,
            rule,
            fix,
            advice,
            packets: 0,
            packets_in_all: 0,
        }
    }
}

/// RFC 3339, with microseconds.
fn as_timestamp<S: Serializer>(at: &std::time::Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_microsecond(micros).map_err(serde::ser::Error::custom)?;
    serializer.collect_str(&format_args!("{at:.6}"))
}
