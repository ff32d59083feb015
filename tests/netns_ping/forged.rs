//! A neighbour that never sees our packets and answers them all the same, with every number that they could have.

use crate::support::skip::need;
use crate::{Cable, cable, of_kind, responder};

/// Nobody is there, in each family, and how the guesses look.
const NOBODY: [(&str, &str); 2] = [("198.18.0.77", "blind-v4"), ("fd00::77", "blind-v6")];

#[track_caller]
fn guessed(cable: &Cable, nobody: &str, more: &str) {
    let events = cable.events(&format!("{nobody} -c1 -W2 {more}"));
    assert_eq!(of_kind(&events, "reply").len(), 0, "{events:#?}");
    let summary = of_kind(&events, "summary")[0];
    assert_eq!(summary["received"], 0, "{summary}");
    let corrupted = summary["corrupted"].as_u64().unwrap();
    assert!(corrupted > 0, "no guess was right: {summary}");
    let errors = of_kind(&events, "error");
    let says = "an answer without the random bytes that were sent: not counted";
    assert!(errors.iter().any(|error| error["says"] == says && error["seq"] == 1), "{events:#?}");
}

#[test]
fn an_answer_of_a_blind_sender_is_corrupted_and_not_received() {
    let cable = need!(cable());
    for (nobody, role) in NOBODY {
        let _responder = responder::start(&cable, role);
        // What believes the numbers alone is told that somebody is there.
        let theirs = cable.their_ping(&format!("-c1 -W2 {nobody}")).ok();
        theirs.stdout_has("8 bytes from ").stdout_has("1 received");
        guessed(&cable, nobody, "");
        // One byte is enough to tell, most of the time: what is empty never has it.
        guessed(&cable, nobody, "-s1");
        let people = cable.ping(&format!("{nobody} -c1 -W2")).fails_with(1);
        people.stdout_has(" icmp_seq=1: an answer without the random bytes that were sent: not counted\n");
    }
}

/// So it is written in the manual: there is nothing in such a packet that could prove anything.
#[test]
fn without_any_data_the_numbers_are_all_there_is_to_believe() {
    let cable = need!(cable());
    let _responder = responder::start(&cable, "blind-v4");
    cable.ping("198.18.0.77 -c1 -W4 -s0").ok().stdout_has("1 received");
}

#[test]
fn a_sweep_beyond_a_router_believes_no_blind_sender() {
    let cable = need!(cable());
    let _responder = responder::start(&cable, "blind-v4");
    let events = cable.events("-W2 -c1 198.51.100.0/30");
    assert_eq!(of_kind(&events, "reply").len(), 0, "{events:#?}");
}
