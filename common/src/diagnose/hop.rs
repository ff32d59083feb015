//! How far the packets got: the next hop, the errors that came back, and what is beyond.

use std::net::IpAddr;

use nix::libc;

use super::evidence::{
    FilterHook, HostSight, NUD_UNRESOLVED, NeighbourAnswer, Passage, ProbeKind, TappedPacket,
};
use super::words::in_words;
use super::{Cause, Evidence, Verdict, ipsec};
use crate::firewall::IpsecFate;
use crate::hint;
use crate::netlink::Neighbour;
use crate::output::one_line;
use crate::packet::IpFamily;
use crate::packet::icmp::IcmpError;
use crate::target::Mac;

/// NUD_* of linux/neighbour.h: the kernel never asks.
const NUD_PERMANENT: u16 = 0x80;
/// Reachable, stale, delay, probe: it has a MAC address from an answer, or from what the neighbour itself asked.
const NUD_KNOWN: u16 = 0x02 | 0x04 | 0x08 | 0x10;

/// An ICMP error of another host came back.
pub(super) fn reported(evidence: &Evidence) -> Option<Verdict> {
    icmp_error(evidence, evidence.icmp_error.as_ref()?)
}

/// What an ICMP error of another host says; `None` for one of our own kernel, which only follows from something else.
pub(super) fn icmp_error(evidence: &Evidence, error: &IcmpError) -> Option<Verdict> {
    let by = error.by.filter(|by| Some(*by) != evidence.route.source)?;
    let family = evidence.family();
    let text = format!("no answer: {by} reports: {}", in_words(family, error));
    let cause = icmp_cause(family, error.kind, error.code);
    // What a router far away says is not of our routes.
    let advice = match cause {
        Cause::IcmpUnreachable if by != evidence.to => {
            hint!("netns-ping {} {}", evidence.target, by)
        }
        Cause::Mtu => size_option(evidence, error.info),
        // Whose rule it is, and where packets go round in circles.
        Cause::IcmpProhibited | Cause::IcmpTtl => evidence.trace(),
        _ => evidence.capture(),
    };
    Some(Verdict::of(cause, text).advising(advice))
}

/// RFC 792, RFC 1812, RFC 4443.
fn icmp_cause(family: IpFamily, kind: u8, code: u8) -> Cause {
    match (family, kind, code) {
        (IpFamily::V4, 3, 4) | (IpFamily::V6, 2, _) => Cause::Mtu,
        (IpFamily::V4, 3, 9 | 10 | 13) | (IpFamily::V6, 1, 1 | 5 | 6) => Cause::IcmpProhibited,
        (IpFamily::V4, 3, 0..=3 | 6 | 7 | 11 | 12) | (IpFamily::V6, 1, 0 | 2 | 3 | 4) => {
            Cause::IcmpUnreachable
        }
        (IpFamily::V4, 11, 0) | (IpFamily::V6, 3, 0) => Cause::IcmpTtl,
        _ => Cause::IcmpOther,
    }
}

/// The same ping with a size that an MTU allows.
fn size_option(evidence: &Evidence, mtu_bytes: u32) -> Option<hint::Hint> {
    let around = if evidence.to.is_ipv4() { 28 } else { 48 };
    let bytes = mtu_bytes.checked_sub(around)?;
    hint!("netns-ping {} {} -M do -s {}", evidence.target, evidence.to, bytes)
}

/// Another MAC address answers than the one that the kernel sent to.
pub(super) fn wrong_mac(evidence: &Evidence) -> Option<Verdict> {
    let NeighbourAnswer::Answered(macs) = &evidence.asked else { return None };
    let known = evidence.neighbour_before.as_ref().or(evidence.neighbour())?;
    let mac = known.mac.filter(|mac| known.state & NUD_UNRESOLVED == 0 && !macs.contains(mac))?;
    let (role, link, arp) = (role(evidence), evidence.link_word(), evidence.arp());
    let entry =
        if known.state & NUD_PERMANENT != 0 { "a permanent neighbour entry" } else { "its neighbour entry" };
    let text = format!(
        "no answer: packets went to the MAC {mac}, as {entry} says, but {} answers {arp} for {role} on {link}",
        listed(macs)
    );
    let forget = evidence
        .pasted_link()
        .and_then(|link| hint!("{} neigh del {} dev {}", evidence.ip(), evidence.next_hop(), link));
    Some(Verdict::of(Cause::NeighbourWrongMac, text).fixed_by(evidence.inside(forget)))
}

/// Somebody else answers for a container of this host.
pub(super) fn other_host(evidence: &Evidence) -> Option<Verdict> {
    let (NeighbourAnswer::Answered(macs), None) = (&evidence.asked, evidence.route.gateway) else {
        return None;
    };
    let own = evidence.dest_macs.as_ref().filter(|own| !macs.iter().any(|mac| own.contains(mac)))?;
    let (link, arp, to, name) =
        (evidence.link_word(), evidence.arp(), evidence.to, one_line(&evidence.dest_name));
    let text = format!(
        "no answer: {} answers {arp} for {to} on {link}, which is no MAC address of {name}: another host?",
        listed(macs)
    );
    let verdict = Verdict::of(Cause::NeighbourOtherHost, text);
    (!own.is_empty()).then(|| verdict.advising(hint!("netns-ping --arp {} {}", evidence.target, to)))
}

