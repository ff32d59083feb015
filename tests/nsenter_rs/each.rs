//! One command in many containers, on a host whose engines left their state and nothing else.

use std::process::Command;

use serde_json::{Value, json};

use support::container::{Container, Options};
use support::engine_state::{Host, id};
use support::fake_docker;
use support::fake_engine::{Answer, Script};
use support::run::{Ran, Run};
use support::skip::{Missing, need, program};
use support::tools;

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
    pub(crate) fn each(&self, pattern: &str, script: &str) -> Command {
        self.nsenter(&["--each", pattern, "-n", "-u", "sh", "-c", script])
    }

    /// A line of shell on the host, in which `$NSENTER` is ours.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut shell = self.host.lab.command("bash");
        shell.args(["-c", line]).env("NSENTER", tools::tool("nsenter-rs"));
        shell.env("NETNS_TOOLBOX_ROOT", "/run/host").env("PATH", crate::PATH);
        shell
    }
}

/// Lines of different runs come in any order.
pub(crate) fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

pub(crate) fn objects(ran: &Ran) -> Vec<Value> {
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
    told.stderr_has("nsenter-rs: web: shares all requested namespaces with xside\n");
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
    ran.stderr_is("nsenter-rs: nope-*: no running container matches\nhint: cpid --list\n");
    // What the shell makes of a pattern that is not in quotes.
    let ran = fleet.nsenter(&["--each", "nope-1", "-n", "echo", "ran"]).run().fails_with(1).stdout_is("");
    ran.stderr_has("nope-1: no running container matches\n")
        .stderr_has("hint: ")
        .stderr_has("quote a PATTERN");
    fleet.containers[1].stop();
    let ran = fleet.nsenter(&["--each", "o*", "-n", "echo", "ran"]).run().fails_with(1).stdout_is("");
    ran.stderr_has("o*: no running container matches, only 1 that is not running\nhint: cpid --list --all\n");
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
