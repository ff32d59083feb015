//! Sweeps: who is there, of many addresses.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::arp::{container_options, mac};
use crate::{events, of_kind, ping_from, settled};
use support::container::Container;
use support::lab::Lab;
use support::run::Run;
use support::skip::{need, program};
use support::tools;
use support::until::as_busy;

/// `web` and `db` on one cable; `db` has the addresses that a line of shell gives it, which sees them as `$n`.
fn cable(lab: &Lab, prefix_len: u8, numbers: &str) -> (Container, Container) {
    let [web, db] = ["web", "db"].map(|name| lab.container(name, container_options()));
    lab.veth((&web, &format!("198.18.0.1/{prefix_len}")), (&db, "192.0.2.1/32"));
    web.ip("address add fd00::1/64 dev eth0 nodad");
    let add = format!(
        "for n in {numbers}; do echo address add 198.18.$n/{prefix_len} dev eth0; done | \
         nsenter -t {} -n ip -batch -",
        db.pid
    );
    lab.shell(&add).run().ok();
    settled(&[&web, &db]);
    (web, db)
}

/// The addresses in a table.
fn addresses(stdout: &str) -> BTreeSet<&str> {
    let words = stdout.lines().filter_map(|line| line.split(' ').next());
    words.filter(|word| word.starts_with("198.18.") || word.starts_with("fd00:")).collect()
}

#[test]
fn everybody_on_a_network_is_found_and_named() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab, 24, "$(seq -f 0.%g 10 29)");
    let ran = ping_from(&lab, &web, "198.18.0.0/24").ok();
    let expected: Vec<String> = (10..30).map(|n| format!("198.18.0.{n}")).collect();
    assert_eq!(addresses(&ran.stdout), expected.iter().map(String::as_str).collect(), "{ran}");
    let ran = ran.stdout_has(&format!("198.18.0.10  {}  ", mac(&db)));
    let ran = ran.stdout_has(&format!(" ms  pid:{} (sh) eth0\n", db.pid));
    ran.stdout_has("\n\n20 of 253 answered, ").stderr_is("");
}

#[test]
fn ranges_are_taken_as_they_were_typed_and_once() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab, 24, "0.10 0.50 0.51 0.255");
    for (dests, found, asked) in [
        ("198.18.0.10-198.18.0.50", 2, 41),
        ("198.18.0.10-50", 2, 41),
        ("198.18.0.50-50", 1, 1),
        ("198.18.0.50-51 198.18.0.51-60 198.18.0.10", 3, 12),
    ] {
        let mut words: Vec<String> = vec!["--json".into(), format!("pid:{}", web.pid)];
        words.extend(dests.split(' ').map(str::to_owned));
        let ran = lab.tool("netns-ping").args(words).run().ok();
        let events = events(&ran);
        let [.., summary, verdict] = &events[..] else { panic!("{ran}") };
        assert_eq!((&summary["answered"], &summary["asked"]), (&found.into(), &asked.into()), "{ran}");
        assert_eq!((&verdict["event"], &verdict["cause"]), (&"verdict".into(), &Value::Null), "{ran}");
        assert_eq!(
            (verdict["dest"].as_str().unwrap().split(' ').count(), events.len()),
            (dests.split(' ').count(), found + 2),
            "{ran}"
        );
        assert!(events[0]["rtt_us"].as_f64().unwrap() > 0.0, "{ran}");
    }
}

#[test]
fn nobody_there_is_an_honest_no_and_does_not_take_long() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab, 24, "0.10");
    let ran = ping_from(&lab, &web, "-W 0.1 198.18.0.100-120").fails_with(1);
    ran.stdout_has("0 of 21 answered, 42 packets, 0.");
    ping_from(&lab, &web, "-c 3 -W 0.1 -q 198.18.0.100-120")
        .fails_with(1)
        .stdout_has("0 of 21 answered, 63 packets");
}

