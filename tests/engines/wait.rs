//! `cpid --wait`: right, asleep, and never too late.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::Signal;

use support::fake_docker::just_now;
use support::fake_engine::{Answer, Script};
use support::run::Run;
use support::scratch::{Scratch, unique};
use support::skip::{need, program};
use support::tools;
use support::until::{as_busy, until};
use support::world::World;

/// A host on which a machine is registered when the test says so.
struct Host {
    root: Scratch,
    leader: Child,
}

impl Host {
    fn new() -> Host {
        let root = Scratch::new();
        fs::create_dir(root.path("run")).unwrap();
        Host { root, leader: Command::new("sleep").arg("600").spawn().unwrap() }
    }

    fn machines(&self) -> PathBuf {
        self.root.path("run/systemd/machines")
    }

    /// As systemd-machined does: under another name first.
    fn register(&self, name: &str) {
        let machines = self.machines();
        fs::create_dir_all(&machines).unwrap();
        let text = format!("NAME={name}\nLEADER={}\nCLASS=container\n", self.leader.id());
        fs::write(machines.join(".#half"), text).unwrap();
        fs::rename(machines.join(".#half"), machines.join(name)).unwrap();
    }

    fn in_it(&self, program: &str) -> Command {
        let mut command = tools::in_clean_environment(Command::new(program));
        command.env("NETNS_TOOLBOX_ROOT", self.root.as_ref());
        command
    }

    fn cpid(&self, arguments: &[&str]) -> Command {
        let mut cpid = self.in_it(tools::tool("cpid"));
        cpid.args(arguments);
        cpid
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

/// Until the process sleeps in poll(2), so that what comes next must wake it.
fn asleep(pid: i32) {
    let poll = [
        nix::libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        nix::libc::SYS_poll,
    ];
    let in_poll = || {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let number = call.split(' ').next().and_then(|number| number.parse().ok());
        number.is_some_and(|number| poll.contains(&number))
    };
    until(&format!("PID {pid} sleeps in poll(2)"), in_poll);
}

#[test]
fn what_runs_already_is_not_waited_for() {
    let host = Host::new();
    host.register("web");
    let ran =
        host.cpid(&["--wait", "20s", "machine:web"]).run().ok().stdout_is(&format!("{}\n", host.leader.id()));
    assert!(ran.took < as_busy(Duration::from_secs(10)), "{ran}");
}

#[test]
fn a_container_in_a_directory_that_is_made_later_is_waited_for() {
    let host = Host::new();
    let waiting = host.cpid(&["--wait", "20s", "machine:web"]).start();
    asleep(waiting.pid());
    host.register("web");
    let ran = waiting.finish().ok().stdout_is(&format!("{}\n", host.leader.id()));
    assert!(ran.took < as_busy(Duration::from_secs(10)), "{ran}");
}

#[test]
fn an_engine_that_starts_later_is_waited_for() {
    let host = Host::new();
    let waiting = host.cpid(&["--wait", "20s", "docker:web"]).start();
    asleep(waiting.pid());
    let id = "3f2a".repeat(16);
    let inspected = format!(
        r#"{{"Id": "{id}", "Name": "/web", "State": {{"Status": "running", "Pid": {}, "StartedAt": "{}"}}}}"#,
        host.leader.id(),
        just_now()
    );
    // Asked again by ID, for nothing but its word ties the process to the container.
    let script = Script::default()
        .on("/containers/web/json", Answer::json(200, &inspected))
        .on(&format!("/containers/{id}/json"), Answer::json(200, &inspected));
    let _docker = script.on("/events", Answer::never()).listen(host.root.path("run/docker.sock"));
    let ran = waiting.finish().ok().stdout_is(&format!("{}\n", host.leader.id()));
    assert!(ran.took < as_busy(Duration::from_secs(10)), "{ran}");
}

#[test]
fn an_engine_that_never_stops_talking_costs_little() {
    let host = Host::new();
    let script = Script::default().on("/events", Answer::endless("application/json", "{}\n"));
    let docker = script.listen(host.root.path("run/docker.sock"));
    host.cpid(&["--wait", "1s", "docker:web"]).run().fails_with(1).stderr_has("no such container");
    assert!(docker.requests().len() < 150, "{} requests", docker.requests().len());
}

#[test]
fn an_engine_that_hangs_up_is_not_asked_for_events_for_ever() {
    let host = Host::new();
    let script = Script::default().on("/events", Answer::hang_up());
    let docker = script.listen(host.root.path("run/docker.sock"));
    host.cpid(&["--wait", "1s", "docker:web"]).run().fails_with(1).stderr_has("no such container");
    let requests = docker.requests();
    assert!(requests.len() < 10, "{requests:?}");
}

#[test]
fn ctrl_c_ends_it() {
    let host = Host::new();
    let waiting = host.cpid(&["--wait", "20s", "machine:web"]).start();
    asleep(waiting.pid());
    waiting.signal(Signal::SIGINT);
    waiting.finish().killed_by(Signal::SIGINT).stderr_is("");
}

#[test]
fn a_signal_ends_it_at_once_by_that_signal_and_nothing_is_said_of_what_was_not_found() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let host = Host::new();
        // One of two is found already, and has its line.
        host.register("one");
        let waiting = host.cpid(&["--wait", "60s", "machine:one", "machine:two"]).start();
        asleep(waiting.pid());
        waiting.signal(signal);
        let found = format!("{}\n", host.leader.id());
        waiting.finish().killed_by(signal).stdout_is(&found).stderr_is("");
        // In the middle of a look, while an engine makes its answer.
        let silent = Script::default().otherwise(Answer::never());
        let docker = silent.listen(host.root.path("run/docker.sock"));
        let waiting = host.cpid(&["--wait", "60s", "--engine-timeout", "60s", "docker:web"]).start();
        docker.wait_for_requests(1);
        waiting.signal(signal);
        waiting.finish().killed_by(signal).stdout_is("").stderr_is("");
    }
}

