//! Every packet that the kernel drops, in all namespaces: by a program of our own at its tracepoint, or by perf, which sees neither
//! packets nor namespaces.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};

use super::bpf::BpfDrops;
use super::error::NotArmed;
use super::functions;
use super::perf::PerfDrops;
use crate::model::{DropHook, DropKind, EvidenceLevel, HopHook, SeenDrop};

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

/// What watches, until it is dropped.
#[derive(Debug)]
pub struct DropWatch {
    source: DropSource,
    names: HashMap<u64, Option<String>>,
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
        let source = DropSource::Perf(Box::new(PerfDrops::arm()?));
        not_seen.push(
            "by perf neither packets nor namespaces are seen: only why and in which function".to_owned(),
        );
        Ok(DropWatch { source, names: HashMap::new(), used: EvidenceLevel::Perf, not_seen })
    }

    /// Hands over what was dropped since.
    pub fn drain(&mut self, mut each: impl FnMut(SeenDrop)) {
        let DropWatch { source, names, .. } = self;
        match source {
            DropSource::Bpf(bpf) => {
                let mut raw = Vec::new();
                bpf.drain(|drop| raw.push(drop));
                let addresses =
                    raw.iter().flat_map(|drop| drop.callers.iter().copied().chain([drop.function]));
                name(names, addresses);
                for drop in raw {
                    let function = names.get(&drop.function).cloned().flatten();
                    let called = drop.callers.iter().map(|at| names.get(at).and_then(Option::as_deref));
                    let hook = hook(function.as_deref(), &drop.reason, called);
                    let kind = DropKind {
                        netns: drop.netns,
                        index: drop.index,
                        out: drop.out,
                        reason: drop.reason,
                        function,
                        hook,
                        packet: drop.packet,
                    };
                    each(SeenDrop { at: drop.at, kind });
                }
            }
            DropSource::Perf(perf) => {
                let mut seen = Vec::new();
                perf.drain(|at, reason, function| seen.push((at, reason, function)));
                name(names, seen.iter().map(|(_, _, function)| *function));
                for (at, reason, function) in seen {
                    let function = names.get(&function).cloned().flatten();
                    let kind = DropKind {
                        netns: None,
                        index: None,
                        out: None,
                        reason,
                        function,
                        hook: None,
                        packet: None,
                    };
                    each(SeenDrop { at, kind });
                }
            }
        }
    }

    /// How many drops there was no room for so far.
    pub fn lost(&self) -> u64 {
        match &self.source {
            DropSource::Bpf(bpf) => bpf.lost(),
            DropSource::Perf(perf) => perf.lost,
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

/// Looks up the functions that are not known yet.
fn name(names: &mut HashMap<u64, Option<String>>, addresses: impl Iterator<Item = u64>) {
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

/// The hook, of a drop that is netfilter's: who called it, the innermost first.
fn hook<'a>(
    function: Option<&str>,
    reason: &str,
    callers: impl Iterator<Item = Option<&'a str>>,
) -> Option<DropHook> {
    let is_netfilter =
        reason == "NETFILTER_DROP" || function.is_some_and(|function| HOOK_FUNCTIONS.contains(&function));
    if !is_netfilter {
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