/// A smaller packet was answered.
pub(super) fn size(evidence: &Evidence) -> Option<Verdict> {
    let ProbeKind::Echo { packet_bytes } = evidence.probe else { return None };
    evidence.small.as_ref().filter(|small| small.is_answered)?;
    evidence.again.as_ref().filter(|again| !again.is_answered)?;
    let Some(sizes) = evidence.sizes else {
        let text =
            format!("no answer: packets of {packet_bytes} bytes are lost, but small ones are answered");
        return Some(Verdict::of(Cause::MtuBlackhole, text).advising(evidence.capture()));
    };
    let (passes, fails) = (sizes.passes, sizes.fails);
    let text = format!(
        "no answer: packets of up to {passes} bytes are answered, those of {fails} bytes are lost without an ICMP error (path MTU black hole?)"
    );
    let link = evidence.pasted_link();
    let fix = link.and_then(|link| match evidence.route.gateway {
        Some(router) => hint!(
            "{} route replace {} via {} dev {} mtu {}",
            evidence.ip(),
            evidence.to,
            router,
            link,
            passes
        ),
        None => hint!("{} route replace {} dev {} mtu {}", evidence.ip(), evidence.to, link, passes),
    });
    let advice = size_option(evidence, u32::try_from(passes).unwrap_or(u32::MAX));
    Some(Verdict::of(Cause::MtuBlackhole, text).fixed_by(evidence.inside(fix)).advising(advice))
}

/// One that was sent afterwards was answered.
pub(super) fn answers_now(evidence: &Evidence) -> Option<Verdict> {
    evidence.again.as_ref().filter(|again| again.is_answered)?;
    let text = "no answer in time, but a packet that was sent afterwards was answered".to_owned();
    let longer = hint!("netns-ping {} {}", evidence.target, evidence.to);
    Some(Verdict::of(Cause::AnswersNow, text).advising(longer))
}

/// Nobody answers for the next hop.
pub(super) fn silent_neighbour(evidence: &Evidence) -> Option<Verdict> {
    if evidence.route.is_local || !has_neighbours(evidence) {
        return None;
    }
    let (before, now) = (evidence.neighbour_before.as_ref(), evidence.neighbour());
    let is = |known: Option<&Neighbour>, state: u16| known.is_some_and(|known| known.state & state != 0);
    let is_silent = match evidence.asked {
        NeighbourAnswer::Silent => true,
        NeighbourAnswer::Answered(_) => false,
        // The kernel has asked by itself.
        NeighbourAnswer::NotAsked => is(now, NUD_UNRESOLVED),
    };
    if !is_silent {
        return None;
    }
    let (hop, link, arp) = (evidence.next_hop(), evidence.link_word(), evidence.arp());
    let is_router = evidence.route.gateway.is_some();
    let role = role(evidence);
    let mac = before.or(now).and_then(|known| known.mac).map_or_else(String::new, |mac| format!(" ({mac})"));
    let (cause, text) = if is(before, NUD_PERMANENT) || is(now, NUD_PERMANENT) {
        let cause = if is_router { Cause::RouterPermanent } else { Cause::NeighbourPermanent };
        (
            cause,
            format!(
                "no answer: {role} does not answer {arp} on {link}; its neighbour entry{mac} is permanent"
            ),
        )
    } else if is(before, NUD_KNOWN) || is(now, NUD_KNOWN) {
        let cause = if is_router { Cause::RouterGone } else { Cause::NeighbourGone };
        (cause, format!("no answer: {role}{mac} was known on {link} before, but does not answer {arp} now"))
    } else {
        let cause = if is_router { Cause::RouterSilent } else { Cause::NeighbourSilent };
        (cause, format!("no answer: {role} does not answer {arp} on {link}"))
    };
    Some(Verdict::of(cause, text).advising(hint!("netns-ping --arp {} {}", evidence.target, hop)))
}

/// Our own kernel reports an error, and nothing else explains it. Of a neighbour that answers by now it is of yesterday.
pub(super) fn own_kernel(evidence: &Evidence) -> Option<Verdict> {
    let error = evidence.icmp_error.filter(|_| !matches!(evidence.asked, NeighbourAnswer::Answered(_)))?;
    let text = format!("no answer: the kernel reports: {}", in_words(evidence.family(), &error));
    let lookup = hint!("{} route get {}", evidence.ip(), evidence.to);
    let cause = icmp_cause(evidence.family(), error.kind, error.code);
    Some(Verdict::of(cause, text).advising(evidence.inside(lookup)))
}

