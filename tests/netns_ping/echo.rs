//! ICMP echo as ping(8) has it: what is printed, what is counted, and when it ends.

use nix::sys::signal::Signal;

use crate::{cable, of_kind};
use support::run::{Ran, Run};
use support::skip::need;

/// What is printed, with all numbers that differ from run to run as N.
fn shape(ran: &Ran) -> String {
    let mut shape = String::new();
    for line in ran.stdout.lines() {
        let words = line.split(' ').map(|word| match word.split_once('=') {
            Some(("time", _)) => "time=N".to_owned(),
            _ if word.ends_with("ms") && word.len() > 2 => "Nms".to_owned(),
            _ if word.matches('/').count() == 3 && word.contains('.') => "N/N/N/N".to_owned(),
            _ => word.to_owned(),
        });
        shape += &words.collect::<Vec<_>>().join(" ");
        shape += "\n";
    }
    shape
}

#[test]
fn what_is_printed_is_what_ping_prints() {
    let cable = need!(cable());
    // Both find the neighbours known, so that ours has nothing more to tell.
    cable.ping("198.18.0.2 fd00::2 -c1").ok();
    let same = [
        "-c3 -i0.2 198.18.0.2",
        "-c1 -n -s 1000 198.18.0.2",
        "-q -c2 -i0.2 198.18.0.2",
        "-c1 -I eth0 198.18.0.2",
        "-c1 -I 198.18.0.1 198.18.0.2",
        "-c1 127.0.0.1",
        "-c1 -s 0 127.0.0.1",
    ];
    for words in same {
        let (ours, theirs) = (cable.ping(words).ok(), cable.their_ping(words).ok());
        // Of too few bytes for the time that it was sent, they do not know how long it took.
        let (ours, theirs) = (shape(&ours), shape(&theirs));
        match words.contains("-s 0") {
            false => assert_eq!(ours, theirs, "{words}"),
            true => assert!(ours.contains("8 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=N"), "{ours}"),
        }
    }
    let (ours, theirs) = (cable.ping("-c2 -i0.2 fd00::2").ok(), cable.their_ping("-c2 -i0.2 fd00::2").ok());
    let behind_first = |ran: &Ran| shape(ran).split_once('\n').unwrap().1.to_owned();
    assert_eq!(behind_first(&ours), behind_first(&theirs));
    ours.stdout_has("PING fd00::2(fd00::2) 56 data bytes\n");
}

#[test]
fn the_status_is_that_of_ping() {
    let cable = need!(cable());
    for words in [
        "-c1 -W1 198.18.0.2",
        "-c1 -W1 198.18.0.77",
        "-c2 -i0.2 -w1 198.18.0.2",
        "-c9 -i0.5 -w1 198.18.0.2",
        "-c1 -W1 fd00::77",
        "-6 -c1 2001:db8::1",
        "-c1 -I eth9 198.18.0.2",
        "-c1 -I 198.18.0.9 198.18.0.2",
    ] {
        let (ours, theirs) = (cable.ping(words), cable.their_ping(words));
        assert_eq!(ours.status.unwrap().code(), theirs.status.unwrap().code(), "{ours}\n{theirs}");
    }
}

#[test]
fn several_are_pinged_at_once_and_each_has_its_summary() {
    let cable = need!(cable());
    let ran = cable.ping("198.18.0.2 198.18.0.77 fd00::2 -c2 -i0.2 -W0.5").fails_with(1);
    assert_eq!(ran.stdout.matches("64 bytes from 198.18.0.2: icmp_seq=").count(), 2, "{ran}");
    assert_eq!(ran.stdout.matches("64 bytes from fd00::2: icmp_seq=").count(), 2, "{ran}");
    assert_eq!(ran.stdout.matches(" ping statistics ---\n2 packets transmitted, ").count(), 3, "{ran}");
    let first_of_second = ran.stdout.find("64 bytes from fd00::2: icmp_seq=1").unwrap();
    let second_of_first = ran.stdout.find("64 bytes from 198.18.0.2: icmp_seq=2").unwrap();
    assert!(first_of_second < second_of_first, "they take turns: {ran}");
    // One that is nobody spoils it for no other.
    let ran = cable.ping("198.18.0.2 10.1.0.999x -c1").fails_with(2);
    ran.stderr_has("the name cannot be looked up").stdout_has("64 bytes from 198.18.0.2");
}

#[test]
fn an_interrupt_ends_it_with_the_summary_and_sigquit_says_how_it_goes() {
    let cable = need!(cable());
    let mut ping = cable.lab.tool("netns-ping");
    let running = ping.args([&cable.web.pid.to_string(), "198.18.0.2", "-i", "0.1"]).start();
    running.wait_for("icmp_seq=1 ");
    running.signal_behind_nsenter(Signal::SIGQUIT);
    running.wait_for("icmp_seq=4 ");
    running.signal_behind_nsenter(Signal::SIGINT);
    let ran =
        running.finish().ok().stdout_has(" 0% packet loss, time ").stdout_has("rtt min/avg/max/mdev = ");
    let status = ran.stderr.trim_start_matches('\r');
    assert!(
        status.contains(" packets, 0% loss, min/avg/ewma/max = ") && !status.contains("198.18.0.2"),
        "{ran}"
    );
}

