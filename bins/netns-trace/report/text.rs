//! A report for people: the way, the cause, the commands. Pure, but for the width of the terminal.

use common::output::one_line;
use common::sign::{ARROW, CHECK, CROSS, MICRO};

use crate::model::{HopPlace, TraceHop, TraceReport, TraceVerdict};

/// What the tool's own network namespace is called: its interfaces stand without a name before them.
const HOST: &str = "host";
/// As wide as a label with its colon: `cause: `.
const LABEL: usize = 7;
/// Narrower than this nothing is wrapped: it would be a column of words.
const NARROWEST: usize = 30;

/// All lines of it.
pub fn text(report: &TraceReport, columns: Option<usize>) -> String {
    published(report, None, columns)
}

/// The same of a packet to a port that is published, and by what it is.
pub fn published(report: &TraceReport, by: Option<&str>, columns: Option<usize>) -> String {
    let columns = columns.unwrap_or(usize::MAX).max(NARROWEST);
    let mut out = String::new();
    way(&mut out, report, columns);
    if let Some(by) = by {
        labelled(&mut out, "by", by, columns);
    }
    let label = if report.cause.is_some() { "cause" } else { report.verdict.word() };
    labelled(&mut out, label, &one_line(&report.text), columns);
    for fix in &report.fix {
        // A command is pasted: it stays on one line.
        labelled(&mut out, "fix", fix, usize::MAX);
    }
    if let Some(advice) = &report.advice {
        labelled(&mut out, "note", &one_line(advice), columns);
    }
    for why in &report.not_seen {
        labelled(&mut out, "unseen", &one_line(why), columns);
    }
    out
}

/// `web eth0 → veth1a2b → br-shop → ✗ host, forward hook, 38 µs after it left`
fn way(out: &mut String, report: &TraceReport, columns: usize) {
    let mut there = names(report.hops.iter().filter(|hop| !hop.is_answer));
    let mut back = names(report.hops.iter().filter(|hop| hop.is_answer));
    let last = if back.is_empty() { &mut there } else { &mut back };
    match (&report.hop, report.verdict) {
        (Some(place), _) => last.push(format!("{CROSS} {}{}", stop(place), after(report))),
        (None, TraceVerdict::Works) => last.push(CHECK.to_string()),
        _ => {}
    }
    joined(out, "", &there, columns);
    joined(out, "back:  ", &back, columns);
}

fn after(report: &TraceReport) -> String {
    match report.hops.iter().rev().find_map(|hop| hop.us) {
        Some(us) => format!(", {us} {MICRO}s after it left"),
        None => String::new(),
    }
}

/// The interfaces of a way, each with the name of its container where that is another one than before.
fn names<'a>(hops: impl Iterator<Item = &'a TraceHop>) -> Vec<String> {
    let (mut names, mut before) = (Vec::new(), String::new());
    for TraceHop { place, .. } in hops {
        let container = one_line(&place.container).into_owned();
        let ifname = place.ifname.as_deref().map(one_line);
        names.push(match ifname {
            Some(ifname) if container == before || container == HOST => ifname.into_owned(),
            Some(ifname) => format!("{container} {ifname}"),
            None => container.clone(),
        });
        before = container;
    }
    names
}

/// `host, forward hook`
pub(super) fn stop(place: &HopPlace) -> String {
    let mut text = one_line(&place.container).into_owned();
    if let Some(ifname) = &place.ifname {
        text += &format!(" {}", one_line(ifname));
    }
    if let Some(hook) = place.hook {
        text += &format!(", {}", hook.word());
    }
    text
}

/// The names with arrows between, over several lines if need be.
fn joined(out: &mut String, label: &str, names: &[String], columns: usize) {
    if names.is_empty() {
        return;
    }
    let mut line = label.to_owned();
    for (at, name) in names.iter().enumerate() {
        let arrow = if at == 0 { String::new() } else { format!(" {ARROW} ") };
        if at > 0 && width(&line) + width(&arrow) + width(name) > columns {
            *out += &format!("{line}\n");
            line = format!("   {arrow}");
        } else {
            line += &arrow;
        }
        words(out, &mut line, name, columns);
    }
    *out += &format!("{line}\n");
}

