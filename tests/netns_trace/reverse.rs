//! `--reverse`: from outside in, to a published port. In the lab `a` is outside, and DNAT of the host leads to `d`; with a real Docker
//! see docker.rs. Observers: connections by perl, from the outside.

use std::process::Command;

use support::run::Run;
use support::skip::need;
use support::tools;

use crate::inside_lab::{InsideLab, observers};

const DNAT: &str =
    "iptables -t nat -A PREROUTING -p tcp -d 198.18.1.1 --dport 8080 -j DNAT --to-destination 198.18.3.3:80";

#[track_caller]
fn reversed(lab: &mut InsideLab, words: &str) -> (serde_json::Value, i32) {
    let ran = lab.run(&format!("timeout 60 netns-trace --reverse --json {words}"));
    let last = ran.said.lines().last().unwrap_or_default();
    (serde_json::from_str(last).unwrap_or_else(|err| panic!("{words}: {err}: {}", ran.said)), ran.status)
}

const WORDS: &str = "netns:d 8080 --from 198.18.1.2";

#[test]
fn a_port_that_is_published_by_dnat_is_followed_to_its_socket_and_back() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up(&format!("serve d tcp 80; {DNAT}; plain a tcp:198.18.1.1:8080")).unwrap();
    let ran = lab.run(&format!("timeout 60 netns-trace --reverse {WORDS}"));
    assert_eq!(
        ran.said,
        "va → br0 → vd → netns:d eth0\nback:  netns:d eth0 → vd → br0 → va → netns:a eth0\n\
         by:    DNAT to 198.18.3.3:80\npasses: nothing found that stops it\n"
    );
    assert_eq!(ran.status, 0);
    let (report, _) = reversed(&mut lab, WORDS);
    assert_eq!(
        report["published_by"],
        serde_json::json!({"kind": "dnat", "address": "198.18.3.3", "port": 80}),
        "{report}"
    );
}

/// What breaks it, what is given for it, and cause, hop and hook.
const BROKEN: [(&str, &str, &str, Option<&str>); 8] = [
    ("iptables -A FORWARD -p tcp --dport 80 -j DROP", "filter-drop", "host", Some("forward")),
    ("ip netns exec d iptables -A INPUT -p tcp --dport 80 -j DROP", "filter-drop", "netns:d", Some("input")),
    (
        "iptables -t raw -A PREROUTING -i va -p tcp --dport 8080 -j DROP",
        "filter-drop",
        "host",
        Some("prerouting"),
    ),
    ("kill $(cat /run/server.80); sleep .2", "nobody-listens", "netns:d", Some("socket")),
    (
        "kill $(cat /run/server.80); sleep .2; serve d tcp 80 127.0.0.1",
        "listens-on-loopback-only",
        "netns:d",
        Some("socket"),
    ),
    // At the same port somebody listens who never gets IPv4, as docker-proxy has it.
    (
        "kill $(cat /run/server.80); sleep .2; serve d tcp 80 127.0.0.1; serve d tcp 80 ::",
        "listens-on-loopback-only",
        "netns:d",
        Some("socket"),
    ),
    (
        "ip -n d addr del 198.18.3.3/24 dev eth0; ip neigh flush dev br0",
        "dnat-gone",
        "host",
        Some("prerouting"),
    ),
    ("iptables -t nat -F PREROUTING", "not-published", "host", Some("socket")),
];

#[test]
fn where_the_way_in_breaks_is_named() {
    need!(observers());
    let failed = crate::inside_lab::walk_all(&BROKEN, |(seed, cause, container, hook)| {
        let mut lab = InsideLab::new();
        lab.set_up(&format!("serve d tcp 80; {DNAT}; plain a tcp:198.18.1.1:8080")).unwrap();
        lab.set_up(seed).unwrap();
        assert_ne!(lab.run("plain a tcp:198.18.1.1:8080").status, 0, "{seed} breaks nothing");
        let (report, status) = reversed(&mut lab, WORDS);
        let found =
            (report["cause"].as_str(), report["hop"]["container"].as_str(), report["hop"]["hook"].as_str());
        (found != (Some(cause), Some(container), *hook) || status != 1)
            .then(|| format!("{seed}: {status} {report}"))
    });
    let failed: Vec<String> = failed.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_port_that_leads_elsewhere_is_said_to() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up(&format!("serve d tcp 80; serve host tcp 8081 198.18.1.1; {DNAT}")).unwrap();
    let (report, status) = reversed(&mut lab, "netns:e 8080 --from 198.18.1.2");
    assert_eq!((&report["cause"], status), (&"not-published".into(), 1), "{report}");
    assert!(report["text"].as_str().unwrap().contains("leads to netns:d, not to netns:e"), "{report}");
    let (report, _) = reversed(&mut lab, "netns:d 8081 --from 198.18.1.2");
    assert_eq!(report["cause"], "not-published", "{report}");
    assert!(report["text"].as_str().unwrap().contains("listens at tcp port 8081 itself"), "{report}");
    assert!(report["published_by"].is_null(), "{report}");
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    for (words, expected) in [
        (&["--reverse", "pid:1"][..], "--reverse needs a TARGET and a PORT of this host"),
        (&["--reverse", "pid:1", "http"], "http: is no port of this host: 8080, udp:53, tcp:192.0.2.1:8080"),
        (&["--reverse", "pid:1", "0"], "0: is no port of this host"),
        (&["--reverse", "pid:1", "tcp:docker:db:80"], "is no port of this host"),
        (&["--reverse", "--size", "99", "pid:1", "80"], "cannot be used with"),
    ] {
        let ran = Command::new(tools::tool("netns-trace")).args(words).run();
        ran.fails_with(2).stderr_has(expected);
    }
    need!(observers());
    let mut lab = InsideLab::new();
    for (words, expected) in [
        ("netns:d 80", "--from: this host has no default route by a router: say which address a client has"),
        (
            "netns:d 80 --from 198.18.1.1",
            "198.18.1.1: no route leads there, or it is an address of this host",
        ),
        ("netns:d tcp:198.18.9.9:80 --from 198.18.1.2", "198.18.9.9: is no address of this host"),
    ] {
        let ran = lab.run(&format!("timeout 60 netns-trace --reverse {words}"));
        assert!(ran.said.contains(expected) && ran.status == 2, "{words}: {}", ran.said);
    }
    let ran = lab.run("timeout 60 netns-trace --reverse netns:nope 80 --from 198.18.1.2");
    assert_eq!(ran.status, 1, "{}", ran.said);
}
