//! Dropped packets, a line for each group: for people, and as JSON.

use std::io::{self, Write};
use std::net::IpAddr;

use common::failure::Failure;
use common::output::one_line;
use common::sign::{ARROW, CROSS, TIMES};
use common::sys::local_time_of_day;

use crate::model::{
    DropEnd, DropReport, DropSummary, DroppedContent, HopHook, HopPlace, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN,
};

/// Prints a group.
///
/// # Errors
/// What writing to standard output says.
pub fn print_drop(report: &DropReport, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        common::json::line(&mut out, report)?;
    } else {
        writeln!(out, "{}", line(report, report.packets))?;
    }
    Ok(out.flush()?)
}

/// Prints what is said at the end, with the groups that had most packets first.
///
/// # Errors
/// What writing to standard output says.
pub fn print_summary(summary: &DropSummary, groups: &[DropReport], json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        common::json::line(&mut out, summary)?;
    } else {
        out.write_all(summary_text(summary, groups).as_bytes())?;
    }
    Ok(out.flush()?)
}

/// `03:12:07 web→10.2.0.2:5432 tcp SYN ✗ host forward: DOCKER-USER "policy 42" (×214)`
fn line(report: &DropReport, packets: u64) -> String {
    let [hours, minutes, seconds] = local_time_of_day(report.at.as_secs().cast_signed());
    format!("{hours:02}:{minutes:02}:{seconds:02} {}{}", group(report), times(packets))
}

fn times(packets: u64) -> String {
    if packets == 1 { String::new() } else { format!(" ({TIMES}{packets})") }
}

fn group(report: &DropReport) -> String {
    let packet = match (&report.from, &report.to, &report.packet) {
        (Some(from), Some(to), Some(packet)) => {
            // The name of whose packet it is; of where it goes the address, as rules have it.
            let name = from.container.as_deref().map(|name| one_line(name).into_owned());
            let from = end(name, from);
            format!("{from}{ARROW}{} {packet}", end(None, to))
        }
        _ => "a packet".to_owned(),
    };
    format!(
        "{packet} {CROSS} {}: {}",
        report.hop.as_ref().map_or_else(|| "?".to_owned(), place),
        report.short
    )
}

fn end(name: Option<String>, end: &DropEnd) -> String {
    match (name, end.address, end.port) {
        (Some(name), _, Some(port)) => format!("{name}:{port}"),
        (Some(name), _, None) => name,
        (None, IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
        (None, address, Some(port)) => format!("{address}:{port}"),
        (None, address, None) => address.to_string(),
    }
}

/// `host forward`, `web eth0`
fn place(place: &HopPlace) -> String {
    let mut text = one_line(&place.container).into_owned();
    let is_of_interface = place.hook.is_none_or(|hook| matches!(hook, HopHook::Ingress | HopHook::Egress));
    if let Some(ifname) = place.ifname.as_ref().filter(|_| is_of_interface) {
        text += &format!(" {}", one_line(ifname));
    }
    if let Some(hook) = place.hook {
        text += &format!(" {}", hook.word().trim_end_matches(" hook"));
    }
    text
}

/// `tcp SYN`, `icmp echo-request`
pub fn packet_words(content: DroppedContent, is_six: bool) -> String {
    match content {
        DroppedContent::Tcp { flags, .. } => {
            let named = [(TCP_SYN, "SYN"), (TCP_FIN, "FIN"), (TCP_RST, "RST"), (TCP_ACK, "ACK")];
            let set = named.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, name)| format!(" {name}"));
            format!("tcp{}", set.collect::<String>())
        }
        DroppedContent::Udp { .. } => "udp".to_owned(),
        DroppedContent::Icmp { kind, code } => {
            let name = if is_six { "icmpv6" } else { "icmp" };
            match (is_six, kind) {
                (false, 8) | (true, 128) => format!("{name} echo-request"),
                (false, 0) | (true, 129) => format!("{name} echo-reply"),
                (true, 135) => format!("{name} neighbour-solicitation"),
                (true, 136) => format!("{name} neighbour-advertisement"),
                _ => format!("{name} type {kind} code {code}"),
            }
        }
        DroppedContent::Arp { operation: 1 } => "arp request".to_owned(),
        DroppedContent::Arp { operation: 2 } => "arp reply".to_owned(),
        DroppedContent::Arp { operation } => format!("arp {operation}"),
        DroppedContent::Fragment { protocol } => format!("fragment of protocol {protocol}"),
        DroppedContent::Other { protocol } => format!("protocol {protocol}"),
    }
}

