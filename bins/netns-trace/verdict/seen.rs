//! What was seen of the probe, and whether its answer came, joined with the walk. Only the answer says that it works; an event of a
//! copy says nothing. Pure.

use std::net::IpAddr;

use common::diagnose::Cause;
use common::hint::Hint;
use common::output::one_line;
use common::packet::IpFamily;
use common::packet::icmp::{IcmpError, describe};
use nix::errno::Errno;

use super::join::SeenProgress;
use crate::evidence::RuleWords;
use crate::follow::FollowedProbe;
use crate::model::{
    EvidenceLevel, FilterDecision, FilterOutcome, HopPlace, ProbeProtocol, SeenPacket, TraceEvent,
    TraceEventKind, TraceHop, TraceObstacle, TraceReport, TraceVerdict, TraceWalk,
};
use crate::probe::ProbeAnswer;
use crate::walk::advised;

/// What places are called.
pub struct SeenPlaces<'a> {
    /// A namespace, by its inode.
    pub who: &'a dyn Fn(u64) -> String,
    /// An interface, by its namespace and index.
    pub ifname: &'a dyn Fn(u64, u32) -> Option<String>,
}

impl SeenPlaces<'_> {
    fn place(&self, netns: u64, index: Option<u32>) -> HopPlace {
        let ifname = index.and_then(|index| (self.ifname)(netns, index));
        HopPlace { container: (self.who)(netns), netns, ifname, hook: None }
    }
}

/// The rule or policy that dropped the probe or its answer, and in which namespace: the last one, for a SYN that got no answer is
/// sent again. That an error about it was dropped says why it was not told, not why it was lost.
pub fn deciding_drop(events: &[TraceEvent]) -> Option<(u64, &FilterDecision)> {
    events.iter().rev().find_map(|event| match (&event.kind, event.netns) {
        (TraceEventKind::Filtered(decision), Some(netns))
            if decision.outcome == FilterOutcome::Drop && event.packet != SeenPacket::Error =>
        {
            Some((netns, decision))
        }
        _ => None,
    })
}

/// The verdict.
pub fn judged(
    walk: TraceWalk,
    followed: &FollowedProbe,
    rule: Option<(RuleWords, Option<Hint>)>,
    places: &SeenPlaces<'_>,
) -> TraceReport {
    let mut evidence = followed.used.clone();
    evidence.push(EvidenceLevel::State);
    let mut report = TraceReport {
        schema: TraceReport::SCHEMA,
        verdict: TraceVerdict::CannotTell,
        cause: None,
        text: String::new(),
        hop: None,
        rule: None,
        evidence,
        not_seen: followed.not_seen.clone(),
        fix: Vec::new(),
        advice: None,
        hops: seen_hops(followed, places),
    };
    let is_unseen = report.hops.is_empty();
    if is_unseen {
        report.hops.clone_from(&walk.hops);
    }
    let is_port = walk.probe != Some(ProbeProtocol::Echo);
    (report.verdict, report.text) = outcome(followed, is_port);
    if report.verdict == TraceVerdict::Works {
        // The kernel takes a connection for a program that is stopped; no answer of the program's will come.
        let frozen = walk.obstacles.iter().find(|found| found.cause == Cause::Frozen);
        if let Some(frozen) = frozen {
            report.verdict = TraceVerdict::Lost;
            take(&mut report, frozen);
        } else {
            report.advice = walk.proxy_note();
        }
        return report;
    }
    // perf tells a packet from others by where it is in memory, which others have after it: what is set up knows better.
    let is_by_place = followed.used.contains(&EvidenceLevel::Perf);
    let progress = SeenProgress::of(&walk.hops, &followed.events, is_by_place);
    if explained_by_filter(&mut report, followed, rule, &progress, &walk, places) {
        return report;
    }
    let is_given = matches!(walk.probe, Some(ProbeProtocol::Udp(_))) && is_delivered(&walk, followed);
    let explains = [Cause::ReceiveBufferFull, Cause::Frozen];
    let first = walk.obstacles.first().filter(|_| is_by_place);
    let found =
        progress.obstacle(&walk).or(first).filter(|found| !is_given || explains.contains(&found.cause));
    if let Some(found) = found {
        take(&mut report, found);
        // What was not seen anywhere is not said to have come further than to what stopped it.
        if is_unseen {
            report.hops.truncate(found.after);
        }
        return report;
    }
    if followed.sent == Err(Errno::EMSGSIZE) {
        report.cause = Some(Cause::Mtu);
        report.hop = walk.hops.first().map(|first| first.place.clone());
        report.advice =
            Some("its route, or what was learned of the path, has a smaller MTU: ip route get".to_owned());
    }
    report.not_seen.extend(walk.doubts.iter().cloned());
    if followed.answer.is_none() && followed.sent.is_ok() {
        unexplained(&mut report, followed, &progress, &walk, places, is_given);
    }
    report
}

