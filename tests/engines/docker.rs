//! Docker, the real one: what its API and its state on disk say is the same, whatever its daemon is doing.

use std::time::{Duration, Instant};

use serde_json::Value;

use support::run::Run;
use support::skip::need;
use support::spare_docker::SpareDocker;
use support::until::as_busy;
use support::world::IMAGE;

#[test]
fn the_api_and_the_disk_tell_the_same_of_every_container() {
    let mut spare = need!(SpareDocker::start());
    for name in ["web", "frozen", "twice"] {
        spare.run(name);
    }
    spare.docker(&["pause", "frozen"]).ok();
    spare.docker(&["restart", "--time", "0", "twice"]).ok();
    spare.docker(&["create", "--name", "made", IMAGE, "true"]).ok();
    spare.docker(&["run", "--name", "done", "--network", "none", IMAGE, "sh", "-c", "exit 3"]).fails_with(3);
    let names = ["web", "frozen", "twice", "made", "done"];
    let pids: Vec<String> = names.iter().map(|name| spare.pid(name)).collect();
    let by_api = listed(&spare, "api");
    let said: Vec<_> = names.iter().map(|name| answer(&spare, name)).collect();
    let told = |at: usize| said[at].1.trim().to_owned();
    assert_eq!((0..3).map(told).collect::<Vec<_>>(), pids[..3], "docker inspect");
    assert!(told(3).starts_with("cpid: made is not running (created"), "{said:?}");
    assert!(told(4).starts_with("cpid: done is not running (exited, code 3"), "{said:?}");

    let is_the_same = |spare: &SpareDocker, source: &str, when: &str| {
        assert_eq!(listed(spare, source), by_api, "{when}");
        for (name, before) in names.iter().zip(&said) {
            let now = answer(spare, name);
            assert_eq!((now.0, pid_or_state(&now.1)), (before.0, pid_or_state(&before.1)), "{when}: {name}");
        }
    };
    spare.signal("STOP");
    is_the_same(&spare, "state", "stopped");
    spare.signal("CONT");
    is_the_same(&spare, "api", "continued");
    spare.kill_daemon();
    is_the_same(&spare, "state", "killed");
    // Its socket is still there, and nobody listens; then there is none.
    spare.shell("rm \"$0/run/docker.sock\"").run().ok();
    is_the_same(&spare, "state", "without a socket");
    spare.start_daemon();
    is_the_same(&spare, "api", "restarted");
}

#[test]
fn a_daemon_that_is_stopped_costs_its_time_limit_and_no_more() {
    let spare = need!(SpareDocker::start());
    spare.run("web");
    let pid = spare.pid("web");
    spare.signal("STOP");
    let fastest = (0..5).map(|_| {
        let began = Instant::now();
        spare
            .tool("cpid")
            .args(["--engine-timeout", "300ms", "docker:web"])
            .run()
            .ok()
            .stdout_is(&format!("{pid}\n"));
        began.elapsed()
    });
    // The best of a few, for the machine may be busy with other things.
    let fastest = fastest.min().unwrap();
    assert!(fastest >= Duration::from_millis(300), "{fastest:?}: was it asked at all?");
    assert!(fastest <= as_busy(Duration::from_millis(400)), "{fastest:?}");
}

#[test]
fn a_container_that_ended_while_the_daemon_was_dead_is_not_running() {
    let mut spare = need!(SpareDocker::start());
    spare.run("web");
    let pid = spare.pid("web");
    spare.kill_daemon();
    spare.tool("cpid").arg("docker:web").run().ok().stdout_is(&format!("{pid}\n"));
    // Its shim sees to it that it is reaped: `kill -0` fails when it is.
    spare.shell(&format!("kill -9 {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.01; done")).run().ok();
    let ended = spare.tool("cpid").arg("docker:web").run().fails_with(1);
    ended.stderr_is("cpid: web is not running (exited)\nhint: docker start web\n");
    spare.tool("cpid").args(["--list", "-a"]).run().ok().stdout_has("exited");
}

