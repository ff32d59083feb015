//! What the container itself did with the request, or with the answer.

use nix::errno::Errno;

use super::evidence::{FilterHook, NUD_UNRESOLVED, NeighbourAnswer, Passage, TappedPacket, WatchedProbe};
use super::{Cause, Evidence, Verdict, ipsec, sending, words};
use crate::firewall::IpsecFate;
use crate::hint;
use crate::output::one_line;

/// The answer, or an ICMP error, came to the container, and its kernel did not deliver it.
pub(super) fn answer(evidence: &Evidence) -> Option<Verdict> {
    if evidence.route.is_local {
        return None;
    }
    let watched: Vec<&WatchedProbe> = [&evidence.again, &evidence.small].into_iter().flatten().collect();
    // It was delivered, although the errors before were not sent: routers limit their rate (icmp_ratelimit).
    if let Some(verdict) =
        watched.iter().find_map(|one| super::hop::icmp_error(evidence, one.error.as_ref()?))
    {
        return Some(verdict);
    }
    let lost = || watched.iter().filter(|watched| !watched.is_answered);
    let is_answer = |seen: &&TappedPacket| seen.passage == Passage::AnswerIn;
    if let Some((seen, watched)) =
        lost().find_map(|watched| Some((watched.seen.iter().find(is_answer)?, watched)))
    {
        return Some(dropped(evidence, seen, watched));
    }
    lost().flat_map(|watched| &watched.seen).find_map(|seen| match &seen.passage {
        Passage::ErrorIn(error) => {
            let verdict = super::hop::icmp_error(evidence, error)?;
            let text = format!(
                "{} (this error came in on {}, and was dropped in here)",
                verdict.sentence(),
                one_line(&seen.link)
            );
            Some(Verdict { text: Some(text), ..verdict })
        }
        _ => None,
    })
}

fn dropped(evidence: &Evidence, seen: &TappedPacket, watched: &WatchedProbe) -> Verdict {
    let link = one_line(&seen.link);
    let is_elsewhere = Some(seen.index) != evidence.route.index;
    let by = match is_elsewhere {
        true => format!("the answer came in on {link}, not on {}", evidence.link_word()),
        false => format!("the answer came in on {link}"),
    };
    let verdict = |why: &str| Verdict::of(Cause::AnswerDroppedHere, format!("no answer: {by}, and {why}"));
    let rules = evidence.trace();
    if !seen.reached_ip {
        return verdict("tc or an ingress rule of the interface in here dropped it").advising(rules);
    }
    // Up to Linux 6.12 the lookup fails with EXDEV, since then with EINVAL, as for every other reason to refuse.
    let is_rp_filtered = match (seen.input_route, watched.rp_filtered) {
        (Some(_), Some(count)) => count > 0,
        (Some(errno), None) => errno == Errno::EXDEV,
        (None, _) => false,
    };
    if is_rp_filtered {
        let loose = hint!("sysctl -w net.ipv4.conf.{}.rp_filter=2", seen.link);
        return verdict("reverse path filtering (rp_filter) in here dropped it")
            .fixed_by(evidence.inside(loose))
            .advising(evidence.inside(hint!("ip route get {}", evidence.to)));
    }
    if is_elsewhere && evidence.is_bound_to_link {
        return verdict("-I takes answers from that interface only").advising(evidence.capture());
    }
    match evidence.ipsec_in() {
        IpsecFate::Dropped(drop) => {
            return verdict(&format!("was dropped in here: {}", drop.sentence()))
                .fixed_by(evidence.inside(drop.undone_by()))
                .advising(evidence.inside(ipsec::shown_by(&drop)));
        }
        IpsecFate::Changed | IpsecFate::Unknown => {
            return verdict("was dropped in here: an IPsec policy, or a firewall rule?")
                .advising(evidence.inside(hint!("ip xfrm policy")));
        }
        IpsecFate::Plain => {}
    }
    let Some(hooks) = &evidence.hooks else {
        return verdict("was dropped in here: a firewall rule?").advising(rules);
    };
    // That a rule did it would only be proven by a trace of the packet: what could have done it is named.
    let could = match (hooks.contains(&FilterHook::Prerouting), hooks.contains(&FilterHook::Input)) {
        (false, true) => "the input hook has",
        (true, false) => "the prerouting hook has",
        (true, true) => "the prerouting and input hooks have",
        (false, false) => {
            let why = "was dropped in here, though no hook of the firewall has rules for it";
            return verdict(why).advising(evidence.capture());
        }
    };
    verdict(&format!("was dropped in here; {could} rules that could do so")).advising(rules)
}

