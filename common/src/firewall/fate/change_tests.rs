//! What rules ask of a packet that others change on its way, its TTL and the marks, and what they make of it.

use super::tests::{IPTABLES, chain, fate, packet, whole};
use super::{ChainHook, FilterPacket, HookFamily, NetnsFilters, PacketFate, PacketFlow};
use crate::firewall::FilterProgram;

/// A chain at the forward hook, of the program whose words the rule has.
fn one_rule(rule: &str) -> NetnsFilters {
    let (program, table, name) = match rule.starts_with("-A") {
        true => (IPTABLES, "mangle", "FORWARD"),
        false => (FilterProgram::Nft, "inet x", "forward"),
    };
    whole(vec![chain(program, table, name, Some("accept"), &[rule])])
}

fn with_ttl(ttl: Option<u8>) -> FilterPacket {
    FilterPacket { ttl, ..packet() }
}

#[test]
fn a_rule_about_the_ttl_is_for_a_packet_or_it_is_not() {
    for (rule, expected) in [
        ("-A FORWARD -m ttl --ttl-eq 63 -j DROP", Some(true)),
        ("-A FORWARD -m ttl --ttl-eq 64 -j DROP", Some(false)),
        ("-A FORWARD -m ttl ! --ttl-eq 63 -j DROP", Some(false)),
        ("-A FORWARD -m ttl --ttl-lt 64 -j DROP", Some(true)),
        ("-A FORWARD -m ttl --ttl-lt 63 -j DROP", Some(false)),
        ("-A FORWARD -m ttl --ttl-gt 62 -j DROP", Some(true)),
        ("-A FORWARD -m hl --hl-gt 63 -j DROP", Some(false)),
        ("ip ttl 63 drop", Some(true)),
        ("ip ttl != 63 drop", Some(false)),
        ("ip ttl < 5 drop", Some(false)),
        ("ip ttl 60-70 drop", Some(true)),
        ("ip ttl { 1, 2, 63 } drop", Some(true)),
        ("ip ttl 1-5 accept", Some(false)),
        ("ip6 hoplimit != 255 drop", Some(false)),
    ] {
        let filters = one_rule(rule);
        let fate = |ttl| filters.fate(ChainHook::Forward, &with_ttl(ttl));
        assert_eq!(matches!(fate(Some(63)), PacketFate::Dropped(_)), expected == Some(true), "{rule}");
        assert_eq!(fate(Some(63)) == PacketFate::Passes, expected == Some(false), "{rule}");
        let is_about_ipv4 = !rule.contains("ip6") && !rule.contains("accept");
        assert_eq!(fate(None) == PacketFate::Unknown, is_about_ipv4, "{rule}");
    }
}

#[test]
fn a_rule_that_sets_the_ttl_is_named_and_one_that_only_may_leaves_it_unknown() {
    for (rule, ttl, is_named) in [
        ("-A FORWARD -j TTL --ttl-set 1", Some(1), true),
        ("-A FORWARD -j TTL --ttl-dec 3", Some(60), true),
        ("-A FORWARD -j TTL --ttl-inc 3", Some(66), true),
        ("-A FORWARD -i br1 -j TTL --ttl-set 1", Some(63), false),
        ("-A FORWARD -m set --match-set bad src -j TTL --ttl-set 1", None, false),
        ("-A FORWARD -m set --match-set bad src -j TTL --ttl-set 63", Some(63), false),
        ("ip ttl set 1", Some(1), true),
        ("ip6 hoplimit set 1", Some(63), false),
        ("tcp dport 80 ip ttl set 1 accept", Some(1), true),
        ("tcp dport 81 ip ttl set 1 accept", Some(63), false),
    ] {
        let filters = one_rule(rule);
        let run = filters.run(HookFamily::Ip, ChainHook::Forward, &with_ttl(Some(63)));
        assert_eq!(run.ttl, ttl, "{rule}");
        assert_eq!(run.ttl_by.map(|by| by.rule.unwrap()).as_deref(), is_named.then_some(rule), "{rule}");
    }
}

/// The marks of a packet and of its flow after the rules of a chain, both known to be 0x10 and 0x2 before.
#[test]
fn marks_are_what_rules_make_of_them() {
    for (rule, mark, flow_mark) in [
        ("-A FORWARD -j MARK --set-xmark 0x1/0xffffffff", Some(1), Some(2)),
        ("-A FORWARD -j MARK --set-xmark 0x11/0x0", Some(1), Some(2)),
        ("-A FORWARD -j CONNMARK --set-xmark 0x100/0x100", Some(0x10), Some(0x102)),
        (
            "-A FORWARD -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            Some(0x10),
            Some(0x10),
        ),
        ("-A FORWARD -j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf", Some(0x12), Some(2)),
        ("-A FORWARD -m set --match-set bad src -j CONNMARK --set-xmark 0x1/0xffffffff", Some(0x10), None),
        ("meta mark set 0x00000001", Some(1), Some(2)),
        ("meta mark set meta mark | 0x00002000", Some(0x2010), Some(2)),
        ("meta mark set meta mark & 0x0000000f", Some(0), Some(2)),
        ("meta mark set ct mark", Some(2), Some(2)),
        ("ct mark set meta mark | 0x00001000", Some(0x10), Some(0x1010)),
        ("ct mark set ct mark ^ 0x00000003", Some(0x10), Some(1)),
        ("ct mark set 0x00000007", Some(0x10), Some(7)),
        ("tcp dport 81 ct mark set 0x00000007", Some(0x10), Some(2)),
        ("ct mark set jhash ip saddr mod 2", Some(0x10), None),
    ] {
        let filters = one_rule(rule);
        let marked = FilterPacket { mark: Some(0x10), flow_mark: Some(2), ..packet() };
        let run = filters.run(HookFamily::Ip, ChainHook::Forward, &marked);
        assert_eq!((run.mark, run.flow_mark), (mark, flow_mark), "{rule}");
    }
}

/// As netavark does it, which marks the flows that it leads to a port: src/firewall/nft.rs.
#[test]
fn a_new_flow_has_no_mark_but_what_rules_have_given_it() {
    let accept = "ct mark & 0x00001000 == 0x00001000 accept";
    let drop = "ip saddr 10.1.0.0/16 drop";
    let with = |prerouting: &str| {
        whole(vec![
            chain(FilterProgram::Nft, "inet netavark", "prerouting", Some("accept"), &[prerouting]),
            chain(FilterProgram::Nft, "inet netavark", "forward", Some("accept"), &[accept, drop]),
        ])
    };
    assert_eq!(fate(&with("counter")), "specific");
    assert_eq!(fate(&with("tcp dport 81 ct mark set meta mark | 0x00001000")), "specific");
    assert_eq!(fate(&with("tcp dport 80 ct mark set meta mark | 0x00001000")), "unknown", "of no known mark");
    assert_eq!(fate(&with("tcp dport 80 ct mark set 0x00001000")), "passes");
    assert_eq!(fate(&with("ip saddr @unread ct mark set 0x00001000")), "unknown");
    // What belongs to no flow has no mark, not even one that is not this.
    let untracked = FilterPacket { flow: PacketFlow::Untracked, ..packet() };
    for rule in ["ct mark != 0x00000001 drop", "-A FORWARD -m connmark ! --mark 0x1 -j DROP"] {
        let filters = one_rule(rule);
        assert_eq!(filters.fate(ChainHook::Forward, &untracked), PacketFate::Passes, "{rule}");
        assert!(matches!(filters.fate(ChainHook::Forward, &packet()), PacketFate::Dropped(_)), "{rule}");
    }
}