#[test]
fn a_thousand_calls_while_the_daemon_is_stopped_killed_and_restarted_give_only_right_answers() {
    const CALLS: usize = 1000;
    let mut spare = need!(SpareDocker::start());
    spare.run("web");
    let pid = spare.pid("web");
    let cpid = spare.tool("cpid").get_args().last().unwrap().to_str().unwrap().to_owned();
    // On a machine that is too busy for all of them in time it is fewer.
    let calls = format!(
        "for _ in $(seq {CALLS}); do {cpid} --engine-timeout 30ms docker:web 2>&1 || echo \"status $?\"
             [ $SECONDS -lt 30 ] || break; done"
    );
    let calls = spare.shell(&calls).start();
    let (began, mut rounds) = (Instant::now(), 0);
    while !calls.has_ended_within(Duration::from_millis(200)) {
        spare.signal("STOP");
        calls.has_ended_within(Duration::from_millis(300));
        spare.signal("CONT");
        calls.has_ended_within(Duration::from_millis(200));
        spare.kill_daemon();
        calls.has_ended_within(Duration::from_millis(300));
        spare.start_daemon();
        rounds += 1;
    }
    assert!(began.elapsed() < as_busy(Duration::from_secs(40)), "{:?}", began.elapsed());
    let said = calls.finish().ok();
    let answers: Vec<&str> = said.stdout.lines().collect();
    let wrong: Vec<&&str> = answers.iter().filter(|answer| **answer != pid).collect();
    assert!(rounds >= 1, "the calls were over before the daemon was touched");
    assert_eq!(wrong, [&""; 0]);
    assert!(answers.len() == CALLS || began.elapsed() >= Duration::from_secs(29), "{} calls", answers.len());
}

#[test]
fn fifty_callers_at_once_while_a_container_is_restarted_get_no_pid_but_its() {
    let spare = need!(SpareDocker::start());
    spare.run("web");
    let first = spare.pid("web");
    let cpid = spare.tool("cpid").get_args().last().unwrap().to_str().unwrap().to_owned();
    // The callers are spread over the time that a restart takes; those of the last round have none to look at.
    let rounds = format!(
        "call() {{ local pid status=0; pid=$({cpid} --engine-timeout 5s docker:web 2>>\"$0/said\") || status=$?
            if [ $status = 0 ]; then echo \"answer $pid\"; elif [ $status != 1 ]; then echo \"status $status\"; fi; }}
         restart() {{ docker -H \"$1\" restart --time 0 web >/dev/null
            echo \"run $(docker -H \"$1\" inspect --format '{{{{.State.Pid}}}}' web)\"; }}
         for round in 1 2 3 4 5; do
             if [ $round = 5 ]; then echo last; else restart \"$1\" & fi
             for caller in $(seq 50); do (sleep $((caller / 10)).$((caller % 10)) && call) & done; wait
         done"
    );
    let said = spare.shell(&rounds).start().finish_within(as_busy(Duration::from_secs(120))).ok();
    let lines = |text: &str, what: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(what)).map(str::to_owned).collect()
    };
    let mut runs = lines(&said.stdout, "run ");
    runs.push(first);
    let why = spare.shell("sort \"$0/said\" | uniq -c").run().ok();
    let wrong = |answer: &String| !runs.contains(answer);
    assert_eq!(runs.len(), 5, "{said}");
    assert!(!lines(&said.stdout, "answer ").iter().any(wrong), "{said}\n{why}");
    assert!(lines(&said.stdout, "status ").is_empty(), "{said}\n{why}");
    let (_, last) = said.stdout.split_once("last\n").unwrap();
    assert_eq!(lines(last, "answer "), vec![runs[3].clone(); 50], "{why}");
}

#[test]
fn a_socket_that_is_not_the_default_one_has_no_state_on_disk() {
    let spare = need!(SpareDocker::start());
    spare.run("web");
    let pid = spare.pid("web");
    spare.signal("STOP");
    let asked = |host: &str| spare.tool("cpid").arg("docker:web").env("DOCKER_HOST", host).run();
    // The same socket by another name: `/run/../run/…`, as /var/run is a link to /run.
    asked(&spare.host().replacen("/run/docker.sock", "/run/../run/docker.sock", 1))
        .ok()
        .stdout_is(&format!("{pid}\n"));
    asked("unix:///run/nobody.sock").fails_with(2).stderr_has("/run/nobody.sock is not there");
}

/// All containers as JSON, without `source`, which must be this one.
#[track_caller]
fn listed(spare: &SpareDocker, source: &str) -> Value {
    let mut listed =
        spare.tool("cpid").args(["--list", "-a", "--json", "--engine", "docker"]).run().ok().json();
    for container in listed.as_array_mut().unwrap() {
        let removed = container.as_object_mut().unwrap().remove("source");
        assert_eq!(removed.as_ref().and_then(Value::as_str), Some(source), "{container}");
    }
    assert_eq!(listed.as_array().unwrap().len(), 5, "{listed}");
    listed
}

/// The status and what was said of one container.
fn answer(spare: &SpareDocker, name: &str) -> (Option<i32>, String) {
    let ran = spare.tool("cpid").arg(format!("docker:{name}")).run();
    (ran.status.and_then(|status| status.code()), format!("{}{}", ran.stdout, ran.stderr))
}

/// Without how long ago it ended.
fn pid_or_state(said: &str) -> String {
    said.lines().next().unwrap_or_default().split(", ").take(2).collect()
}
