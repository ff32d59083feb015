//! Verdicts about ports.

use std::net::SocketAddr;

use nix::errno::Errno;

use super::tests::{DOWN, asked, error, link, said, silent};
use super::{Evidence, ProbeKind};
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

fn listening(places: &[&str]) -> Option<Vec<ListeningSocket>> {
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
    Some(places.iter().map(socket).collect())
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
        evidence.listening = listening(places);
        let (word, text, _) = said(&evidence);
        assert_eq!(word, cause, "{places:?}");
        assert!(text.ends_with(ends), "{text}");
    }
}

#[test]
fn silence_of_tcp_is_told_from_silence_of_udp_which_proves_nothing() {
    let (mut tcp, mut udp) = (port(Transport::Tcp), port(Transport::Udp));
    assert_eq!((said(&tcp).0.as_str(), said(&udp).0.as_str()), ("port-silent", "udp-unanswered"));
    (tcp.listening, udp.listening) = (listening(&["0.0.0.0"]), listening(&["0.0.0.0"]));
    assert_eq!((said(&tcp).0.as_str(), said(&udp).0.as_str()), ("port-silent", "udp-unanswered"));
    tcp.listening.as_mut().unwrap()[0].queued = 129;
    assert_eq!(said(&tcp).0, "backlog-full");
    (tcp.listening, udp.listening) = (listening(&[]), listening(&[]));
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
