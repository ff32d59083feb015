//! Why a port is not open: it is refused, nobody listens there, or nothing comes back.

use std::net::IpAddr;

use super::evidence::{DestState, FilterHook, NeighbourAnswer};
use super::words::in_words;
use super::{Cause, Evidence, ProbeKind, Verdict, here, hop};
use crate::hint;
use crate::hint::{Hint, Verbatim};
use crate::netlink::ListeningSocket;
use crate::output::one_line;
use crate::target::{DestPort, Transport};

/// One that was sent afterwards was answered.
pub(super) fn answers_now(evidence: &Evidence) -> Option<Verdict> {
    evidence.again.as_ref().filter(|again| again.is_answered)?;
    let before = if evidence.refused > 0 { "refused" } else { "no answer in time" };
    let text = format!("{before}, but a probe that was sent afterwards was answered");
    Some(Verdict::of(Cause::AnswersNow, text))
}

/// The port refuses.
pub(super) fn refused(evidence: &Evidence) -> Option<Verdict> {
    let ProbeKind::Port(port) = evidence.probe else { return None };
    if evidence.refused == 0 {
        return None;
    }
    let how = match (port.transport, &evidence.icmp_error) {
        (_, Some(error)) => {
            format!("ICMP of {}: {}", error.by.unwrap_or(evidence.to), in_words(evidence.family(), error))
        }
        (Transport::Tcp, None) => "a TCP reset".to_owned(),
        (Transport::Udp, None) => "ICMP".to_owned(),
    };
    let name = one_line(&evidence.dest_name);
    let (cause, text) = match (nobody(evidence, port), listening(evidence).is_some()) {
        (Some((cause, why)), _) => (cause, format!("refused ({how}): {why}")),
        (None, true) => {
            let why = format!("although {name} listens there: a firewall on the way or there");
            (Cause::RefusedOnTheWay, format!("refused ({how}), {why}"))
        }
        (None, false) if is_not_seen_there(evidence) => {
            let why = format!("and the probe was not seen to arrive at {name}");
            (Cause::PortRefused, format!("refused ({how}), {why}"))
        }
        (None, false) => (Cause::PortRefused, format!("refused ({how})")),
    };
    Some(Verdict::of(cause, text).advising(look_there(evidence, port)))
}

/// The kernel took it, the neighbour is there, and no link gave the packet away. Of a SYN that a rule drops on its way out
/// connect(2) says nothing: it is sent again.
pub(super) fn not_sent(evidence: &Evidence) -> Option<Verdict> {
    let ProbeKind::Port(port) = evidence.probe else { return None };
    let hooks = [FilterHook::Output, FilterHook::Postrouting];
    let could_be_rule = port.transport == Transport::Tcp
        && evidence.hooks.as_ref().is_none_or(|in_use| hooks.iter().any(|hook| in_use.contains(hook)));
    let was_asked = evidence.neighbour().is_some();
    let verdict = here::egress(evidence).filter(|_| was_asked || could_be_rule)?;
    let is_refused_answer = verdict.cause == Some(Cause::AnswerDroppedHere) && was_asked;
    if is_refused_answer || !could_be_rule {
        return Some(verdict);
    }
    let link = evidence.link_word();
    let text = format!(
        "no answer: nothing left {link}: a rule of the output or postrouting hook, or tc, in here drops the packet"
    );
    Some(Verdict::of(Cause::NotSent, text).advising(evidence.trace()))
}

/// The host saw it, and did not pass it on. Of what is for the host itself the sockets there tell more.
pub(super) fn dropped_by_host(evidence: &Evidence) -> Option<Verdict> {
    let host = evidence.host.as_ref().filter(|host| !host.is_dest)?;
    hop::dropped_by_host(evidence, host)
}

