//! Joins what the walk knows, what was seen of the probe, and whether the answer came. Pure.

mod drops;
mod join;
mod placed;
mod seen;

pub use drops::is_normal;
pub use placed::place_by_names;
pub use seen::{SeenPlaces, deciding_drop, judged};

use common::output::one_line;

use crate::model::{EvidenceLevel, TraceReport, TraceVerdict, TraceWalk};

/// What is to be expected, where nothing was sent.
pub fn expected(walk: TraceWalk) -> TraceReport {
    let advice = walk.proxy_note();
    let mut report = TraceReport {
        schema: TraceReport::SCHEMA,
        verdict: TraceVerdict::Passes,
        cause: None,
        text: "nothing found that stops it".to_owned(),
        hop: None,
        rule: None,
        evidence: vec![EvidenceLevel::State],
        not_seen: walk.doubts,
        fix: Vec::new(),
        advice,
        hops: walk.hops,
    };
    if let Some(out) = &walk.leaves_by {
        report.text = format!("nothing found that stops it: it leaves this host by {}", one_line(out));
    }
    if let Some(first) = walk.obstacles.into_iter().next() {
        report.verdict = first.verdict;
        report.cause = Some(first.cause);
        report.text = first.text;
        report.hop = Some(first.place);
        report.rule = first.rule;
        report.fix = first.fix;
        report.advice = first.advice;
        report.hops.truncate(first.after);
    } else if let Some(first) = walk.suspects.into_iter().next() {
        report.verdict = TraceVerdict::CannotTell;
        report.text = first.text;
        report.rule = first.rule;
        report.advice = first.advice;
    } else if !report.not_seen.is_empty() {
        report.verdict = TraceVerdict::CannotTell;
        report.text =
            "nothing found that certainly stops it, and not everything could be followed".to_owned();
    }
    report
}
