//! Why nothing was sent: the kernel's refusal, the link, the address.

use nix::errno::Errno;

use super::evidence::{FilterHook, ProbeKind};
use super::{Cause, Evidence, Verdict, ipsec, words};
use crate::firewall::IpsecFate;
use crate::hint;
use crate::netlink::OperState;
use crate::target::Name;

/// Our own kernel refused to send.
pub(super) fn refused(evidence: &Evidence) -> Option<Verdict> {
    let (errno, mtu_bytes) = evidence.not_sent?;
    // EAGAIN and ESRCH are of a state that is missing (xfrm_state_find in net/xfrm/xfrm_state.c).
    if let (Errno::EPERM | Errno::EAGAIN | Errno::ESRCH, IpsecFate::Dropped(drop)) =
        (errno, evidence.ipsec_out())
    {
        return Some(ipsec::not_sent(evidence, &drop, &format!("nothing was sent: {}", errno.desc())));
    }
    Some(match errno {
        Errno::EPERM => not_permitted(evidence),
        Errno::EMSGSIZE => too_large(evidence, mtu_bytes),
        Errno::ENOBUFS => {
            let text = format!(
                "nothing was sent: {}: tc or an egress rule of {} in here drops it, or its queue is full",
                errno.desc(),
                evidence.link_word()
            );
            Verdict::of(Cause::NotSentEgress, text).advising(egress_rules(evidence))
        }
        _ => gone(evidence, errno),
    })
}

/// What a link drops on the way out.
pub(super) fn egress_rules(evidence: &Evidence) -> Option<hint::Hint> {
    let is_nft = evidence.hooks.as_ref().is_some_and(|hooks| hooks.contains(&FilterHook::Egress));
    let link = evidence.pasted_link();
    match link {
        Some(link) if !is_nft => evidence.inside(hint!("tc -s qdisc show dev {}", link)),
        _ => evidence.trace(),
    }
}

/// EPERM: netfilter's output and postrouting hooks say so, and so do programs of bpf(2) and IPsec policies.
fn not_permitted(evidence: &Evidence) -> Verdict {
    let why = Errno::EPERM.desc();
    if let Some(table) = evidence.conntrack.filter(|table| table.max > 0 && table.count >= table.max) {
        let text = format!(
            "nothing was sent: {why}: the connection tracking table is full ({} of {})",
            table.count, table.max
        );
        let more = table.max.saturating_mul(2);
        return Verdict::of(Cause::ConntrackFull, text)
            .fixed_by(hint!("sysctl -w net.netfilter.nf_conntrack_max={}", more));
    }
    let rules = evidence.trace();
    let Some(hooks) = &evidence.hooks else {
        let text = format!("nothing was sent: {why}: a firewall's OUTPUT rule inside?");
        return Verdict::of(Cause::NotSent, text).advising(rules);
    };
    let hook = match (hooks.contains(&FilterHook::Output), hooks.contains(&FilterHook::Postrouting)) {
        // xfrm_lookup says EPERM too, of a policy that blocks.
        _ if evidence.ipsec_out() == IpsecFate::Unknown => {
            let text =
                format!("nothing was sent: {why}: an IPsec policy, or a firewall's output rule inside?");
            let policies = evidence.inside(hint!("ip xfrm policy"));
            return Verdict::of(Cause::NotSent, text).advising(policies);
        }
        (true, false) => "the output hook",
        (false, true) => "the postrouting hook",
        (true, true) => "the output or postrouting hook",
        (false, false) => {
            let text = format!("nothing was sent: {why}, and the container has no firewall rule for it");
            return Verdict::of(Cause::NotSent, text).advising(rules);
        }
    };
    let text = format!("nothing was sent: {why}: a rule of {hook} in here dropped it");
    Verdict::of(Cause::NotSentOutput, text).advising(rules)
}

