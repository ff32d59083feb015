//! `--arp`, `--dad` and `--announce`: ARP and neighbour discovery, on cables and bridges of the tests' own.

use crate::{events, ping_from, settled};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::until::until;

/// A network and an init of its own, which stands for it.
pub(crate) fn container_options() -> Options {
    Options::only(&["net", "mnt", "pid"])
}

/// Two containers on one cable: `web` with 198.18.0.2 and fd00::2, `db` with 198.18.0.3 and fd00::3.
fn cable(lab: &Lab) -> (Container, Container) {
    let [web, db] = ["web", "db"].map(|name| lab.container(name, container_options()));
    lab.veth((&web, "198.18.0.2/24"), (&db, "198.18.0.3/24"));
    web.ip("address add fd00::2/64 dev eth0 nodad");
    db.ip("address add fd00::3/64 dev eth0 nodad");
    settled(&[&web, &db]);
    (web, db)
}

pub(crate) fn mac(container: &Container) -> String {
    container.ip("-j link show eth0").json()[0]["address"].as_str().unwrap().to_owned()
}

/// As arping(8) prints it.
pub(crate) fn upper_mac(container: &Container) -> String {
    mac(container).to_uppercase()
}

#[test]
fn a_neighbour_answers_with_his_mac_and_is_named() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab);
    for (address, own) in [("198.18.0.3", "198.18.0.2"), ("fd00::3", "fd00::2")] {
        let ran = ping_from(&lab, &web, &format!("--arp -c1 {address}")).ok();
        assert!(ran.stdout.starts_with(&format!("ARPING {address} from {own} eth0\n")), "{ran}");
        let ran = ran.stdout_has(&format!("Unicast reply from {address} [{}]  ", upper_mac(&db)));
        let ran = ran.stdout_has(&format!("ms  pid:{} (sh) eth0\n", db.pid));
        let ran =
            ran.stdout_has("Sent 1 probes (1 broadcast(s))\nReceived 1 response(s)\nrtt min/avg/max/mdev = ");
        ran.stderr_is("");
    }
}

/// ip-neighbour(8) is the observer: whom we ask learns of us, as of anybody who asks; the container learns of nobody.
#[test]
fn asking_leaves_the_containers_own_table_as_it_was() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab);
    web.ip("neighbour flush all");
    ping_from(&lab, &web, "--arp -c1 198.18.0.3").ok();
    assert_eq!(web.ip("neighbour show 198.18.0.0/24").stdout, "");
}

#[test]
fn json_has_an_event_for_each_question_and_answer() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab);
    let ran = ping_from(&lab, &web, "--arp --json -c2 -i 0.01 198.18.0.3").ok();
    let events = events(&ran);
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["sent", "reply", "sent", "reply", "summary", "verdict"]);
    let reply = &events[1];
    assert_eq!((&reply["mac"], &reply["dest"]), (&mac(&db).into(), &"198.18.0.3".into()));
    assert!(reply["rtt_us"].as_f64().unwrap() > 0.0, "{reply}");
    let holder = &reply["holders"][0];
    assert_eq!((&holder["link"], &holder["has_address"]), (&"eth0".into(), &true.into()), "{reply}");
    let summary = &events[4];
    assert_eq!((&summary["received"], &summary["is_duplicate"]), (&2.into(), &false.into()));
}

#[test]
fn nobody_is_an_honest_no() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab);
    for address in ["198.18.0.9", "fd00::9"] {
        let ran = ping_from(&lab, &web, &format!("--arp -c2 -i 0.01 -W 0.1 {address}")).fails_with(1);
        ran.stdout_has("Sent 2 probes (2 broadcast(s))\nReceived 0 response(s)\n");
        let ran = ping_from(&lab, &web, &format!("--arp --json -c1 -W 0.1 {address}")).fails_with(1);
        assert_eq!(events(&ran)[1]["event"], "lost");
    }
}

/// A bridge in the lab with a port for each of several containers.
fn bridge(lab: &Lab, ports: &[(&Container, &str)]) {
    lab.shell("ip link add br0 type bridge; ip link set br0 up; ip address add 198.18.1.1/24 dev br0")
        .run()
        .ok();
    for (number, (container, addresses)) in ports.iter().enumerate() {
        let pid = container.pid;
        let add: String = addresses
            .split_whitespace()
            .map(|address| format!("nsenter -t {pid} -n ip address add {address} dev eth0 nodad;"))
            .collect();
        lab.shell(&format!(
            "ip link add port{number} master br0 up type veth peer name eth0 netns {pid}
             nsenter -t {pid} -n ip link set eth0 up; {add}"
        ))
        .run()
        .ok();
    }
    let containers: Vec<&Container> = ports.iter().map(|(container, _)| *container).collect();
    settled(&containers);
}