#[test]
fn a_sweep_that_is_stopped_says_how_many_were_not_asked() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab, 24, "0.2");
    let ran = ping_from(&lab, &web, "-w 0.3 --rate 50 198.18.0.0/24").ok();
    let ran = ran.stdout_has("1 of 253 answered, ").stdout_has("; stopped: 2");
    ran.stdout_has(" were not asked\n");
    let ran = ping_from(&lab, &web, "-w 0.3 -W 3 -c1 198.18.0.100-110").fails_with(1);
    ran.stdout_has("0 of 11 answered, 11 packets, ").stdout_has("; stopped before all had time to answer\n");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut sweep = lab.tool("netns-ping");
        sweep.args(["--json", "--rate", "10", &format!("pid:{}", web.pid), "198.18.0.0/24"]);
        let running = sweep.start();
        running.wait_for("\"198.18.0.2\"");
        running.signal_behind_nsenter(Signal::SIGQUIT);
        running.wait_for_stderr("1 of 253 answered\n");
        let pid = Pid::from_raw(running.pid_behind_nsenter());
        kill(pid, signal).unwrap();
        // Together with the one that ends it, it kills nobody; it may be gone by now.
        let _ = kill(pid, Signal::SIGQUIT);
        let ran = running.finish().ok().stderr_has("netns-ping: 1 of 253 answered\n");
        let heard = events(&ran);
        let summary = of_kind(&heard, "summary")[0];
        let number = |what: &str| summary[what].as_u64().unwrap();
        assert_eq!((&summary["stopped"], number("answered")), (&true.into(), 1), "{ran}");
        assert!(number("not_asked") > 200 && number("asked") + number("not_asked") == 253, "{ran}");
    }
}

#[test]
fn a_long_sweep_shows_how_far_it_is_on_a_terminal_and_takes_that_away() {
    let lab = need!(program("script", "bsdutils").and_then(|_| Lab::new()));
    let (web, _db) = cable(&lab, 24, "0.2");
    let on_a_terminal = |words: &str| {
        let tool = tools::tool("netns-ping");
        let line = format!("{tool} {words} pid:{} 198.18.0.0/24", web.pid);
        lab.command("script").args(["-qec", &line, "/dev/null"]).run().ok()
    };
    let ran = on_a_terminal("--rate 200 -c1");
    assert!(!ran.stdout.contains('#'), "1.3 seconds are not long: {ran}");
    let ran = on_a_terminal("--rate 100 -c1");
    let shown: Vec<&str> = ran.stdout.split('\r').filter_map(|part| part.strip_prefix("\x1b[?7l")).collect();
    assert!(shown.len() > 5 && shown[0].starts_with("[......."), "{ran}");
    assert!(shown.last().unwrap().contains(" %  1 of 253 answered\x1b[K\x1b[?7h"), "{ran}");
    assert!(ran.stdout.contains("\r\x1b[KADDRESS "), "{ran}");
    assert!(!on_a_terminal("--rate 100 -c1 -q").stdout.contains('#'));
}

#[test]
fn beyond_a_router_echo_requests_are_sent() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab, 24, "0.2");
    web.ip("route add 10.9.0.0/24 via 198.18.0.2");
    lab.shell(&format!(
        "for n in 7 8 9; do nsenter -t {} -n ip address add 10.9.0.$n/32 dev lo; done",
        db.pid
    ))
    .run()
    .ok();
    let ran = ping_from(&lab, &web, "--json 10.9.0.5-9").ok();
    let heard = events(&ran);
    let replies = of_kind(&heard, "reply");
    assert_eq!((replies.len(), heard.len()), (3, 5), "{ran}");
    assert_eq!((&replies[0]["address"], &replies[0]["mac"]), (&"10.9.0.7".into(), &Value::Null), "{ran}");
    let ran = ping_from(&lab, &web, "--arp 10.9.0.5-9").fails_with(2);
    ran.stderr_has(
        "10.9.0.5-10.9.0.9: is behind the router 198.18.0.2, and only hosts on the link answer ARP",
    );
    let ran = ping_from(&lab, &web, "10.8.0.0/24").fails_with(2);
    ran.stderr_has("10.8.0.1-10.8.0.254 (10.8.0.1): no route from inside: ");
}

