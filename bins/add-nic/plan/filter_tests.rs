//! What is decided about packet filters, without any.

use common::netlink::{Address, Chain, TableFamily};

use crate::model::filter::{
    FilterState, IptablesKind, IptablesListing, IptablesTable, ListingError, NatScope,
};
use crate::model::netns::Netns;
use crate::model::snapshot::Snapshot;
use crate::model::sysctl::{SysctlKey, SysctlReading};
use crate::model::wanted::{Wanted, WantedBridge, WantedEnd};
use crate::plan::tests::{commands, plan, record, snapshot, undone, wanted};

/// A host that does not forward, with nft, and with iptables of the given kinds and words.
fn host(tables: &[(IptablesKind, &str)]) -> Snapshot {
    let listing = |text: &str| Ok(IptablesListing(text.to_owned()));
    let table = |(kind, text): &(IptablesKind, &str)| IptablesTable {
        kind: *kind,
        six: false,
        program: Some(kind.name(false).to_owned()),
        listing: listing(text),
    };
    let filters = FilterState {
        chains: Some(vec![]),
        has_nft: true,
        tables: tables.iter().map(table).collect(),
        ..FilterState::default()
    };
    let mut snapshot = Snapshot { filters, ..snapshot() };
    for (key, value) in [("ipv4/ip_forward", "0"), ("ipv6/conf/all/forwarding", "0")] {
        let settings = std::mem::take(&mut snapshot.settings);
        snapshot.settings =
            settings.with(Netns::Host, SysctlKey::of_network(key), SysctlReading::Is(value.to_owned()));
    }
    snapshot
}

fn nat(address: &str) -> Wanted {
    let mut wanted = wanted(&[address]);
    wanted.firewall.nat = NatScope::All;
    wanted
}

fn published(ports: &[&str]) -> Wanted {
    let mut wanted = wanted(&["10.1.0.2/24"]);
    wanted.firewall.publish = ports.iter().map(|word| word.parse().unwrap()).collect();
    wanted
}

/// The commands that are about filters and settings, the record's name and the comment left out.
fn about_filters(wanted: &Wanted, snapshot: &Snapshot) -> Vec<String> {
    let commands = commands(&plan(wanted, snapshot, &[]).unwrap());
    let plain =
        |command: String| command.replace("131415161718", "ID").replace(" comment \"ID eth1 of nginx\"", "");
    let wanted = |command: &String| {
        ["sysctl", "nft", "iptables", "ip route add anycast", "ip -6 route add anycast"]
            .iter()
            .any(|word| command.starts_with(word))
    };
    commands.into_iter().filter(wanted).map(plain).collect()
}

#[test]
fn nat_forwards_masquerades_and_passes_what_would_drop() {
    let docker = "-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER";
    let snapshot = host(&[(IptablesKind::Nft, docker), (IptablesKind::Legacy, "-P FORWARD ACCEPT")]);
    assert_eq!(
        about_filters(&nat("10.1.0.2/24"), &snapshot),
        [
            "sysctl -q -w net/ipv4/ip_forward=1",
            "ip route add anycast 244.20.21.22 dev nginx-eth1 table local scope host",
            "nft add table inet netns-toolbox",
            "nft 'add chain inet netns-toolbox nic-ID-postrouting { type nat hook postrouting priority 100; policy accept; }; \
             add chain inet netns-toolbox nic-ID-mark { type filter hook forward priority -1; policy accept; }; \
             add chain inet netns-toolbox nic-ID-unmark { type filter hook forward priority 1; policy accept; }; \
             add rule inet netns-toolbox nic-ID-postrouting oifname != \"nginx-eth1\" ip saddr 10.1.0.0/24 \
             ip daddr != 10.1.0.0/24 ip daddr != 224.0.0.0/4 \
             ip saddr set 244.20.21.22 fib saddr type anycast masquerade; \
             add rule inet netns-toolbox nic-ID-mark iif \"nginx-eth1\" ct state new ip saddr 10.1.0.0/24 \
             ip saddr set 244.20.21.22 fib saddr type anycast meta mark set meta mark | 0x1000; \
             add rule inet netns-toolbox nic-ID-mark iif \"nginx-eth1\" ct state established,related meta mark set meta mark | 0x1000; \
             add rule inet netns-toolbox nic-ID-unmark iif \"nginx-eth1\" meta mark set meta mark & 0xffffefff; \
             add rule inet netns-toolbox nic-ID-mark oif \"nginx-eth1\" ct state established,related meta mark set meta mark | 0x1000; \
             add rule inet netns-toolbox nic-ID-unmark oif \"nginx-eth1\" meta mark set meta mark & 0xffffefff; \
             add rule inet netns-toolbox nic-ID-postrouting ip saddr 244.20.21.22 ip saddr set ct original ip saddr; \
             add rule inet netns-toolbox nic-ID-mark ip saddr 244.20.21.22 ip saddr set ct original ip saddr'",
            "iptables-nft -w 5 -I DOCKER-USER -s 10.1.0.0/24 -i nginx-eth1 ! -o nginx-eth1 -m mark --mark 0x1000/0x1000 -m comment --comment netns-toolbox:ID:0 -j ACCEPT",
            "iptables-nft -w 5 -I DOCKER-USER -d 10.1.0.0/24 ! -i nginx-eth1 -o nginx-eth1 -m conntrack --ctstate RELATED,ESTABLISHED -m mark --mark 0x1000/0x1000 -m comment --comment netns-toolbox:ID:1 -j ACCEPT",
        ]
    );
    let six = about_filters(&nat("fd00:1::2/64"), &snapshot);
    assert_eq!(six[0], "sysctl -q -w net/ipv6/conf/all/forwarding=1");
    assert_eq!(six[1], "ip -6 route add anycast 100::1314:1516:1718/126 dev nginx-eth1 table local");
    let rule = "ip6 saddr fd00:1::/64 ip6 daddr != fd00:1::/64 ip6 daddr != ff00::/8 \
                ip6 saddr set 100::1314:1516:1718 fib saddr type anycast masquerade";
    assert!(six[3].contains(rule), "{six:?}");
    assert_eq!(six.len(), 4);
}