/// The obstacle is what stopped it.
fn take(report: &mut TraceReport, found: &TraceObstacle) {
    report.cause = Some(found.cause);
    report.text.clone_from(&found.text);
    report.hop = Some(found.place.clone());
    report.rule.clone_from(&found.rule);
    report.fix.clone_from(&found.fix);
    report.advice.clone_from(&found.advice);
    // The sender's own kernel, or an error that came back, knows better than what is set up.
    // A router's error may have been held back: the kernel limits how many it sends.
    if report.verdict == TraceVerdict::Lost && found.verdict == TraceVerdict::Unreachable {
        report.verdict = TraceVerdict::Unreachable;
    }
}

/// Whether a datagram came to the namespace that has the address, and was not dropped there.
fn is_delivered(walk: &TraceWalk, followed: &FollowedProbe) -> bool {
    let of_request = |event: &&TraceEvent| {
        event.packet == SeenPacket::Request && event.netns.is_some() && event.netns == walk.delivered_to
    };
    let mut there = followed.events.iter().filter(of_request).peekable();
    let has_come = there.peek().is_some();
    let is_drop = |event: &TraceEvent| {
        matches!(event.kind, TraceEventKind::Dropped { is_for_other: false, .. })
            || matches!(&event.kind, TraceEventKind::Filtered(decision) if decision.outcome == FilterOutcome::Drop)
    };
    has_come && !there.any(is_drop)
}

/// Nothing that is set up explains the silence.
fn unexplained(
    report: &mut TraceReport,
    followed: &FollowedProbe,
    progress: &SeenProgress,
    walk: &TraceWalk,
    places: &SeenPlaces<'_>,
    is_given: bool,
) {
    if is_given {
        report.verdict = TraceVerdict::Delivered;
        report.text = "it reached the socket, and no answer is due".to_owned();
        return;
    }
    if let Some((reason, _)) = &progress.reason {
        explained_by_events(report, followed, places);
        let is_buffer = reason == "SOCKET_RCVBUFF";
        report.cause = Some(if is_buffer { Cause::ReceiveBufferFull } else { Cause::Dropped });
        report.advice = Some(match is_buffer {
            true => "the program does not read: look at what it does".to_owned(),
            false => "nothing that is set up explains it: look at what else is attached there".to_owned(),
        });
        return;
    }
    if let Some(out) = &walk.leaves_by {
        report.verdict = TraceVerdict::LeftHost;
        report.text =
            format!("it left this host by {}, and nothing came back; nothing here stops it", one_line(out));
        return;
    }
    if matches!(walk.probe, Some(ProbeProtocol::Udp(_))) {
        report.verdict = TraceVerdict::CannotTell;
        report.text = "no answer came, which of a datagram proves nothing".to_owned();
        return;
    }
    let last = progress.passed.checked_sub(1).and_then(|at| walk.hops.get(at));
    let (Some(last), Some(next)) = (last, walk.hops.get(progress.passed)) else {
        explained_by_events(report, followed, places);
        return;
    };
    report.cause = Some(Cause::Vanished);
    report.hop = Some(last.place.clone());
    report.text = format!(
        "it was seen at {}, and not at {}, and nothing that is set up explains it",
        shown(&last.place),
        shown(&next.place)
    );
}

fn shown(place: &HopPlace) -> String {
    let ifname = place.ifname.as_deref().map(one_line).unwrap_or_default();
    format!("{}: {ifname}", one_line(&place.container))
}

/// What came back, or why nothing was sent.
fn outcome(followed: &FollowedProbe, is_port: bool) -> (TraceVerdict, String) {
    if let Err(errno) = followed.sent {
        let verdict = match errno {
            Errno::EPERM | Errno::EMSGSIZE | Errno::ENOBUFS => TraceVerdict::Lost,
            _ => TraceVerdict::Unreachable,
        };
        return (verdict, format!("the sender's own kernel does not send it: {}", errno.desc()));
    }
    match followed.answer {
        Some(ProbeAnswer::Reply(from)) => (TraceVerdict::Works, format!("{from} answers")),
        Some(ProbeAnswer::Reset) => {
            (TraceVerdict::Refused, "a reset came back, in the name of the destination".to_owned())
        }
        Some(ProbeAnswer::Error(error)) => (verdict_of(&error, is_port), said(&error)),
        Some(ProbeAnswer::Failed(errno)) => {
            (TraceVerdict::Unreachable, format!("the sender's own kernel gives up: {}", errno.desc()))
        }
        None => (TraceVerdict::Lost, "no answer came".to_owned()),
    }
}

