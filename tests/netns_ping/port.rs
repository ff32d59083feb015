//! `tcp:HOST:PORT` and `udp:HOST:PORT`. Observers: servers of perl's, which say what came, `/proc/net/tcp`, and nft.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::matrix::Scene;
use crate::{Cable, cable, events, of_kind};
use support::container::Container;
use support::lab::Lab;
use support::run::{Ran, Run, RunningProgram};
use support::skip::{need, program};

/// A TCP server on that address and port, which says the port of each peer and how much it sent, and closes at once.
fn tcp_server(lab: &Lab, container: &Container, address: &str, port: u16) -> RunningProgram {
    let script = format!(
        r#"use Socket qw(:all); my $f = "{address}" =~ /:/ ? PF_INET6 : PF_INET; socket(S, $f, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
        my $at = $f == PF_INET6 ? pack_sockaddr_in6({port}, inet_pton($f, "{address}")) : pack_sockaddr_in({port}, inet_aton("{address}"));
        bind(S, $at) or die $!; listen(S, 64); $| = 1; print "ready\n";
        while (my $peer = accept(C, S)) {{ my $n = sysread(C, my $b, 99); my ($p) = $f == PF_INET6 ? unpack_sockaddr_in6($peer) : unpack_sockaddr_in($peer); print "peer $p ", $n || 0, "\n"; close C }}"#
    );
    perl(lab, container, &script)
}

/// A UDP server which does `answer` with `$data`, and says what came.
fn udp_server(lab: &Lab, container: &Container, port: u16, answer: &str) -> RunningProgram {
    let script = format!(
        r#"use Socket qw(:all); socket(S, PF_INET, SOCK_DGRAM, 0); bind(S, pack_sockaddr_in({port}, INADDR_ANY)) or die $!; $| = 1; print "ready\n";
        while (my $peer = recv(S, my $data, 999, 0)) {{ print "got ", length $data, "\n"; {answer} }}"#
    );
    perl(lab, container, &script)
}

fn perl(lab: &Lab, container: &Container, script: &str) -> RunningProgram {
    let mut nsenter = lab.command("nsenter");
    let running =
        nsenter.args(["--target", &container.pid.to_string(), "--net", "--", "perl", "-e", script]).start();
    running.wait_for("ready\n");
    running
}

impl Cable {
    /// nft rules in `db`, on its way in.
    fn db_input(&self, rule: &str) {
        let script = format!(
            "nft 'flush ruleset; add table inet f; add chain inet f c {{ type filter hook input priority 0; }}; add rule inet f c {rule}'"
        );
        self.inside(&self.db, &script).ok();
    }

    /// The verdict of a probe that ends so.
    fn verdict(&self, words: &str, status: i32) -> Value {
        let heard = events(&self.ping(&format!("{words} --json")).fails_with_or_ok(status));
        let last = heard.last().cloned().unwrap_or_default();
        assert_eq!(last["event"], "verdict", "{heard:#?}");
        last
    }
}

trait Ends {
    fn fails_with_or_ok(self, status: i32) -> Self;
}

impl Ends for support::run::Ran {
    #[track_caller]
    fn fails_with_or_ok(self, status: i32) -> Self {
        if status == 0 { self.ok() } else { self.fails_with(status) }
    }
}

#[test]
fn a_port_is_connected_to_without_data_from_a_new_port_each_time_and_nothing_stays() {
    let cable = need!(cable());
    let server = tcp_server(&cable.lab, &cable.db, "0.0.0.0", 80);
    let ran = cable.ping("tcp:198.18.0.2:80 -c3 -i0.05").ok();
    ran.stderr_is("")
        .stdout_has("TCP 198.18.0.2 (198.18.0.2) port 80\n")
        .stdout_has("connected to 198.18.0.2:80: tcp_seq=3 time=");
    for _ in 0..2 {
        // The server says it a moment later.
        server.wait_for(" 0\n");
    }
    support::until::until("three peers", || server.so_far().stdout.matches("peer ").count() == 3);
    let said = server.so_far().stdout;
    let mut ports: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("peer ")).collect();
    assert!(ports.iter().all(|line| line.ends_with(" 0")), "data was sent: {said}");
    ports.dedup();
    assert_eq!(ports.len(), 3, "{said}");
    let left = cable.inside(&cable.web, "cat /proc/net/tcp").ok();
    assert_eq!(left.stdout.lines().count(), 1, "sockets stay: {left}");
    let heard = cable.events("tcp:198.18.0.2:80 -c2 -i0");
    let replies = of_kind(&heard, "reply");
    assert!(
        replies.iter().all(|reply| reply["clock"] == "kernel" && reply["rtt_us"].as_f64().unwrap() > 0.0),
        "{heard:#?}"
    );
    let (summary, verdict) = (of_kind(&heard, "summary")[0], heard.last().unwrap());
    assert_eq!(
        (&summary["open"], &summary["port"], &verdict["cause"]),
        (&2.into(), &80.into(), &Value::Null)
    );
}

