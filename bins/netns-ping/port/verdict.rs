//! Why a port was not reached, as far as it is proven. Pure.

use std::net::IpAddr;

use common::hint;
use common::hint::Hint;
use common::output::one_line;
use common::packet::IpFamily;
use common::packet::icmp::{IcmpError, describe};
use common::target::{DestPort, Transport};
use nix::errno::Errno;
use serde::Serialize;

use super::session::PortStatistics;
use super::there::PortThere;
use crate::resolve::destination::Destination;

/// A cause, a sentence, and what helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortVerdict {
    /// A stable word, one of those in the manual; `None` where the port is open.
    pub cause: Option<&'static str>,
    pub text: Option<String>,
    /// Commands that remove the fault.
    pub fix: Vec<Hint>,
    /// A command that shows more.
    pub advice: Option<Hint>,
}

/// What is known of a port that was probed.
#[derive(Debug)]
pub struct PortEvidence<'a> {
    pub to: &'a Destination,
    pub port: DestPort,
    /// The TARGET, for commands.
    pub target: &'a str,
    pub statistics: &'a PortStatistics,
    pub icmp_error: Option<&'a IcmpError>,
    pub not_sent: Option<Errno>,
    /// What waits there, where that could be looked at.
    pub there: Option<&'a PortThere>,
    /// Whether the next hop answers ARP, or neighbour solicitation, now; `None` where it was not asked.
    pub hop_answers: Option<bool>,
}

/// What it is.
pub fn judge(evidence: &PortEvidence<'_>) -> PortVerdict {
    let statistics = evidence.statistics;
    let failed = statistics.refused + statistics.errors + statistics.silent;
    if statistics.open > 0 {
        return match failed {
            0 => PortVerdict { cause: None, text: None, fix: Vec::new(), advice: None },
            _ => evidence.say("loss", format!("{failed} of {} probes failed", statistics.sent)),
        };
    }
    match () {
        () if statistics.refused > 0 => refused(evidence),
        () if evidence.icmp_error.is_some() || evidence.not_sent.is_some() => error(evidence),
        () if statistics.silent > 0 => silent(evidence),
        () => evidence.say("not-done", "stopped before an answer could come".to_owned()),
    }
}

impl PortEvidence<'_> {
    fn say(&self, cause: &'static str, text: String) -> PortVerdict {
        PortVerdict { cause: Some(cause), text: Some(text), fix: Vec::new(), advice: None }
    }

    fn name(&self) -> String {
        one_line(&self.to.name).into_owned()
    }

    /// `nobody listens on port 5432`, `it listens on 127.0.0.1 only`: what the sockets there prove.
    fn nobody(&self) -> Option<(&'static str, String)> {
        let (there, port) = (self.there?, self.port.number);
        let (address, name, kind) = (self.to.address, self.name(), self.port.transport);
        if there.at(address).next().is_some() {
            return None;
        }
        let places = there.places();
        let list = places.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ");
        Some(match places.as_slice() {
            [] => ("nobody-listens", format!("nobody listens on {kind} port {port} at {name}")),
            places if places.iter().all(IpAddr::is_loopback) => (
                "listens-on-loopback-only",
                format!("{name} listens on {list} only: others cannot reach {kind} port {port} there"),
            ),
            _ => (
                "listens-elsewhere",
                format!("{name} listens on {kind} port {port} of {list} only, not of {address}"),
            ),
        })
    }

    fn look_there(&self) -> Option<Hint> {
        let family = if self.port.transport == Transport::Tcp { "ss -ltn" } else { "ss -lun" };
        match &self.to.known {
            crate::resolve::destination::AddressSource::Container(target) => {
                hint!("nsenter-rs -t {} -n {}", target, Hint::say(family))
            }
            _ => None,
        }
    }
}

fn refused(evidence: &PortEvidence<'_>) -> PortVerdict {
    let (to, port) = (evidence.to, evidence.port);
    let how = match (port.transport, evidence.icmp_error) {
        (Transport::Tcp, None) => "a TCP reset".to_owned(),
        (_, Some(error)) => {
            format!("ICMP of {}: {}", error.by.unwrap_or(to.address), words(to.address, error))
        }
        (Transport::Udp, None) => "ICMP".to_owned(),
    };
    let verdict = match evidence.nobody() {
        Some((cause, why)) => evidence.say(cause, format!("refused ({how}): {why}")),
        None if evidence.there.is_some() => evidence.say(
            "refused-on-the-way",
            format!(
                "refused ({how}), although {} listens there: a firewall on the way or there",
                evidence.name()
            ),
        ),
        None => evidence.say("port-refused", format!("refused ({how})")),
    };
    PortVerdict { advice: evidence.look_there(), ..verdict }
}