#[test]
fn all_of_several_are_waited_for_and_printed_in_their_order() {
    let host = Host::new();
    let waiting = host.cpid(&["--wait", "20s", "machine:one", "machine:two"]).start();
    asleep(waiting.pid());
    host.register("two");
    host.register("one");
    let pid = host.leader.id();
    waiting.finish().ok().stdout_is(&format!("{pid}\n{pid}\n"));
}

#[test]
fn no_start_falls_between_the_look_and_the_sleep() {
    let host = Host::new();
    fs::create_dir_all(host.machines()).unwrap();
    for round in 0_u32..60 {
        let name = format!("web{round}");
        let waiting = host.cpid(&["--wait", "20s", &format!("machine:{name}")]).start();
        // From before its first look to well after it has gone to sleep.
        std::thread::sleep(Duration::from_micros(u64::from(round) * 400));
        host.register(&name);
        let ran = waiting.finish().ok();
        assert!(ran.took < as_busy(Duration::from_secs(10)), "round {round}: {ran}");
    }
}

#[test]
fn at_the_deadline_it_is_an_error_as_without_waiting() {
    let host = Host::new();
    fs::create_dir_all(host.machines()).unwrap();
    let ran = host.cpid(&["--wait", "300ms", "machine:web"]).run().fails_with(1);
    let said = "cpid: machine:web: no such container (asked: machine)\nhint: cpid --list --engine machine\n";
    let ran = ran.stdout_is("").stderr_is(said);
    assert!(ran.took >= Duration::from_millis(300), "{ran}");
    host.cpid(&["--wait", "0", "machine:web"]).run().fails_with(2).stderr_has("--wait");
    host.cpid(&["--wait", "0s", "machine:web"]).run().fails_with(1).stderr_has("no such container");
}

#[test]
fn while_it_waits_it_sleeps() {
    let host = Host::new();
    need!(program("strace", "strace"));
    fs::create_dir_all(host.machines()).unwrap();
    let log = host.root.path("log");
    let mut strace = host.in_it("strace");
    strace.args(["-o"]).arg(&log).args(["-e", "trace=poll,ppoll"]);
    strace.args([tools::tool("cpid"), "--wait", "1500ms", "machine:web"]).run().fails_with(1);
    let log = fs::read_to_string(log).unwrap();
    let polls = log.lines().filter(|line| line.contains("poll(")).count();
    assert!((1..=4).contains(&polls), "{log}");
}

#[test]
fn what_time_does_not_heal_is_not_waited_for() {
    let host = Host::new();
    fs::create_dir_all(host.machines()).unwrap();
    fs::write(
        host.machines().join("web"),
        format!("LEADER={}\nCLASS=container\nUID=12345\n", host.leader.id()),
    )
    .unwrap();
    let ran = host.cpid(&["--wait", "20s", "machine:web"]).run().fails_with(2).stderr_has("12345");
    assert!(ran.took < as_busy(Duration::from_secs(10)), "{ran}");
}

#[test]
fn a_real_docker_container_is_found_as_soon_as_it_runs() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &["--network", "none"]);
    web.stop();
    let script = format!(
        "{} --wait 20s docker:{} & while ! grep -qs poll /proc/$!/wchan; do sleep 0.01; done; docker start {} >/dev/null; wait $!",
        tools::tool("cpid"),
        web.name,
        web.name
    );
    let ran = world.command("sh").args(["-c", &script]).run().ok();
    assert_eq!(ran.text(), web.pid().to_string(), "{ran}");
    assert!(ran.took < as_busy(Duration::from_secs(15)), "{ran}");
}

#[test]
fn a_real_docker_container_that_is_not_made_yet_is_waited_for() {
    let world = need!(World::get().and_then(World::with_docker));
    let name = unique("later-");
    let script = format!(
        "{} --wait 20s docker:{name} & while ! grep -qs poll /proc/$!/wchan; do sleep 0.01; done; \
         docker run -d --network none --name {name} netns-toolbox/busybox sleep 600 >/dev/null; wait $!; status=$?; \
         docker inspect --format '{{{{.State.Pid}}}}' {name}; docker rm -f {name} >/dev/null; exit $status",
        tools::tool("cpid"),
    );
    let ran = world.command("sh").args(["-c", &script]).run().ok();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{ran}");
    assert!(ran.took < as_busy(Duration::from_secs(15)), "{ran}");
}

/// Who may ask Docker, and may not read its directories, hears of it from Docker itself.
#[test]
fn a_member_of_dockers_group_is_woken_by_dockers_events() {
    let world = need!(World::get().and_then(World::with_docker));
    need!(program("setpriv", "util-linux"));
    let web = world.docker_container("web", &["--network", "none"]);
    web.stop();
    // A copy, for the path to the tool may be closed to others.
    let script = format!(
        "cp {} /tmp/{name}; chmod 755 /tmp/{name}; \
         setpriv --reuid=12345 --regid=$(stat -c %g /run/docker.sock) --clear-groups \
         /tmp/{name} --wait 20s docker:{name} & \
         while ! grep -qs poll /proc/$!/wchan; do sleep 0.01; done; \
         docker start {name} >/dev/null; wait $!; status=$?; rm /tmp/{name}; exit $status",
        tools::tool("cpid"),
        name = web.name,
    );
    let ran = world.command("sh").args(["-c", &script]).run().ok();
    assert_eq!(ran.text(), web.pid().to_string(), "{ran}");
    assert!(ran.took < as_busy(Duration::from_secs(15)), "{ran}");
}
