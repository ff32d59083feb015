//! What is alike in all modes: how they end when nobody reads, when nothing can be written, and at an interrupt.
//! Observers: perl, which closes a pipe for certain, `/dev/full`, and the neighbour table.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::matrix::Scene;
use crate::{Cable, cable, events, of_kind};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{need, program};
use support::tools;
use support::until::until;

/// A call of each mode, and whether it ends with a verdict of a failure.
const MODES: [(&str, bool); 9] = [
    ("-c2 -i0.1 198.18.0.2", false),
    ("-c2 -i0.1 fd00::2", false),
    ("--arp -c2 -i0.1 198.18.0.2", false),
    ("--arp -c2 -i0.1 fd00::2", false),
    ("--dad 198.18.0.77", false),
    ("--announce -i0.01 198.18.0.1", false),
    ("198.18.0.0/29", false),
    ("-c2 -i0.1 tcp:198.18.0.2:9", true),
    ("-c2 -i0.1 udp:198.18.0.2:9", true),
];

/// A program whose standard output is a pipe that nobody reads.
const NOBODY_READS: &str = "pipe R, W; close R; open STDOUT, \">&W\"; $SIG{PIPE} = \"DEFAULT\"; exec @ARGV";

impl Cable {
    fn line(&self, words: &str) -> String {
        format!("{} pid:{} {words}", tools::tool("netns-ping"), self.web.pid)
    }
}

#[test]
fn nobody_who_reads_is_no_failure_in_any_mode() {
    need!(program("perl", "perl"));
    let cable = need!(cable());
    cable.ping("198.18.0.2 fd00::2 -c1").ok();
    for (words, _) in MODES {
        for json in ["", " --json"] {
            let line = cable.line(&format!("{words}{json}"));
            let ran = cable.lab.shell(&format!("perl -e '{NOBODY_READS}' -- {line}")).run().ok();
            assert!(!ran.stderr.contains("pipe"), "{words}: {ran}");
        }
    }
    let scene = need!(Scene::new(&["db", "web"]));
    let matrix = format!("{} --engine-timeout 30s --matrix", tools::tool("netns-ping"));
    for more in ["", "--json", "--tcp 9"] {
        scene.lab.shell(&format!("perl -e '{NOBODY_READS}' -- {matrix} {more}")).run().ok();
    }
}

#[test]
fn what_cannot_be_written_is_a_failure_in_every_mode() {
    let cable = need!(cable());
    let is_said = |ran: Ran| ran.fails_with(2).stderr_has("standard output: No space left on device");
    for (words, _) in MODES {
        for json in ["", " --json"] {
            let line = cable.line(&format!("{words}{json}"));
            is_said(cable.lab.shell(&format!("{line} >/dev/full")).run());
        }
    }
    let scene = need!(Scene::new(&["db", "web"]));
    let matrix = format!("{} --engine-timeout 30s --matrix", tools::tool("netns-ping"));
    for more in ["", "--json"] {
        is_said(scene.lab.shell(&format!("{matrix} {more} >/dev/full")).run());
    }
}

#[test]
fn every_mode_ends_with_one_verdict_and_it_is_the_last_event() {
    let cable = need!(cable());
    for (words, is_failure) in MODES {
        let heard = events(&cable.ping(&format!("{words} --json")));
        let verdicts = heard.iter().filter(|event| event["event"] == "verdict").count();
        let last = heard.last().unwrap();
        assert_eq!((verdicts, &last["event"]), (1, &"verdict".into()), "{words}: {heard:#?}");
        assert_eq!(last["cause"] != Value::Null, is_failure, "{words}: {last}");
        assert!(last["fix"].is_array() && last["from"].is_string() && last["dest"].is_string(), "{last}");
    }
}

/// Every key of an object, and of the objects in it.
fn keys(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                all.insert(key.clone());
                // A container is as another manual has it.
                if key != "container" {
                    keys(value, all);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, all)),
        _ => {}
    }
}

