//! Times are true: waiting for a neighbour's address is no part of the round trip.

use crate::responder::LATE;
use crate::{cable, of_kind, responder};
use support::skip::need;
use support::until::until;

#[test]
fn a_neighbour_that_is_slow_to_say_its_address_does_not_make_the_first_packet_slow() {
    let cable = need!(cable());
    // The answers of db's kernel need no ARP.
    let mac = cable.web.ip("-j link show dev eth0").json()[0]["address"].as_str().unwrap().to_owned();
    cable.db.ip(&format!("neigh replace 198.18.0.1 lladdr {mac} dev eth0 nud permanent"));
    cable.db.ip("link set eth0 address 02:00:00:00:00:02");
    cable.web.ip("neigh flush dev eth0");
    let _responder = responder::start(&cable, "late-arp");
    let events = cable.events("198.18.0.2 -c2 -i0.5 -W5");
    let replies = of_kind(&events, "reply");
    let us = |nth: usize, what: &str| replies[nth][what].as_f64();
    let late = LATE.as_micros() as f64;
    // A millisecond for 40 microseconds: this machine may be busy.
    let slow = late / 3.0;
    assert!(us(0, "rtt_us").unwrap() < slow && us(0, "arp_us").unwrap() > late * 0.9, "{events:#?}");
    assert!(us(1, "rtt_us").unwrap() < slow && us(1, "arp_us").is_none(), "{events:#?}");
    // As the observer has it, who knows one time only (iputils#623).
    cable.web.ip("neigh flush dev eth0");
    let theirs = cable.their_ping("-c1 198.18.0.2").ok();
    let time = theirs.stdout.split_once("time=").unwrap().1.split(' ').next().unwrap();
    assert!(time.parse::<f64>().unwrap() * 1000.0 > late * 0.9, "{theirs}");
    cable.web.ip("neigh flush dev eth0");
    let ran = cable.ping("198.18.0.2 -c1").ok();
    let line = ran.stdout.lines().nth(1).unwrap();
    assert!(line.contains(" ms (arp 3") && line.ends_with(" ms)"), "{line}");
}

#[test]
fn an_address_that_is_asked_for_and_told_within_one_call_is_told_apart_too() {
    let cable = need!(cable());
    let events = cable.events("198.18.0.2 -c2 -i0.1");
    let replies = of_kind(&events, "reply");
    assert!(replies[0]["arp_us"].is_f64(), "{events:#?}");
    assert!(replies[1]["arp_us"].is_null(), "{events:#?}");
    assert!(replies[1]["queue_us"].is_f64(), "{events:#?}");
    let events = cable.events("127.0.0.1 198.18.0.2 -c1");
    assert!(
        of_kind(&events, "reply").iter().all(|reply| reply["arp_us"].is_null()),
        "known by now: {events:#?}"
    );
}

#[test]
fn a_flood_has_the_round_trips_of_single_packets() {
    let cable = need!(cable());
    // The first one of these waits for an address.
    cable.ping("198.18.0.2 -c1").ok();
    let replies = cable.events("198.18.0.2 -f -c 5000");
    let replies = of_kind(&replies, "reply");
    assert_eq!(replies.len(), 5000);
    let shortest = replies.iter().map(|reply| reply["rtt_us"].as_f64().unwrap()).fold(f64::MAX, f64::min);
    assert!(shortest > 0.5, "{shortest} µs");
    // Those that are not shown take no longer. The summary cuts what is below a microsecond.
    // A busy machine may have no moment for the shortest: it is measured again.
    let is_as_short = |options: &str| {
        let ran = cable.ping(&format!("198.18.0.2 {options} -c 20000")).ok();
        let trips = ran.stdout.split_once("rtt min/avg/max/mdev = ").unwrap().1.split_once(" ms").unwrap().0;
        let trips: Vec<f64> = trips.split('/').map(|time| time.parse::<f64>().unwrap() * 1000.0).collect();
        let [min, avg, max, _] = trips[..] else { panic!("{ran}") };
        assert!(min <= avg && avg <= max, "{ran}");
        min <= shortest * 3.0 + 5.0
    };
    for options in ["-f -q", "-i0 -q", "-f"] {
        until(&format!("{options} has round trips of {shortest} µs"), || is_as_short(options));
    }
}
