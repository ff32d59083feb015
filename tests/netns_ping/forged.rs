//! Answers that prove nothing: of a neighbour that never sees our packets, with every number that they could have; and of one
//! that answers for any address, with the right numbers, and without the random bytes that were sent.

use crate::matrix::Scene;
use crate::{Cable, cable, of_kind, responder};
use support::run::Run;
use support::skip::{need, program};
use support::until::until;

/// Nobody is there, in each family, and how the guesses look.
const NOBODY: [(&str, &str); 2] = [("198.18.0.77", "blind-v4"), ("fd00::77", "blind-v6")];

/// No guess is believed, and one at least was right.
#[track_caller]
fn guessed(cable: &Cable, nobody: &str, more: &str) {
    let says = "answer without the random bytes of the request: not counted";
    let was_right = || {
        let events = cable.events(&format!("{nobody} -c1 -W2 {more}"));
        assert_eq!(of_kind(&events, "reply").len(), 0, "{events:#?}");
        let summary = of_kind(&events, "summary")[0];
        assert_eq!(summary["received"], 0, "{summary}");
        let told = of_kind(&events, "error").iter().any(|error| error["says"] == says && error["seq"] == 1);
        assert_eq!(told, summary["corrupted"] != 0, "{events:#?}");
        told
    };
    until("a guess is right", was_right);
}

#[test]
fn an_answer_of_a_blind_sender_is_corrupted_and_not_received() {
    let cable = need!(cable());
    for (nobody, role) in NOBODY {
        let _responder = responder::start(&cable, role);
        // What believes the numbers alone is told that somebody is there.
        // On a busy machine the right guess may not come while one packet is waited for: it is tried again.
        let fooled = || cable.their_ping(&format!("-c1 -W2 {nobody}")).stdout.contains(" 1 received");
        until("the attack works", fooled);
        guessed(&cable, nobody, "");
        // One byte is enough to tell, most of the time: what is empty never has it.
        guessed(&cable, nobody, "-s1");
        let line = " icmp_seq=1: answer without the random bytes of the request: not counted\n";
        let is_told = || cable.ping(&format!("{nobody} -c1 -W2")).fails_with(1).stdout.contains(line);
        until("a guess is right, and told", is_told);
    }
}

/// So it is written in the manual: there is nothing in such a packet that could prove anything.
#[test]
fn without_any_data_the_numbers_are_all_there_is_to_believe() {
    let cable = need!(cable());
    let _responder = responder::start(&cable, "blind-v4");
    let is_fooled = || cable.ping("198.18.0.77 -c1 -W2 -s0").stdout.contains("1 received");
    until("a guess is right", is_fooled);
}

#[test]
fn a_sweep_beyond_a_router_believes_nobody_who_has_not_seen_the_request() {
    let cable = need!(cable());
    // Nobody has any of these.
    let sweep = "-W1 -c1 198.51.100.1-2";
    let _responder = responder::start(&cable, "tokenless");
    // Whoever believes the numbers finds both.
    for address in ["198.51.100.1", "198.51.100.2"] {
        cable.their_ping(&format!("-c1 -W2 {address}")).stdout_has(" 1 received");
    }
    let ran = cable.ping(sweep).fails_with(1);
    ran.stdout_has("0 of 2 answered");
    assert!(cable.events(sweep).iter().all(|event| event["address"].is_null()));
}

#[test]
fn a_matrix_believes_no_answer_of_the_right_address_without_what_was_sent() {
    need!(program("ping", "iputils-ping"));
    let scene = need!(Scene::new(&["db", "web"]));
    let [db, web] = &scene.containers[..] else { panic!() };
    scene.matrix(&["-q"]).ok().stdout_has("2 of 2 pairs reached");
    let _responder = responder::start_in(&scene.lab, db, "tokenless");
    let ping = scene.lab.shell(&format!("nsenter -t {} -n ping -c1 -W2 198.18.1.2", web.pid)).run();
    ping.ok().stdout_has(" 1 received");
    scene.matrix(&["-q"]).fails_with(1).stdout_has("1 of 2 pairs reached");
}