#[test]
fn the_manual_has_each_field_of_json() {
    let cable = need!(cable());
    let mut all = BTreeSet::new();
    let more = ["-c1 -W0.2 198.18.0.77", "--arp -c1 198.18.0.77", "-c1 -t1 203.0.113.9", "--dad 198.18.0.2"];
    for words in MODES.iter().map(|(words, _)| *words).chain(more) {
        events(&cable.ping(&format!("{words} --json"))).iter().for_each(|event| keys(event, &mut all));
    }
    let scene = need!(Scene::on_network(&["db", "web"], "lab"));
    scene.containers[0].ip("route del default");
    for more in [&["--json"][..], &["--json", "--tcp", "9"]] {
        events(&scene.matrix(more)).iter().for_each(|event| keys(event, &mut all));
    }
    let manual = include_str!("../../man/sections/netns-ping.roff");
    let (_, section) = manual.split_once(".SH JSON\n").unwrap();
    let (section, _) = section.split_once("\n.SH ").unwrap();
    let words: BTreeSet<&str> = section.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let missing: Vec<&String> = all.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(all.len() > 60 && missing.is_empty(), "{} fields, without {missing:?}", all.len());
}

#[test]
fn every_probe_in_json_has_its_number_and_every_field_is_there() {
    let cable = need!(cable());
    for words in ["-c2 -i0.1 -W0.2 198.18.0.77", "--arp -c2 -i0.1 -W0.2 198.18.0.77"] {
        let heard = cable.events(words);
        for kind in ["sent", "lost"] {
            let numbers: Vec<u64> =
                of_kind(&heard, kind).iter().filter_map(|event| event["seq"].as_u64()).collect();
            assert_eq!(numbers, [1, 2], "{kind} of {words}: {heard:#?}");
        }
    }
    let heard = cable.events("--arp -c1 198.18.0.2");
    let reply = of_kind(&heard, "reply")[0].as_object().unwrap();
    assert!(reply.contains_key("sender_mac") && reply["sender_mac"].is_null(), "{reply:?}");
}

/// Nobody has the address, so all of them wait when the interrupt comes.
#[test]
fn an_interrupt_ends_each_mode_with_the_verdict_that_there_is() {
    let cable = need!(cable());
    for (words, causes) in [
        ("198.18.0.77", ["neighbour-silent"]),
        ("fd00::77", ["neighbour-silent"]),
        ("--arp -W99 198.18.0.77", ["neighbour-silent"]),
        ("-W99 tcp:198.18.0.77:9", ["neighbour-silent"]),
        ("-W99 udp:198.18.0.77:9", ["neighbour-silent"]),
        ("-W99 udp:[fd00::77]:9", ["neighbour-silent"]),
    ] {
        cable.web.ip("neighbour flush all");
        let mut ping = cable.lab.tool("netns-ping");
        let running = ping.arg(cable.web.pid.to_string()).arg("--json").args(words.split(' ')).start();
        let is_asking = || match words.contains("--arp") {
            true => running.so_far().stdout.contains("\"sent\""),
            false => !cable.web.ip("neighbour show nud incomplete nud failed").stdout.is_empty(),
        };
        until("it asks for the neighbour", is_asking);
        running.signal_behind_nsenter(Signal::SIGINT);
        let heard = events(&running.finish().fails_with(1));
        let last = heard.last().unwrap();
        assert_eq!(last["event"], "verdict", "{words}: {heard:#?}");
        assert!(causes.contains(&last["cause"].as_str().unwrap()), "{words}: {last}");
    }
}