#[test]
fn what_lets_a_bridge_through_is_marked_by_each_nic_that_needs_it() {
    let mut wanted = wanted(&["10.1.0.2/24"]);
    wanted.other_end =
        WantedEnd::Bridge(WantedBridge { name: "br1".parse().unwrap(), create: true, vlan: None });
    let plain = wanted.clone();
    wanted.firewall.forward = true;
    let drops = |marks: &str| host(&[(IptablesKind::Legacy, &format!("-P FORWARD DROP{marks}"))]);
    let first = plan(&wanted, &drops(""), &[]).unwrap();
    let marks =
        "add rule inet netns-toolbox nic-ID-mark iif \"br1\" oif \"br1\" meta mark set meta mark | 0x1000";
    assert!(about_filters(&wanted, &drops("")).join("\n").contains(marks));
    // Another bit where this one is used.
    let other =
        about_filters(&wanted, &drops("\n-A FORWARD -m mark --mark 0x1000/0x1000 -j ACCEPT")).join("\n");
    assert!(other.contains("| 0x80") && other.contains("--mark 0x80/0x80"), "{other}");
    // Packets that a rule tells by their whole mark keep it.
    let whole = about_filters(&wanted, &drops("\n-A FORWARD -m mark --mark 0x64 -j ACCEPT")).join("\n");
    assert!(whole.contains("oif \"br1\" meta mark != 0x64 meta mark set meta mark | 0x1000"), "{whole}");
    // Those without a mark cannot be left alone. Nothing is bound to the link where there is no nft.
    let refused = |snapshot: &Snapshot| plan(&wanted, snapshot, &[]).unwrap_err().to_string();
    let said = refused(&drops("\n-A FORWARD -m mark ! --mark 0x0 -j DROP"));
    assert!(said.contains("--forward: needs a bit of the mark") && said.contains("! --mark 0x0"), "{said}");
    let mut without = drops("");
    without.filters.has_nft = false;
    assert_eq!(refused(&without), "--forward: nft is not installed");
    // Where nothing drops, nothing is needed.
    without.filters.tables.clear();
    assert!(plan(&wanted, &without, &[]).is_ok());
    // The NIC that comes second has the mark in chains of its own: the first may go.
    let first = record(wanted.clone(), first);
    let mut second = plain;
    second.addresses = vec!["10.1.0.3/24".parse().unwrap()];
    second.name = Some("eth7".parse().unwrap());
    let second = commands(&plan(&second, &drops(""), std::slice::from_ref(&first)).unwrap()).join("\n");
    assert!(second.contains(marks.replace("ID", "131415161718").as_str()), "{second}");
}

#[test]
fn what_two_nics_share_is_undone_by_the_last() {
    let snapshot = host(&[]);
    let wanted = nat("10.1.0.2/24");
    let first = record(wanted.clone(), plan(&wanted, &snapshot, &[]).unwrap());
    let second = plan(&nat("10.2.0.2/24"), &snapshot, std::slice::from_ref(&first)).unwrap();
    let shared = ["nft delete table inet netns-toolbox", "sysctl -q -w net/ipv4/ip_forward=0"];
    let alone = undone(&second, &[]);
    assert!(shared.iter().all(|command| alone.contains(&(*command).to_owned())), "{alone:?}");
    let with_the_other = undone(&second, &[&first]);
    assert!(
        !shared.iter().any(|command| with_the_other.contains(&(*command).to_owned())),
        "{with_the_other:?}"
    );
}

