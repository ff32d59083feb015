//! Packets through rules as programs wrote them.

use super::{ChainHook, FilterPacket, HookFamily, NetnsFilters, PacketFate, PacketFlow, PacketProtocol};
use crate::firewall::{FilterChain, FilterProgram, NamedSet, UnreadFilter, WrittenRule};
use crate::netlink::{NftElement, NftVerdict};

pub(super) const IPTABLES: FilterProgram = FilterProgram::Iptables { six: false };

pub(super) fn packet() -> FilterPacket {
    let (source, destination) = ("10.1.0.2".parse().unwrap(), "192.0.2.1".parse().unwrap());
    FilterPacket {
        port: Some(80),
        from: Some("br0".to_owned()),
        out: Some("eth0".to_owned()),
        ..FilterPacket::first(PacketProtocol::Tcp, source, destination)
    }
}

pub(super) fn chain(
    program: FilterProgram,
    table: &str,
    name: &str,
    policy: Option<&str>,
    rules: &[&str],
) -> FilterChain {
    let is_nft = program == FilterProgram::Nft;
    FilterChain {
        program,
        table: table.to_owned(),
        name: name.to_owned(),
        hook: (is_nft && policy.is_some()).then(|| format!("hook {name} priority filter")),
        policy: policy.map(str::to_owned),
        counter: None,
        is_nat: table == "nat",
        rules: rules
            .iter()
            .map(|text| WrittenRule { text: (*text).to_owned(), counter: None, handle: None })
            .collect(),
    }
}

pub(super) fn whole(chains: Vec<FilterChain>) -> NetnsFilters {
    NetnsFilters { chains, is_whole: true, ..NetnsFilters::default() }
}

fn forward(policy: &str, rules: &[&str]) -> NetnsFilters {
    whole(vec![
        chain(IPTABLES, "filter", "FORWARD", Some(policy), rules),
        chain(
            IPTABLES,
            "filter",
            "mine",
            None,
            &["-A mine -p tcp -m tcp --dport 80 -j DROP", "-A mine -j RETURN"],
        ),
    ])
}

/// `@nets` has 10.1.0.0/16, and `@cases` leads 10.1.0.2 port 80 to the chain `other`.
fn sets() -> Vec<NamedSet> {
    let element = |key: &[u8]| NftElement {
        key: Some(key.to_vec()),
        last: None,
        is_end: false,
        value: None,
        verdict: None,
    };
    let end = NftElement { is_end: true, ..element(&[10, 2, 0, 0]) };
    let verdict = Some(NftVerdict::Jump("other".to_owned()));
    let case = NftElement { verdict, ..element(&[10, 1, 0, 2, 0, 80, 0, 0]) };
    let set = |name: &str, has_intervals, elements| NamedSet {
        table: "inet x".to_owned(),
        name: name.to_owned(),
        has_intervals,
        elements,
    };
    vec![set("nets", true, vec![element(&[10, 1, 0, 0]), end]), set("cases", false, vec![case])]
}

/// `passes`, `unknown`, or whether the drop is by a rule about this packet's interface or address.
pub(super) fn fate(filters: &NetnsFilters) -> &'static str {
    match filters.fate(ChainHook::Forward, &packet()) {
        PacketFate::Passes => "passes",
        PacketFate::Unknown => "unknown",
        PacketFate::Dropped(place) if place.rule.is_none() => "policy",
        PacketFate::Dropped(place) if place.is_specific => "specific",
        PacketFate::Dropped(_) => "dropped",
    }
}

