//! Shows a report, for people and as JSON.

use std::io::{self, Write};

use common::failure::Failure;
use common::output::one_line;

use crate::model::{HopPlace, TraceHop, TraceReport};

/// Prints it.
///
/// # Errors
/// What writing to standard output says.
pub fn print(report: &TraceReport, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        let line = serde_json::to_string(report).map_err(io::Error::from)?;
        writeln!(out, "{line}")?;
        return Ok(());
    }
    out.write_all(text(report).as_bytes())?;
    Ok(())
}

fn text(report: &TraceReport) -> String {
    let mut lines = vec![way(report)];
    let word = if report.cause.is_some() { "cause" } else { report.verdict.word() };
    lines.push(format!("{word}: {}", report.text));
    lines.extend(report.fix.iter().map(|fix| format!("fix: {}", &**fix)));
    lines.extend(report.advice.iter().map(|advice| format!("note: {}", one_line(advice))));
    lines.extend(report.not_seen.iter().map(|why| format!("not certain: {}", one_line(why))));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// `web eth0 → veth1a2b → br-shop → ✗ host, forward hook`
fn way(report: &TraceReport) -> String {
    let mut words: Vec<String> = report.hops.iter().map(hop).collect();
    words.extend(report.hop.as_ref().map(|hop| format!("✗ {}", place(hop))));
    words.join(" → ")
}

fn hop(hop: &TraceHop) -> String {
    place(&hop.place)
}

fn place(place: &HopPlace) -> String {
    let mut text = one_line(&place.container).into_owned();
    if let Some(name) = &place.ifname {
        text += &format!(" {}", one_line(name));
    }
    if let Some(hook) = place.hook {
        text += &format!(", {}", hook.word());
    }
    text
}