#[test]
fn an_ipv6_network_is_found_without_asking_for_each_address() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab, 24, "0.10");
    db.ip("address add fd00::5:6:7:8/64 dev eth0 nodad");
    db.ip("address add fd00::9/64 dev eth0 nodad");
    let ran = ping_from(&lab, &web, "fd00::/64").ok();
    // Of the two that one node has, the second is known from the networks of this host.
    assert_eq!(addresses(&ran.stdout), BTreeSet::from(["fd00::9", "fd00::5:6:7:8"]), "{ran}");
    let ran = ping_from(&lab, &web, "fd00::/120").ok();
    assert_eq!(addresses(&ran.stdout), BTreeSet::from(["fd00::9"]), "{ran}");
    web.ip("route add fd01::/64 via fd00::9");
    let ran = ping_from(&lab, &web, "fd01::/64").fails_with(2);
    ran.stderr_has("fd01::/64: has too many addresses to ask one by one, and is behind a router");
    let ran = ping_from(&lab, &web, "0.0.0.0/0").fails_with(2);
    ran.stderr_has(
        "0.0.0.0/0: has 4294967294 addresses, which would take 119 hours; the largest network is a /8",
    );
}

/// ip-neighbour(8) is the observer.
#[test]
fn a_sweep_leaves_the_containers_own_table_as_it_was() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab, 24, "$(seq -f 0.%g 10 29)");
    web.ip("neighbour flush all");
    ping_from(&lab, &web, "198.18.0.0/24").ok();
    assert_eq!(web.ip("neighbour show 198.18.0.0/24").stdout, "");
}

#[test]
fn the_rate_that_was_asked_for_is_kept() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab, 24, "0.10");
    let ran = ping_from(&lab, &web, "-q --rate 500 -c 1 198.18.0.0/24").ok();
    // 253 packets, of which the first ten leave at once.
    assert!(ran.took.as_millis() >= 480, "{ran}");
}

#[test]
fn nothing_of_a_large_network_is_lost_at_twenty_thousand_packets_a_second() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab, 20, "$(for a in 0 3 7 15; do seq -f $a.%g 2 251; done)");
    let ran = ping_from(&lab, &web, "--json --rate 20000 198.18.0.0/20").ok();
    let heard = events(&ran);
    let summary = of_kind(&heard, "summary")[0];
    let counts =
        ["asked", "answered", "kernel_dropped", "strays", "malformed"].map(|key| summary[key].clone());
    assert_eq!(counts, [4093, 1000, 0, 0, 0].map(Value::from), "{summary}");
}

#[test]
fn a_link_that_goes_down_ends_it_with_a_word() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab, 16, "0.10");
    let running = lab
        .tool("netns-ping")
        .args(["--json", "--rate", "1000", &format!("pid:{}", web.pid), "198.18.0.0/16"])
        .start();
    running.wait_for("reply");
    web.ip("link set eth0 down");
    let ran = running.finish().fails_with(2);
    ran.stderr_has("netns-ping: eth0: the interface went down\n").stdout_has("\"event\":\"summary\"");
}

/// Answers each ARP request with all that is wrong: thousands of claims for one address, one of it right; others cut short,
/// with wrong lengths, for addresses that nobody asked for, and from a MAC that is not the frame's own.
const LIAR: &str = r#"
import socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
s.bind(("eth0", 0x0806))
print("listening", flush=True)
def reply(sha, spa, tha, tpa, src=None, hln=6, op=2):
    return tha + (src or sha) + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x0800, hln, 4, op) + sha + spa + tha + tpa
