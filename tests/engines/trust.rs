//! Whom to believe: an ordinary user's engine may claim that user's processes, and no others.

use std::fs::File;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use nix::unistd::geteuid;

use crate::by_hand::{Host, docker_config, id, process};
use support::fake_engine::{Answer, FakeEngine, Script};
use support::run::{Ran, Run};
use support::skip::{Missing, need, program};

/// `nobody`, whom every host has.
const USER: u32 = 65534;
const HOME: &str = "nonexistent";

/// Set for a copy of this test program that is a user's engine; where its socket is to be.
const SOCKET: &str = "NETNS_TOOLBOX_TRUST_TEST_SOCKET";

#[test]
fn a_users_socket_that_claims_a_process_of_root_is_refused() {
    need!(root());
    let host = Host::new();
    let socket = host.directory(&format!("run/user/{USER}")).join("docker.sock");
    let _engine = liar(&socket);
    chown(&socket, Some(USER), None).unwrap();
    is_refused(&under_sudo(&host), "docker");
}

#[test]
fn a_users_engine_behind_a_socket_file_of_root_is_refused() {
    if let Some(socket) = std::env::var_os(SOCKET) {
        let _engine = liar(socket.as_ref());
        println!("\nlistening");
        std::thread::park();
    }
    need!(root());
    need!(program("setpriv", "util-linux"));
    let host = Host::new();
    let directory = host.directory(&format!("run/user/{USER}"));
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    let socket = directory.join("docker.sock");
    let mut user = Command::new("setpriv");
    user.args([&format!("--reuid={USER}"), "--clear-groups", "--bounding-set=-all", "--"]);
    // Through a descriptor: the directories above the program may be closed to others.
    user.args([
        "/proc/self/fd/0",
        "--exact",
        "trust::a_users_engine_behind_a_socket_file_of_root_is_refused",
    ]);
    let itself = File::open(std::env::current_exe().unwrap()).unwrap();
    let engine = user.arg("--nocapture").env(SOCKET, &socket).current_dir("/").start_with(itself.into());
    engine.wait_for("listening");
    chown(&socket, Some(0), None).unwrap();
    is_refused(&under_sudo(&host), "docker");
}

#[test]
fn a_users_state_that_claims_a_process_of_root_is_refused() {
    need!(root());
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks);
    host.cpid(&["docker:web"]).env("SUDO_UID", USER.to_string()).run().ok();
    // The same, but in that user's directories.
    host.directory(&format!("{HOME}/.local/share"));
    host.directory(&format!("run/user/{USER}"));
    let moved = [
        ("var/lib/docker", format!("{HOME}/.local/share/docker")),
        ("run/docker", format!("run/user/{USER}/docker")),
    ];
    for (from, to) in moved {
        std::fs::rename(host.path(from), host.path(&to)).unwrap();
        give_to_user(&host.path(&to));
    }
    is_refused(&under_sudo(&host), &format!("docker of user {USER} claims PID {pid}"));
}

#[test]
fn roots_own_engine_is_believed() {
    need!(root());
    let (_sleep, pid, _) = process();
    let host = Host::new();
    host.directory("run");
    let web = inspected(pid);
    let _engine = Script::new().otherwise(Answer::json(200, &web)).listen(host.path("run/docker.sock"));
    host.cpid(&["docker:web"]).run().ok().stdout_is(&format!("{pid}\n"));
}

fn root() -> Result<(), Missing> {
    let why = || Missing::Fixable("two users are needed: run the tests as root".into());
    geteuid().is_root().then_some(()).ok_or_else(why)
}

/// With all that is in it.
fn give_to_user(path: &std::path::Path) {
    chown(path, Some(USER), None).unwrap();
    for entry in path.read_dir().into_iter().flatten() {
        give_to_user(&entry.unwrap().path());
    }
}

fn under_sudo(host: &Host) -> Ran {
    host.cpid(&["docker:web"]).env("SUDO_UID", USER.to_string()).run()
}

#[track_caller]
fn is_refused(ran: &Ran, what: &str) {
    assert_eq!((ran.stdout.as_str(), ran.status.and_then(|status| status.code())), ("", Some(2)), "{ran:?}");
    for part in [what, "claims PID", "not in a user namespace of that user"] {
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
}

/// An engine that says of every container that it is PID 1.
fn liar(socket: &std::path::Path) -> FakeEngine {
    Script::new().otherwise(Answer::json(200, &inspected(1))).listen(socket)
}

fn inspected(pid: i32) -> String {
    let mut web = docker_config(&id('a'), "web", true);
    web["Id"] = id('a').into();
    web["State"]["Pid"] = pid.into();
    web["State"]["Status"] = "running".into();
    web.to_string()
}