#[test]
fn a_rule_of_iptables_is_for_a_packet_or_it_is_not() {
    for (rule, expected) in [
        ("-A FORWARD -j DROP", "dropped"),
        ("-A FORWARD -i br0 -j DROP", "specific"),
        ("-A FORWARD -i br1 -j DROP", "passes"),
        ("-A FORWARD -i br+ -j REJECT --reject-with icmp-port-unreachable", "specific"),
        ("-A FORWARD ! -i br0 -j DROP", "passes"),
        ("-A FORWARD -s 10.1.0.0/24 ! -o br0 -j DROP", "specific"),
        ("-A FORWARD -s 10.1.0.3/32 -j DROP", "passes"),
        ("-A FORWARD -d 192.0.2.1/32 -j DROP", "specific"),
        ("-A FORWARD -p udp -j DROP", "passes"),
        ("-A FORWARD -p icmp -j DROP", "passes"),
        ("-A FORWARD -p tcp -m multiport --dports 22,79:81 -j DROP", "dropped"),
        ("-A FORWARD -p tcp -m tcp ! --dport 80 -j DROP", "passes"),
        ("-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", "dropped"),
        ("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j DROP", "passes"),
        ("-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"a -j b\" -j DROP", "dropped"),
        ("-A FORWARD -m conntrack ! --ctstate NEW -j DROP", "passes"),
        ("-A FORWARD -m addrtype --dst-type LOCAL -j DROP", "passes"),
        ("-A FORWARD -m physdev --physdev-is-bridged -j DROP", "passes"),
        ("-A FORWARD -m mark --mark 0x1 -j DROP", "unknown"),
        ("-A FORWARD -m set --match-set bad src -j DROP", "unknown"),
        ("-A FORWARD -m bpf --bytecode 1,6 -j DROP", "unknown"),
        ("-A FORWARD -j NFQUEUE --queue-num 1", "unknown"),
        ("-A FORWARD -j LOG --log-prefix \"-j DROP\"", "passes"),
        ("-A FORWARD -j mine", "dropped"),
        ("-A FORWARD -i br0 -g mine", "specific"),
        ("-A FORWARD -p tcp --dport 81 -j mine", "passes"),
        // A chain without rules is not listed.
        ("-A FORWARD -j empty", "passes"),
        ("-A FORWARD -j SYNPROXY --wscale 7", "unknown"),
    ] {
        assert_eq!(fate(&forward("accept", &[rule])), expected, "{rule}");
    }
}

#[test]
fn the_first_word_counts_and_the_policy_is_the_last() {
    assert_eq!(fate(&forward("drop", &[])), "policy");
    assert_eq!(fate(&forward("drop", &["-A FORWARD -i br0 -j ACCEPT"])), "passes");
    assert_eq!(fate(&forward("drop", &["-A FORWARD -i br1 -j ACCEPT"])), "policy");
    assert_eq!(fate(&forward("drop", &["-A FORWARD -m mark --mark 1 -j ACCEPT"])), "unknown");
    // Both ways end in a drop.
    assert_eq!(fate(&forward("drop", &["-A FORWARD -m mark --mark 1 -j DROP"])), "dropped");
    assert_eq!(fate(&forward("accept", &["-A FORWARD -j ACCEPT", "-A FORWARD -j DROP"])), "passes");
    let circle = whole(vec![
        chain(IPTABLES, "filter", "FORWARD", Some("accept"), &["-A FORWARD -j a"]),
        chain(IPTABLES, "filter", "a", None, &["-A a -j a"]),
    ]);
    assert_eq!(fate(&circle), "unknown");
}

#[test]
fn every_chain_at_the_hook_has_a_say_and_no_other() {
    let mut filters = forward("accept", &[]);
    assert_eq!(fate(&filters), "passes");
    filters.is_whole = false;
    assert_eq!(fate(&filters), "unknown", "there may be another rule");
    let others = [
        chain(FilterProgram::Iptables { six: true }, "filter", "FORWARD", Some("drop"), &[]),
        chain(IPTABLES, "filter", "INPUT", Some("drop"), &[]),
        chain(FilterProgram::Nft, "bridge x", "forward", Some("drop"), &[]),
        chain(FilterProgram::Nft, "ip6 x", "forward", Some("drop"), &[]),
    ];
    let mut filters = forward("accept", &[]);
    filters.chains.extend(others);
    assert_eq!(fate(&filters), "passes");
    filters.chains.push(chain(FilterProgram::Nft, "inet x", "forward", Some("drop"), &[]));
    assert_eq!(fate(&filters), "policy");
}