def mac(n): return b"\x02\x00" + struct.pack(">I", n)
while True:
    frame = s.recv(2048)
    if frame[20:22] != b"\x00\x01": continue
    sha, spa, tpa = frame[22:28], frame[28:32], frame[38:42]
    if tpa[3] == 66:
        for n in range(3000):
            s.send(reply(mac(n), tpa, sha, spa))
            if n % 50 == 49: time.sleep(0.001)
    elif tpa[3] == 67:
        good = reply(mac(67), tpa, sha, spa)
        for n in range(0, 42): s.send(good[:n] if n > 13 else good[:14])
        s.send(reply(mac(67), tpa, sha, spa, hln=8))
        s.send(reply(mac(67), tpa, sha, spa, op=9))
        s.send(reply(b"\xff" * 6, tpa, sha, spa))
        s.send(reply(mac(67), b"\0\0\0\0", sha, spa))
        for n in range(50): s.send(reply(mac(67), b"\x0a\x00\x00" + bytes([n]), sha, spa))
        s.send(good + b"x" * 1000)
        s.send(reply(mac(67), tpa, sha, spa, src=mac(99)))
"#;

#[test]
fn hostile_answers_are_counted_and_passed_over() {
    let lab = need!(Lab::new());
    let python = need!(program("python3", "python3"));
    let (web, db) = cable(&lab, 24, "0.10");
    let liar = db.command(&python).args(["-c", LIAR]).start();
    liar.wait_for("listening");
    // The liar needs its time for thousands of answers before it comes to the next request.
    let scan = format!("-W {} 198.18.0.60-70", as_busy(Duration::from_secs(1)).as_secs_f64());
    // A tool that a busy machine lets read too seldom loses answers: the kernel drops what its queue has no room for.
    let scanned = (0..9).find_map(|_| {
        let ran = ping_from(&lab, &web, &format!("--json {scan}")).ok();
        let events = events(&ran);
        let summary = of_kind(&events, "summary")[0].clone();
        (summary["kernel_dropped"] == 0).then_some((ran, events, summary))
    });
    let (ran, events, summary) = scanned.expect("one scan of nine loses nothing");
    let of = |address: &str| events.iter().filter(|event| event["address"] == address).collect::<Vec<_>>();
    let many = of("198.18.0.66");
    let kinds: Vec<&str> = many.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reply", "duplicate", "duplicate", "duplicate"], "{ran}");
    let lied = of("198.18.0.67");
    assert_eq!(lied.len(), 1, "{ran}");
    assert_eq!(
        (&lied[0]["mac"], &lied[0]["sender_mac"]),
        (&"02:00:00:00:00:43".into(), &"02:00:00:00:00:63".into())
    );
    assert_eq!((&summary["answered"], &summary["duplicates"]), (&2.into(), &1.into()), "{ran}");
    // Who answers late is asked twice.
    let strays = summary["strays"].as_u64().unwrap();
    assert!(strays == 50 || strays == 100, "{ran}");
    assert!(summary["malformed"].as_u64().unwrap() >= 3, "{ran}");
    let ran = ping_from(&lab, &web, &scan).ok();
    ran.stderr_has(" more answers for addresses that several hosts already have were ignored\n")
        .stderr_has("0 answers for addresses that were not requested were ignored\n")
        .stdout_has("; 1 by more than one host\n");
    let ran = ping_from(&lab, &web, "--arp -c4 -i0.3 198.18.0.66").fails_with(1);
    ran.stdout_has("Duplicate address 198.18.0.66: at least 16 MAC addresses have it\n");
}

/// 20 of 20 each time; `NETNS_PING_RUNS=1000` for the whole proof, which takes a minute.
#[test]
fn none_is_missed_however_often() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab, 24, "$(seq -f 0.%g 10 29)");
    let tool = support::tools::tool("netns-ping");
    let runs = std::env::var("NETNS_PING_RUNS").unwrap_or_else(|_| "20".to_owned());
    let script = format!(
        "for n in $(seq {runs}); do {tool} -q {} 198.18.0.0/24; done | cut -d' ' -f1-3 | sort | uniq -c",
        web.pid
    );
    let ran = lab.shell(&script).run_within(std::time::Duration::from_secs(600)).ok();
    assert_eq!(ran.text(), format!("{runs} 20 of 253"));
}