#[test]
fn two_who_have_one_address_are_both_named() {
    let lab = need!(Lab::new());
    let [web, one, two] = ["web", "one", "two"].map(|name| lab.container(name, container_options()));
    let twice = "198.18.1.9/24 fd00::9/64";
    bridge(&lab, &[(&web, "198.18.1.2/24 fd00::2/64"), (&one, twice), (&two, twice)]);
    for address in ["198.18.1.9", "fd00::9"] {
        let ran = ping_from(&lab, &web, &format!("--arp -c1 {address}")).fails_with(1);
        let mut ran = ran.stdout_has(&format!("Duplicate address {address}: 2 MAC addresses have it\n"));
        for (container, port) in [(&one, "port1"), (&two, "port2")] {
            let line = format!("  {}  pid:{} (sh) eth0 ({port})\n", upper_mac(container), container.pid);
            ran = ran.stdout_has(&line);
        }
        let ran = ping_from(&lab, &web, &format!("--arp --json -c1 {address}")).fails_with(1);
        let events = events(&ran);
        let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["sent", "reply", "duplicate", "summary", "verdict"]);
    }
    let ran = ping_from(&lab, &web, "--arp -c1 198.18.1.1").ok();
    ran.stdout_has("ms  this host br0\n");
}

#[test]
fn behind_a_router_nobody_is_asked_in_vain() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab);
    web.ip("route add 10.9.0.0/16 via 198.18.0.3");
    let ran = ping_from(&lab, &web, "--arp -c1 10.9.0.1").fails_with(2);
    ran.stderr_is(&format!(
        "netns-ping: 10.9.0.1: is behind the router 198.18.0.3 on eth0, and only hosts on the link answer\n\
         hint: netns-ping --arp {} 198.18.0.3\n",
        format_args!("pid:{}", web.pid)
    ));
    let ran = ping_from(&lab, &web, "--arp -c1 10.8.0.1").fails_with(2);
    ran.stderr_has("10.8.0.1: no route from inside: ");
    let ran = ping_from(&lab, &web, "--arp -c1 198.18.0.2").fails_with(2);
    ran.stderr_has("198.18.0.2: is an address of pid:").stderr_has("hint: netns-ping --dad ");
    // Wrong routes may be what somebody is after.
    ping_from(&lab, &web, "--arp -c1 -W0.1 -I eth0 10.9.0.1")
        .fails_with(1)
        .stdout_has("Received 0 response(s)\n");
}

#[test]
fn a_link_without_an_address_of_ours_asks_as_nobody() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab);
    web.ip("address flush dev eth0 scope global");
    web.ip("route add 198.18.0.3 dev eth0");
    let ran = ping_from(&lab, &web, "--arp -c1 198.18.0.3").ok();
    ran.stdout_has("ARPING 198.18.0.3 from nobody eth0\n").stdout_has(&format!("[{}]", upper_mac(&db)));
}

#[test]
fn links_on_which_nobody_can_be_asked_say_why() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab);
    let ran = ping_from(&lab, &web, "--arp -I lo 198.18.0.3").fails_with(2);
    ran.stderr_has(
        "198.18.0.3 on lo: there are no MAC addresses: this kind of interface (loopback) has no ARP",
    );
    web.ip("link set eth0 arp off");
    let ran = ping_from(&lab, &web, "--arp 198.18.0.3").fails_with(2);
    ran.stderr_has("this kind of interface (veth) has no ARP");
    web.ip("link set eth0 arp on");
    db.ip("link set eth0 down");
    let ran = ping_from(&lab, &web, "--arp -I eth0 198.18.0.3").fails_with(2);
    ran.stderr_has("198.18.0.3 on eth0: the interface has no carrier\n");
    web.ip("link set eth0 down");
    let ran = ping_from(&lab, &web, "--arp -I eth0 198.18.0.3").fails_with(2);
    ran.stderr_has("198.18.0.3 on eth0: the interface is down\n").stderr_has("-n ip link set eth0 up\n");
}

#[test]
fn an_address_that_somebody_has_is_not_free() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab);
    for (taken, free) in [("198.18.0.3", "198.18.0.9"), ("fd00::3", "fd00::9")] {
        let ran = ping_from(&lab, &web, &format!("--dad {taken}")).fails_with(1);
        ran.stdout_is(&format!("{taken}: {} (pid:{} (sh) eth0) on eth0 has it\n", mac(&db), db.pid));
        ping_from(&lab, &web, &format!("--dad {free}"))
            .ok()
            .stdout_is(&format!("{free}: not in use on eth0\n"));
        let own = taken.replace('3', "2");
        ping_from(&lab, &web, &format!("--dad {own}")).ok();
        let heard = events(&ping_from(&lab, &web, &format!("--dad --json {taken}")).fails_with(1));
        let [summary, verdict] = &heard[..] else { panic!("{heard:#?}") };
        assert_eq!((&summary["is_taken"], &summary["mac"]), (&true.into(), &mac(&db).into()), "{summary}");
        assert_eq!(verdict["cause"], "address-conflict", "{verdict}");
        assert!(verdict["text"].as_str().unwrap().ends_with(" on eth0 has it"), "{verdict}");
        let heard = events(&ping_from(&lab, &web, &format!("--dad --json {free}")).ok());
        assert_eq!((&heard[1]["event"], &heard[1]["cause"]), (&"verdict".into(), &serde_json::Value::Null));
    }
    // The probe has told nobody of us.
    assert_eq!(db.ip("neighbour show 198.18.0.0/24").stdout, "");
}

