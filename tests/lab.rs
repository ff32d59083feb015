//! The tests of the lab that the other tests use.
//!
//! Observers: `/proc/*/ns` and `/proc/*/mountinfo`, `lsns -J`, `ip -j`, and the kernel's answer to a TCP packet.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use support::container::{KINDS, Options, Root};
use support::lab::Lab;
use support::run::Run;
use support::skip::{need, program};

/// Set for a copy of this test program that is started by one of its tests.
const ROLE: &str = "NETNS_TOOLBOX_LAB_TEST_ROLE";

#[test]
fn a_lab_has_a_user_a_network_a_mount_and_a_pid_namespace_of_its_own() {
    let lab = need!(Lab::new());
    need!(lab.user_namespace());
    let differ: Vec<&str> = KINDS
        .iter()
        .map(|(kind, _)| *kind)
        .filter(|kind| namespace("self", kind) != Some(lab.namespace(1, kind)))
        .collect();
    assert_eq!(differ, ["user", "mnt", "net", "pid"]);
}

#[test]
fn a_command_runs_in_the_namespaces_of_the_lab() {
    let lab = need!(Lab::new());
    let inside = lab
        .shell("readlink /proc/self/ns/user /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/pid")
        .run()
        .ok();
    let expected: Vec<String> = ["user", "mnt", "net", "pid"].map(|kind| lab.namespace(1, kind)).into();
    assert_eq!(inside.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_lab_is_a_quiet_host_with_nothing_but_loopback_and_an_empty_run() {
    let lab = need!(Lab::new());
    let links = lab.command("ip").args(["-j", "link"]).run().ok().json();
    assert_eq!(links.as_array().unwrap().len(), 1, "{links}");
    assert_eq!(links[0]["ifname"], "lo");
    // util-linux has a directory there for what mount(8) wants to remember.
    lab.command("ls").args(["-A", "--ignore=mount", "/run"]).run().ok().stdout_is("");
    let environment = lab.command("env").run().ok();
    let names: BTreeSet<&str> =
        environment.stdout.lines().filter_map(|line| line.split('=').next()).collect();
    let kept = BTreeSet::from(["RUST_BACKTRACE", "LLVM_PROFILE_FILE"]);
    assert_eq!(&names - &kept, BTreeSet::from(["HOME", "LC_ALL", "PATH"]));
}

#[test]
fn a_container_has_of_its_own_exactly_what_was_asked_for() {
    let lab = need!(Lab::new());
    need!(lab.user_namespace());
    need!(program("lsns", "util-linux"));
    for (kind, _) in KINDS {
        let container = lab.container("one", Options::only(&[kind]));
        let pid = container.pid.to_string();
        let shown = lab.command("lsns").args(["-J", "-o", "NS,TYPE", "-p", &pid]).run().ok().json();
        let of_the_lab: BTreeSet<String> = KINDS.iter().map(|(kind, _)| lab.namespace(1, kind)).collect();
        let named =
            |entry: &serde_json::Value| format!("{}:[{}]", entry["type"].as_str().unwrap(), entry["ns"]);
        let own: Vec<String> = shown["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(named)
            .filter(|name| !of_the_lab.contains(name))
            .collect();
        assert_eq!(own, [lab.namespace(container.pid, kind)], "{kind}: {shown}");
    }
}

#[test]
fn a_container_is_like_one_of_dockers_by_default() {
    let lab = need!(Lab::new());
    let web = lab.container(
        "web",
        Options { environment: vec![("COLOUR", "blue")], cwd: "/tmp", ..Options::default() },
    );
    web.command("cat")
        .args(["/proc/sys/kernel/hostname", "/etc/hostname"])
        .run()
        .ok()
        .stdout_is("web\nweb\n");
    web.command("ls").args(["-A", "/etc"]).run().ok().stdout_is("hostname\n");
    web.command("sh").args(["-c", "echo /proc/[0-9]*"]).run().ok().stdout_has("/proc/1 ");
    web.command("touch").arg("/usr/touched").run().fails_with(1).stderr_has("Read-only file system");
    let own = lab.path(format!("/proc/{}", web.pid));
    assert!(fs::read_to_string(own.join("environ")).unwrap().split('\0').any(|entry| entry == "COLOUR=blue"));
    assert_eq!(fs::read_link(own.join("cwd")).unwrap().file_name().unwrap(), "tmp");
}

#[test]
fn a_bare_root_holds_no_program() {
    let lab = need!(Lab::new());
    let bare = lab.container("bare", Options { root: Root::Bare, ..Options::default() });
    bare.command("ls").run().fails_with(127);
    assert_eq!(fs::read_dir(bare.path("/usr")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(bare.path("/etc/hostname")).unwrap(), "bare\n");
    assert!(!bare.ip("-j link").json().as_array().unwrap().is_empty());
}

#[test]
fn two_containers_on_a_veth_reach_each_other() {
    let lab = need!(Lab::new());
    need!(program("bash", "bash"));
    let (web, db) = (lab.container("web", Options::default()), lab.container("db", Options::default()));
    let knock = |address: &str| {
        web.command("bash").args(["-c", &format!(": </dev/tcp/{address}/9")]).run().fails_with(1)
    };

    knock("198.18.0.2").stderr_has("Network is unreachable");
    lab.veth((&web, "198.18.0.1/24"), (&db, "198.18.0.2/24"));
    // Nobody listens there: this answer is a packet of the other one's kernel.
    knock("198.18.0.2").stderr_has("Connection refused");

    let neighbours = web.ip("-j neighbour show dev eth0").json();
    let far_end = db.ip("-j link show dev eth0").json();
    assert_eq!(neighbours[0]["dst"], "198.18.0.2");
    assert_eq!(neighbours[0]["lladdr"], far_end[0]["address"]);
}

#[test]
fn a_container_that_restarts_is_another_process() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    let before = web.pid;
    web.restart();
    assert_ne!(web.pid, before);
    assert!(!lab.path(format!("/proc/{before}")).exists());
    assert!(lab.path(format!("/proc/{}", web.pid)).exists());
    web.stop();
    assert!(!lab.path(format!("/proc/{}", web.pid)).exists());
}

#[test]
fn a_lab_of_root_can_have_many_users() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    need!(program("setpriv", "util-linux"));
    lab.command("setpriv")
        .args(["--reuid=1000", "--regid=1000", "--clear-groups", "id", "-u"])
        .run()
        .ok()
        .stdout_is("1000\n");
    assert_ne!(namespace("self", "user"), Some(lab.namespace(1, "user")));
}

#[test]
fn an_ordinary_user_can_have_a_lab() {
    if !nix::unistd::geteuid().is_root() {
        return; // Then all the others have just shown it.
    }
    need!(Lab::new().and_then(|lab| lab.user_namespace()));
    need!(program("setpriv", "util-linux"));
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--"]);
    // Through a descriptor: the directories above the program may be closed to others.
    let itself = File::open(std::env::current_exe().unwrap()).unwrap();
    nobody.args(["/proc/self/fd/0", "--exact", "two_containers_on_a_veth_reach_each_other", "--nocapture"]);
    let ran = nobody
        .current_dir("/")
        .env_remove("NETNS_TOOLBOX_SKIPS")
        .env("CI", "true")
        .start_with(itself.into())
        .finish();
    ran.ok().stdout_has("1 passed");
}

#[test]
fn nothing_remains_of_a_lab() {
    let lab = need!(Lab::new());
    let name = lab.name.clone();
    let web = lab.container("web", Options::default());
    lab.veth((&web, "198.18.0.1/24"), (&lab.container("db", Options::default()), "198.18.0.2/24"));
    lab.shell(&format!("ip netns add {name}; ip link add name {name} type veth; ip link show {name}"))
        .run()
        .ok();
    let left_alone = lab.command("sleep").arg("infinity").start();
    assert!(!processes_that_see(&name).is_empty(), "or the observer is blind");

    drop(lab);
    left_alone.finish().killed_by(Signal::SIGKILL);
    drop(web);
    assert_eq!(processes_that_see(&name), [""; 0]);
    Command::new("ip").args(["link", "show", &name]).run().fails_with(1).stderr_has("does not exist");
    assert!(!Path::new("/run/netns").join(&name).exists());
}

#[test]
fn a_lab_dies_with_its_owner() {
    if std::env::var_os(ROLE).is_some() {
        let lab = need!(Lab::new());
        let _web = lab.container("web", Options::default());
        println!("\nthe owner's lab is {}.", lab.name);
        std::thread::park();
        return;
    }
    drop(need!(Lab::new()));
    // What the owner starts inherits descriptor 9, so the owner's stdout ends when the last of that has gone.
    let mut itself = Command::new("sh");
    itself.args(["-c", r#"exec "$0" --exact a_lab_dies_with_its_owner --nocapture 9>&1"#]);
    let owner = itself.arg(std::env::current_exe().unwrap()).env(ROLE, "owner").start();
    owner.wait_for(".\n");
    let said = owner.so_far();
    let lab = said
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("the owner's lab is ")?.strip_suffix('.'))
        .unwrap();
    assert!(!processes_inside(lab).is_empty(), "or the observer is blind");

    owner.signal(Signal::SIGKILL);
    owner.finish().killed_by(Signal::SIGKILL);
    assert_eq!(processes_inside(lab), [""; 0]);
}

/// What `/proc/PID/ns/KIND` says. Good for comparing what lives at the same time: the kernel gives a namespace's
/// number to the next one as soon as it has gone.
fn namespace(pid: &str, kind: &str) -> Option<String> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// The PIDs of all that have a mount in their mount namespace whose source is that lab's name.
fn processes_that_see(lab: &str) -> Vec<String> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let source = format!(" {lab} ");
    let sees = |pid: &String| {
        fs::read_to_string(format!("/proc/{pid}/mountinfo")).is_ok_and(|all| all.contains(&source))
    };
    numbers.filter(sees).collect()
}

/// Of those, the ones that have a PID of their own in there; the others are at its doors: unshare and nsenter.
fn processes_inside(lab: &str) -> Vec<String> {
    let levels = |pid: &String| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))
            .map_or(0, |pids| pids.split_whitespace().count())
    };
    processes_that_see(lab).into_iter().filter(|pid| levels(pid) > 1).collect()
}
