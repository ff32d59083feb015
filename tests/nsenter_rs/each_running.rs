//! Many runs at once: how many, how they end, who outlives whom, and what they may cost.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::each::{Fleet, objects, sorted};
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need};
use support::until::until;

/// The children of a process, as the test sees them.
fn children_of(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// A run whose programs say `ready` and then wait for ever.
fn waiting(fleet: &Fleet, way: &[&str], script: &str) -> RunningProgram {
    let script = format!("{script} echo ready; while :; do sleep 0.01; done");
    let running = fleet.nsenter(&[&["--each", "*"][..], way, &["sh", "-c", &script]].concat()).start();
    for container in &fleet.containers {
        running.wait_for(&format!("{}: ready", container.name));
    }
    running
}

#[test]
fn not_more_run_at_a_time_than_are_asked_for() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "web-3"]));
    let mut nsenter =
        fleet.nsenter(&["--each", "*", "-j", "2", "-n", "sh", "-c", "echo ready; exec sleep infinity"]);
    let running = nsenter.start();
    running.wait_for("web-1: ready");
    running.wait_for("web-2: ready");
    let ours = running.pid_behind_nsenter();
    let children = children_of(ours);
    assert_eq!(children.len(), 2);
    kill(Pid::from_raw(children[0]), Signal::SIGKILL).unwrap();
    running.wait_for("web-3: ready");
    running.signal_behind_nsenter(Signal::SIGTERM);
    running.finish().killed_by(Signal::SIGTERM);
}

#[test]
fn without_a_number_all_run_at_once() {
    let names: Vec<String> = (1..=11).map(|n| format!("web-{n}")).collect();
    let fleet = need!(Fleet::new(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    let running = waiting(&fleet, &["-n"], "");
    assert_eq!(children_of(running.pid_behind_nsenter()).len(), 11);
    running.signal_behind_nsenter(Signal::SIGTERM);
    let ran = running.finish().killed_by(Signal::SIGTERM);
    assert!(!ran.stderr.contains("wait until"), "{ran}");
}

#[test]
fn how_many_wait_for_others_is_said() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "web-3"]));
    let ran = fleet.nsenter(&["--each", "*", "-j", "1", "-n", "sleep", "2.5"]).run().ok();
    let said: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(said.len(), 1, "{ran}");
    assert!(said[0].starts_with("nsenter-rs: --each: 1 run, and "), "{ran}");
    assert!(said[0].ends_with(" until one of these ends (-j, or ulimit -n)"), "{ran}");
}

#[test]
fn one_at_a_time_they_go_in_their_order() {
    let fleet = need!(Fleet::new(&["c", "a", "b", "d"]));
    let script = "echo 1; echo 2";
    let ran = fleet.nsenter(&["--each", "*", "-j1", "-n", "sh", "-c", script]).run().ok();
    ran.stdout_is("a: 1\na: 2\nb: 1\nb: 2\nc: 1\nc: 2\nd: 1\nd: 2\n");
}

#[test]
fn one_that_never_ends_holds_up_no_other() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "web-3", "web-4"]));
    let script = "case $(hostname) in web-1) exec sleep infinity;; web-2) while :; do echo noise; done;; esac; echo done";
    let running = fleet.each("*", script).start();
    running.wait_for("web-3: done");
    running.wait_for("web-4: done");
    running.signal_behind_nsenter(Signal::SIGTERM);
    running.finish().killed_by(Signal::SIGTERM);
}

#[test]
fn what_a_program_leaves_running_is_not_waited_for() {
    let fleet = need!(Fleet::new(&["web"]));
    // It holds the pipes for as long as it runs.
    let ran = fleet.each("*", "sleep infinity & echo $!; printf begun").run().ok().stdout_has("web: begun\n");
    let left = ran.stdout.lines().next().unwrap().strip_prefix("web: ").unwrap().to_owned();
    fleet.host.lab.command("kill").arg(left).run().ok();
}

