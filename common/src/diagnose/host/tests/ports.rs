//! Published ports, and what is full.

use super::super::facts::{FullQueue, PortPublication, PortUse, PortWaiting, TableUse};
use super::*;
use crate::engine::ContainerSource;

#[test]
fn published_ports_at_whose_end_nobody_waits() {
    let found = seeded(|host| host.published[0].waiting = PortWaiting::Nobody);
    expect(
        &found,
        "nobody-listens",
        "host: port 0.0.0.0:8080/tcp leads to web, where nobody listens at port 80",
        &[],
    );
    assert!(found.advice.is_some());
    let found =
        seeded(|host| host.published[0].waiting = PortWaiting::Elsewhere(vec!["127.0.0.1".parse().unwrap()]));
    let text = "host: port 0.0.0.0:8080/tcp leads to web, which listens at port 80 on 127.0.0.1 only";
    expect(&found, "listens-on-loopback-only", text, &[]);
    let found =
        seeded(|host| host.published[0].waiting = PortWaiting::Elsewhere(vec!["10.9.0.2".parse().unwrap()]));
    assert_eq!(found.what.word(), "listens-elsewhere");
}

#[test]
fn ports_that_nobody_may_need_now_are_none() {
    let mut facts = docker();
    facts.published[0].waiting = PortWaiting::Nobody;
    for (seed, why) in [
        (
            (|port: &mut PortPublication| port.transport = Transport::Udp) as fn(&mut PortPublication),
            "a connected UDP socket is not listed",
        ),
        (|port| port.to_netns = None, "it may lead to another machine"),
        (|port| port.waiting = PortWaiting::Unknown, "not known"),
    ] {
        let mut facts = facts.clone();
        seed(&mut facts.published[0]);
        assert_eq!(findings(&facts), [], "{why}");
    }
    // Swarm's own networks have no process, and the kernel balances there.
    let mut ingress = facts.clone();
    ingress.netns_mut(WEB).processes.clear();
    assert_eq!(words(&ingress), [""; 0]);
    // A range of which some are in use: a program takes one when it needs it.
    let one = facts.published[0].clone();
    facts.published = (0..6)
        .map(|at| PortPublication {
            port: 5000 + at,
            last_port: 5000 + at,
            to_port: Some(5000 + at),
            waiting: if at == 0 { PortWaiting::Listening } else { PortWaiting::Nobody },
            ..one.clone()
        })
        .collect();
    assert_eq!(words(&facts), [""; 0]);
}

#[test]
fn a_port_without_its_proxy_where_others_have_one() {
    let other =
        PortPublication { port: 8081, last_port: 8081, has_proxy: false, to_port: Some(81), ..published() };
    let found = seeded(|host| host.published.push(other.clone()));
    assert_eq!(found.what.word(), "proxy-missing");
    assert_eq!(found.fix[0], "docker restart web");
    // Docker may be set to use none.
    let mut facts = docker();
    facts.published = vec![other];
    assert_eq!(words(&facts), [""; 0]);
}

#[test]
fn input_that_drops_a_published_port_is_the_ufw_case() {
    let text = "host: docker0: the policy of INPUT (iptables-nft) drops what its containers send to the published port 0.0.0.0:8080/tcp";
    let fix = ["iptables-nft -I INPUT -i docker0 -p tcp --dport 8080 -j ACCEPT"];
    let found = seeded(|host| host.chain_mut("filter", "INPUT").policy = Some("drop".to_owned()));
    expect(&found, "input-drops", text, &fix);
    let mut fixed = docker();
    let rules = ["-A INPUT -i docker0 -p tcp -m tcp --dport 8080 -j ACCEPT", "-A INPUT -i docker0 -j DROP"];
    *fixed.chain_mut("filter", "INPUT") = chain("filter", "INPUT", Some("drop"), &rules);
    assert_eq!(words(&fixed), [""; 0]);
    let mut loopback = docker();
    loopback.chain_mut("filter", "INPUT").policy = Some("drop".to_owned());
    loopback.published[0].address = "127.0.0.1".parse().unwrap();
    assert_eq!(words(&loopback), [""; 0], "it is not published there");
}

#[test]
fn what_is_full() {
    let found = seeded(|host| host.known(HOST).conntrack = Some(TableUse { used: 90, most: 100 }));
    assert_eq!(
        (found.what.word(), &*found.fix[0]),
        ("conntrack-full", "sysctl -w net.netfilter.nf_conntrack_max=200")
    );
    let mut enough = docker();
    enough.known(HOST).conntrack = Some(TableUse { used: 89, most: 100 });
    assert_eq!(words(&enough), [""; 0]);
    let found = seeded(|host| {
        host.known(WEB).local_ports = Some(PortUse {
            to: "192.0.2.1:443".parse().unwrap(),
            range: (32768, 60999),
            ports: TableUse { used: 27_000, most: 28_232 },
        });
    });
    assert_eq!(found.what.word(), "local-ports-full");
    assert_eq!(
        found.fix[0],
        "nsenter-rs -t docker:web -n sysctl -w 'net.ipv4.ip_local_port_range=10000 65535'"
    );
    let queue = FullQueue {
        netns: WEB,
        address: "0.0.0.0:80".parse().unwrap(),
        queued: 129,
        most: 128,
        process: Some((77, "ngi\u{1b}nx".to_owned())),
        is_stopped: true,
        resume: None,
    };
    let found = seeded(|host| host.full_queues.push(queue));
    let text = "web: 129 connections wait at 0.0.0.0:80 of ngi\\u{1b}nx (PID 77), where 128 may: new ones are dropped";
    expect(&found, "backlog-full", text, &["kill -CONT 77"]);
    let found = seeded(|host| {
        host.known(WEB).lacks_docker_dns = true;
        host.netns_mut(WEB).containers[0].source = ContainerSource::Api;
    });
    assert_eq!((found.what.word(), &*found.fix[0]), ("dns-missing", "docker restart web"));
}

#[test]
fn a_rule_that_outlived_its_container() {
    let rule = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -m comment --comment \"a b\" -j DNAT --to-destination 172.17.0.9:80";
    let mut facts = docker();
    facts.chain_mut("nat", "DOCKER").rules.push(WrittenRule {
        text: rule.to_owned(),
        counter: None,
        handle: None,
    });
    let port = &mut facts.published[0];
    (port.to, port.to_netns, port.waiting) = ("172.17.0.9".parse().ok(), None, PortWaiting::NoSuchAddress);
    port.has_proxy = false;
    let text =
        "host: port 0.0.0.0:8080/tcp is forwarded to 172.17.0.9, an address that nothing at docker0 has";
    let fix = "iptables-nft -t nat -D DOCKER '!' -i docker0 -p tcp -m tcp --dport 8080 -m comment --comment 'a b' -j DNAT --to-destination 172.17.0.9:80";
    expect(&only(&facts), "published-to-nobody", text, &[fix]);
    facts.published[0].to = "10.20.0.9".parse().ok();
    assert_eq!(words(&facts), [""; 0], "that may be another machine");
}