/// RFC 792, RFC 1812, RFC 4443: a port is refused; nothing else is.
fn verdict_of(error: &IcmpError, is_port: bool) -> TraceVerdict {
    let is_v6 = matches!(error.by, Some(IpAddr::V6(_)));
    match (is_v6, error.kind, error.code) {
        (_, _, _) if error.by.is_none() => TraceVerdict::Unreachable,
        (false, 3, 3) | (true, 1, 4) if is_port => TraceVerdict::Refused,
        (false, 3, 4) | (true, 2, _) => TraceVerdict::Lost,
        _ => TraceVerdict::Unreachable,
    }
}

fn said(error: &IcmpError) -> String {
    match error.by {
        Some(by) => format!("{by} says: {}", describe(IpFamily::of(by), error.kind, error.code, error.info)),
        None => format!("the sender's own kernel gives up: {}", Errno::from_raw(error.errno).desc()),
    }
}

/// Netfilter itself says what it does.
fn explained_by_filter(
    report: &mut TraceReport,
    followed: &FollowedProbe,
    rule: Option<(RuleWords, Option<Hint>)>,
    progress: &SeenProgress,
    walk: &TraceWalk,
    places: &SeenPlaces<'_>,
) -> bool {
    let Some((netns, decision)) = deciding_drop(&followed.events) else { return false };
    let mut place = places.place(netns, decision.interfaces.0.or(decision.interfaces.1));
    place.hook = decision.hook;
    let known = progress.filter_of(walk, netns);
    place.hook = place.hook.or(known.and_then(|known| known.place.hook));
    report.hop = Some(place);
    let is_refused = report.verdict == TraceVerdict::Refused;
    let is_policy = decision.rule.is_none();
    report.cause = Some(if is_policy { Cause::FilterPolicy } else { Cause::FilterDrop });
    let Some((words, undo)) = rule else {
        if let Some(known) = known {
            let hop = report.hop.take();
            take(report, known);
            report.hop = hop;
            return true;
        }
        let (table, chain) = (one_line(&decision.table), one_line(&decision.chain));
        let what = if is_policy { "its policy is to drop" } else { "a rule that could not be read" };
        report.text = format!("{} {table} {chain}: {what}", decision.family.word());
        return true;
    };
    let begin = format!("{} {} {}", words.program, one_line(&words.table), one_line(&words.chain));
    report.fix = undo.into_iter().collect();
    report.advice = advised(&words.chain);
    report.text = match &words.rule {
        Some((number, text)) => {
            if is_refused || text.contains("REJECT") || text.contains(" reject") {
                report.cause = Some(Cause::FilterReject);
            }
            let rest = text.strip_prefix(&format!("-A {} ", words.chain)).unwrap_or(text);
            format!("{begin}, rule {number}: {}", one_line(rest))
        }
        None => {
            let hook = decision.hook.map_or(String::new(), |hook| format!(" at the {}", hook.word()));
            format!("{begin}: its policy is to drop, and no rule accepts it{hook}")
        }
    };
    report.rule = words.rule.map(|(_, text)| text);
    true
}

/// The last that the kernel itself has to say: why it threw the packet away, or where it was seen last.
fn explained_by_events(report: &mut TraceReport, followed: &FollowedProbe, places: &SeenPlaces<'_>) {
    let of_us = |event: &&TraceEvent| event.packet != SeenPacket::Error && event.at.is_some();
    let is_own =
        |event: &&TraceEvent| !matches!(event.kind, TraceEventKind::Dropped { is_for_other: true, .. });
    let Some(last) = followed.events.iter().rev().filter(of_us).find(is_own) else { return };
    if let Some(netns) = last.netns {
        report.hop = Some(places.place(netns, last.index));
    }
    if let TraceEventKind::Dropped { reason, function, .. } = &last.kind
        && followed.answer.is_none()
    {
        let what = if last.packet == SeenPacket::Answer { "the answer" } else { "the packet" };
        report.text = match function {
            Some(function) => format!("the kernel dropped {what}: {reason}, in {}", one_line(function)),
            None => format!("the kernel dropped {what}: {reason}"),
        };
    }
}