#[test]
fn a_rule_of_nft_is_understood_or_proves_nothing() {
    for (rule, expected) in [
        ("counter packets 3 bytes 180 drop", "dropped"),
        ("iifname \"br0\" counter packets 3 bytes 180 drop", "specific"),
        ("iifname { \"br1\", \"br0\" } drop", "specific"),
        ("iifname != \"br0\" drop", "passes"),
        ("iifname \"br*\" oifname \"eth0\" drop", "specific"),
        ("ip saddr 10.1.0.0/24 drop comment \"mine\"", "specific"),
        ("ip daddr 10.0.0.0/8 drop", "passes"),
        ("ip6 saddr fd00::/8 drop", "passes"),
        ("tcp dport 80 drop", "dropped"),
        ("tcp dport { 22, 80 } drop", "dropped"),
        ("tcp dport 81-90 drop", "passes"),
        ("tcp dport != 80 drop", "passes"),
        ("udp dport != 80 drop", "passes"),
        ("ct state established,related accept", "passes"),
        ("ct state { new, untracked } drop", "dropped"),
        ("meta l4proto tcp reject with tcp reset", "dropped"),
        ("ip saddr @bad drop", "unknown"),
        ("ip saddr @bad accept", "passes"),
        ("ip saddr @nets drop", "specific"),
        ("ip daddr @nets drop", "passes"),
        ("ip daddr != @nets drop", "dropped"),
        ("iifname vmap { \"br0\" : drop }", "specific"),
        ("iifname vmap { \"br1\" : drop, \"br2\" : jump other }", "passes"),
        ("tcp dport vmap { 22 : accept, 80 : jump other }", "dropped"),
        ("tcp dport vmap { 22 : accept, * : drop }", "dropped"),
        ("tcp dport vmap { 80 : accept, * : drop }", "passes"),
        ("udp dport vmap { 80 : drop }", "passes"),
        ("ip saddr . tcp dport vmap @cases", "specific"),
        ("ip saddr . tcp dport vmap @unread", "unknown"),
        ("ip saddr . tcp dport { 10.1.0.2 . 80, 10.1.0.3 . 81 } drop", "specific"),
        ("ip saddr . tcp dport { 10.1.0.3 . 80, 10.1.0.2 . 81 } drop", "passes"),
        ("meta l4proto . th dport { tcp . 80 } drop", "dropped"),
        ("iifname { \"}\", \"br0\" } drop", "specific"),
        ("iifname \"drop\" drop", "passes"),
        ("fib daddr type local drop", "passes"),
        ("fib saddr . iif oif missing drop", "unknown"),
        ("ether type arp drop", "passes"),
        ("ether type ip drop", "dropped"),
        ("meta pkttype { broadcast, multicast } drop", "passes"),
        ("arp operation request drop", "passes"),
        ("limit rate 5/second burst 5 packets accept", "passes"),
        ("limit rate over 5/second burst 5 packets drop", "unknown"),
        ("ct count over 5 drop", "unknown"),
        ("quota over 10 bytes drop", "unknown"),
        ("meta mark set 0x00000001 drop", "dropped"),
        ("meta mark set 0x00000001 ip saddr 10.9.0.0/16 drop", "unknown"),
        ("ct mark set meta mark drop", "dropped"),
        ("tcp option maxseg size set rt mtu drop", "dropped"),
        ("add @seen { ip saddr } drop", "dropped"),
        ("update @seen { ip saddr limit rate 5/second burst 5 packets } drop", "unknown"),
        ("tcp flags syn / fin,syn drop", "unknown"),
        ("th dport & 1 == 1 drop", "unknown"),
        ("tcp sequence 5 drop", "unknown"),
        ("@th,64,32 0x00000005 drop", "unknown"),
        // As netns-trace marks packets: where nothing of the chain that is called drops, it does not matter for which it is called.
        ("meta protocol ip tcp sequence 5 jump marks", "passes"),
        ("meta l4proto tcp @th,64,32 0x00000005 jump marks", "passes"),
        ("queue to 1", "unknown"),
        ("meta mark 0x1 drop", "unknown"),
        ("jump other", "dropped"),
        ("log prefix \"drop\"", "passes"),
        ("log prefix \"a\" level warn drop", "dropped"),
    ] {
        let mut filters = whole(vec![
            chain(FilterProgram::Nft, "inet x", "forward", Some("accept"), &[rule]),
            chain(FilterProgram::Nft, "inet x", "other", None, &["tcp dport 80 drop"]),
            chain(FilterProgram::Nft, "inet x", "marks", None, &["meta nftrace set 1"]),
        ]);
        filters.sets = sets();
        assert_eq!(fate(&filters), expected, "{rule}");
    }
}

#[test]
fn whether_the_source_is_replaced_is_said_only_where_it_is_certain() {
    let leaves = |rules: &[&str]| {
        let filters = whole(vec![chain(IPTABLES, "nat", "POSTROUTING", Some("accept"), rules)]);
        filters.translates(&FilterPacket { from: None, ..packet() })
    };
    let masquerade = "-A POSTROUTING -s 10.1.0.0/24 ! -o br0 -j MASQUERADE";
    assert_eq!(leaves(&[]), Some(false));
    assert_eq!(leaves(&[masquerade]), Some(true));
    assert_eq!(leaves(&["-A POSTROUTING -s 10.2.0.0/24 ! -o br1 -j MASQUERADE"]), Some(false));
    assert_eq!(leaves(&["-A POSTROUTING -m mark --mark 0x2000 -j MASQUERADE"]), None);
    // A chain without rules is not listed.
    assert_eq!(leaves(&["-A POSTROUTING -j empty", masquerade]), Some(true));
    assert_eq!(leaves(&["-A POSTROUTING -j SYNPROXY", masquerade]), None);
    let partly = NetnsFilters::default();
    assert_eq!(partly.translates(&packet()), None);
}

