//! One command in many containers, on a host whose engines left their state and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by their attribute, which the functions they share have not"
)]

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::hand::{Host, id};
use crate::support::container::{Container, Options};
use crate::support::fake_docker;
use crate::support::fake_engine::{Answer, Script};
use crate::support::run::{Ran, Run, Running};
use crate::support::skip::{Missing, need, program};
use crate::support::tools;

/// A host with containers of runc's, made by hand.
pub(crate) struct Fleet {
    pub(crate) host: Host,
    pub(crate) containers: Vec<Container>,
}

impl Fleet {
    /// Each has all namespaces of its own that Docker gives, and is called so inside too.
    pub(crate) fn new(names: &[&str]) -> Result<Fleet, Missing> {
        let host = Host::new()?;
        let containers = names.iter().map(|name| host.lab.container(name, Options::default())).collect();
        let fleet = Fleet { host, containers };
        for container in &fleet.containers {
            fleet.knows(&container.name, container.pid);
        }
        Ok(fleet)
    }

    /// runc says that `name` is this process.
    pub(crate) fn knows(&self, name: &str, pid: i32) {
        self.host.runc_record(&format!("/run/runc/{name}"), pid, self.host.start_time(pid));
    }

    pub(crate) fn nsenter(&self, arguments: &[&str]) -> Command {
        let mut command = self.host.lab.command("env");
        command.arg("NETNS_TOOLBOX_ROOT=/run/host").env("PATH", crate::PATH);
        command.arg(tools::tool("nsenter-rs")).args(arguments);
        command
    }

    /// `sh -c SCRIPT` in each that fits, in its network and under its host name.
    fn each(&self, pattern: &str, script: &str) -> Command {
        self.nsenter(&["--each", pattern, "-n", "-u", "sh", "-c", script])
    }

    /// A line of shell on the host, in which `$NSENTER` is ours.
    fn shell(&self, line: &str) -> Command {
        let mut shell = self.host.lab.command("bash");
        shell.args(["-c", line]).env("NSENTER", tools::tool("nsenter-rs"));
        shell.env("NETNS_TOOLBOX_ROOT", "/run/host").env("PATH", crate::PATH);
        shell
    }
}

/// Lines of different runs come in any order.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn objects(ran: &Ran) -> Vec<Value> {
    ran.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}")))
        .collect()
}

#[test]
fn each_that_fits_is_entered_and_its_lines_bear_its_name() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "db"]));
    let netns = |at: usize| {
        let container: &Container = &fleet.containers[at];
        format!("{}: {}", container.name, fleet.host.lab.namespace(container.pid, "net"))
    };
    let entered =
        |pattern| fleet.nsenter(&["--each", pattern, "-n", "readlink", "/proc/self/ns/net"]).run().ok();
    assert_eq!(sorted(&entered("web-*").stdout), [netns(0), netns(1)]);
    assert_eq!(sorted(&entered("oci:[dw]*").stdout), [netns(2), netns(0), netns(1)]);
    assert_eq!(sorted(&entered("*").stderr_is("").stdout), [netns(2), netns(0), netns(1)]);
    assert_eq!(sorted(&entered("db").stdout), [netns(2)]);
}

#[test]
fn with_all_namespaces_each_is_what_a_single_run_is() {
    let fleet = need!(Fleet::new(&["web-1", "web-2"]));
    let show = ["sh", "-c", "readlink /proc/self/ns/*; hostname; cat /etc/hostname; pwd; id -u"];
    let single = |container: &Container| {
        let target = container.pid.to_string();
        let ran = fleet.nsenter(&[&["-t", &target, "-a"][..], &show].concat()).run().ok();
        ran.stdout.lines().map(|line| format!("{}: {line}\n", container.name)).collect::<String>()
    };
    let expected: String = fleet.containers.iter().map(single).collect();
    let each = fleet.nsenter(&[&["--each", "*", "-j", "1", "-a"][..], &show].concat()).run().ok();
    each.stdout_is(&expected).stderr_is("");
}