#[test]
fn a_flood_loses_nothing() {
    let cable = need!(cable());
    for dest in ["198.18.0.2", "fd00::2"] {
        let ran = cable.ping(&format!("{dest} -f -q -c 20000")).ok();
        ran.stdout_has("20000 packets transmitted, 20000 received, 0% packet loss, time ")
            .stdout_has(", ipg/ewma ");
    }
    let ran = cable.ping("198.18.0.2 -f -c 500").ok();
    let dots = |c| ran.stdout.chars().filter(|d| *d == c).count();
    assert_eq!(ran.stdout.matches("bytes from").count(), 0, "{ran}");
    assert!(dots('\u{8}') <= 1000, "{ran}");
    let events = cable.events("198.18.0.2 -i0 -c 3000");
    assert_eq!((of_kind(&events, "sent").len(), of_kind(&events, "reply").len()), (3000, 3000));
}

#[test]
fn a_flood_of_who_does_not_answer_is_slow() {
    let cable = need!(cable());
    cable.inside(&cable.db, "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all").ok();
    let events = cable.events("198.18.0.2 -f -w 0.5");
    let sent = of_kind(&events, "sent").len();
    assert!((2..=55).contains(&sent), "{sent} packets in half a second");
}

#[test]
fn a_router_on_the_way_says_what_became_of_a_packet() {
    let cable = need!(cable());
    let far = cable.lab.container("far", crate::Options::default());
    let add = "ip link add name eth1 type veth peer name eth0 netns";
    cable.inside(&cable.db, &format!("{add} {}", far.pid)).ok();
    cable.db.ip("address add 198.18.1.1/24 dev eth1");
    cable.db.ip("link set eth1 up");
    far.ip("address add 198.18.1.2/24 dev eth0");
    far.ip("link set eth0 up");
    far.ip("route add default via 198.18.1.1");
    cable.inside(&cable.db, "echo 1 >/proc/sys/net/ipv4/ip_forward").ok();
    cable.ping("198.18.1.2 -c1").ok().stdout_has("64 bytes from 198.18.1.2: icmp_seq=1 ttl=63 time=");
    let ran = cable.ping("198.18.1.2 -c1 -t1 -W5").fails_with(1);
    let ran = ran.stdout_has("From 198.18.0.2 icmp_seq=1 Time to live exceeded\n");
    ran.stdout_has("1 packets transmitted, 0 received, +1 errors, 100% packet loss")
        .stderr_has("198.18.1.2: no answer: 198.18.0.2 reports: time to live exceeded\n");
    cable.db.ip("route add unreachable 198.18.2.0/24");
    let events = cable.events("198.18.2.1 -c1 -W5");
    let error = &of_kind(&events, "error")[0];
    assert_eq!(error["by"], "198.18.0.2");
    assert_eq!(error["says"], "Destination Host Unreachable");
    assert_eq!((&error["icmp_type"], &error["seq"]), (&3.into(), &1.into()));
    assert!(of_kind(&events, "lost").is_empty(), "it was refused, and so is not lost: {events:?}");
}

#[test]
fn what_does_not_fit_is_said_with_what_would() {
    let cable = need!(cable());
    let ran = cable.ping("198.18.0.2 -M do -s 2000 -c1").fails_with(1);
    let ran = ran.stderr_has("198.18.0.2: icmp_seq=1 not sent: Message too long, mtu=1500\n");
    ran.stderr_has("nothing was sent: Message too long").stdout_has("+1 errors, 100% packet loss");
    cable.ping("198.18.0.2 -M dont -s 2000 -c1").ok().stdout_has("2008 bytes from 198.18.0.2: icmp_seq=1");
    cable.ping("fd00::2 -s 3000 -c1").ok().stdout_has("3008 bytes from fd00::2: icmp_seq=1");
    cable.ping("198.18.0.2 -s 65507 -c1").ok().stdout_has("65515 bytes from");
}

#[test]
fn events_have_numbers_as_numbers_and_what_was_lost_too() {
    let cable = need!(cable());
    let events = cable.events("198.18.0.2 198.18.0.77 -c2 -i0.2 -W0.3");
    for event in &events {
        assert!(event["monotonic_us"].is_u64() && event["time"].as_str().unwrap().ends_with('Z'), "{event}");
        assert!(
            event["dest"] == event["address"] && event["from"] == format!("pid:{}", cable.web.pid),
            "{event}"
        );
    }
    let of = |kind, dest| of_kind(&events, kind).into_iter().filter(|event| event["dest"] == dest).count();
    assert_eq!((of("sent", "198.18.0.2"), of("reply", "198.18.0.2"), of("lost", "198.18.0.2")), (2, 2, 0));
    assert_eq!((of("sent", "198.18.0.77"), of("reply", "198.18.0.77"), of("lost", "198.18.0.77")), (2, 0, 2));
    let reply = &of_kind(&events, "reply")[0];
    assert!(reply["rtt_us"].as_f64().unwrap() > 0.0 && reply["ttl"] == 64 && reply["bytes"] == 64, "{reply}");
    let summaries = of_kind(&events, "summary");
    let losses: Vec<f64> = summaries.iter().map(|summary| summary["loss_ratio"].as_f64().unwrap()).collect();
    assert_eq!(losses, [0.0, 1.0]);
    assert_eq!(summaries[1]["silence"], "no answer: 198.18.0.77 does not answer ARP on eth0");
    assert!(summaries[0]["rtt_avg_us"].is_f64() && summaries[1]["rtt_avg_us"].is_null());
}