fn summary_text(summary: &DropSummary, groups: &[DropReport]) -> String {
    let mut out = format!(
        "{} in {:.1} s; {} that are normal are left out\n",
        counted(summary.packets, "dropped packet"),
        summary.seconds,
        summary.normal_packets
    );
    for report in groups {
        out += &format!("{:>7} {}\n", format!("{TIMES}{}", report.packets_in_all), group(report));
        for fix in &report.fix {
            out += &format!("        fix:  {}\n", &**fix);
        }
        if let Some(advice) = &report.advice {
            out += &format!("        note: {}\n", one_line(advice));
        }
    }
    if summary.ungrouped_packets > 0 {
        out +=
            &format!("{} of more kinds than are kept apart\n", counted(summary.ungrouped_packets, "packet"));
    }
    if summary.lost_packets > 0 {
        out += &format!(
            "lost: the kernel dropped {} more than could be read in time; whose they were is not known\n",
            summary.lost_packets
        );
    }
    out
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use common::diagnose::Cause;

    use super::*;
    use crate::model::{DropCause, DropKind, EvidenceLevel};

    fn report(container: &str) -> DropReport {
        let kind = DropKind {
            netns: Some(1),
            index: None,
            out: None,
            reason: "NETFILTER_DROP".to_owned(),
            function: None,
            hook: None,
            packet: None,
        };
        let end = |container: Option<&str>, address: &str, port| DropEnd {
            container: container.map(str::to_owned),
            netns: None,
            address: address.parse().unwrap(),
            port,
        };
        let ends = [end(Some(container), "10.1.0.2", None), end(Some("db"), "10.2.0.2", Some(5432))];
        let hop = HopPlace {
            container: "host".to_owned(),
            netns: 1,
            ifname: Some("veth1a2b".to_owned()),
            hook: Some(HopHook::Forward),
        };
        let why = DropCause {
            cause: Some(Cause::FilterDrop),
            short: "DOCKER-USER \"policy 42\"".to_owned(),
            text: String::new(),
            rule: None,
            fix: common::hint!("iptables -D DOCKER-USER 2").into_iter().collect(),
            advice: None,
        };
        let words = packet_words(DroppedContent::Tcp { ports: [None, Some(5432)], flags: TCP_SYN }, false);
        let report = DropReport::of(&kind, Some(ends), Some(words), Some(hop), why);
        DropReport { packets: 214, packets_in_all: 214, ..report }
    }

    #[test]
    fn a_group_is_a_line() {
        let line = line(&report("web"), 214);
        let expected = " web→10.2.0.2:5432 tcp SYN ✗ host forward: DOCKER-USER \"policy 42\" (×214)";
        assert_eq!(line.split_at(8).1, expected);
        assert!(line.split_at(8).0.split(':').all(|part| part.len() == 2), "{line}");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        let hostile = line(&report("web\u{1b}[2J\n"), 1);
        assert!(!hostile.contains('\u{1b}') && hostile.lines().count() == 1, "{hostile:?}");
        assert!(!hostile.contains('×'), "one packet is not counted: {hostile}");
    }

    #[test]
    fn the_end_says_what_was_not_seen() {
        let summary = DropSummary {
            schema: 1,
            kind: "summary",
            seconds: 12.34,
            packets: 214,
            groups: 1,
            ungrouped_packets: 0,
            normal_packets: 532,
            lost_packets: 7,
            evidence: EvidenceLevel::Bpf,
            not_seen: Vec::new(),
        };
        let text = summary_text(&summary, &[report("web")]);
        let expected = "\
214 dropped packets in 12.3 s; 532 that are normal are left out
   ×214 web→10.2.0.2:5432 tcp SYN ✗ host forward: DOCKER-USER \"policy 42\"
        fix:  iptables -D DOCKER-USER 2
lost: the kernel dropped 7 more than could be read in time; whose they were is not known
";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_has_the_time_and_the_ends() {
        let mut report = report("web");
        report.at = std::time::Duration::from_micros(1_764_558_727_000_001);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["at"], "2025-12-01T03:12:07.000001Z");
        assert_eq!((&json["from"]["container"], &json["to"]["port"]), (&"web".into(), &5432.into()));
        assert_eq!((&json["cause"], &json["hop"]["hook"]), (&"filter-drop".into(), &"forward".into()));
    }
}