#[test]
fn those_that_share_the_namespaces_asked_for_are_entered_once() {
    let fleet = need!(Fleet::new(&["web", "other"]));
    // A process in web's network and nowhere else, as a pod's second container is.
    let mut side = fleet.host.lab.command("nsenter");
    side.args(["-t", &fleet.containers[0].pid.to_string(), "-n", "sh", "-c", "echo $$; exec sleep infinity"]);
    let side = side.start();
    fleet.knows("xside", side.first_line().unwrap().parse().unwrap());
    let names = |arguments: &[&str]| {
        let ran = fleet.nsenter(&[&["--each", "*"][..], arguments, &["echo", "ran"]].concat()).run().ok();
        sorted(&ran.stdout).join(" ").replace(": ran", "")
    };
    assert_eq!(names(&["-n"]), "other web");
    assert_eq!(names(&["-n", "-u"]), "other web xside");
    assert_eq!(names(&["-n", "-e"]), "other web xside", "the environment is the process's");
    let told = fleet.nsenter(&["--each", "*", "-n", "-v", "true"]).run().ok();
    told.stderr_has("nsenter-rs: web: the namespaces are those of xside too\n");
    let ran = fleet.nsenter(&["--each", "[wx]*", "-n", "--json", "true"]).run().ok();
    assert_eq!(objects(&ran)[0]["also"], json!(["xside"]));
}

#[test]
fn the_highest_status_is_ours_and_others_are_named() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "web-3"]));
    let status = |script: &str| fleet.each("*", script).run();
    status("exit 0").ok().stdout_is("").stderr_is("");
    let by_name = "case $(hostname) in web-1) exit 3;; web-2) exit 22;; esac";
    let ran = status(by_name).fails_with(22);
    assert_eq!(
        sorted(&ran.stderr),
        ["nsenter-rs: web-1: exit status 3", "nsenter-rs: web-2: exit status 22"]
    );
    let ran = status("case $(hostname) in web-1) kill -KILL $$;; web-2) exit 22;; esac").fails_with(137);
    ran.stderr_has("nsenter-rs: web-1: killed by SIGKILL\n");
    let ran = fleet.nsenter(&["--each", "web-1", "-n", "no-such-program"]).run().fails_with(127);
    ran.stderr_is("web-1: nsenter-rs: no-such-program: no such program\n");
    fleet.nsenter(&["--each", "web-1", "-n", "/run"]).run().fails_with(126);
}

#[test]
fn lines_come_whole_in_their_order_and_on_the_stream_they_were_written_to() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "web-3", "web-4"]));
    let script = "for i in $(seq 500); do printf 'a%s' $i; printf 'b\\n'; echo e$i >&2; done; printf last";
    let ran = fleet.each("*", script).run().ok();
    for container in &fleet.containers {
        let of = |text: &str| -> Vec<String> {
            let prefix = format!("{}: ", container.name);
            text.lines().filter_map(|line| Some(line.strip_prefix(&prefix)?.to_owned())).collect()
        };
        let stdout: Vec<String> = (1..=500).map(|i| format!("a{i}b")).chain(["last".to_owned()]).collect();
        assert_eq!(of(&ran.stdout), stdout);
        assert_eq!(of(&ran.stderr), (1..=500).map(|i| format!("e{i}")).collect::<Vec<_>>());
    }
    assert!(ran.stdout.ends_with("last\n"));
}

#[test]
fn a_program_has_nothing_on_stdin_and_no_descriptor_of_ours() {
    let fleet = need!(Fleet::new(&["web-1", "web-2"]));
    let mut cat = fleet.each("*", "cat; echo done");
    cat.run_with_input("not for them\n").ok().stdout_has("web-1: done").stdout_has("web-2: done");
    let single =
        fleet.nsenter(&["-t", &fleet.containers[0].pid.to_string(), "-n", "ls", "/proc/self/fd"]).run().ok();
    let each = fleet.nsenter(&["--each", "web-1", "-n", "ls", "/proc/self/fd"]).run().ok();
    assert_eq!(each.stdout.replace("web-1: ", ""), single.stdout);
}