#[test]
fn an_interrupt_ends_a_matrix_with_what_is_known_and_that_it_is_not_all() {
    let scene = need!(Scene::new(&["db", "mail", "web"]));
    scene.lab.shell("ip link set port3 nomaster").run().ok();
    for more in [&["-4"][..], &["-4", "--tcp", "9"], &["-4", "--udp", "9"]] {
        scene.containers[0].ip("neighbour flush all");
        let mut matrix = scene.lab.tool("netns-ping");
        let running =
            matrix.args(["--engine-timeout", "30s", "--matrix", "--json", "-W", "99"]).args(more).start();
        // It waits for one that is off the bridge.
        let is_asking = || !scene.containers[0].ip("neighbour show nud incomplete").stdout.is_empty();
        until("it asks for the one that is not there", is_asking);
        running.signal_behind_nsenter(Signal::SIGINT);
        let ran = running.finish().fails_with(2);
        let heard = events(&ran);
        assert_eq!(heard.last().unwrap()["event"], "verdict", "{ran}");
    }
}

#[test]
fn a_host_without_engines_is_told_so() {
    let lab = need!(Lab::new());
    for words in [&["--matrix"][..], &["--matrix", "--json"], &["--matrix", "--tcp", "80"]] {
        let ran = lab.tool("netns-ping").args(words).run().fails_with(2);
        ran.stderr_has("no container engine was found on this host (looked for docker, podman, ");
    }
    let web = lab.container("web", support::container::Options::default());
    let pid = web.pid.to_string();
    for dest in ["docker:db", "tcp:docker:db:80"] {
        lab.tool("netns-ping").args([&pid, dest]).run().fails_with(2).stderr_has("docker");
    }
}

#[test]
fn ports_that_there_are_not_and_hosts_that_are_many_are_refused() {
    let cable = need!(cable());
    for (dest, why) in [
        ("tcp:198.18.0.2", "the port is missing: tcp:198.18.0.2:PORT"),
        ("tcp:198.18.0.2:0", "\'0\' is not a port: 1 to 65535"),
        ("tcp:198.18.0.2:65536", "\'65536\' is not a port: 1 to 65535"),
        ("udp:198.18.0.2:-1", "\'-1\' is not a port: 1 to 65535"),
        ("udp:198.18.0.2:99999999999999999999", "is not a port: 1 to 65535"),
        ("tcp:198.18.0.2:http", "\'http\' is not a port: 1 to 65535"),
        ("tcp:fd00::2:80", "an IPv6 address with a port has brackets: tcp:[fd00::1]:80"),
        ("tcp:[fd00::2]", "the port is missing: tcp:[fd00::2]:PORT"),
        ("tcp::80", "the DEST is empty"),
        ("tcp:198.18.0.255:80", "is a broadcast or multicast address: a port needs a single host"),
        ("udp:255.255.255.255:80", "is a broadcast or multicast address: a port needs a single host"),
        ("udp:[ff02::1%eth0]:80", "is a broadcast or multicast address: a port needs a single host"),
    ] {
        cable.ping(dest).fails_with(2).stderr_has(why);
        let heard = events(&cable.ping(&format!("--json {dest}")).fails_with(2));
        assert!(heard.len() <= 1, "{dest}: {heard:#?}");
    }
}

/// The TARGET itself as DEST, in every way that it can be written.
#[test]
fn a_container_reaches_itself() {
    let cable = need!(cable());
    let own = format!("pid:{}", cable.web.pid);
    for dest in [own.as_str(), "198.18.0.1", "fd00::1", "127.0.0.1", "::1"] {
        cable.ping(&format!("-c1 {dest}")).ok().stdout_has(" 1 received, 0% packet loss");
    }
    let heard = cable.events(&format!("-c1 tcp:{own}:9"));
    assert_eq!(heard.last().unwrap()["cause"], "nobody-listens", "{heard:#?}");
    for mode in ["--arp", "--dad"] {
        let ran = cable.ping(&format!("{mode} 198.18.0.1"));
        let status = if mode == "--arp" { 2 } else { 0 };
        assert_eq!(ran.status.unwrap().code(), Some(status), "{ran}");
    }
}
