//! Programs that stop themselves in the middle of a round: no other container waits for them, and Ctrl-C ends them.

use nix::sys::signal::Signal;

use crate::each::{Fleet, objects, sorted};
use crate::util_linux;
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

const STOPPED: &str = "nsenter-rs: web-2: stopped (SIGSTOP or the like), and was killed\n";

/// `web-2` stops itself by this signal, the others do not.
fn stops(signal: &str) -> String {
    format!("case $(hostname) in web-2) kill -{signal} $$; echo went on;; *) echo done;; esac")
}

#[test]
fn a_program_that_stops_itself_is_ended_and_the_round_goes_on() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "web-3"]));
    for way in [&["-n", "-u"][..], &["-n", "-u", "-p"]] {
        for signal in ["STOP", "TSTP", "TTIN", "TTOU"] {
            let script = stops(signal);
            let round = [&["--each", "*"][..], way, &["sh", "-c", &script]].concat();
            let ran = fleet.nsenter(&round).run().fails_with(137).stderr_is(STOPPED);
            assert_eq!(sorted(&ran.stdout), ["web-1: done", "web-3: done"], "{way:?} {signal}");
        }
        let script = stops("STOP");
        let round = [&["--each", "*", "--json", "-j1"][..], way, &["sh", "-c", &script]].concat();
        let ran = fleet.nsenter(&round).run().fails_with(137);
        let is_of_web_2 = |object: &&serde_json::Value| object["container"] == "web-2";
        let end = objects(&ran).iter().rfind(is_of_web_2).cloned().unwrap();
        assert_eq!(
            (&end["signal"], &end["error"]),
            (&9.into(), &"stopped (SIGSTOP or the like), and was killed".into())
        );
    }
}

/// What the same does to whoever is not on guard: util-linux's stops, and does not come back.
#[test]
fn util_linux_is_stopped_for_ever() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let mut theirs = lab.command("sh");
    let stopped = format!(
        "{} -t {} -p sh -c 'kill -STOP $$' & until grep -q 'State:.T' /proc/$!/status; do sleep 0.01; done; echo stopped; wait",
        util_linux(),
        web.pid
    );
    let running = theirs.args(["-c", &stopped]).start();
    running.wait_for("stopped\n");
    assert!(!running.has_ended_within(std::time::Duration::from_millis(200)), "{}", running.so_far());
}

#[test]
fn what_a_program_has_started_and_stopped_ends_when_we_are_told_to() {
    let fleet = need!(Fleet::new(&["web-1", "web-2"]));
    for way in [&["-n"][..], &["-n", "-p"]] {
        // The program itself waits: only the child has stopped, and it keeps the end signal for later.
        let script = "sh -c 'kill -STOP $$; sleep 1000' & \
                      until grep -q 'State:.T' /proc/$!/status; do sleep 0.01; done; echo ready; wait $!";
        let script =
            if way.contains(&"-p") { "sh -c 'echo ready; kill -STOP $$; sleep 1000'; true" } else { script };
        let running = fleet.nsenter(&[&["--each", "*"][..], way, &["sh", "-c", script]].concat()).start();
        running.wait_for("web-1: ready");
        running.wait_for("web-2: ready");
        running.signal_behind_nsenter(Signal::SIGTERM);
        assert!(running.ends(), "{way:?}: {}", running.so_far());
        running.finish().killed_by(Signal::SIGTERM);
    }
}