#[test]
fn json_tells_every_line_and_every_end() {
    let fleet = need!(Fleet::new(&["web-1", "web-2", "web-3"]));
    let script = "case $(hostname) in web-1) printf 'a\\033[2J\\377\\nb'; exit 3;; web-2) echo e >&2; kill -TERM $$;; esac";
    let ran = fleet.nsenter(&["--each", "*", "--json", "-n", "-u", "sh", "-c", script]).run().fails_with(143);
    let all = objects(&ran.clone().stderr_is(""));
    let of =
        |name: &str| -> Vec<&Value> { all.iter().filter(|object| object["container"] == name).collect() };
    let line = |container, stream, line| json!({ "container": container, "stream": stream, "line": line });
    let end = |at: usize| {
        let container = &fleet.containers[at];
        json!({ "container": container.name, "engine": "oci", "id": container.name, "pid": container.pid,
            "also": [], "exit_status": null, "signal": null, "error": null })
    };
    let with = |mut object: Value, key: &str, number: i32| {
        object[key] = json!(number);
        object
    };
    assert_eq!(
        of("web-1"),
        [
            &line("web-1", "stdout", "a\u{1b}[2J\u{fffd}"),
            &line("web-1", "stdout", "b"),
            &with(end(0), "exit_status", 3)
        ]
    );
    assert_eq!(of("web-2"), [&line("web-2", "stderr", "e"), &with(end(1), "signal", 15)]);
    assert_eq!(of("web-3"), [&with(end(2), "exit_status", 0)]);
    assert!(!ran.stdout.contains('\x1b'));
}

#[test]
fn nothing_from_a_container_drives_a_terminal_and_a_pipe_gets_the_bytes() {
    let fleet = need!(Fleet::new(&["web"]));
    need!(program("script", "bsdutils"));
    let print = "printf 'a\\tb\\033[2J\\2332J\\r\\nnext\\n'; printf '\\033]0;x\\007' >&2";
    let line = "$NSENTER --each web -n sh -c \"$PRINT\"";
    let mut shell = fleet.shell("exec script --quiet --return --command \"$LINE\" /dev/null");
    let shown = shell.env("LINE", line).env("PRINT", print).run().ok();
    shown
        .stdout_has("web: a\tb\\u{1b}[2J\u{fffd}2J\r\nweb: next\r\n")
        .stdout_has("web: \\u{1b}]0;x\\u{7}\r\n");
    let piped = fleet.shell(&format!("{line} 2>/dev/null | od -An -c")).env("PRINT", print).run().ok();
    piped.stdout_has("w   e   b   :       a  \\t   b 033   [   2   J 233   2   J  \\r");
}

#[test]
fn two_engines_with_one_name_are_told_apart() {
    let fleet = need!(Fleet::new(&["web", "db"]));
    let other = fleet.host.lab.container("web", Options::default());
    let _docker = fake_docker::knows(&[&other]).listen(fleet.host.path("/run/docker.sock"));
    let all = fleet.nsenter(&["--each", "*", "-n", "readlink", "/proc/self/ns/net"]).run().ok();
    let line = |name: &str, container: &Container| {
        format!("{name}: {}", fleet.host.lab.namespace(container.pid, "net"))
    };
    let expected =
        [line("db", &fleet.containers[1]), line("docker:web", &other), line("oci:web", &fleet.containers[0])];
    assert_eq!(sorted(&all.stdout), expected);
    let one = fleet.nsenter(&["--each", "docker:*", "-n", "readlink", "/proc/self/ns/net"]).run().ok();
    assert_eq!(sorted(&one.stdout), [line("web", &other)]);
}

#[test]
fn pods_are_entered_through_their_sandboxes_and_bare_names_mean_containers() {
    let host = need!(Host::new());
    let fleet = Fleet { containers: ["one", "two"].map(|name| host.process(name)).into(), host };
    let pod = |name: &str, kind: &str, container: &str, sandbox: &str| {
        json!({ "io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-id": id(sandbox),
            "io.kubernetes.cri.sandbox-namespace": "prod", "io.kubernetes.cri.sandbox-name": name,
            "io.kubernetes.cri.container-name": container })
    };
    for (at, name, sandbox, app) in [(0, "web-1", "5a", "c1"), (1, "web-2", "5b", "c2")] {
        let pid = fleet.containers[at].pid;
        fleet.host.task("k8s.io", &id(sandbox), pid, &pod(name, "sandbox", "", sandbox));
        fleet.host.task("k8s.io", &id(app), pid, &pod(name, "container", "app", sandbox));
    }
    let names = |pattern| {
        let ran = fleet.nsenter(&["--each", pattern, "-n", "echo", "ran"]).run().ok();
        sorted(&ran.stdout).join(" ").replace(": ran", "")
    };
    assert_eq!(names("pod:prod/*"), "prod/web-1 prod/web-2");
    assert_eq!(names("pod:*-2"), "prod/web-2");
    assert_eq!(names("pod:prod/*/app"), "prod/web-1/app prod/web-2/app");
    assert_eq!(names("app"), "prod/web-1/app prod/web-2/app");
    fleet.nsenter(&["--each", "web-*", "-n", "echo", "ran"]).run().fails_with(1).stdout_is("");
}

