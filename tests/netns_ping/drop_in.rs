//! In place of ping(8): the same options, the same lines, the same status. Observer: the ping that is installed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use support::container::Options;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{need, program};

use crate::arp::upper_mac;
use crate::{cable, ping_from, settled};

/// What is printed, without numbers that differ from run to run, and without the space that older pings leave out.
fn shape(ran: &Ran) -> Vec<String> {
    let number = |word: &str| match word.split_once('=') {
        Some(("time", _)) => "time=N".to_owned(),
        _ if word.ends_with("ms") && word.len() > 2 => "Nms".to_owned(),
        _ if word.contains('/') && word.contains('.') => word.replace(|c: char| c.is_ascii_digit(), ""),
        _ => word.to_owned(),
    };
    let line = |line: &str| {
        let line = line.replace("(fd", " (fd").replace("(fe80", " (fe80").replace("  (", " (");
        line.split(' ').map(number).collect::<Vec<_>>().join(" ")
    };
    let lines = ran.stdout.lines().map(line).map(|line| line.replace("./././.", "/").replace("./.", "/"));
    lines.map(|line| line.replace(['/', '.'], "")).collect()
}

#[test]
fn command_lines_of_ping_print_what_ping_prints() {
    let cable = need!(cable());
    let link_local = "fe80::7777";
    cable.web.ip("address add fe80::7776/64 dev eth0 nodad");
    cable.db.ip(&format!("address add {link_local}/64 dev eth0 nodad"));
    settled(&[&cable.web, &cable.db]);
    cable.inside(&cable.db, "echo 0 >/proc/sys/net/ipv4/ip_forward").ok();
    cable.ping("198.18.0.2 fd00::2 -c1").ok();
    cable.their_ping(&format!("-c1 {link_local}%eth0")).ok();
    for words in [
        "-c3 -i0.2 198.18.0.2",
        "-c4 -c1 198.18.0.2",
        "-s 1000 -s 16 -c1 198.18.0.2",
        "-q -q -c1 198.18.0.2",
        "-n -U -c1 -w 10 198.18.0.2",
        "-b -d -c1 198.18.0.2",
        "-A -c4 198.18.0.2",
        "-A -q -c40 198.18.0.2",
        "-l3 -c5 -i0.2 198.18.0.2",
        "-l3 -q -c2 198.18.0.2",
        "-Q 0xb8 -c1 198.18.0.2",
        "-Q 16 -c1 fd00::2",
        "-p ff00 -c1 198.18.0.2",
        "-p f -c1 198.18.0.2",
        "-p 0a0b0c -q -c1 198.18.0.2",
        "-r -c1 198.18.0.2",
        "-m 7 -c1 198.18.0.2",
        "-m 7 -c1 fd00::2",
        // db forwards nothing, and says nothing.
        "-c2 -i0.2 -W1 203.0.113.9",
        "-c1 -W1 -q 203.0.113.9",
        "-l4 -c4 -W1 203.0.113.9",
        "-c1 -t 1 198.18.0.2",
        "-c1 -M do -s 1400 198.18.0.2",
        "-c1 127.0.0.1",
    ] {
        let (ours, theirs) = (cable.ping(words), cable.their_ping(words));
        assert_eq!(shape(&ours), shape(&theirs), "{words}: {ours}\n{theirs}");
        assert_eq!(ours.status.unwrap().code(), theirs.status.unwrap().code(), "{words}: {ours}");
    }
    let words = format!("-c1 {link_local}%eth0");
    let (ours, theirs) = (cable.ping(&words).ok(), cable.their_ping(&words).ok());
    assert_eq!(shape(&ours), shape(&theirs), "{ours}\n{theirs}");
    ours.stdout_has(&format!("64 bytes from {link_local}%eth0: icmp_seq=1 "));
}

#[test]
fn a_bad_value_ends_with_the_status_of_ping() {
    let cable = need!(cable());
    cable.ping("-UbBdC -c1 198.18.0.2").ok();
    cable.ping("-U --arp -c1 198.18.0.2").fails_with(2).stderr_has("-U: cannot be used with ARP");
    for words in [
        "-c0", "-c -1", "-c x", "-t256", "-t x", "-s x", "-w x", "-l 0", "-l 65537", "-m x", "-Q 256",
        "-Q x", "-p xyz", "-M foo", "-W -1", "-z", "-4 -6",
    ] {
        let words = format!("{words} 198.18.0.2");
        let (ours, theirs) = (cable.ping(&words), cable.their_ping(&words));
        assert_eq!(ours.status.unwrap().code(), theirs.status.unwrap().code(), "{words}: {ours}\n{theirs}");
    }
}

