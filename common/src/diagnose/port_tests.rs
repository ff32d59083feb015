//! Verdicts about ports.

use std::net::SocketAddr;

use nix::errno::Errno;

use super::tests::{DOWN, asked, error, link, said, silent};
use super::{DestSight, DestState, Evidence, ProbeKind, WatchedProbe};
use crate::netlink::ListeningSocket;
use crate::target::{DestPort, Transport};

/// Of a port of 10.1.0.9 that was not open.
fn port(transport: Transport) -> Evidence {
    let mut evidence = silent(None);
    evidence.probe = ProbeKind::Port(DestPort { transport, number: 5432 });
    (evidence.dest_name, evidence.dest_target) = ("db".to_owned(), Some("docker:db".to_owned()));
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    evidence
}

/// The probe arrived where sockets wait at these addresses.
fn listening(places: &[&str]) -> Option<DestSight> {
    let socket = |word: &&str| ListeningSocket {
        transport: Transport::Tcp,
        address: SocketAddr::new(word.parse().unwrap(), 5432),
        interface: None,
        v6only: None,
        queued: 0,
        most_queued: 128,
        owner: nix::unistd::Uid::from_raw(0),
        inode: 1,
    };
    let listening = Some(places.iter().map(socket).collect());
    Some(DestSight { has_arrived: true, has_answered: false, listening })
}

/// What is known of a container of this host that the probe was not seen to arrive at does not count.
#[test]
fn who_has_the_address_here_is_only_blamed_if_the_probe_arrived_there() {
    for places in [&[][..], &["127.0.0.1"], &["0.0.0.0"]] {
        let mut evidence = port(Transport::Tcp);
        evidence.there = listening(places).map(|there| DestSight { has_arrived: false, ..there });
        evidence.refused = 1;
        let (word, text, _) = said(&evidence);
        assert_eq!(word, "port-refused", "{places:?}");
        assert_eq!(text, "refused (a TCP reset), and the probe was not seen to arrive at db");
        evidence.refused = 0;
        let (word, text, _) = said(&evidence);
        assert_eq!(word, "port-silent", "{places:?}");
        assert_eq!(text, "no answer: 10.1.0.9 answers ARP; the probe was not seen to arrive at db");
        evidence.dest_target = None;
        assert_eq!(
            said(&evidence).1,
            "no answer: 10.1.0.9 answers ARP; a firewall drops packets to or from port 5432?"
        );
    }
}

#[test]
fn a_port_that_answers_afterwards_is_not_called_closed() {
    let mut evidence = port(Transport::Tcp);
    (evidence.refused, evidence.there) = (1, listening(&["0.0.0.0"]));
    evidence.again = Some(WatchedProbe { is_answered: true, ..WatchedProbe::default() });
    assert_eq!(said(&evidence).0, "answers-now");
}

#[test]
fn a_paused_container_whose_program_waits_is_called_frozen() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let mut evidence = port(transport);
        evidence.dest_state = DestState::Frozen { name: "db".to_owned(), fix: None };
        assert_ne!(said(&evidence).0, "frozen", "nothing is known of what waits there");
        evidence.there = listening(&["0.0.0.0"]);
        assert_eq!(said(&evidence).0, "frozen");
    }
}

#[test]
fn a_refusal_is_told_with_what_listens_there() {
    let mut evidence = port(Transport::Tcp);
    evidence.refused = 1;
    assert_eq!(
        said(&evidence),
        ("port-refused".into(), "refused (a TCP reset)".into(), "nsenter-rs -t docker:db -n ss -ltn".into())
    );
    for (places, cause, ends) in [
        (&[][..], "nobody-listens", ": nobody listens on tcp port 5432 at db"),
        (&["127.0.0.1", "::1"], "listens-on-loopback-only", "others cannot reach tcp port 5432 there"),
        (&["10.7.0.1"], "listens-elsewhere", "of 10.7.0.1 only, not of 10.1.0.9"),
        (&["0.0.0.0"], "refused-on-the-way", ", although db listens there: a firewall on the way or there"),
        (&["::"], "refused-on-the-way", "there"),
        (&["10.1.0.9"], "refused-on-the-way", "there"),
    ] {
        evidence.there = listening(places);
        let (word, text, _) = said(&evidence);
        assert_eq!(word, cause, "{places:?}");
        assert!(text.ends_with(ends), "{text}");
    }
}

#[test]
fn silence_of_tcp_is_told_from_silence_of_udp_which_proves_nothing() {
    let (mut tcp, mut udp) = (port(Transport::Tcp), port(Transport::Udp));
    assert_eq!((said(&tcp).0.as_str(), said(&udp).0.as_str()), ("port-silent", "udp-unanswered"));
    (tcp.there, udp.there) = (listening(&["0.0.0.0"]), listening(&["0.0.0.0"]));
    assert_eq!((said(&tcp).0.as_str(), said(&udp).0.as_str()), ("port-silent", "udp-unanswered"));
    tcp.there.as_mut().unwrap().listening.as_mut().unwrap()[0].queued = 129;
    assert_eq!(said(&tcp).0, "backlog-full");
    (tcp.there, udp.there) = (listening(&[]), listening(&[]));
    assert_eq!((said(&tcp).0.as_str(), said(&udp).0.as_str()), ("nobody-listens", "nobody-listens"));
}

#[test]
fn what_is_wrong_on_the_way_comes_before_the_port() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let mut evidence = port(transport);
        asked(&mut evidence, &[]);
        assert_eq!(said(&evidence).0, "neighbour-silent");
        evidence.icmp_error = error("10.1.0.1", 3, 13, 0);
        assert_eq!(said(&evidence).0, "icmp-prohibited");
        evidence.links = Some(vec![link(2, "eth0", DOWN)]);
        assert_eq!(said(&evidence).0, "link-down");
        let mut evidence = port(transport);
        evidence.not_sent = Some((Errno::EPERM, None));
        evidence.hooks = Some(vec![super::FilterHook::Output]);
        assert_eq!(said(&evidence).0, "not-sent-output");
        let mut evidence = port(transport);
        (evidence.answered, evidence.lost) = (3, 1);
        assert_eq!(said(&evidence).1, "1 of 4 probes failed");
    }
}