#[test]
fn a_container_that_answers_here_sees_who_comes() {
    let snapshot = host(&[]);
    let answerable = |wanted: &Wanted| {
        let rules = about_filters(wanted, &snapshot)
            .into_iter()
            .find(|command| command.contains("add rule"))
            .unwrap();
        rules
            .split("; ")
            .filter(|rule| rule.ends_with("masquerade") || rule.ends_with("masquerade'"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut wanted = published(&["8080:80"]);
    assert_eq!(answerable(&wanted).len(), 1);
    wanted.gateways = vec!["10.1.0.1".parse().unwrap()];
    let rules = answerable(&wanted);
    assert!(
        rules[0].contains("fib saddr type local") && rules[1].contains("ip saddr 10.1.0.0/24"),
        "{rules:?}"
    );
}

#[test]
fn only_what_is_reached_at_127_0_0_1_opens_the_way_from_there() {
    let all = about_filters(&published(&["8080:80"]), &host(&[])).join("\n");
    assert!(all.contains("sysctl -q -w net/ipv4/conf/nginx-eth1/route_localnet=1"), "{all}");
    assert!(all.contains("iif \"nginx-eth1\" ip daddr 127.0.0.0/8 drop"), "{all}");
    let mut snapshot = host(&[]);
    snapshot.host.addresses.push(Address::plain(2, "192.0.2.1".parse().unwrap(), 24));
    let one = about_filters(&published(&["192.0.2.1:8080:80"]), &snapshot).join("\n");
    assert!(!one.contains("route_localnet") && !one.contains("127.0.0.0/8"), "{one}");
}

#[test]
fn what_is_missing_is_said_before_anything_is_touched() {
    let refused = |wanted: &Wanted, snapshot: &Snapshot| plan(wanted, snapshot, &[]).unwrap_err();
    let mut snapshot = host(&[]);
    snapshot.filters.has_nft = false;
    assert_eq!(refused(&nat("10.1.0.2/24"), &snapshot), "--nat: nft is not installed");
    snapshot.filters.chains = None;
    assert_eq!(refused(&nat("10.1.0.2/24"), &snapshot), "--nat: the kernel has no nf_tables");
    assert_eq!(refused(&published(&["1:2"]), &snapshot), "--publish: the kernel has no nf_tables");
    let mut snapshot = host(&[(IptablesKind::Legacy, "")]);
    snapshot.filters.tables[0].listing = Err(ListingError::NotInstalled("iptables-legacy"));
    let why = "--nat: cannot add a rule to iptables-legacy: iptables-legacy is not installed";
    assert_eq!(refused(&nat("10.1.0.2/24"), &snapshot), why);
    let mut snapshot = host(&[]);
    let fixed = SysctlReading::Fixed("0".to_owned(), "Read-only file system".to_owned());
    snapshot.settings = snapshot.settings.with(Netns::Host, SysctlKey::of_network("ipv4/ip_forward"), fixed);
    let why = "net/ipv4/ip_forward: cannot be written in the network of the host: Read-only file system";
    assert_eq!(refused(&nat("10.1.0.2/24"), &snapshot), why);
}

#[test]
fn a_name_that_a_rule_would_take_for_many_is_refused() {
    let mut wanted = nat("10.1.0.2/24");
    for name in ["lan+", "lan*", "!lan", "a{b", "\"a"] {
        let Ok(name) = name.parse() else { continue };
        wanted.other_name = Some(name);
        assert!(plan(&wanted, &host(&[]), &[]).unwrap_err().contains("cannot be named in a firewall rule"));
    }
}

#[test]
fn forward_is_refused_where_nothing_could_tie_its_rule_to_the_bridge() {
    let mut wanted = wanted(&["10.1.0.2/24"]);
    wanted.firewall.forward = true;
    wanted.other_end =
        WantedEnd::Bridge(WantedBridge { name: "br1".parse().unwrap(), create: true, vlan: None });
    let mut snapshot = host(&[(IptablesKind::Legacy, "-P FORWARD DROP")]);
    snapshot.filters.chains = None;
    let refused = plan(&wanted, &snapshot, &[]).unwrap_err().to_string();
    assert_eq!(refused, "--forward: the kernel has no nf_tables");
}

#[test]
fn a_chain_that_only_nft_knows_is_seen_to_drop() {
    let chain = |family, table: &str, name: &str| Chain {
        family,
        table: table.to_owned(),
        name: name.to_owned(),
        is_forward_hook: true,
        hook: Some(2),
        kind: Some("filter".to_owned()),
        priority: 0,
        drops: true,
        uses: 0,
    };
    let chains = vec![
        chain(TableFamily::Inet, "filter", "forward"),
        chain(TableFamily::Ip, "filter", "FORWARD"),
        chain(TableFamily::Inet, "netns-toolbox", "x"),
    ];
    let filters = FilterState { chains: Some(chains), ..FilterState::default() };
    assert_eq!(filters.foreign_drops().map(|chain| chain.name.as_str()).collect::<Vec<_>>(), ["forward"]);
}