/// The packet was given to the next hop, and nothing came back.
pub(super) fn last(evidence: &Evidence) -> Verdict {
    if let Some(verdict) = evidence.host.as_ref().and_then(|host| dropped_by_host(evidence, host)) {
        return verdict;
    }
    let (link, hop, arp) = (evidence.link_word(), evidence.next_hop(), evidence.arp());
    let NeighbourAnswer::Answered(macs) = &evidence.asked else {
        let text = format!("no answer: sent through {link}");
        return Verdict::of(Cause::NoAnswer, text).advising(evidence.capture());
    };
    let macs_listed = listed(macs);
    if evidence.route.gateway.is_some() {
        let text = format!(
            "no answer: the router {hop} ({macs_listed}) answers {arp} on {link}, but no answer comes from beyond it"
        );
        return Verdict::of(Cause::BeyondRouter, text).advising(hint!(
            "netns-ping {} {}",
            evidence.target,
            hop
        ));
    }
    let but = "not pings: a firewall there?";
    let text = match same_mac(evidence, macs) {
        Some(other) => format!(
            "no answer: {macs_listed}, which is also the MAC of {other}, answers {arp} for {hop} on {link} (proxy ARP?), but {but}"
        ),
        None => format!("no answer: {hop} ({macs_listed}) answers {arp} on {link}, but {but}"),
    };
    Verdict::of(Cause::NoEcho, text).advising(evidence.capture())
}

/// What the host saw, which is between the container and DEST.
pub(super) fn dropped_by_host(evidence: &Evidence, host: &HostSight) -> Option<Verdict> {
    let first = |passage: Passage| host.seen.iter().find(|seen| seen.passage == passage);
    let link = |seen: &TappedPacket| one_line(&seen.link).into_owned();
    let came = first(Passage::RequestIn)?;
    let [request, answer] = evidence.ipsec_of(host);
    if host.is_dest {
        let why = match (&request, &answer) {
            (IpsecFate::Dropped(drop), _) | (_, IpsecFate::Dropped(drop)) => drop.sentence(),
            (IpsecFate::Plain, IpsecFate::Plain) => "a rule of its input hook?".to_owned(),
            _ => "a rule of its input hook, or an IPsec policy?".to_owned(),
        };
        let text = format!(
            "this host has {}, received the packet on {}, and did not answer: {why}",
            evidence.to,
            link(came)
        );
        let fate = if request == IpsecFate::Plain { answer } else { request };
        return first(Passage::AnswerOut).is_none().then(|| host_drops(evidence, &text, &fate));
    }
    let (fate, what, at) =
        match (first(Passage::RequestOut), first(Passage::AnswerIn), first(Passage::AnswerOut)) {
            (None, ..) => (request, "packet", came),
            (Some(_), Some(back), None) => (answer, "answer", back),
            _ => return None,
        };
    let rule = match &fate {
        IpsecFate::Dropped(drop) => format!(": {}", drop.sentence()),
        // What IPsec makes of a packet cannot be told from other packets.
        IpsecFate::Changed | IpsecFate::Unknown => return None,
        IpsecFate::Plain if host.hooks.as_ref().is_some_and(|hooks| hooks.contains(&FilterHook::Forward)) => {
            ": a rule of its forward hook?".to_owned()
        }
        IpsecFate::Plain => String::new(),
    };
    let text =
        format!("this host received the {what} on {}, and it was not seen to leave again{rule}", link(at));
    Some(host_drops(evidence, &text, &fate))
}

fn host_drops(evidence: &Evidence, text: &str, fate: &IpsecFate) -> Verdict {
    let verdict = Verdict::of(Cause::HostDrops, format!("no answer: {text}"));
    match fate {
        IpsecFate::Dropped(drop) => verdict.fixed_by(drop.undone_by()).advising(ipsec::shown_by(drop)),
        _ => verdict.advising(evidence.trace()),
    }
}

/// Another neighbour on the link with one of these MAC addresses.
fn same_mac(evidence: &Evidence, macs: &[Mac]) -> Option<IpAddr> {
    let hop = evidence.next_hop();
    let is_it = |known: &&Neighbour| {
        known.address != hop
            && known.address.is_ipv4() == hop.is_ipv4()
            && Some(known.index) == evidence.route.index
            && known.mac.is_some_and(|mac| macs.contains(&mac))
    };
    let neighbours = evidence.neighbours.as_ref()?;
    neighbours.iter().filter(is_it).map(|known| known.address).find(|other| !is_link_local(*other))
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn role(evidence: &Evidence) -> String {
    let hop = evidence.next_hop();
    if evidence.route.gateway.is_some() { format!("the router {hop}") } else { hop.to_string() }
}

fn listed(macs: &[Mac]) -> String {
    let macs: Vec<String> = macs.iter().map(ToString::to_string).collect();
    macs.join(" and ")
}

fn has_neighbours(evidence: &Evidence) -> bool {
    let without = (libc::IFF_NOARP | libc::IFF_LOOPBACK).cast_unsigned();
    evidence.link().is_some_and(|link| link.flags & without == 0)
}