#[test]
fn a_signal_for_us_reaches_every_program_once_and_then_ends_us() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "web-3"]));
    for way in [&["-n"][..], &["-n", "-p"]] {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
            let name = signal.as_str().trim_start_matches("SIG");
            let script =
                format!("n=0; trap 'n=$((n+1)); echo got $n; [ $n = 2 ] || sleep 0.2; exit 7' {name};");
            let running = waiting(&fleet, way, &script);
            running.signal_behind_nsenter(signal);
            let ran = running.finish().killed_by(signal);
            let got: Vec<&str> =
                sorted(&ran.stdout).into_iter().filter(|line| line.contains("got")).collect();
            assert_eq!(got, ["web-1: got 1", "web-2: got 1", "web-3: got 1"], "{way:?} {signal}");
        }
    }
}

#[test]
fn a_signal_that_the_caller_ignores_does_not_end_us() {
    let fleet = need!(Fleet::new(&["web"]));
    let mut shell = fleet
        .shell("trap '' HUP; exec $NSENTER --each web -n sh -c 'echo ready; read -r _ </run/go; echo on'");
    fleet.host.lab.command("mkfifo").arg("/run/go").run().ok();
    let running = shell.start();
    running.wait_for("ready");
    running.signal_behind_nsenter(Signal::SIGHUP);
    fleet.shell("echo >/run/go").run().ok();
    running.finish().ok().stdout_is("web: ready\nweb: on\n");
}

#[test]
fn who_asks_again_gets_an_end_to_programs_that_ignore_it() {
    let fleet = need!(Fleet::new(&["web-1", "web-2"]));
    for way in [&["-n"][..], &["-n", "-p"]] {
        let running = waiting(&fleet, way, "trap 'echo no' TERM;");
        running.signal_behind_nsenter(Signal::SIGTERM);
        running.wait_for("web-1: no");
        running.wait_for("web-2: no");
        // Signals close together are one: timeout(1) sends two.
        until("a second signal ends it", || {
            running.signal_behind_nsenter_if_there(Signal::SIGTERM);
            running.has_ended_within(std::time::Duration::from_millis(400))
        });
        running.finish().killed_by(Signal::SIGTERM);
    }
}

/// Waits until none of these processes, as the test sees them, is there any more.
#[track_caller]
fn wait_until_gone(pids: &[i32]) {
    let is_there = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    until(&format!("{pids:?} have ended"), || !pids.iter().any(is_there));
}

#[test]
fn no_program_outlives_us() {
    let fleet = need!(Fleet::new(&["web-1", "web-2"]));
    for way in [&["-n"][..], &["-n", "-p"], &["-a"]] {
        let script = ["sh", "-c", "echo ready; exec sleep infinity"];
        let running = fleet.nsenter(&[&["--each", "*"][..], way, &script].concat()).start();
        running.wait_for("web-1: ready");
        running.wait_for("web-2: ready");
        let children = children_of(running.pid_behind_nsenter());
        let programs: Vec<i32> =
            children.iter().flat_map(|child| children_of(*child)).chain(children.clone()).collect();
        assert_eq!(programs.len(), if way.len() == 1 && way[0] == "-n" { 2 } else { 4 }, "{way:?}");
        running.signal_behind_nsenter(Signal::SIGKILL);
        running.finish().killed_by(Signal::SIGKILL);
        wait_until_gone(&programs);
    }
}

#[test]
fn a_reader_who_has_seen_enough_ends_everything_in_silence() {
    for program in [
        "exec yes",
        "echo line; exec sleep 9876",
        "trap '' TERM; echo line; while :; do sleep 0.01; done",
        "echo line; sleep 9876 | sleep 9876",
    ] {
        for way in ["-n", "-p"] {
            // New ones each time: the init of such a container ends when it gets an orphan.
            let fleet = need!(Fleet::new(&["web-1", "web-2"]));
            let line = format!(
                "$NSENTER --each '*' {way} sh -c \"$PROGRAM\" | head -n 1; echo ${{PIPESTATUS[*]}}
                 while grep -zqsx 9876 /proc/[0-9]*/cmdline; do :; done"
            );
            let ran = fleet.shell(&line).env("PROGRAM", program).run().ok().stderr_is("");
            assert_eq!(ran.stdout.lines().nth(1), Some("0 0"), "{ran}");
        }
    }
}