fn too_large(evidence: &Evidence, mtu_bytes: Option<u32>) -> Verdict {
    let size = match evidence.probe {
        ProbeKind::Echo { packet_bytes } => format!("the packet of {packet_bytes} bytes"),
        ProbeKind::Port(_) => "the packet".to_owned(),
    };
    let (link, link_mtu) = (evidence.link_word(), evidence.link().map(|link| link.mtu_bytes));
    let limit = match mtu_bytes {
        Some(mtu) if link_mtu.is_some_and(|link_mtu| mtu < link_mtu) => {
            format!("is larger than the path MTU that the kernel has learned, {mtu}")
        }
        Some(mtu) => format!("is larger than the MTU of {link}, {mtu}"),
        None => "is too large".to_owned(),
    };
    let text = format!("nothing was sent: {}: {size} {limit}", Errno::EMSGSIZE.desc());
    let lookup = hint!("{} route get {}", evidence.ip(), evidence.to);
    Verdict::of(Cause::Mtu, text).advising(evidence.inside(lookup))
}

/// The route, the link or the address is gone.
fn gone(evidence: &Evidence, errno: Errno) -> Verdict {
    if let Some(verdict) = link(evidence).or_else(|| address(evidence)) {
        return verdict;
    }
    let is_routing = matches!(errno, Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EINVAL);
    let (cause, what) = match evidence.route_error {
        Some(Errno::ENETUNREACH) if is_routing => (Cause::NoRoute, ": its route is gone"),
        _ => (Cause::NotSent, ""),
    };
    let text = format!("nothing was sent: {}{what}", errno.desc());
    Verdict::of(cause, text).advising(evidence.inside(hint!("{} route", evidence.ip())))
}

/// The link that leads there cannot carry anything.
pub(super) fn link(evidence: &Evidence) -> Option<Verdict> {
    let name = evidence.link_word();
    let links = evidence.links.as_ref()?;
    let Some(link) = evidence.link() else {
        evidence.route.index?;
        let text = format!("no answer: {name} no longer exists in {}", evidence.name);
        return Some(Verdict::of(Cause::LinkGone, text).advising(evidence.inside(hint!("ip link"))));
    };
    let pasted = evidence.pasted_link();
    let show = evidence.inside(match &pasted {
        Some(link) => hint!("ip link show {}", link),
        None => hint!("ip link"),
    });
    if !link.is_set_up() {
        let (text, link) = words::link_down(links, link, "");
        let pasted: Option<Name> = link.name.to_string_lossy().parse().ok();
        let fix = pasted.and_then(|link| evidence.inside(hint!("ip link set {} up", link)));
        let verdict = Verdict::of(Cause::LinkDown, format!("no answer: {text}"));
        return Some(verdict.fixed_by(fix).advising(show));
    }
    // The state comes up to a second later than the flag (net/core/link_watch.c).
    if !link.has_carrier() {
        let verdict = Verdict::of(Cause::NoCarrier, no_carrier(evidence, link.is_veth()));
        let fix = evidence.peer.as_ref().and_then(|(target, peer)| match target {
            None => hint!("ip link set {} up", peer),
            Some(target) => hint!("nsenter-rs -t {} -n ip link set {} up", target, peer),
        });
        return Some(verdict.fixed_by(fix).advising(show));
    }
    let is_not_ready = matches!(link.operstate, OperState::Dormant | OperState::Testing);
    let verdict = || Verdict::of(Cause::NoCarrier, format!("no answer: {name} is not ready"));
    is_not_ready.then(|| verdict().advising(show))
}

fn no_carrier(evidence: &Evidence, is_veth: bool) -> String {
    let name = evidence.link_word();
    let end = if is_veth { ": its other end is down" } else { "" };
    format!("no answer: {name} has no carrier{end}")
}

/// The container no longer has the address that packets come from.
pub(super) fn address(evidence: &Evidence) -> Option<Verdict> {
    let (source, addresses) = (evidence.route.source?, evidence.addresses.as_ref()?);
    let is_there = addresses.iter().any(|own| own.address == source);
    let text = format!("no answer: {} no longer has its address {source}", evidence.name);
    let verdict = || Verdict::of(Cause::AddressGone, text);
    (!is_there).then(|| verdict().advising(evidence.inside(hint!("ip address"))))
}
