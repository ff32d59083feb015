//! `--mtu`: the largest packet that passes, both ways. Observers: `ping -M do -s`, and `ip link`.

use std::process::Command;

use support::run::Run;
use support::skip::need;
use support::tools;

use crate::inside_lab::{InsideLab, observers};

#[track_caller]
fn measured(lab: &mut InsideLab, words: &str) -> (serde_json::Value, i32) {
    let ran = lab.run(&format!("timeout 120 netns-trace --mtu --json {words}"));
    let last = ran.said.lines().last().unwrap_or_default();
    (serde_json::from_str(last).unwrap_or_else(|err| panic!("{words}: {err}: {}", ran.said)), ran.status)
}

/// Whether plain ping agrees: so much passes, and a byte more does not.
#[track_caller]
fn ping_agrees(lab: &mut InsideLab, netns: &str, dest: &str, bytes: u64) {
    let data = bytes - if dest.contains(':') { 48 } else { 28 };
    let pings = format!("ping -nqc1 -W2 -M do -s {data} {dest}");
    assert_eq!(lab.run(&format!("within {netns} {pings}")).status, 0, "{bytes} bytes");
    let larger = format!("ping -nqc1 -W1 -M do -s {} {dest}", data + 1);
    assert_ne!(lab.run(&format!("within {netns} {larger}")).status, 0, "{} bytes", bytes + 1);
}

#[test]
fn where_nothing_is_too_small_it_is_the_mtu_of_both_ends() {
    need!(observers());
    let mut lab = InsideLab::new();
    let ran = lab.run("timeout 120 netns-trace --mtu netns:a 198.18.2.2");
    assert_eq!(
        (ran.said.as_str(), ran.status),
        (
            "there: up to 1500 bytes, the MTU of netns:a eth0\nback:  up to 1500 bytes, the MTU of netns:b eth0\n",
            0
        )
    );
}

#[test]
fn a_hop_that_is_too_small_is_named_and_says_so() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up("ip link set vb mtu 1337; ip -n b link set eth0 mtu 1337").unwrap();
    for dest in ["198.18.2.2", "fd18:2::2"] {
        let (report, status) = measured(&mut lab, &format!("netns:a {dest}"));
        assert_eq!((&report["there"]["bytes"], status), (&1337.into(), 0), "{report}");
        assert_eq!(report["there"]["is_told"], true, "{report}");
        let limit = &report["there"]["limit"];
        assert_eq!((&limit["cause"], &limit["hop"]["ifname"]), (&"mtu".into(), &"vb".into()), "{report}");
        assert_eq!(report["back"]["bytes"], 1337, "{report}");
        ping_agrees(&mut lab, "a", dest, 1337);
    }
}

#[test]
fn the_way_back_is_measured_by_itself() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up("ip link set va mtu 1200").unwrap();
    let (report, status) = measured(&mut lab, "netns:a 198.18.2.2");
    assert_eq!(
        (&report["back"]["bytes"], &report["back"]["is_told"]),
        (&1200.into(), &true.into()),
        "{report}"
    );
    assert_eq!(report["back"]["limit"]["hop"]["ifname"], "va", "{report}");
    assert_eq!(report["back"]["limit"]["fix"], serde_json::json!(["ip link set va mtu 1500"]), "{report}");
    // The other end of that cable is larger: what it sends is dropped without a word.
    assert_eq!((&report["there"]["is_told"], status), (&false.into(), 1), "{report}");
    ping_agrees(&mut lab, "b", "198.18.1.2", 1200);
}

#[test]
fn a_black_hole_is_told_from_a_hop_that_says_so() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up(
        "ip link set vb mtu 1300; iptables -A OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP",
    )
    .unwrap();
    let (report, status) = measured(&mut lab, "netns:a 198.18.2.2");
    assert_eq!(
        (&report["there"]["bytes"], &report["there"]["is_told"]),
        (&1300.into(), &false.into()),
        "{report}"
    );
    assert_eq!((&report["there"]["limit"]["hop"]["ifname"], status), (&"vb".into(), 1), "{report}");
    let ran = lab.run("timeout 120 netns-trace --mtu netns:a 198.18.2.2");
    assert!(
        ran.said.contains("there: up to 1300 bytes, then ✗ host vb, without a word: a path MTU black hole\n"),
        "{}",
        ran.said
    );
    // A bridge never says so.
    lab.set_up("ip -n d link set eth0 mtu 1400").unwrap();
    let (report, status) = measured(&mut lab, "netns:c 198.18.3.3");
    let found = report["there"]["bytes"].as_u64().unwrap();
    // What the kernel lets pass beside an MTU: the header of a VLAN.
    assert!((1400..=1404).contains(&found), "{report}");
    assert_eq!((&report["there"]["is_told"], status), (&false.into(), 1), "{report}");
    assert_eq!(report["there"]["limit"]["cause"], "mtu", "{report}");
    ping_agrees(&mut lab, "c", "198.18.3.3", found);
}

#[test]
fn where_not_even_a_small_packet_passes_that_is_traced() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up("iptables -A FORWARD -p icmp -d 198.18.2.2 -j DROP").unwrap();
    let ran = lab.run("timeout 120 netns-trace --mtu netns:a 198.18.2.2");
    assert!(ran.said.contains("cause: iptables filter FORWARD, rule 1") && ran.status == 1, "{}", ran.said);
    let (report, status) = measured(&mut lab, "netns:a 198.18.2.2");
    assert_eq!((&report["there"]["bytes"], status), (&serde_json::Value::Null, 1), "{report}");
    assert_eq!(report["there"]["limit"]["cause"], "filter-drop", "{report}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (words, expected) in [
        (
            &["--mtu", "pid:1", "tcp:10.0.0.1:80"][..],
            "has a port, but --mtu measures with pings: leave the port out",
        ),
        (&["--mtu", "--explain", "pid:1", "10.0.0.1"], "cannot be used with"),
        (
            &["--mtu", "--evidence", "state", "pid:1", "10.0.0.1"],
            "--evidence: state alone does not say what passes",
        ),
        (&["--mtu", "pid:1"], "a trace needs a TARGET and a DEST"),
    ] {
        let ran = Command::new(tools::tool("netns-trace")).args(words).run();
        ran.fails_with(2).stderr_has(expected);
    }
}
