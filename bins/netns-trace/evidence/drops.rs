//! Every packet that the kernel drops, in all namespaces: by a program of our own at its tracepoint, or by perf, which sees neither
//! packets nor namespaces.

use std::collections::HashMap;
use std::hash::Hash;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::bpf::{BpfDrops, RawKind};
use super::error::{NO_REASON, NotArmed};
use super::functions;
use super::perf::{PerfDrops, PerfKind};
use crate::model::{DropHook, DropKind, EvidenceLevel, HopHook, SeenDrops};

/// Between the tracepoint and the hook.
const HOOK_FUNCTIONS: [&str; 3] = ["nf_hook_slow", "nf_hook_slow_list", "nft_do_chain"];
/// Who asks the hooks of IP: net/ipv4, net/ipv6, net/bridge.
const CALLERS: [(&str, DropHook); 37] = {
    use DropHook::{Bridge, BridgedIp, Ip};
    use HopHook::{Egress, Forward, Ingress, Input, Output, Postrouting, Prerouting};
    [
        ("ip_rcv", Ip(Prerouting)),
        ("ip_list_rcv", Ip(Prerouting)),
        ("ip_sublist_rcv", Ip(Prerouting)),
        ("ipv6_rcv", Ip(Prerouting)),
        ("ipv6_list_rcv", Ip(Prerouting)),
        ("ip6_sublist_rcv", Ip(Prerouting)),
        ("ip_local_deliver", Ip(Input)),
        ("ip6_input", Ip(Input)),
        ("ip6_mc_input", Ip(Input)),
        ("ip_forward", Ip(Forward)),
        ("ip6_forward", Ip(Forward)),
        ("__ip_local_out", Ip(Output)),
        ("ip_local_out", Ip(Output)),
        ("__ip6_local_out", Ip(Output)),
        ("ip6_local_out", Ip(Output)),
        ("ip6_xmit", Ip(Output)),
        ("raw_sendmsg", Ip(Output)),
        ("rawv6_sendmsg", Ip(Output)),
        ("ndisc_send_skb", Ip(Output)),
        ("mld_sendpack", Ip(Output)),
        ("ip_output", Ip(Postrouting)),
        ("ip_mc_output", Ip(Postrouting)),
        ("ip6_output", Ip(Postrouting)),
        ("br_nf_pre_routing", BridgedIp(Prerouting)),
        ("br_nf_pre_routing_ipv6", BridgedIp(Prerouting)),
        ("br_nf_local_in", BridgedIp(Input)),
        ("br_nf_forward", BridgedIp(Forward)),
        ("br_nf_forward_ip", BridgedIp(Forward)),
        ("br_nf_post_routing", BridgedIp(Postrouting)),
        ("br_handle_frame", Bridge(Prerouting)),
        ("br_pass_frame_up", Bridge(Input)),
        ("__br_forward", Bridge(Forward)),
        ("br_forward_finish", Bridge(Postrouting)),
        ("br_dev_queue_push_xmit", Bridge(Postrouting)),
        ("__br_deliver", Bridge(Output)),
        ("__netif_receive_skb_core", Ip(Ingress)),
        ("__dev_queue_xmit", Ip(Egress)),
    ]
};

/// Of so many packets each it is asked whether these are enough.
const ASKED_EACH: usize = 1024;

/// Functions by their addresses; without a name where the kernel does not tell it.
type FunctionNames = HashMap<u64, Option<String>>;

/// What watches, until it is dropped.
#[derive(Debug)]
pub struct DropWatch {
    source: DropSource,
    names: FunctionNames,
    /// The level that is used.
    pub used: EvidenceLevel,
    /// What cannot be seen, a sentence each.
    pub not_seen: Vec<String>,
}

#[derive(Debug)]
enum DropSource {
    Bpf(Box<BpfDrops>),
    Perf(Box<PerfDrops>),
}

impl DropWatch {
    /// Begins, by the best there is or by that level alone.
    ///
    /// # Errors
    /// When there is none.
    pub fn arm(only: Option<EvidenceLevel>) -> Result<Self, NotArmed> {
        let mut not_seen = Vec::new();
        if only != Some(EvidenceLevel::Perf) {
            match BpfDrops::arm() {
                Ok(bpf) => {
                    not_seen.extend((!bpf.has_reason).then(|| NO_REASON.to_owned()));
                    let source = DropSource::Bpf(Box::new(bpf));
                    return Ok(DropWatch {
                        source,
                        names: HashMap::new(),
                        used: EvidenceLevel::Bpf,
                        not_seen,
                    });
                }
                Err(error) if only.is_some() => return Err(error),
                Err(error) => not_seen.push(format!("BPF could not be used ({error})")),
            }
        }
        let perf = PerfDrops::arm()?;
        not_seen.extend((!perf.has_reason()).then(|| NO_REASON.to_owned()));
        let source = DropSource::Perf(Box::new(perf));
        not_seen.push(
            "by perf neither packets nor namespaces are seen: only why and in which function".to_owned(),
        );
        Ok(DropWatch { source, names: HashMap::new(), used: EvidenceLevel::Perf, not_seen })
    }

