//! The points of the kernel at which packet filters are asked, and which chains are called there, in which order.

use super::packet::FilterPacket;
use crate::firewall::{FilterChain, FilterProgram};

/// A hook, as iptables and nft call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainHook {
    /// What comes in, before it is routed.
    Prerouting,
    /// What is for the namespace itself.
    Input,
    /// What passes through.
    Forward,
    /// What the namespace sends itself.
    Output,
    /// What leaves, after it was routed.
    Postrouting,
}

/// Which tables are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookFamily<'a> {
    /// Those of IP: `ip`, `ip6`, `inet`, and iptables.
    Ip,
    /// Those of IP that br_netfilter has asked for what is bridged: not `inet`.
    BridgedIp,
    /// Those of the family `bridge`.
    Bridge,
    /// Those of the family `netdev` for what comes in by that interface.
    Ingress(&'a str),
    /// The same for what leaves by it.
    Egress(&'a str),
    /// Those of the family `arp`.
    Arp,
}

impl ChainHook {
    pub(super) fn chain(self) -> &'static str {
        match self {
            ChainHook::Prerouting => "PREROUTING",
            ChainHook::Input => "INPUT",
            ChainHook::Forward => "FORWARD",
            ChainHook::Output => "OUTPUT",
            ChainHook::Postrouting => "POSTROUTING",
        }
    }

    pub(super) fn hook(self) -> &'static str {
        match self {
            ChainHook::Prerouting => "prerouting",
            ChainHook::Input => "input",
            ChainHook::Forward => "forward",
            ChainHook::Output => "output",
            ChainHook::Postrouting => "postrouting",
        }
    }
}

/// Whether the hook calls that chain for such a packet.
pub(super) fn is_at(
    chain: &FilterChain,
    family: HookFamily<'_>,
    point: ChainHook,
    packet: &FilterPacket,
) -> bool {
    let is_six = packet.is_six();
    match chain.program {
        FilterProgram::Iptables { six } | FilterProgram::IptablesLegacy { six } => {
            matches!(family, HookFamily::Ip | HookFamily::BridgedIp)
                && six == is_six
                && chain.name == point.chain()
                && chain.policy.is_some()
        }
        FilterProgram::Nft => {
            let of_family = match (chain.table.split(' ').next(), family) {
                (Some("inet"), HookFamily::Ip) => true,
                (Some("ip"), HookFamily::Ip | HookFamily::BridgedIp) => !is_six,
                (Some("ip6"), HookFamily::Ip | HookFamily::BridgedIp) => is_six,
                (Some("bridge"), HookFamily::Bridge) => true,
                (Some("arp"), HookFamily::Arp) => true,
                (Some("netdev"), HookFamily::Ingress(link)) => return is_of_link(chain, "ingress", link),
                (Some("inet"), HookFamily::Ingress(link)) => return is_of_link(chain, "ingress", link),
                (Some("netdev"), HookFamily::Egress(link)) => return is_of_link(chain, "egress", link),
                _ => false,
            };
            of_family && hook_words(chain).next() == Some(point.hook())
        }
    }
}

fn hook_words(chain: &FilterChain) -> impl Iterator<Item = &str> {
    let hook = chain.hook.as_deref().and_then(|hook| hook.strip_prefix("hook ")).unwrap_or_default();
    hook.split(' ')
}

/// `hook ingress device "va" priority 0`, or `devices = { "va", "vb" }`.
fn is_of_link(chain: &FilterChain, hook: &str, link: &str) -> bool {
    let mut words = hook_words(chain);
    words.next() == Some(hook) && words.any(|word| word.trim_matches([',', '"']) == link)
}

/// Where in the order of its hook a chain is called: linux/netfilter_ipv4.h.
pub(super) fn priority(chain: &FilterChain) -> i32 {
    match chain.program {
        FilterProgram::Nft => {
            let mut words = hook_words(chain).skip_while(|word| *word != "priority").skip(1);
            let base = words.next().map_or(0, |word| named_priority(word).unwrap_or(0));
            let sign = match words.next() {
                Some("+") => 1,
                Some("-") => -1,
                _ => return base,
            };
            base + sign * words.next().and_then(|word| word.parse::<i32>().ok()).unwrap_or(0)
        }
        _ => match (chain.table.as_str(), chain.name.as_str()) {
            ("raw", _) => -300,
            ("mangle", _) => -150,
            ("nat", "PREROUTING" | "OUTPUT") => -100,
            ("nat", _) => 100,
            ("security", _) => 50,
            _ => 0,
        },
    }
}

fn named_priority(word: &str) -> Option<i32> {
    Some(match word {
        "raw" => -300,
        "mangle" => -150,
        "dstnat" => -100,
        "filter" => 0,
        "security" => 50,
        "srcnat" => 100,
        number => number.parse().ok()?,
    })
}
