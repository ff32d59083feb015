//! What the container's kernel has set and counted: which hooks of netfilter are in use, connection tracking, rp_filter.

use std::fs;

use common::diagnose::{Conntrack, Evidence, FilterHook};
use common::failure::Failure;
use common::netlink::{Chain, IpsecTables, Netfilter, TableFamily};

use crate::network::netns::TargetNetns;

/// linux/netfilter.h, NF_INET_*, in this order.
const INET_HOOKS: [FilterHook; 6] = [
    FilterHook::Prerouting,
    FilterHook::Input,
    FilterHook::Forward,
    FilterHook::Output,
    FilterHook::Postrouting,
    FilterHook::Ingress,
];
/// linux/netfilter.h, NFPROTO_*.
const NETDEV: u8 = 5;
const BRIDGE: u8 = 7;
/// Which hooks the tables of the old iptables have: iptables(8).
const LEGACY: [(&str, &[FilterHook]); 4] = [
    ("filter", &[FilterHook::Input, FilterHook::Forward, FilterHook::Output]),
    (
        "mangle",
        &[
            FilterHook::Prerouting,
            FilterHook::Input,
            FilterHook::Forward,
            FilterHook::Output,
            FilterHook::Postrouting,
        ],
    ),
    ("nat", &[FilterHook::Prerouting, FilterHook::Input, FilterHook::Output, FilterHook::Postrouting]),
    ("raw", &[FilterHook::Prerouting, FilterHook::Output]),
];

/// Reads it all in the container's network: `/proc/net` and `/proc/sys/net` show that of the thread that opens a file.
pub(super) fn read(inside: &TargetNetns, is_ipv4: bool, evidence: &mut Evidence) {
    let read = || {
        let number = |file: &str| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
        let in_conntrack = |file: &str| number(&format!("/proc/sys/net/netfilter/{file}"));
        let conntrack = in_conntrack("nf_conntrack_count").zip(in_conntrack("nf_conntrack_max"));
        let ignores = match is_ipv4 {
            true => "/proc/sys/net/ipv4/icmp_echo_ignore_all",
            false => "/proc/sys/net/ipv6/icmp/echo_ignore_all",
        };
        Ok::<_, Failure>((hooks(is_ipv4), IpsecTables::read().ok(), conntrack, number(ignores)))
    };
    if let Ok((hooks, ipsec, conntrack, ignores)) = inside.open(read) {
        (evidence.hooks, evidence.ipsec) = (hooks, ipsec);
        evidence.conntrack = conntrack.map(|(count, max)| Conntrack { count, max });
        evidence.ignores_echo = ignores.map(|number| number != 0);
    }
}

/// Which hooks of the network that this thread is in have rules, or a policy that drops; `None` where they cannot be read.
pub(super) fn hooks(is_ipv4: bool) -> Option<Vec<FilterHook>> {
    let chains = match Netfilter::open().ok()? {
        Some(mut netfilter) => netfilter.chains().ok()?.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut hooks: Vec<FilterHook> = chains.iter().filter_map(|chain| hook_in_use(chain, is_ipv4)).collect();
    let file = if is_ipv4 { "/proc/net/ip_tables_names" } else { "/proc/net/ip6_tables_names" };
    let legacy = fs::read_to_string(file).unwrap_or_default();
    for (table, of_table) in LEGACY {
        if legacy.lines().any(|line| line == table) {
            hooks.extend(of_table);
        }
    }
    hooks.sort_unstable();
    hooks.dedup();
    Some(hooks)
}

fn hook_in_use(chain: &Chain, is_ipv4: bool) -> Option<FilterHook> {
    let hook = chain.hook.filter(|_| chain.uses > 0 || chain.drops)?;
    match chain.family {
        TableFamily::Ip if !is_ipv4 => None,
        TableFamily::Ip6 if is_ipv4 => None,
        TableFamily::Inet | TableFamily::Ip | TableFamily::Ip6 | TableFamily::Other(BRIDGE) => {
            INET_HOOKS.get(hook as usize).copied()
        }
        TableFamily::Other(NETDEV) => Some(if hook == 0 { FilterHook::Ingress } else { FilterHook::Egress }),
        TableFamily::Other(_) => None,
    }
}

/// How many packets reverse path filtering has dropped in the container: netstat's TcpExt, IPReversePathFilter.
pub(super) fn rp_filtered(inside: &TargetNetns) -> Option<u64> {
    let read = || Ok::<_, Failure>(fs::read_to_string("/proc/net/netstat").ok());
    counter(&inside.open(read).ok()??, "TcpExt:", "IPReversePathFilter")
}

/// A counter of `/proc/net/netstat` and its brothers: of two lines with the same beginning the first has names.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|word| word == name)?;
    values.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_stands_under_its_name() {
        let text = "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 3 7\nIpExt: InNoRoutes\nIpExt: 1\n";
        assert_eq!(counter(text, "TcpExt:", "IPReversePathFilter"), Some(7));
        assert_eq!(counter(text, "IpExt:", "InNoRoutes"), Some(1));
        assert_eq!(counter(text, "TcpExt:", "InNoRoutes"), None);
    }

    #[test]
    fn only_a_chain_that_can_drop_counts() {
        let chain = |family, hook, uses, drops| Chain {
            family,
            table: String::new(),
            name: String::new(),
            is_forward_hook: false,
            hook,
            kind: None,
            priority: 0,
            drops,
            uses,
        };
        let used = |chain: Chain| hook_in_use(&chain, true);
        assert_eq!(used(chain(TableFamily::Ip, Some(1), 1, false)), Some(FilterHook::Input));
        assert_eq!(used(chain(TableFamily::Inet, Some(3), 0, true)), Some(FilterHook::Output));
        assert_eq!(used(chain(TableFamily::Inet, Some(3), 0, false)), None);
        assert_eq!(used(chain(TableFamily::Ip6, Some(1), 1, false)), None);
        assert_eq!(used(chain(TableFamily::Ip, None, 1, false)), None);
        assert_eq!(used(chain(TableFamily::Other(NETDEV), Some(1), 1, false)), Some(FilterHook::Egress));
    }
}