#[test]
fn a_pattern_that_fits_nobody_is_said() {
    let mut fleet = need!(Fleet::new(&["web", "old"]));
    let ran = fleet.nsenter(&["--each", "nope-*", "-n", "echo", "ran"]).run().fails_with(1).stdout_is("");
    ran.stderr_is("nsenter-rs: nope-*: no running container fits\nhint: cpid --list\n");
    fleet.containers[1].stop();
    let ran = fleet.nsenter(&["--each", "o*", "-n", "echo", "ran"]).run().fails_with(1).stdout_is("");
    ran.stderr_has("o*: no running container fits, only 1 that does not run\nhint: cpid --list --all\n");
}

#[test]
fn what_is_not_understood_is_never_run() {
    let fleet = need!(Fleet::new(&["web"]));
    for arguments in [
        &["--each", "", "-n", "echo", "ran"][..],
        &["--each=", "-n", "echo", "ran"],
        &["--each", "-n", "echo", "ran"],
        &["--each", "netns:*", "-n", "echo", "ran"],
        &["--each", "web", "-t", "web", "-n", "echo", "ran"],
        &["--each", "web", "echo", "ran"],
        &["--each", "web", "-n=/proc/1/ns/net", "echo", "ran"],
        &["--each", "web", "-n"],
        &["--each", "web", "-n", "-j", "0", "echo", "ran"],
        &["--each", "web", "--each", "web", "-n", "echo", "ran"],
        &["--each", "[web", "-n", "echo", "ran"],
        &["--json", "-n", "echo", "ran"],
        &["-t", "1", "-j", "2", "-n", "echo", "ran"],
    ] {
        fleet.nsenter(arguments).run().fails_with(1).stdout_is("").stderr_has("nsenter-rs: ");
    }
}

#[test]
fn an_engine_that_does_not_answer_is_said_and_the_others_are_entered() {
    let fleet = need!(Fleet::new(&["web"]));
    let _hung = Script::new().otherwise(Answer::never()).listen(fleet.host.path("/run/docker.sock"));
    let ran =
        fleet.nsenter(&["--each", "*", "-n", "echo", "ran"]).run().fails_with(1).stdout_is("web: ran\n");
    ran.stderr_has("nsenter-rs: docker did not answer");
    fleet.nsenter(&["--each", "*", "-n", "sh", "-c", "exit 7"]).run().fails_with(7);
    fleet.nsenter(&["--each", "oci:*", "-n", "echo", "ran"]).run().ok().stderr_is("");
}

/// The children of a process, as the test sees them.
fn children_of(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// A run whose programs say `ready` and then wait for ever.
fn waiting(fleet: &Fleet, way: &[&str], script: &str) -> Running {
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
    let running = fleet.each("*", script).start_with(Stdio::null());
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
        while !running.has_ended_within(std::time::Duration::from_millis(400)) {
            running.signal_behind_nsenter(Signal::SIGTERM);
        }
        running.finish().killed_by(Signal::SIGTERM);
    }
}

/// Waits until none of these processes, as the test sees them, is there any more.
#[track_caller]
fn wait_until_gone(pids: &[i32]) {
    let deadline = std::time::Instant::now() + crate::support::run::LIMIT;
    let is_there = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    while pids.iter().any(is_there) {
        assert!(std::time::Instant::now() < deadline, "still there: {pids:?}");
        std::thread::yield_now();
    }
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
        let ran = fleet.shell(&line).run().ok().stderr_is("");
        assert_eq!(ran.stdout.lines().count(), 300, "{jobs}");
    }
}