/// arp-scan#5: who looks for a duplicate address in a network looks for that of its own host, too.
#[test]
fn a_sweep_tells_that_somebody_else_has_the_containers_own_address() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab, 24, "0.10");
    db.ip("address add fd00::10/64 dev eth0 nodad");
    for dest in ["198.18.0.0/24", "fd00::/120", "fd00::/64"] {
        let ran = ping_from(&lab, &web, dest).ok();
        assert!(!ran.stdout.contains("more than one host") && !ran.stderr.contains("has it too"), "{ran}");
    }
    db.ip("address add 198.18.0.1/24 dev eth0");
    db.ip("address add fd00::1/64 dev eth0 nodad");
    let mac = db.ip("-j link show dev eth0").json()[0]["address"].as_str().unwrap().to_owned();
    for (own, dest) in [("198.18.0.1", "198.18.0.0/24"), ("fd00::1", "fd00::/120"), ("fd00::1", "fd00::/64")]
    {
        web.ip("neighbour flush all");
        let ran = ping_from(&lab, &web, dest).ok();
        let row = ran.stdout.lines().find(|line| line.starts_with(&format!("{own} ")));
        let row = row.unwrap_or_else(|| panic!("{own}: {ran}"));
        assert!(row.contains(&mac) && row.contains(&format!("pid:{}", db.pid)), "{ran}");
        ran.stdout_has("; 1 by more than one host\n").stderr_has(&format!(
            "netns-ping: {own} is an address of pid:{}, and {mac} has it too\n",
            web.pid
        ));
        let found = events(&ping_from(&lab, &web, &format!("--json {dest}")).ok());
        let other: Vec<_> = found.iter().filter(|event| event["is_own"] == true).collect();
        assert_eq!(other.len(), 1, "{found:?}");
        assert_eq!((&other[0]["event"], &other[0]["address"]), (&"duplicate".into(), &own.into()));
        assert_eq!(other[0]["mac"], mac.as_str(), "{found:?}");
        assert_eq!(of_kind(&found, "summary")[0]["duplicates"], 1, "{found:?}");
        assert_eq!(found.last().unwrap()["cause"], "address-conflict", "{found:?}");
    }
    // What is not scanned is not asked for. db answers nobody who calls himself as it does.
    let ran = ping_from(&lab, &web, "198.18.0.8-12").fails_with(1);
    assert!(!ran.stderr.contains("has it too"), "{ran}");
}

/// A container with two links in one network answers on each for the address of the other (ARP flux).
#[test]
fn the_containers_own_other_link_is_nobody_else() {
    let lab = need!(Lab::new());
    let [web, db] = ["web", "db"].map(|name| lab.container(name, container_options()));
    lab.shell("ip link add br0 type bridge && ip link set br0 up").run().ok();
    for (container, link, port) in [(&web, "eth0", "v1"), (&web, "eth1", "v2"), (&db, "eth0", "v3")] {
        let pid = container.pid;
        let line = format!(
            "ip link add {port} master br0 type veth peer name {link} netns {pid} && ip link set {port} up"
        );
        lab.shell(&line).run().ok();
        container.ip(&format!("link set {link} up"));
    }
    web.ip("address add 10.40.0.1/24 dev eth0");
    web.ip("address add 10.40.0.2/24 dev eth1");
    db.ip("address add 10.40.0.3/24 dev eth0");
    let ran = ping_from(&lab, &web, "10.40.0.0/24").ok();
    let ran = ran.stdout_has("1 of 252 answered, ");
    assert!(!ran.stdout.contains("more than one host") && !ran.stderr.contains("has it too"), "{ran}");
}