#[test]
fn a_refusal_names_who_refuses_and_what_listens() {
    let cable = need!(cable());
    need!(program("nft", "nftables"));
    let ran = cable.ping("tcp:198.18.0.2:81 -c1").fails_with(1);
    let ran = ran.stdout_has("refused by 198.18.0.2:81 (TCP reset): tcp_seq=1 time=");
    let ran = ran.stderr_has("refused (a TCP reset): nobody listens on tcp port 81 at 198.18.0.2\n");
    ran.stdout_has("1 probes, 0 connected, 1 refused, time ");
    let _loopback = tcp_server(&cable.lab, &cable.db, "127.0.0.1", 82);
    assert_eq!(cable.verdict("tcp:198.18.0.2:82 -c1", 1)["cause"], "listens-on-loopback-only");
    cable.db.ip("address add 198.18.7.7/32 dev lo");
    let _elsewhere = tcp_server(&cable.lab, &cable.db, "198.18.7.7", 83);
    assert_eq!(cable.verdict("tcp:198.18.0.2:83 -c1", 1)["cause"], "listens-elsewhere");
    // Its own: the TARGET itself as DEST.
    assert_eq!(cable.verdict("tcp:198.18.0.1:80 -c1", 1)["cause"], "nobody-listens");
    let _there = tcp_server(&cable.lab, &cable.db, "0.0.0.0", 84);
    cable.db_input("tcp dport 84 reject with tcp reset");
    assert_eq!(cable.verdict("tcp:198.18.0.2:84 -c1", 1)["cause"], "refused-on-the-way");
    cable.db_input("tcp dport 84 reject with icmpx type admin-prohibited");
    let ran = cable.ping("tcp:198.18.0.2:84 -c1").fails_with(1);
    ran.stdout_has("From 198.18.0.2 tcp_seq=1 Packet filtered\n")
        .stderr_has("198.18.0.2 reports: packet filtered");
    let said = cable.verdict("tcp:[fd00::2]:84 -c1", 1);
    assert_eq!(said["cause"], "icmp-prohibited", "{said}");
}

#[test]
fn silence_is_told_from_a_neighbour_that_is_not_there() {
    let cable = need!(cable());
    need!(program("nft", "nftables"));
    let _server = tcp_server(&cable.lab, &cable.db, "0.0.0.0", 80);
    cable.db_input("tcp dport 80 drop");
    let ran = cable.ping("tcp:198.18.0.2:80 -c1 -W0.3").fails_with(1);
    let ran = ran.stdout_has("no answer from 198.18.0.2:80 within 0.3 s: tcp_seq=1\n");
    ran.stderr_has(
        "no answer, although 198.18.0.2 listens there and received the probe: a firewall there drops packets",
    );
    let said = cable.verdict("tcp:198.18.0.99:80 -c1 -W5", 1);
    assert_eq!(said["cause"], "neighbour-silent", "{said}");
    cable.web.ip("route add blackhole 198.18.3.0/24");
    cable.ping("tcp:198.18.3.1:80 -c1").fails_with(2);
}

#[test]
fn a_full_queue_of_connections_is_called_that() {
    let cable = need!(cable());
    let _server = perl(
        &cable.lab,
        &cable.db,
        r#"use Socket; socket(S, PF_INET, SOCK_STREAM, 0); bind(S, pack_sockaddr_in(80, INADDR_ANY)) or die $!; listen(S, 0); $| = 1; print "ready\n"; sleep 999"#,
    );
    cable.ping("tcp:198.18.0.2:80 -c4 -i0.05 -W0.3").ok().stderr_has("of 4 probes failed");
    let said = cable.verdict("tcp:198.18.0.2:80 -c1 -W0.3", 1);
    assert_eq!(said["cause"], "backlog-full", "{said}");
}