/// Nothing comes back from it.
pub(super) fn silent(evidence: &Evidence, port: DestPort) -> Verdict {
    let name = one_line(&evidence.dest_name);
    let waiting = at(evidence).next();
    if let (Some(_), DestState::Frozen { name, fix }) = (waiting, &evidence.dest_state) {
        let text = format!("no answer: {} is paused, and its programs do not run", one_line(name));
        return Verdict::of(Cause::Frozen, text).fixed_by(fix.clone());
    }
    let (cause, text) = match (port.transport, nobody(evidence, port), waiting) {
        (Transport::Tcp, _, Some(socket)) if socket.queued > socket.most_queued => {
            let (queued, most) = (socket.queued, socket.most_queued);
            let queue = format!("its queue of connections is full ({queued} of {most})");
            (Cause::BacklogFull, format!("no answer: {name} listens, but {queue}: the program accepts none"))
        }
        (Transport::Tcp, Some((cause, why)), _) => {
            (cause, format!("no answer, not even a reset, and {why}: a firewall drops packets, too"))
        }
        (Transport::Tcp, None, Some(_)) => {
            let has_answered = evidence.there.as_ref().is_some_and(|there| there.has_answered);
            let what = match has_answered {
                true => "and its answer was sent: it was lost on the way back",
                false => "and received the probe: a firewall there drops packets",
            };
            (Cause::PortSilent, format!("no answer, although {name} listens there {what}"))
        }
        (Transport::Tcp, None, None) => (Cause::PortSilent, format!("no answer{}", beyond(evidence, port))),
        (Transport::Udp, Some((cause, why)), _) => (cause, format!("no answer, and {why}")),
        (Transport::Udp, None, Some(_)) => {
            let what = format!("{name} waits for datagrams there, and may have no answer to this one");
            (Cause::UdpUnanswered, format!("no answer, which proves nothing for UDP: {what}"))
        }
        (Transport::Udp, None, None) => {
            let what = "open without an answer to this, or filtered";
            (Cause::UdpUnanswered, format!("no answer, which proves nothing for UDP: {what}"))
        }
    };
    Verdict::of(cause, text).advising(look_there(evidence, port))
}

/// The sockets at the port where the destination's address is; `None` where the probe was not seen to arrive.
fn listening(evidence: &Evidence) -> Option<&[ListeningSocket]> {
    evidence.there.as_ref().filter(|there| there.has_arrived)?.listening.as_deref()
}

/// Whether DEST is a container of this host that the probe was not seen to arrive at.
fn is_not_seen_there(evidence: &Evidence) -> bool {
    evidence.dest_target.is_some() && evidence.there.as_ref().is_some_and(|there| !there.has_arrived)
}

/// What is known of the next hop, which is there, and of the destination.
fn beyond(evidence: &Evidence, port: DestPort) -> String {
    let name = one_line(&evidence.dest_name);
    let lost = match is_not_seen_there(evidence) {
        true => format!("the probe was not seen to arrive at {name}"),
        false => format!("a firewall drops packets to or from port {}?", port.number),
    };
    let NeighbourAnswer::Answered(_) = evidence.asked else {
        return if is_not_seen_there(evidence) { format!(": {lost}") } else { String::new() };
    };
    let (hop, arp) = (evidence.next_hop(), evidence.arp());
    match evidence.route.gateway {
        Some(_) if is_not_seen_there(evidence) => format!(": the router {hop} answers {arp}, and {lost}"),
        Some(_) => format!(": the router {hop} answers {arp}, and nothing comes from beyond it"),
        None => format!(": {hop} answers {arp}; {lost}"),
    }
}

/// `nobody listens on tcp port 5432 at db`, `db listens on 127.0.0.1 only`: what the sockets there prove.
fn nobody(evidence: &Evidence, DestPort { transport, number }: DestPort) -> Option<(Cause, String)> {
    let listening = listening(evidence)?;
    if at(evidence).next().is_some() {
        return None;
    }
    let (address, name) = (evidence.to, one_line(&evidence.dest_name));
    let mut places: Vec<IpAddr> = listening.iter().map(|socket| socket.address.ip()).collect();
    places.sort_unstable();
    places.dedup();
    let list = places.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ");
    Some(if places.is_empty() {
        (Cause::NobodyListens, format!("nobody listens on {transport} port {number} at {name}"))
    } else if places.iter().all(IpAddr::is_loopback) {
        let others = format!("others cannot reach {transport} port {number} there");
        (Cause::ListensOnLoopbackOnly, format!("{name} listens on {list} only: {others}"))
    } else {
        let what = format!("{name} listens on {transport} port {number} of {list} only, not of {address}");
        (Cause::ListensElsewhere, what)
    })
}

/// The sockets that packets to the destination come to.
fn at(evidence: &Evidence) -> impl Iterator<Item = &ListeningSocket> {
    listening(evidence).into_iter().flatten().filter(|socket| socket.has(evidence.to))
}

/// What shows the sockets there.
fn look_there(evidence: &Evidence, port: DestPort) -> Option<Hint> {
    let list = if port.transport == Transport::Tcp { "ss -ltn" } else { "ss -lun" };
    let target = evidence.dest_target.as_deref()?;
    hint!("nsenter-rs -t {} -n {}", target, Verbatim(list))
}
