//! Why a port is not open: it is refused, nobody listens there, or nothing comes back.

use std::net::IpAddr;

use super::evidence::NeighbourAnswer;
use super::words::in_words;
use super::{Cause, Evidence, ProbeKind, Verdict};
use crate::hint;
use crate::hint::Hint;
use crate::netlink::ListeningSocket;
use crate::output::one_line;
use crate::target::{DestPort, Transport};

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
    let (cause, text) = match (nobody(evidence, port), evidence.listening.is_some()) {
        (Some((cause, why)), _) => (cause, format!("refused ({how}): {why}")),
        (None, true) => {
            let name = one_line(&evidence.dest_name);
            let why = format!("although {name} listens there: a firewall on the way or there");
            (Cause::RefusedOnTheWay, format!("refused ({how}), {why}"))
        }
        (None, false) => (Cause::PortRefused, format!("refused ({how})")),
    };
    Some(Verdict::of(cause, text).advising(look_there(evidence, port)))
}

/// Nothing comes back from it.
pub(super) fn silent(evidence: &Evidence, port: DestPort) -> Verdict {
    let name = one_line(&evidence.dest_name);
    let waiting = at(evidence).next();
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
            let what = format!("although {name} listens there: a firewall drops packets");
            (Cause::PortSilent, format!("no answer, {what}"))
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

/// What is known of the next hop, which is there.
fn beyond(evidence: &Evidence, port: DestPort) -> String {
    let NeighbourAnswer::Answered(_) = evidence.asked else { return String::new() };
    let (hop, arp, number) = (evidence.next_hop(), evidence.arp(), port.number);
    match evidence.route.gateway {
        Some(_) => format!(": the router {hop} answers {arp}, and nothing comes from beyond it"),
        None => format!(": {hop} answers {arp}; a firewall drops packets to or from port {number}?"),
    }
}

/// `nobody listens on tcp port 5432 at db`, `db listens on 127.0.0.1 only`: what the sockets there prove.
fn nobody(evidence: &Evidence, DestPort { transport, number }: DestPort) -> Option<(Cause, String)> {
    let listening = evidence.listening.as_ref()?;
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
    evidence.listening.iter().flatten().filter(|socket| socket.has(evidence.to))
}

/// What shows the sockets there.
fn look_there(evidence: &Evidence, port: DestPort) -> Option<Hint> {
    let list = if port.transport == Transport::Tcp { "ss -ltn" } else { "ss -lun" };
    let target = evidence.dest_target.as_deref()?;
    hint!("nsenter-rs -t {} -n {}", target, Hint::say(list))
}