#[test]
fn a_packet_that_was_lost_is_not_under_way() {
    need!(program("nft", "nftables"));
    let cable = need!(cable());
    let lossy = "nft add table inet f; nft add chain inet f c '{ type filter hook input priority 0; }'; \
                 nft add rule inet f c icmp type echo-request numgen inc mod 3 1 drop";
    cable.inside(&cable.db, lossy).ok();
    for _ in 0..2 {
        let words = "-c6 -i.2 -q 198.18.0.2";
        let (ours, theirs) = (cable.ping(words).ok(), cable.their_ping(words).ok());
        assert_eq!(shape(&ours), shape(&theirs));
        assert!(ours.stdout.ends_with(" ms\n"), "{ours}");
    }
}

#[test]
fn a_packet_that_the_container_rejects_is_one_error() {
    need!(program("nft", "nftables"));
    let cable = need!(cable());
    let reject = "nft add table inet f; nft add chain inet f c '{ type filter hook output priority 0; }'; \
                  nft add rule inet f c icmp type echo-request reject with icmp type host-prohibited";
    cable.inside(&cable.web, reject).ok();
    for words in ["-c1 198.18.0.2", "-c2 -i.2 198.18.0.2"] {
        let (ours, theirs) = (cable.ping(words).fails_with(1), cable.their_ping(words).fails_with(1));
        assert_eq!(shape(&ours), shape(&theirs));
    }
}

#[test]
fn packets_carry_what_was_asked_for() {
    need!(program("nft", "nftables"));
    let cable = need!(cable());
    let count = "nft add table inet f; nft add chain inet f c '{ type filter hook input priority 0; }'; \
                 nft add rule inet f c ip dscp 46 counter; nft add rule inet f c ip6 dscp 46 counter; \
                 nft add rule inet f c @th,128,64 0xff00ff00ff00ff00 counter";
    cable.inside(&cable.db, count).ok();
    let counted = || {
        let rules = cable.inside(&cable.db, "nft list chain inet f c").ok().stdout;
        let packets = rules.split("counter packets ").skip(1);
        packets.map(|rest| rest.split(' ').next().unwrap().parse().unwrap()).collect::<Vec<u32>>()
    };
    assert_eq!(counted(), [0, 0, 0]);
    cable.ping("-Q 0xb8 -c2 -i.2 198.18.0.2").ok();
    cable.ping("-Q 184 -c1 fd00::2").ok();
    // Behind the header and eight random bytes.
    cable.ping("-p ff00 -c3 -i.2 198.18.0.2").ok();
    assert_eq!(counted(), [2, 1, 3]);
}

#[test]
fn a_mark_chooses_the_route() {
    let cable = need!(cable());
    cable.web.ip("route del default");
    cable.ping("-c1 203.0.113.1").fails_with(2).stderr_has("no route from inside");
    cable.db.ip("address add 203.0.113.1/32 dev lo");
    cable.web.ip("rule add fwmark 7 lookup 77");
    cable.web.ip("route add default via 198.18.0.2 table 77");
    cable.ping("-m 7 -c1 203.0.113.1").ok().stdout_has("64 bytes from 203.0.113.1: icmp_seq=1");
    cable.their_ping("-m 7 -c1 203.0.113.1").ok();
    cable.ping("-m 8 -c1 203.0.113.1").fails_with(2);
    cable.ping("-m 7 -r -c1 203.0.113.1").fails_with(2).stderr_has("is behind the router 198.18.0.2");
}

#[test]
fn plain_prints_nothing_that_ping_does_not() {
    let cable = need!(cable());
    cable.web.ip("neighbour flush all");
    let ran = cable.ping("--plain -c1 198.18.0.2").ok();
    assert!(!ran.stdout.contains("arp "), "{ran}");
    cable.web.ip("neighbour flush all");
    cable.ping("-c1 198.18.0.2").ok().stdout_has(" ms (arp ");
    cable.ping("--plain -c1 gateway").ok().stdout_has("PING gateway (198.18.0.2) 56(84) bytes of data.\n");
    let ran = cable.ping("--plain --arp -c1 198.18.0.2").ok();
    let reply = ran.stdout.lines().nth(1).unwrap();
    assert!(reply.ends_with("ms") && reply.contains(&format!("[{}]  ", upper_mac(&cable.db))), "{ran}");
    assert!(ran.stdout.ends_with("Received 1 response(s)\n"), "{ran}");
    cable.ping("--plain 198.18.0.0/24").fails_with(2).stderr_has("--plain: cannot be used with a scan");
}

