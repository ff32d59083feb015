//! The order in which causes are looked for: the first that the evidence proves is the verdict.

use super::evidence::{DestState, TargetState};
use super::{Cause, Evidence, ProbeKind, Verdict, here, hop, ipsec, port, sending};
use crate::hint;
use crate::packet::IpFamily;

/// A look at the evidence: a verdict, or nothing to say.
type Step = fn(&Evidence) -> Option<Verdict>;

/// What explains lost packets although others were answered.
const MEANWHILE: [Step; 5] = [ended, sending::refused, sending::link, sending::address, dest];

/// What explains that nothing was answered, after that.
const SILENCE: [Step; 12] = [
    corrupted,
    group,
    hop::reported,
    ipsec::unsent,
    here::answer,
    here::local,
    hop::wrong_mac,
    hop::other_host,
    hop::size,
    hop::answers_now,
    hop::silent_neighbour,
    here::egress,
];

/// What explains that a port is not open, after that.
const CLOSED: [Step; 11] = [
    port::answers_now,
    port::refused,
    hop::reported,
    ipsec::unsent,
    here::answer,
    hop::wrong_mac,
    hop::other_host,
    hop::silent_neighbour,
    port::not_sent,
    port::dropped_by_host,
    hop::own_kernel,
];

/// Why a probe was not answered.
pub fn judge(evidence: &Evidence) -> Verdict {
    let meanwhile = MEANWHILE.iter().find_map(|step| step(evidence));
    if evidence.answered > 0 {
        return meanwhile.map_or_else(|| loss(evidence), Verdict::after_answers);
    }
    if let ProbeKind::Port(port) = evidence.probe {
        let closed = || CLOSED.iter().find_map(|step| step(evidence));
        return meanwhile.or_else(closed).unwrap_or_else(|| port::silent(evidence, port));
    }
    let silence = || SILENCE.iter().find_map(|step| step(evidence));
    meanwhile.or_else(silence).or_else(|| hop::own_kernel(evidence)).unwrap_or_else(|| hop::last(evidence))
}

fn loss(evidence: &Evidence) -> Verdict {
    let Evidence { lost, answered, .. } = evidence;
    let all = lost + answered;
    Verdict::of(
        Cause::Loss,
        match evidence.probe {
            ProbeKind::Echo { .. } => format!("{lost} of {all} packets were not answered"),
            ProbeKind::Port(_) => format!("{lost} of {all} probes failed"),
        },
    )
}

fn ended(evidence: &Evidence) -> Option<Verdict> {
    let name = &evidence.name;
    match evidence.target_state {
        TargetState::Alive => None,
        TargetState::Ended => Some(Verdict::of(
            Cause::TargetEnded,
            format!("no answer: {name} has ended meanwhile, and its network is gone"),
        )),
        TargetState::Restarted => {
            let text =
                format!("no answer: {name} was restarted meanwhile, and the network that it had is gone");
            let again = hint!("netns-ping {} {}", evidence.target, evidence.dest_word());
            Some(Verdict::of(Cause::TargetRestarted, text).fixed_by(again))
        }
    }
}

fn dest(evidence: &Evidence) -> Option<Verdict> {
    let to = evidence.to;
    match &evidence.dest_state {
        DestState::Fine | DestState::Frozen { .. } => None,
        DestState::Ended { name } => {
            Some(Verdict::of(Cause::DestEnded, format!("no answer: {name} has ended meanwhile")))
        }
        DestState::LinkDown { name, target, link } => Some(Verdict::dest_link_down(name, target, link)),
        DestState::AddressGone { name, target } => {
            let has = hint!("nsenter-rs -t {} -n ip address", target);
            let text = format!("no answer: {name} no longer has the address {to}");
            Some(Verdict::of(Cause::DestAddressGone, text).advising(has))
        }
    }
}

impl Verdict {
    /// The link of the container that is pinged is down.
    pub fn dest_link_down(name: &str, target: &str, link: &str) -> Verdict {
        let fix = hint!("nsenter-rs -t {} -n ip link set {} up", target, link);
        let text = format!("no answer: {link} of {name} is down");
        Verdict::of(Cause::DestLinkDown, text).fixed_by(fix)
    }

    /// Of what was answered before.
    fn after_answers(mut self) -> Verdict {
        let any_more = |text: String| match text.strip_prefix("no answer: ") {
            Some(why) => format!("no answer any more: {why}"),
            None => text,
        };
        self.text = self.text.map(any_more);
        self
    }

    /// DEST answers, and is paused.
    pub fn frozen(fix: Option<crate::hint::Hint>) -> Verdict {
        let text = "the container is paused: its kernel answers, but its programs do not run";
        Verdict::of(Cause::Frozen, text).fixed_by(fix)
    }
}

fn corrupted(evidence: &Evidence) -> Option<Verdict> {
    let watched = [&evidence.again, &evidence.small].into_iter().flatten();
    let count = evidence.corrupted + watched.map(|watched| u64::from(watched.is_corrupted)).sum::<u64>();
    let text = format!(
        "no valid answer: {count} came with a wrong checksum or without the random bytes of the request"
    );
    (count > 0).then(|| Verdict::of(Cause::Corrupted, text).advising(evidence.capture()))
}

fn group(evidence: &Evidence) -> Option<Verdict> {
    let link = evidence.link_word();
    let to = evidence.to;
    let (cause, text) = if to.is_multicast() {
        let text = format!("no answer: sent to the multicast group {to} on {link}, and no member answered");
        (Cause::Multicast, text)
    } else if evidence.route.is_group || to == std::net::Ipv4Addr::BROADCAST {
        let text = format!(
            "no answer: sent to all hosts on {link}, which usually ignore such pings (icmp_echo_ignore_broadcasts)"
        );
        (Cause::Broadcast, text)
    } else {
        return None;
    };
    Some(Verdict::of(cause, text).advising(evidence.capture()))
}

impl Evidence {
    /// The family of the address.
    pub(super) fn family(&self) -> IpFamily {
        IpFamily::of(self.to)
    }

    fn dest_word(&self) -> String {
        self.to.to_string()
    }
}