fn error(evidence: &PortEvidence<'_>) -> PortVerdict {
    let (to, target) = (evidence.to, evidence.target);
    let Some(error) = evidence.icmp_error else {
        let errno = evidence.not_sent.unwrap_or(Errno::EIO);
        let (cause, why) = match errno {
            Errno::EPERM | Errno::EACCES => ("not-sent-output", ": a firewall's OUTPUT rule inside?"),
            Errno::ENETUNREACH | Errno::EHOSTUNREACH => ("no-route", ""),
            _ => ("not-sent", ""),
        };
        let advice = if cause == "not-sent-output" {
            hint!("nsenter-rs -t {} -n nft list ruleset", target)
        } else {
            let family = Hint::say(if to.address.is_ipv4() { "" } else { " -6" });
            hint!("nsenter-rs -t {} -n ip{} route get {}", target, family, to.address)
        };
        let verdict = evidence.say(cause, format!("nothing was sent: {}{why}", errno.desc()));
        return PortVerdict { advice, ..verdict };
    };
    let ours = error.by.is_none_or(|by| Some(by) == to.route.source);
    if ours && evidence.hop_answers == Some(false) {
        return neighbour_silent(evidence);
    }
    let cause = match (to.address.is_ipv4(), error.kind, error.code) {
        (true, 3, 9 | 10 | 13) | (false, 1, 1 | 5 | 6) => "icmp-prohibited",
        (true, 11, _) | (false, 3, _) => "icmp-ttl",
        (true, 3, _) | (false, 1, _) => "icmp-unreachable",
        _ => "icmp-other",
    };
    let by =
        if ours { "the kernel".to_owned() } else { error.by.map_or_else(String::new, |by| by.to_string()) };
    evidence.say(cause, format!("{by} reports: {}", words(to.address, error)))
}

fn silent(evidence: &PortEvidence<'_>) -> PortVerdict {
    if evidence.hop_answers == Some(false) {
        return neighbour_silent(evidence);
    }
    let (to, port) = (evidence.to, evidence.port);
    let name = evidence.name();
    let waiting = evidence.there.and_then(|there| there.at(to.address).next());
    let tcp = port.transport == Transport::Tcp;
    let verdict = match (evidence.nobody(), waiting) {
        (_, Some(socket)) if tcp && socket.queued > socket.most_queued => evidence.say(
            "backlog-full",
            format!(
                "no answer: {name} listens, but its queue of connections is full ({} of {}): the program accepts none",
                socket.queued, socket.most_queued
            ),
        ),
        (Some((cause, why)), _) if tcp => {
            evidence.say(cause, format!("no answer, not even a reset, and {why}: a firewall drops packets, too"))
        }
        (_, Some(_)) if tcp => {
            evidence.say("port-silent", format!("no answer, although {name} listens there: a firewall drops packets"))
        }
        (None, None) if tcp => {
            let hop = match evidence.hop_answers {
                Some(true) if to.route.gateway.is_some() => format!(": the router {} answers ARP, nothing comes from beyond it", to.next_hop()),
                Some(true) => format!(": {} is there, a firewall drops packets to or from port {}", to.address, port.number),
                _ => String::new(),
            };
            evidence.say("port-silent", format!("no answer{hop}"))
        }
        (Some((cause, why)), _) => evidence.say(cause, format!("no answer, and {why}")),
        (None, Some(_)) => evidence.say(
            "udp-unanswered",
            format!("no answer, which proves nothing for UDP: {name} waits for datagrams there, and may have no answer to this one"),
        ),
        (None, None) => evidence.say(
            "udp-unanswered",
            "no answer, which proves nothing for UDP: open without an answer to this, or filtered".to_owned(),
        ),
    };
    PortVerdict { advice: evidence.look_there(), ..verdict }
}

fn neighbour_silent(evidence: &PortEvidence<'_>) -> PortVerdict {
    let to = evidence.to;
    let asking = if to.address.is_ipv4() { "ARP" } else { "neighbour solicitation" };
    let (cause, role) = match to.route.gateway {
        Some(router) => ("router-silent", format!("the router {router}")),
        None => ("neighbour-silent", to.address.to_string()),
    };
    let verdict =
        evidence.say(cause, format!("no answer: {role} does not answer {asking} on {}", one_line(&to.link)));
    PortVerdict { advice: hint!("netns-ping --arp {} {}", evidence.target, to.next_hop()), ..verdict }
}

fn words(to: IpAddr, error: &IcmpError) -> String {
    describe(IpFamily::of(to), error.kind, error.code, error.info)
}