#[test]
fn two_links_of_one_host_are_no_duplicate() {
    let lab = need!(Lab::new());
    let options = || Options::only(&["net", "mnt", "pid"]);
    let [web, db] = ["web", "db"].map(|name| lab.container(name, options()));
    lab.shell("ip link add br0 type bridge && ip link set br0 up").run().ok();
    for (container, link, port) in [(&web, "eth0", "v1"), (&db, "eth0", "v2"), (&db, "eth1", "v3")] {
        let pid = container.pid;
        lab.shell(&format!(
            "ip link add {port} master br0 type veth peer name {link} netns {pid} && ip link set {port} up"
        ))
        .run()
        .ok();
        container.ip(&format!("link set {link} up"));
    }
    web.ip("address add 10.40.0.1/16 dev eth0");
    db.ip("address add 10.40.0.3/16 dev eth0");
    db.ip("address add 10.40.0.33/16 dev eth1");
    let ran = ping_from(&lab, &web, "--arp -c1 10.40.0.33").ok();
    let ran = ran.stdout_has(&format!(
        "One host, 2 links answer for 10.40.0.33 (arp_ignore=0): pid:{} (sh)\n",
        db.pid
    ));
    ran.stdout_has(&format!("  {}  eth0, which does not have the address\n", upper_mac(&db)))
        .stdout_has("  eth1, which has the address\n");
    let events = crate::events(&ping_from(&lab, &web, "--arp -c1 --json 10.40.0.33").ok());
    let summary = events.iter().find(|event| event["event"] == "summary").unwrap();
    assert_eq!((&summary["is_duplicate"], &summary["links_of_one_host"]), (&false.into(), &2.into()));
    let verdict = events.last().unwrap();
    assert_eq!((&verdict["event"], &verdict["cause"]), (&"verdict".into(), &serde_json::Value::Null));
    let ran = ping_from(&lab, &web, "10.40.0.32/31").ok();
    assert!(!ran.stdout.contains("by more than one host"), "{ran}");
    // Where the other link does not answer, there is nothing to be said of it.
    lab.command("nsenter")
        .args(["--target", &db.pid.to_string(), "--net", "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1"])
        .run()
        .ok();
    let ran = ping_from(&lab, &web, "--arp -c1 10.40.0.33").ok();
    assert!(!ran.stdout.contains("One host"), "{ran}");
    // And two hosts stay two.
    let other = lab.container("other", options());
    lab.shell(&format!(
        "ip link add v4 master br0 type veth peer name eth0 netns {} && ip link set v4 up",
        other.pid
    ))
    .run()
    .ok();
    other.ip("link set eth0 up");
    other.ip("address add 10.40.0.33/16 dev eth0");
    let ran = ping_from(&lab, &web, "--arp -c1 10.40.0.33").fails_with(1);
    ran.stdout_has("Duplicate address 10.40.0.33: 2 MAC addresses have it\n");
}

/// Each option of ping(8) of iputils 20240905 and of its arping(8), besides -h and -V.
const PING: &str = "aAbBcCdDefFHiIlLmMnNOpqQrRsStTUvwW346";
const ARPING: &str = "AbcDfIiqsUw";
/// And of Thomas Habets' arping 2.23.
const OTHER_ARPING: &str = "0aAbBcCdDeFgimpPqQrRsStTuUvVwWzZ";

#[test]
fn the_manual_names_each_option_of_ping_and_of_arping() {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/netns-ping.1")).unwrap();
    let section = |from: &str| {
        let rest = manual.split(from).nth(1).unwrap_or_else(|| panic!("no {from}"));
        rest.split("\n.S").next().unwrap().replace("\\-", "-").replace("\\fR", "").replace("\\fP", "")
    };
    let help = |program: &str| {
        let lab_free =
            support::tools::in_clean_environment(std::process::Command::new(program)).arg("-h").output();
        let text = lab_free.map(|ran| [ran.stdout, ran.stderr].concat()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let options = text.lines().filter_map(|line| line.trim_start().strip_prefix('-')?.chars().next());
        options.filter(|option| !"hV-".contains(*option)).collect::<BTreeSet<char>>()
    };
    for (from, known, program) in [
        (".SS Differences from ping(8)\n", PING, "ping"),
        (".SS Differences from arping(8)\n", ARPING, "arping"),
        ("The other arping, by Thomas Habets,", OTHER_ARPING, "no-such-program"),
    ] {
        let section = section(from);
        let options: BTreeSet<char> = known.chars().chain(help(program)).collect();
        let named = |option: &char| {
            let word = format!("-{option}");
            section.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|one| one == word)
        };
        let missing: Vec<char> = options.into_iter().filter(|option| !named(option)).collect();
        assert!(missing.is_empty(), "{from:?}: {missing:?}");
    }
}
