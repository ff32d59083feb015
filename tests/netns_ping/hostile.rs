//! Answers that nobody should send: counted, and nothing worse.

use std::time::Duration;

use crate::responder::STRAYS;
use crate::{cable, of_kind, responder};
use support::skip::need;
use support::until::as_busy;

#[test]
fn what_nobody_should_send_is_counted_and_the_answer_is_found_among_it() {
    let cable = need!(cable());
    let _responder = responder::start(&cable, "hostile");
    let events = cable.events("198.18.0.2 -c4 -i0.2 -W5");
    assert_eq!(of_kind(&events, "reply").len(), 4, "{events:#?}");
    assert_eq!(of_kind(&events, "duplicate").len(), 1, "{events:#?}");
    let garbled = of_kind(&events, "error");
    assert_eq!(garbled.len(), 2, "{events:#?}");
    assert_eq!(garbled[0]["says"], "answer with a wrong checksum");
    assert_eq!(garbled[1]["says"], "answer without the random bytes of the request: not counted");
    let summary = of_kind(&events, "summary")[0];
    let counted = ["received", "duplicates", "corrupted", "errors", "strays"]
        .map(|what| summary[what].as_u64().unwrap());
    assert_eq!(counted, [4, 1, 2, 0, STRAYS], "{summary}");
}

#[test]
fn people_are_told_of_it_as_ping_does() {
    let cable = need!(cable());
    let _responder = responder::start(&cable, "hostile");
    let ran = cable.ping("198.18.0.2 -c3 -i0.2 -W5").ok();
    let ran = ran.stdout_has("From 198.18.0.2: answer with a wrong checksum\n");
    let line = ran.stdout.lines().find(|line| line.ends_with(" (DUP!)")).unwrap_or_else(|| panic!("{ran}"));
    assert!(line.starts_with("64 bytes from 198.18.0.2: icmp_seq=2 ttl=64 time="), "{line}");
    ran.stdout_has("3 packets transmitted, 3 received, +1 duplicates, +2 corrupted, 0% packet loss");
}

#[test]
fn who_never_stops_answering_keeps_nobody() {
    let cable = need!(cable());
    let _responder = responder::start(&cable, "ceaseless-arp");
    for words in ["--arp -c2 -i0.1 -W0.3 198.18.0.2", "-W0.3 198.18.0.0/29", "--dad 198.18.0.2"] {
        let ran = cable.ping(&format!("--json {words}"));
        assert!(ran.took < as_busy(Duration::from_secs(5)), "{words}: {:?}", ran.took);
        let expected = if words.starts_with("--dad") { 1 } else { 0 };
        let ran = ran.fails_with(expected);
        assert!(ran.stdout.contains("\"mac\":\"02:00:00:00:00:02\""), "{words}: {}", ran.stdout.len());
    }
}

#[test]
fn who_never_stops_answering_pings_is_one_answer_and_the_end_comes_in_time() {
    let cable = need!(cable());
    let _responder = responder::start(&cable, "ceaseless-echo");
    let events = cable.ping("198.18.0.2 -c3 -i0.1 -W0.3 -q --json");
    assert!(events.took < as_busy(Duration::from_secs(8)), "{:?}", events.took);
    let events = crate::events(&events);
    let summary = of_kind(&events, "summary")[0];
    let number = |what: &str| summary[what].as_u64().unwrap();
    assert_eq!((number("transmitted"), number("received")), (3, 1), "{summary}");
    assert!(number("duplicates") + number("kernel_dropped") > 100, "{summary}");
    assert_eq!(events.last().unwrap()["event"], "verdict");
}

#[test]
fn an_answer_that_comes_too_late_is_called_late() {
    let cable = need!(cable());
    let _responder = responder::start(&cable, "late-echo");
    let events = cable.events("198.18.0.2 -c4 -i0.35 -W0.1");
    let late = of_kind(&events, "reply").iter().filter(|reply| reply["late"] == true).count();
    assert!(late >= 2, "{events:#?}");
    assert!(of_kind(&events, "lost").len() >= late, "{events:#?}");
    // One that nobody waits for any more is no answer, and what is said of it is no lie.
    let events = cable.events("198.18.0.2 -c1 -W0.1");
    let (summary, verdict) = (of_kind(&events, "summary")[0], events.last().unwrap());
    assert_eq!(summary["received"], 0, "{events:#?}");
    assert!(["answers-now", "no-echo"].contains(&verdict["cause"].as_str().unwrap()), "{verdict}");
}