#[test]
fn what_is_outstanding_and_what_time_it_is_are_said_if_asked() {
    let cable = need!(cable());
    let ran = cable.ping("198.18.0.77 -c2 -i0.1 -W0.2 -O").fails_with(1);
    ran.stdout_has("no answer yet for icmp_seq=1\n");
    let ran = cable.ping("198.18.0.2 -c1 -D").ok();
    let line = ran.stdout.lines().nth(1).unwrap();
    let (seconds, _) = line.strip_prefix('[').unwrap().split_once("] 64 bytes from 198.18.0.2").unwrap();
    assert!(seconds.len() == 17 && seconds.parse::<f64>().unwrap() > 1.7e9, "{line}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let cable = need!(cable());
    let line =
        format!("{} {} 198.18.0.2 -i0.01 | head -n 3", support::tools::tool("netns-ping"), cable.web.pid);
    let ran = cable.lab.shell(&line).run().ok();
    assert_eq!((ran.stdout.lines().count(), ran.stderr.as_str()), (3, ""), "{ran}");
}

#[test]
fn a_container_that_is_stopped_meanwhile_loses_its_packets_and_no_more() {
    let mut cable = need!(cable());
    let mut ping = cable.lab.tool("netns-ping");
    let running = ping.args([&cable.web.pid.to_string(), "198.18.0.2", "-i", "0.1", "-w", "3", "-O"]).start();
    running.wait_for("icmp_seq=1 ");
    cable.db.stop();
    // Its link went with it.
    let ran = running.finish();
    assert!(ran.status.unwrap().success() && ran.stdout.contains("packet loss"), "{ran}");
}

#[test]
fn however_short_the_interval_answers_and_signals_are_heard() {
    let cable = need!(cable());
    let ran = cable.ping("198.18.0.2 -i 1us -c 3000 -q").ok();
    ran.stdout_has("3000 packets transmitted, 3000 received");
    let mut ping = cable.lab.tool("netns-ping");
    let running = ping.args([&cable.web.pid.to_string(), "198.18.0.2", "-i", "1us"]).start();
    running.wait_for("icmp_seq=100 ");
    running.signal_behind_nsenter(Signal::SIGINT);
    running.finish().ok().stdout_has(" packets transmitted, ");
}

#[test]
fn a_flood_of_who_does_not_answer_is_slow_and_its_dots_are_seen() {
    let cable = need!(cable());
    cable.inside(&cable.db, "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all").ok();
    let mut ping = cable.lab.tool("netns-ping");
    let running = ping.args([&cable.web.pid.to_string(), "198.18.0.2", "-f"]).start();
    running.wait_for("\n....................");
    running.signal_behind_nsenter(Signal::SIGINT);
    let ran = running.finish().fails_with(1);
    let sent = ran.stdout.split_once("statistics ---\n").unwrap().1.split(' ').next().unwrap();
    let sent: f64 = sent.parse().unwrap();
    assert!(sent >= 20.0 && sent < ran.took.as_secs_f64() * 110.0 + 10.0, "{ran}");
}

#[test]
fn no_limit_and_groups_and_the_other_family_are_told_as_what_they_are() {
    let cable = need!(cable());
    // ping(8): 0 is none.
    cable.ping("198.18.0.2 -c1 -w0 -W0").ok();
    cable.ping("--arp 198.18.0.2 -c1 -w0 -W0").ok();
    cable.ping("--dad 198.18.0.2 -W0").fails_with(1);
    cable
        .ping("198.18.0.255 -c1 -W0.2")
        .fails_with(1)
        .stderr_has("no answer: sent to all hosts on eth0, which usually");
    let ran = cable.ping("198.18.0.2 -I fd00::1 -c1").fails_with(2);
    ran.stderr_has("198.18.0.2: is not of the same address family as fd00::1");
    cable.ping("198.18.0.2 -c1 -W 10000000000000000000").fails_with(2).stderr_has("is too long");
    cable
        .ping("198.18.0.2 -c2 -i 3000000000 -w 0.3")
        .fails_with(1)
        .stdout_has("1 packets transmitted, 1 received");
    for words in
        ["198.18.0.0/29 -s 1400", "198.18.0.0/29 -i 1", "--arp 198.18.0.2 -f", "--dad 198.18.0.2 -t 3"]
    {
        cable.ping(words).fails_with(2).stderr_has("cannot be used with ");
    }
}