    /// What was dropped since, the same packets together, those that began first in front. Of a flood only so much as it takes until
    /// `is_enough`, which is asked now and then: the others can be read later.
    pub fn read(&mut self, mut is_enough: impl FnMut() -> bool) -> Vec<SeenDrops> {
        let mut count = 0_usize;
        let mut goes_on = move || {
            count += 1;
            !count.is_multiple_of(ASKED_EACH) || !is_enough()
        };
        let DropWatch { source, names, .. } = self;
        match source {
            DropSource::Bpf(bpf) => {
                let mut all = HashMap::new();
                bpf.drain_while(|at, kind| {
                    add(&mut all, at, kind);
                    goes_on()
                });
                name(names, all.keys().map(|kind: &RawKind| kind.function));
                // To look up who called whom takes a while: only where it says something.
                let is_asked = |kind: &&RawKind| {
                    let function = names.get(&kind.function).and_then(Option::as_deref);
                    is_of_netfilter(function, &bpf.reason(kind.reason))
                };
                let called: Vec<u64> = all.keys().filter(is_asked).flat_map(|kind| kind.callers).collect();
                name(names, called.into_iter());
                in_order(all, |kind| of_bpf(kind, bpf, names))
            }
            DropSource::Perf(perf) => {
                let mut all = HashMap::new();
                perf.drain_while(|at, kind| {
                    add(&mut all, at, kind);
                    goes_on()
                });
                name(names, all.keys().map(|kind: &PerfKind| kind.function));
                in_order(all, |kind| of_perf(kind, perf, names))
            }
        }
    }

    /// Watches no longer. What was dropped until now can still be read.
    pub fn stop(&mut self) {
        match &mut self.source {
            DropSource::Bpf(bpf) => bpf.stop(),
            DropSource::Perf(perf) => perf.stop(),
        }
    }

    /// How many drops there was no room for, and how many nobody has read.
    pub fn lost(&mut self) -> u64 {
        match &mut self.source {
            DropSource::Bpf(bpf) => bpf.lost(),
            DropSource::Perf(perf) => perf.lost(),
        }
    }

    /// What to wait for.
    pub fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        match &self.source {
            DropSource::Bpf(bpf) => vec![bpf.as_fd()],
            DropSource::Perf(perf) => perf.sockets().collect(),
        }
    }
}

/// One more of that kind.
fn add<K: Eq + Hash>(all: &mut HashMap<K, (Duration, u64)>, at: Duration, kind: K) {
    all.entry(kind).or_insert((at, 0)).1 += 1;
}

/// In words, those that began first in front.
fn in_order<K>(all: HashMap<K, (Duration, u64)>, in_words: impl Fn(K) -> DropKind) -> Vec<SeenDrops> {
    let seen = all.into_iter().map(|(kind, (at, packets))| SeenDrops { at, packets, kind: in_words(kind) });
    let mut seen: Vec<SeenDrops> = seen.collect();
    seen.sort_by_key(|drops| drops.at);
    seen
}

fn of_bpf(raw: RawKind, bpf: &BpfDrops, names: &FunctionNames) -> DropKind {
    let RawKind { netns, index, out, reason, function, callers, packet } = raw;
    let reason = bpf.reason(reason);
    let function = names.get(&function).cloned().flatten();
    let called = callers.iter().map(|at| names.get(at).and_then(Option::as_deref));
    let hook = hook(function.as_deref(), &reason, called);
    DropKind { netns, index, out, reason, function, hook, packet }
}

fn of_perf(kind: PerfKind, perf: &PerfDrops, names: &FunctionNames) -> DropKind {
    DropKind {
        netns: None,
        index: None,
        out: None,
        reason: perf.reason(kind.reason),
        function: names.get(&kind.function).cloned().flatten(),
        hook: None,
        packet: None,
    }
}

/// Looks up the functions that are not known yet.
fn name(names: &mut FunctionNames, addresses: impl Iterator<Item = u64>) {
    let mut unknown: Vec<u64> =
        addresses.filter(|address| *address != 0 && !names.contains_key(address)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() {
        return;
    }
    let found = functions::names(&unknown);
    names.extend(unknown.into_iter().zip(found.into_iter().map(|name| name.map(plain))));
}

/// What the compiler adds to a name when it splits a function: `.isra.0`, `.part.0`, `.cold`.
fn plain(mut name: String) -> String {
    let end = name.find('.').filter(|at| *at > 0).unwrap_or(name.len());
    name.truncate(end);
    name
}

fn is_of_netfilter(function: Option<&str>, reason: &str) -> bool {
    reason == "NETFILTER_DROP" || function.is_some_and(|function| HOOK_FUNCTIONS.contains(&function))
}

/// The hook, of a drop that is netfilter's: who called it, the innermost first.
fn hook<'a>(
    function: Option<&str>,
    reason: &str,
    callers: impl Iterator<Item = Option<&'a str>>,
) -> Option<DropHook> {
    if !is_of_netfilter(function, reason) {
        return None;
    }
    let mut callers = callers.flatten();
    callers.find_map(|caller| CALLERS.iter().find(|(name, _)| *name == caller).map(|(_, hook)| *hook))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_known_by_who_called_it() {
        let callers = |names: &'static [&'static str]| names.iter().map(|name| Some(*name));
        let forward = ["kfree_skb_reason", "nf_hook_slow", "ip_forward", "ip_rcv"];
        let found =
            |names: &'static [&'static str]| hook(Some("nf_hook_slow"), "NETFILTER_DROP", callers(names));
        assert_eq!(found(&["nf_hook_slow", "ip_forward", "ip_rcv"]), Some(DropHook::Ip(HopHook::Forward)));
        assert_eq!(
            found(&["nf_hook_slow", "br_nf_forward_ip", "nf_hook_slow", "__br_forward"]),
            Some(DropHook::BridgedIp(HopHook::Forward))
        );
        assert_eq!(found(&["nf_hook_slow", "something"]), None);
        let routed = hook(Some("ip_forward"), "IP_INADDRERRORS", forward.into_iter().map(Some));
        assert_eq!(routed, None, "it was no hook");
        assert_eq!(plain("br_nf_forward_ip.part.0".to_owned()), "br_nf_forward_ip");
    }
}