#[test]
fn udp_is_open_only_where_it_was_answered() {
    let cable = need!(cable());
    let answers = udp_server(
        &cable.lab,
        &cable.db,
        53,
        r#"vec($data, 16, 8) |= 0x80 if length $data > 2; substr($data, 2, 1) = chr(ord(substr $data, 2, 1) | 0x80); send(S, $data, 0, $peer)"#,
    );
    let ran = cable.ping("udp:198.18.0.2:53 -c1").ok();
    ran.stdout_has("UDP 198.18.0.2 (198.18.0.2) port 53, a DNS query\n")
        .stdout_has("17 bytes from 198.18.0.2:53: udp_seq=1 time=");
    answers.wait_for("got 17\n");
    let ran = cable.ping(r"udp:198.18.0.2:53 -c1 --data a\x00b\n").ok();
    ran.stdout_has("port 53, 4 bytes of data\n");
    let ran = cable.ping("udp:198.18.0.2:99 -c1").fails_with(1);
    ran.stdout_has("From 198.18.0.2 udp_seq=1 Destination Port Unreachable\n")
        .stderr_has("nobody listens on udp port 99");
    let _silent = udp_server(&cable.lab, &cable.db, 98, "");
    let said = cable.verdict("udp:198.18.0.2:98 -c1 -W0.3", 1);
    assert_eq!(said["cause"], "udp-unanswered", "{said}");
    assert!(said["text"].as_str().unwrap().contains("proves nothing"), "{said}");
}