#[test]
fn a_flow_that_is_not_tracked_is_neither_new_nor_invalid() {
    let established = ["ct state established,related accept", "ct state invalid drop"];
    let filters = |first: &str| {
        whole(vec![chain(
            FilterProgram::Nft,
            "inet x",
            "forward",
            Some("accept"),
            &[&[first], &established[..]].concat(),
        )])
    };
    assert_eq!(fate(&filters("counter")), "passes");
    assert_eq!(fate(&filters("tcp dport 80 notrack")), "passes");
    assert_eq!(fate(&filters("tcp dport 81 notrack")), "passes");
    assert_eq!(fate(&filters("meta mark 0x1 notrack")), "unknown");
    assert_eq!(fate(&filters("ct zone set 1")), "unknown");
    assert_eq!(fate(&filters("ct state untracked drop")), "passes");
    let of_iptables =
        |first: &str| forward("accept", &[first, "-A FORWARD -m conntrack --ctstate INVALID -j DROP"]);
    assert_eq!(fate(&of_iptables("-A FORWARD -p tcp -j CT --notrack")), "passes");
    assert_eq!(fate(&of_iptables("-A FORWARD -p tcp -j CT --zone 1")), "unknown");
    let invalid = FilterPacket { flow: PacketFlow::Invalid, ..packet() };
    let fate = filters("counter").fate(ChainHook::Forward, &invalid);
    assert!(matches!(fate, PacketFate::Dropped(_)), "{fate:?}");
}

/// Before connection tracking has seen it, a packet belongs to no flow: net/netfilter/nft_ct.c.
#[test]
fn before_connection_tracking_every_packet_is_invalid() {
    let at = |priority: &str| {
        let mut early =
            chain(FilterProgram::Nft, "ip x", "prerouting", Some("accept"), &["ct state invalid drop"]);
        early.hook = Some(format!("hook prerouting priority {priority}"));
        whole(vec![early]).fate(ChainHook::Prerouting, &packet())
    };
    assert!(matches!(at("raw"), PacketFate::Dropped(_)));
    assert_eq!(at("mangle"), PacketFate::Passes);
}

#[test]
fn a_port_that_the_kernel_chooses_is_none_of_those_that_programs_ask_for() {
    let answer = FilterPacket { port: None, chosen_ports: [1024, u16::MAX], is_answer: true, ..packet() };
    let fate = |rule: &str| forward("accept", &[rule]).fate(ChainHook::Forward, &answer);
    assert_eq!(fate("-A FORWARD -p tcp -m tcp --dport 80 -j DROP"), PacketFate::Passes);
    assert_eq!(fate("-A FORWARD -p tcp -m tcp --dport 8080 -j DROP"), PacketFate::Unknown);
    assert!(matches!(fate("-A FORWARD -p tcp -m tcp --dport 1024:65535 -j DROP"), PacketFate::Dropped(_)));
}

#[test]
fn a_number_is_less_or_greater_than_another() {
    for (rule, expected) in [
        ("tcp dport > 1024 drop", "passes"),
        ("tcp dport < 1024 drop", "dropped"),
        ("tcp dport >= 80 drop", "dropped"),
        ("tcp dport <= 79 drop", "passes"),
        ("tcp dport < 0 drop", "passes"),
        ("tcp sport < 1024 drop", "unknown"),
        ("ip saddr > 10.0.0.0 drop", "unknown"),
    ] {
        let filters = whole(vec![chain(FilterProgram::Nft, "inet x", "forward", Some("accept"), &[rule])]);
        assert_eq!(fate(&filters), expected, "{rule}");
    }
}

#[test]
fn rules_that_are_not_read_hide_what_becomes_of_their_own_packets_alone() {
    let filters = |unread| NetnsFilters { unread, is_whole: true, ..NetnsFilters::default() };
    let (ebtables, arptables) =
        (filters(vec![UnreadFilter::Ebtables]), filters(vec![UnreadFilter::Arptables]));
    for family in [HookFamily::Ip, HookFamily::BridgedIp, HookFamily::Ingress("eth0")] {
        assert_eq!((ebtables.unread_at(family), arptables.unread_at(family)), (None, None), "{family:?}");
    }
    assert_eq!(ebtables.unread_at(HookFamily::Bridge), Some(UnreadFilter::Ebtables));
    assert_eq!(arptables.unread_at(HookFamily::Arp), Some(UnreadFilter::Arptables));
    assert_eq!(arptables.unread_at(HookFamily::Bridge), None);
}