#[test]
fn one_that_has_ended_meanwhile_is_said_and_the_others_go_on() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "web-3"]));
    let victim = fleet.containers[1].pid;
    let script =
        format!("kill -KILL {victim} 2>/dev/null; while [ -e /proc/{victim} ]; do :; done; echo done");
    let ran = fleet.nsenter(&["--each", "*", "-j", "1", "-n", "sh", "-c", &script]).run().fails_with(1);
    ran.stdout_is("web-1: done\nweb-3: done\n")
        .stderr_has("nsenter-rs: web-2: web-2 exited while it was being");
}

#[test]
fn a_pid_that_is_another_processs_by_its_turn_is_not_entered() {
    let fleet = need!(Fleet::new(&["web-1", "web-2"]));
    let victim = fleet.containers[1].pid;
    // The next process gets the PID behind the last one (proc_sys_kernel(5), ns_last_pid), and holds no pipe of ours.
    let script = format!(
        "kill -KILL {victim}; while [ -e /proc/{victim} ]; do :; done
         echo {} >/proc/sys/kernel/ns_last_pid
         sleep infinity </dev/null >/dev/null 2>&1 &
         [ $! = {victim} ] && echo taken",
        victim - 1
    );
    let ran = fleet.nsenter(&["--each", "*", "-j", "1", "-n", "sh", "-c", &script]).run();
    if !ran.stderr.contains("ns_last_pid") {
        ran.fails_with(1).stdout_is("web-1: taken\n").stderr_has("nsenter-rs: web-2: web-2 exited while");
    } else {
        need!(Err::<(), _>(Missing::ForGood("PIDs cannot be chosen here".into())));
    }
}

#[test]
fn a_line_that_never_ends_takes_little_memory() {
    let fleet = need!(Fleet::new(&["web-1", "web-2"]));
    let line = "exec $NSENTER --each '*' -n sh -c 'head -c 200000000 /dev/zero | tr \"\\0\" a; echo read >&2; exec sleep infinity' 2>&1 >/dev/null";
    let running = fleet.shell(line).start();
    running.wait_for("web-1: read");
    running.wait_for("web-2: read");
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid_behind_nsenter())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let peak_kib: u64 = peak.trim_end_matches(" kB").parse().unwrap();
    println!("peak: {peak}");
    assert!(peak_kib < 24 << 10, "{peak}");
}

#[test]
fn a_line_that_never_ends_comes_in_pieces_and_complete() {
    let fleet = need!(Fleet::new(&["web"]));
    let line = "$NSENTER --each web --json -n sh -c 'head -c 1000000 /dev/zero | tr \"\\0\" a'";
    let ran = fleet.shell(line).run().ok();
    let all = objects(&ran);
    let pieces: Vec<&Value> = all.iter().filter(|object| object["stream"] == "stdout").collect();
    assert_eq!(pieces.iter().map(|piece| piece["line"].as_str().unwrap().len()).sum::<usize>(), 1_000_000);
    let (last, others) = pieces.split_last().unwrap();
    assert!(others.iter().all(|piece| piece["goes_on"] == true) && others.len() == 3);
    assert_eq!(last["goes_on"], Value::Null);
}

#[test]
fn many_containers_need_few_descriptors() {
    let fleet = need!(Fleet::new(&["web"]));
    // All are one process, and with its environment each is a run of its own.
    for n in 0..300 {
        fleet.knows(&format!("more-{n}"), fleet.containers[0].pid);
    }
    for jobs in [8, 1024] {
        let line = format!("ulimit -n 48; exec $NSENTER --each 'more-*' -j {jobs} -n -e /bin/echo ran");
        let ran = fleet.shell(&line).run().ok();
        // On a busy machine they take longer than two seconds, and then it is said that some wait.
        assert!(ran.stderr.lines().all(|line| line.contains(" until one of these ends ")), "{ran}");
        assert_eq!(ran.stdout.lines().count(), 300, "{jobs}");
    }
}