#[test]
fn answers_that_are_forged_late_or_doubled_do_not_count() {
    let cable = need!(cable());
    // From another port of the same host; nobody connected to that.
    let forged = r#"socket(T, PF_INET, SOCK_DGRAM, 0); send(T, "x", 0, $peer)"#;
    let _forged = udp_server(&cable.lab, &cable.db, 1001, forged);
    let _late = udp_server(
        &cable.lab,
        &cable.db,
        1002,
        r#"select(undef, undef, undef, 0.6); send(S, "x", 0, $peer)"#,
    );
    let _twice = udp_server(&cable.lab, &cable.db, 1003, r#"send(S, "x", 0, $peer) for 1 .. 2"#);
    cable
        .ping("udp:198.18.0.2:1001 -c2 -i0.05 -W0.3")
        .fails_with(1)
        .stdout_has("2 probes, 0 answered, 2 unanswered, ");
    cable
        .ping("udp:198.18.0.2:1002 -c1 -W0.2")
        .fails_with(1)
        .stdout_has("1 probes, 0 answered, 1 unanswered, ");
    cable.ping("udp:198.18.0.2:1003 -c2 -i0.05").ok().stdout_has("2 probes, 2 answered, time ");
}

#[test]
fn a_link_local_address_keeps_its_zone() {
    let cable = need!(cable());
    crate::settled(&[&cable.web, &cable.db]);
    let _server = tcp_server(&cable.lab, &cable.db, "::", 80);
    let shown = cable.db.ip("-6 -o address show dev eth0 scope link").stdout;
    let address = shown
        .split_whitespace()
        .find(|word| word.starts_with("fe80"))
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let ran = cable.ping(&format!("tcp:[{address}%eth0]:80 -c1")).ok();
    ran.stdout_has(&format!("connected to [{address}%eth0]:80: tcp_seq=1 "));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let cable = need!(cable());
    for (words, says) in [
        ("tcp:198.18.0.2:0", "'0' is not a port: 1 to 65535"),
        ("tcp:198.18.0.2:65536", "'65536' is not a port: 1 to 65535"),
        ("tcp:198.18.0.2", "the port is missing"),
        ("tcp:", "the DEST is empty"),
        ("tcp:198.18.0.2:80 198.18.0.2", "has no port, and tcp:198.18.0.2:80 has"),
        ("tcp:198.18.0.2:80 -s 9", "--size: cannot be used with a port"),
        ("--arp tcp:198.18.0.2:80", "--arp: cannot be used with a port"),
        ("tcp:198.18.0.2:80 --data x", "--data: is what a UDP datagram holds"),
        ("udp:198.18.0.2:80 --data \\q", "--data: a backslash is followed by"),
        ("198.18.0.2 --data x", "--data: is what a UDP datagram holds"),
        ("tcp:198.18.0.255:80", "a port needs a single host"),
        ("udp:224.0.0.1:80", "a port needs a single host"),
    ] {
        let ran = cable.ping(words).fails_with(2);
        assert!(ran.stderr.contains(says), "{words}: no {says:?} in {ran}");
    }
}

#[test]
fn fifty_at_once_need_no_more_descriptors_than_there_are() {
    let cable = need!(cable());
    let server = tcp_server(&cable.lab, &cable.db, "0.0.0.0", 80);
    cable.ping("tcp:198.18.0.2:80 -c50 -i0").ok().stdout_has("50 probes, 50 connected, time ");
    drop(server);
    need!(program("nft", "nftables"));
    cable.db_input("tcp dport 80 drop");
    let tool = support::tools::tool("netns-ping");
    let script = format!("ulimit -n 30; exec {tool} {} tcp:198.18.0.2:80 -c40 -i0 -W0.4 -q", cable.web.pid);
    let ran = cable.lab.shell(&script).run().fails_with(1);
    ran.stdout_has("40 probes, 0 connected, 40 unanswered, time ");
}

#[test]
fn an_interrupt_ends_with_what_is_known_and_a_closed_pipe_is_no_failure() {
    let cable = need!(cable());
    need!(program("nft", "nftables"));
    cable.db_input("tcp dport 80 drop");
    let mut ping = cable.lab.tool("netns-ping");
    let running = ping.arg(cable.web.pid.to_string()).args(["tcp:198.18.0.2:80", "-W99"]).start();
    running.wait_for("TCP 198.18.0.2");
    support::until::until("one is under way", || {
        cable.inside(&cable.web, "cat /proc/net/tcp").stdout.lines().count() > 1
    });
    running.signal_behind_nsenter(Signal::SIGINT);
    let ran = running.finish().fails_with(1);
    ran.stdout_has("0 connected, ")
        .stdout_has(" stopped, time ")
        .stderr_has("no answer, not even a reset, and nobody listens on tcp port 80 at 198.18.0.2");
    let tool = support::tools::tool("netns-ping");
    let script =
        format!("{{ {tool} {} udp:198.18.0.2:9 -i0.01 -W9; echo $? >&2; }} | head -n1", cable.web.pid);
    cable.lab.shell(&script).run().ok().stderr_has("0\n");
}

#[test]
fn a_host_that_ends_meanwhile_is_no_longer_connected_to() {
    let mut cable = need!(cable());
    let server = tcp_server(&cable.lab, &cable.db, "0.0.0.0", 80);
    let mut ping = cable.lab.tool("netns-ping");
    let running =
        ping.arg(cable.web.pid.to_string()).args(["tcp:198.18.0.2:80", "-c12", "-i0.2", "-W0.5"]).start();
    running.wait_for("tcp_seq=1");
    drop(server);
    cable.db.stop();
    let ran = running.finish();
    // Its link goes with its network, a while after its process.
    let is_said = |ran: &Ran| {
        ["eth0 no longer exists in ", "probes failed"].iter().any(|what| ran.stderr.contains(what))
    };
    assert!(ran.stdout.contains("12 probes, ") && is_said(&ran), "{ran}");
    assert!(ran.took < support::until::as_busy(Duration::from_secs(15)), "{ran}");
}

#[test]
fn a_matrix_of_a_port_tells_which_container_does_not_listen() {
    let scene = need!(Scene::on_network(&["db", "mail", "web"], "lab"));
    let _servers: Vec<RunningProgram> =
        scene.containers[..2].iter().map(|container| tcp_server(&scene.lab, container, "::", 80)).collect();
    let ran = scene.matrix(&["--tcp", "80"]).fails_with(1);
    let ran =
        ran.stdout_has("db -> web 198.18.1.4: refused (a TCP reset): nobody listens on tcp port 80 at web\n");
    ran.stdout_has("\n3 containers: 4 of 6 pairs reached, 0 of 0 gateways, ");
    let heard = events(&scene.matrix(&["--tcp", "80", "--json", "-4"]).fails_with(1));
    let causes: Vec<&Value> = of_kind(&heard, "error").iter().map(|error| &error["cause"]).collect();
    assert_eq!(causes, ["nobody-listens", "nobody-listens"], "{heard:#?}");
    scene.matrix(&["[dm]*", "--tcp", "80"]).ok();
    let ran = scene.matrix(&["[dm]*", "-4", "--udp", "80"]).fails_with(1);
    ran.stdout_has(
        "refused (ICMP of 198.18.1.3: destination port unreachable): nobody listens on udp port 80 at mail\n",
    );
    scene.lab.shell("ip link set port3 nomaster").run().ok();
    let ran = scene.matrix(&["[dm]*", "-4", "--tcp", "80", "-W", "0.5"]).fails_with(1);
    ran.stdout_has("db -> mail 198.18.1.3: no answer: 198.18.1.3 does not answer ARP on eth0\n");
}