/// The neighbour's own table is the observer.
#[test]
fn neighbours_believe_an_announcement() {
    let lab = need!(Lab::new());
    let (web, db) = cable(&lab);
    for address in ["198.18.0.2", "fd00::2"] {
        db.ip(&format!("neighbour replace {address} lladdr 02:00:00:00:00:99 dev eth0 nud stale"));
        // The kernel believes no second word within a second of the first (locktime).
        let sysctl = "echo 0 >/proc/sys/net/ipv4/neigh/eth0/locktime";
        lab.shell(&format!("nsenter -t {} -n sh -c '{sysctl}'", db.pid)).run().ok();
        let ran = ping_from(&lab, &web, &format!("--announce -i 0.01 {address}")).ok();
        ran.stdout_is(&format!("{address}: announced on eth0 with MAC address {}, 3 times\n", mac(&web)));
        let shown = || db.ip(&format!("neighbour show {address}")).stdout;
        until(&format!("the neighbour has the new MAC of {address}"), || shown().contains(&mac(&web)));
    }
}

#[test]
fn nobody_is_asked_for_an_address_of_all_hosts() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab);
    web.ip("route add default via 198.18.0.3");
    for words in ["--arp", "--dad", "--arp -I eth0"] {
        for all in ["198.18.0.255", "255.255.255.255", "224.0.0.1"] {
            let ran = ping_from(&lab, &web, &format!("{words} {all}")).fails_with(2);
            ran.stderr_has("is a multicast or broadcast address, which no single host has");
        }
    }
}

#[test]
fn an_address_of_somebody_elses_is_not_announced() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab);
    let ran = ping_from(&lab, &web, "--announce 198.18.0.3").fails_with(2);
    ran.stderr_has("198.18.0.3: is not an address of pid:").stderr_has(", which has 198.18.0.2\n");
}

#[test]
fn a_signal_ends_it_with_the_summary() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab);
    let mut command = lab.tool("netns-ping");
    let running = command.args(["--arp", "-i", "0.01", &web.pid.to_string(), "198.18.0.3"]).start();
    running.wait_for("Unicast reply from 198.18.0.3");
    running.signal_behind_nsenter(nix::sys::signal::Signal::SIGINT);
    running.finish().ok().stdout_has(" response(s)\nrtt min/avg/max/mdev");
}

/// What is not known is not called free.
#[test]
fn a_signal_ends_a_look_for_duplicates_with_what_is_known() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab);
    for is_json in [false, true] {
        let mut command = lab.tool("netns-ping");
        command.args(["--dad", "-c", "1000"]).args(is_json.then_some("--json"));
        let running = command.args([&web.pid.to_string(), "198.18.0.9", "fd00::9"]).start();
        running.wait_until_blocked_behind_nsenter(nix::sys::signal::Signal::SIGINT);
        running.signal_behind_nsenter(nix::sys::signal::Signal::SIGINT);
        let ran = running.finish().fails_with(2);
        if is_json {
            let heard = events(&ran);
            assert!(heard.iter().all(|event| event["event"] == "verdict"), "{ran}");
            assert_eq!(heard.len(), 2, "{ran}");
            assert!(heard.iter().all(|event| event["cause"] == "not-done"), "{ran}");
            continue;
        }
        let lines: Vec<&str> = ran.stdout.lines().collect();
        let [first, second] = lines[..] else { panic!("{ran}") };
        assert!(first.starts_with("198.18.0.9: not known: stopped after "), "{ran}");
        assert!(second.starts_with("fd00::9: not known: stopped after 0.0 s of "), "{ran}");
        assert!(first.ends_with(", and no host on eth0 has answered until then"), "{ran}");
    }
}

#[test]
fn a_signal_ends_announcements_with_their_number() {
    let lab = need!(Lab::new());
    let (web, _db) = cable(&lab);
    let mut command = lab.tool("netns-ping");
    let running =
        command.args(["--announce", "--json", "-c9", "-i30", &web.pid.to_string(), "198.18.0.2"]).start();
    running.wait_for("\"sent\"");
    running.signal_behind_nsenter(nix::sys::signal::Signal::SIGINT);
    let heard = events(&running.finish().ok());
    assert_eq!(heard.len(), 2, "{heard:#?}");
    assert_eq!(heard[1]["event"], "verdict");
}