/// Where the packet and its answer passed, with the time since it was sent; not the copies of a flood, which end at hosts that they are
/// not for.
fn seen_hops(followed: &FollowedProbe, places: &SeenPlaces<'_>) -> Vec<TraceHop> {
    let Ok(sent) = followed.sent else { return Vec::new() };
    let events = &followed.events;
    let ends_elsewhere: Vec<u64> = events
        .iter()
        .filter(|event| matches!(event.kind, TraceEventKind::Dropped { is_for_other: true, .. }))
        .filter_map(|event| event.netns)
        .collect();
    let is_way = |event: &&TraceEvent| {
        let passes = matches!(event.kind, TraceEventKind::Sent | TraceEventKind::Received { .. });
        let is_copy = event.netns.is_some_and(|netns| ends_elsewhere.contains(&netns))
            && matches!(event.kind, TraceEventKind::Received { is_for_other: true });
        passes && !is_copy && event.packet != SeenPacket::Error
    };
    let mut hops: Vec<TraceHop> = Vec::new();
    for event in events.iter().filter(is_way) {
        let Some((netns, at)) = event.netns.zip(event.at) else { continue };
        let us = u64::try_from(at.saturating_sub(sent).as_micros()).ok();
        let is_answer = event.packet == SeenPacket::Answer;
        // Answers that are sent again, and the end of a connection, are of no interest.
        let is_again = |hop: &TraceHop| {
            hop.place.netns == netns && hop.index == event.index && hop.is_answer == is_answer
        };
        if hops.iter().any(is_again) {
            continue;
        }
        hops.push(TraceHop { place: places.place(netns, event.index), index: event.index, is_answer, us });
    }
    hops
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn event(packet: SeenPacket, netns: u64, us: u64, kind: TraceEventKind) -> TraceEvent {
        TraceEvent {
            at: Some(Duration::from_micros(100 + us)),
            packet,
            netns: Some(netns),
            index: Some(2),
            ifname: None,
            addresses: None,
            packet_id: 1,
            kind,
        }
    }

    fn dropped(reason: &str, is_for_other: bool) -> TraceEventKind {
        TraceEventKind::Dropped { reason: reason.to_owned(), function: None, is_for_other }
    }

    fn report(answer: Option<ProbeAnswer>, events: Vec<TraceEvent>) -> TraceReport {
        let sent = Ok(Duration::from_micros(100));
        let followed =
            FollowedProbe { sent, answer, events, used: vec![EvidenceLevel::Bpf], not_seen: Vec::new() };
        let places =
            SeenPlaces { who: &|inode| format!("n{inode}"), ifname: &|_, index| Some(format!("eth{index}")) };
        judged(TraceWalk::default(), &followed, None, &places)
    }

    #[test]
    fn only_an_answer_works_whatever_was_dropped_beside() {
        let events = vec![
            event(SeenPacket::Request, 1, 5, TraceEventKind::Sent),
            event(SeenPacket::Request, 3, 6, dropped("OTHERHOST", true)),
            event(SeenPacket::Answer, 1, 9, dropped("NO_SOCKET", false)),
        ];
        let works = report(Some(ProbeAnswer::Reply("10.0.0.1".parse().unwrap())), events.clone());
        assert_eq!((works.verdict, works.cause, works.hop), (TraceVerdict::Works, None, None));
        assert_eq!((works.hops.len(), works.hops[0].us), (1, Some(5)));
        let lost = report(None, events[..2].to_vec());
        assert_eq!((lost.verdict, lost.text.as_str()), (TraceVerdict::Lost, "no answer came"));
        assert_eq!(lost.hop.unwrap().container, "n1");
    }

    #[test]
    fn a_reset_and_errors_are_told_apart() {
        let by = |by: &str, kind, code| {
            let error = IcmpError { by: by.parse().ok(), kind, code, info: 0, errno: libc::EHOSTUNREACH };
            report(Some(ProbeAnswer::Error(error)), Vec::new()).verdict
        };
        assert_eq!(report(Some(ProbeAnswer::Reset), Vec::new()).verdict, TraceVerdict::Refused);
        assert_eq!(by("10.0.0.1", 3, 3), TraceVerdict::Refused);
        assert_eq!(by("10.0.0.1", 3, 0), TraceVerdict::Unreachable);
        assert_eq!(by("10.0.0.1", 3, 4), TraceVerdict::Lost);
        assert_eq!(by("fd00::1", 1, 4), TraceVerdict::Refused);
        assert_eq!(by("", 3, 1), TraceVerdict::Unreachable);
    }

    #[test]
    fn a_policy_is_named_where_no_rule_decided() {
        let decision = FilterDecision {
            family: common::netlink::TableFamily::Ip,
            table: "filter".to_owned(),
            chain: "FORWARD".to_owned(),
            rule: None,
            is_legacy: false,
            hook: Some(crate::model::HopHook::Forward),
            outcome: FilterOutcome::Drop,
            interfaces: (Some(3), Some(4)),
        };
        let lost = report(None, vec![event(SeenPacket::Request, 7, 5, TraceEventKind::Filtered(decision))]);
        assert_eq!((lost.verdict, lost.cause), (TraceVerdict::Lost, Some(Cause::FilterPolicy)));
        assert_eq!(lost.text, "ip filter FORWARD: its policy is to drop");
        let hop = lost.hop.unwrap();
        assert_eq!((hop.container.as_str(), hop.hook.map(|hook| hook.word())), ("n7", Some("forward hook")));
        assert_eq!(hop.ifname.as_deref(), Some("eth3"));
    }
}