/// Adds text to a line, over several lines if need be.
fn words(out: &mut String, line: &mut String, text: &str, columns: usize) {
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 && width(line) + 1 + width(word) > columns {
            *out += &format!("{line}\n");
            *line = " ".repeat(LABEL);
        } else if at > 0 {
            line.push(' ');
        }
        *line += word;
    }
}

/// A label, and text behind it in a column of its own.
fn labelled(out: &mut String, label: &str, text: &str, columns: usize) {
    let mut line = format!("{:LABEL$}", format!("{label}:"));
    if !line.ends_with(' ') {
        line.push(' ');
    }
    words(out, &mut line, text, columns);
    *out += &format!("{line}\n");
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use common::diagnose::Cause;
    use common::hint;

    use super::*;
    use crate::model::{EvidenceLevel, HopHook};

    fn hop(container: &str, ifname: &str, us: Option<u64>) -> TraceHop {
        let place = HopPlace {
            container: container.to_owned(),
            netns: 1,
            ifname: Some(ifname.to_owned()),
            hook: None,
        };
        TraceHop { place, index: Some(2), is_answer: false, us }
    }

    fn report() -> TraceReport {
        let rule = r#"-d 10.2.0.2/32 -p icmp -m comment --comment "policy 42" -j DROP"#;
        TraceReport {
            schema: TraceReport::SCHEMA,
            verdict: TraceVerdict::Lost,
            cause: Some(Cause::FilterDrop),
            text: format!("iptables filter DOCKER-USER, rule 2: {rule}"),
            hop: Some(HopPlace {
                container: "host".to_owned(),
                netns: 1,
                ifname: None,
                hook: Some(HopHook::Forward),
            }),
            rule: Some(rule.to_owned()),
            evidence: vec![EvidenceLevel::State],
            not_seen: Vec::new(),
            fix: hint!("iptables -D DOCKER-USER -d 10.2.0.2/32 -p icmp -j DROP").into_iter().collect(),
            advice: None,
            hops: vec![
                hop("web", "eth0", None),
                hop("host", "veth1a2b", Some(9)),
                hop("host", "br-shop", Some(38)),
            ],
        }
    }

    #[test]
    fn the_way_the_cause_and_the_command_have_a_line_each() {
        let expected = "\
web eth0 → veth1a2b → br-shop → ✗ host, forward hook, 38 µs after it left
cause: iptables filter DOCKER-USER, rule 2: -d 10.2.0.2/32 -p icmp -m comment --comment \"policy 42\" -j DROP
fix:   iptables -D DOCKER-USER -d 10.2.0.2/32 -p icmp -j DROP
";
        assert_eq!(text(&report(), None), expected);
    }

    #[test]
    fn on_a_narrow_terminal_all_but_the_command_is_wrapped() {
        let expected = "\
web eth0 → veth1a2b → br-shop
    → ✗ host, forward hook, 38 µs after
       it left
cause: iptables filter DOCKER-USER, rule
       2: -d 10.2.0.2/32 -p icmp -m
       comment --comment \"policy 42\" -j
       DROP
fix:   iptables -D DOCKER-USER -d 10.2.0.2/32 -p icmp -j DROP
";
        assert_eq!(text(&report(), Some(40)), expected);
        let wide = text(&report(), Some(80));
        assert!(wide.lines().filter(|line| !line.starts_with("fix")).all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        let mut hostile = report();
        hostile.hops[0] = hop("a\u{1b}[2J", "eth0\u{202e}", None);
        hostile.text = "b\u{1b}]0;x".to_owned();
        hostile.advice = Some("c\nd".to_owned());
        let shown = text(&hostile, None);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown:?}");
        assert_eq!(shown.lines().count(), 4, "{shown}");
    }
}
