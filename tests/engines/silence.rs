//! What is concluded while Docker cannot be asked, or its state on disk and the host's processes disagree: "cannot tell" unless
//! it is certain. Daemons and shims are processes of that name; the real ones are in `places` and `docker`.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, connect, listen, socket};

use crate::by_hand::{Host, docker_config, id, process};
use support::fake_engine::{Answer, FakeEngine, Script};
use support::run::{Run, RunningProgram};
use support::skip::need;
use support::spare_docker::SpareDocker;
use support::tools;

/// A process that is called so and has these words in its command line.
fn called(program: &str, words: &[&str]) -> RunningProgram {
    let mut shell = tools::in_clean_environment(Command::new("sh"));
    shell.arg0(program).args(["-c", "echo ready; read -r _", "sh"]).args(words);
    let running = shell.start_with(Stdio::piped());
    running.wait_for("ready");
    running
}

/// An engine that never answers, and whose process is called so.
fn silent(host: &Host, program: &str) -> FakeEngine {
    host.directory("run");
    let mut perl = tools::in_clean_environment(Command::new("perl"));
    perl.arg0(program);
    Script::new().otherwise(Answer::never()).listen_by(perl, host.path("run/docker.sock"))
}

#[test]
fn a_container_that_runs_where_nobody_looks_is_neither_exited_nor_unknown() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "other", pid, ticks);
    host.docker_config(&id('b'), &format!("{}\n", docker_config(&id('b'), "web", true)));
    let words = ["-namespace", "moby", "-id", &id('b'), "-address", "/srv/exec/containerd.sock"];
    let shim = called("/usr/bin/containerd-shim-runc-v2", &words);
    for target in ["web", "docker:web", "bbbb", &id('b')] {
        let said = host.cpid(&[target]).run().fails_with(2).stdout_is("");
        said.stderr_has("cannot tell which process is its first: ")
            .stderr_has(&format!("{}/config.v2.json: docker has written there that it runs, and", id('b')));
    }
    // It hides itself, and no other.
    host.cpid(&["other"]).run().ok().stdout_is(&format!("{pid}\n")).stderr_is("");
    host.cpid(&["nope"]).run().fails_with(1).stderr_has("no such container");
    host.cpid(&["--list"]).run().fails_with(2).stdout_has("other").stderr_has("config.v2.json");
    drop(shim);
    // What another program has in its command line says nothing: we have the ID there ourselves.
    let _other = called("/usr/bin/docker", &["logs", &id('b')]);
    for target in ["web", "docker:web", "bbbb", &id('b')] {
        host.cpid(&[target]).run().fails_with(1).stderr_has("web is not running (exited)");
    }
    host.cpid(&["--list", "-a"]).run().ok().stdout_has("web").stderr_is("");
}

#[test]
fn a_real_container_whose_exec_root_is_not_known_is_not_said_to_have_ended() {
    let mut spare = need!(SpareDocker::start());
    spare.run("web");
    spare.kill_daemon();
    // Where its data are is known, and of its exec root nothing says anything any more.
    let script =
        "mkdir -p \"$0/half/run\" \"$0/half/etc\" \"$0/half/var\"; ln -s \"$0/var/lib\" \"$0/half/var/lib\"";
    spare.shell(script).run().ok();
    let root = spare.shell("echo \"$0/half\"").run().ok().text().to_owned();
    let cpid = || spare.tool("cpid").args(["docker:web"]).env("NETNS_TOOLBOX_ROOT", &root).run();
    cpid().fails_with(2).stdout_is("").stderr_has("cannot tell which process is its first: ");
    let pid = spare.tool("cpid").arg("docker:web").run().ok().text().to_owned();
    spare.shell(&format!("kill -9 {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.01; done")).run().ok();
    // Its shim is there until Docker comes back and clears it away.
    cpid().fails_with(2);
}

#[test]
fn a_daemon_that_hangs_and_whose_state_is_known_has_said_no() {
    let host = Host::with_silent_engine();
    host.docker_config(&id('a'), &format!("{}\n", docker_config(&id('a'), "old", false)));
    let daemon = silent(&host, "/usr/bin/dockerd");
    let no = "cpid: nope: no such container (asked: docker)\n";
    host.cpid(&["nope"]).run().fails_with(1).stderr_has(no);
    host.cpid(&["-v", "nope"]).run().fails_with(1).stderr_has("asked: docker (state on disk)");
    host.cpid(&["old"]).run().fails_with(1).stderr_has("old is not running (exited, code 0");
    drop(daemon);
    // What passes on to a daemon may be anything: its state may be elsewhere, and what is here an old one.
    let _other = silent(&host, "/usr/bin/socat");
    let unsure = "docker did not answer on ";
    let where_is = "and where it keeps its state could not be found out: what listens there is not docker";
    for (target, begins) in [
        ("nope", "cpid: nope: cannot tell whether there is such a container: docker did not answer on "),
        ("old", "cpid: old: docker container old (aaaaaaaaaaaa) was found, but docker could not be asked"),
    ] {
        let said = host.cpid(&[target]).run().fails_with(2).stdout_is("").stderr_has(begins);
        said.stderr_has(unsure)
            .stderr_has(where_is)
            .stderr_has(&format!("hint: cpid {target} --engine-timeout 5s\nhint: use pid:N"));
    }
    host.cpid(&["--list", "-a"]).run().fails_with(2).stdout_has("old").stderr_has(where_is);
}

#[test]
fn a_daemon_that_lets_nobody_wait_any_more_is_slow() {
    let host = Host::with_silent_engine();
    let path = host.directory("run").join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let waiting: Vec<OwnedFd> = std::iter::from_fn(|| waits_for(&path)).collect();
    assert!(!waiting.is_empty());
    host.cpid(&["web"]).run().fails_with(2).stderr_has("docker did not answer on ");
    host.directory("var/lib/docker/containers");
    // Nothing shows whose it is: its state may be anywhere.
    host.cpid(&["web"]).run().fails_with(2).stderr_has("docker did not answer on ");
    // Its PID file does.
    let daemon = called("/usr/bin/dockerd", &[]);
    host.write("run/docker.pid", daemon.pid().to_string());
    host.cpid(&["web"]).run().fails_with(1).stderr_has("no such container");
}

/// A connection that nobody accepts; none when the kernel takes no more of them.
fn waits_for(path: &Path) -> Option<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
    connect(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).ok().map(|()| socket)
}

#[test]
fn many_names_cost_one_connection_to_a_daemon_that_hangs() {
    let names: Vec<String> = (0..60).map(|number| format!("web-{number}")).collect();
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    // Whether its state is known, or not, or not there.
    for (program, state, status) in
        [("dockerd", true, 1), ("/usr/bin/socat", true, 2), ("/usr/bin/socat", false, 2)]
    {
        let host = Host::with_silent_engine();
        if state {
            host.directory("var/lib/docker/containers");
        }
        let daemon = silent(&host, program);
        host.cpid(&words).run().fails_with(status).stdout_is("");
        assert_eq!((daemon.requests().len(), daemon.connections()), (1, 1), "{program}");
    }
}