/// The kernel took the packet, the neighbour is there, and no link gave the packet away.
pub(super) fn egress(evidence: &Evidence) -> Option<Verdict> {
    let (again, link) = (evidence.again.as_ref()?, evidence.link_word());
    let NeighbourAnswer::Answered(macs) = &evidence.asked else { return None };
    // What IPsec makes of a packet cannot be told from other packets.
    if evidence.ipsec_out() != IpsecFate::Plain {
        return None;
    }
    let has_left = again.seen.iter().any(|seen| seen.passage == Passage::RequestOut);
    if !again.has_taps || has_left || again.is_answered || evidence.route.is_local {
        return None;
    }
    let (hop, arp) = (evidence.next_hop(), evidence.arp());
    if evidence.neighbours.is_some() && evidence.neighbour().is_none() {
        return Some(unasked(evidence));
    }
    if evidence.neighbour().is_some_and(|known| known.state & NUD_UNRESOLVED != 0) {
        let macs: Vec<String> = macs.iter().map(ToString::to_string).collect();
        let text = format!(
            "no answer: {hop} ({}) answers {arp} on {link}, but the kernel in here does not accept that answer: a firewall rule?",
            macs.join(", ")
        );
        let rules = evidence.trace();
        return Some(Verdict::of(Cause::AnswerDroppedHere, text).advising(rules));
    }
    let text = format!("no answer: nothing left {link}: tc or an egress rule of it in here drops the packet");
    Some(Verdict::of(Cause::NotSentEgress, text).advising(sending::egress_rules(evidence)))
}

/// Nothing left, and the kernel has not asked for the neighbour either: it was dropped before that. Without a VRF whoever sends is told
/// of what the output hook drops.
fn unasked(evidence: &Evidence) -> Verdict {
    let (link, hop) = (evidence.link_word(), evidence.next_hop());
    let nothing =
        format!("no answer: nothing left {link}, and the kernel in here has not asked for {hop} either");
    let could = |hook: &FilterHook| evidence.hooks.as_ref().is_some_and(|hooks| hooks.contains(hook));
    let rules = evidence.inside(hint!("nft list ruleset"));
    let hooks = match (could(&FilterHook::Output), could(&FilterHook::Postrouting)) {
        (true, false) => "the output hook has",
        (false, true) => "the postrouting hook has",
        (true, true) => "the output and postrouting hooks have",
        (false, false) => return Verdict::of(Cause::NotSent, nothing).advising(evidence.capture()),
    };
    let text = format!("{nothing}: {hooks} rules that could have dropped it");
    Verdict::of(Cause::NotSentOutput, text).advising(rules)
}

/// An address of the container itself.
pub(super) fn local(evidence: &Evidence) -> Option<Verdict> {
    if !evidence.route.is_local {
        return None;
    }
    let (name, to) = (&evidence.name, evidence.to);
    if evidence.ignores_echo == Some(true) {
        let key = match to.is_ipv4() {
            true => "net.ipv4.icmp_echo_ignore_all",
            false => "net.ipv6.icmp.echo_ignore_all",
        };
        let text = format!("no answer: {to} is an address of {name} itself, which ignores pings ({key}=1)");
        let off = hint!("sysctl -w {}=0", key);
        return Some(
            Verdict::of(Cause::EchoIgnoredHere, text).fixed_by(words::inside(&evidence.target, off)),
        );
    }
    let came_back = evidence.again.as_ref().is_some_and(|again| {
        !again.is_answered && again.seen.iter().any(|seen| seen.passage == Passage::AnswerIn)
    });
    let (cause, what) = match came_back {
        true => (Cause::AnswerDroppedHere, "the answer was dropped in here"),
        false => (Cause::RequestDroppedHere, "a firewall inside?"),
    };
    let text = format!("no answer, although it is an address inside: {what}");
    Some(Verdict::of(cause, text).advising(evidence.trace()))
}
