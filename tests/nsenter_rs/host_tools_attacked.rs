//! `--host-tools` in a container whose processes want the host's files, or to run as the one who looks in.

use std::fs;
use std::process::{Command, Stdio};

use crate::PATH;
use support::container::{Container, Options, Root, UNTRACING};
use support::lab::Lab;
use support::run::{Ran, Run, RunningProgram};
use support::skip::{need, program};
use support::tools::{static_tool, tool};

/// What a process in the container can try on every other one: the host's tree through its root, its
/// descriptors, its directory and its binary, for reading and for writing. A line for each success.
const EXPLOIT: &str = r#"
for p in /proc/[0-9]*; do
    [ "$p" != "/proc/1" ] || continue
    for tree in $p/root/proc/driver/host $p/root/proc/fs/host $p/root/../kit/host $p/root/mnt/host $p/fd/* $p/cwd $p/cwd/..; do
        # What is the container's own is no prey.
        [ ! $tree/etc -ef /etc ] || continue
        grep -s '^root:' $tree/etc/passwd && echo "read through $tree"
        (echo hostile >$tree/etc/netns-toolbox-was-here) 2>/dev/null && echo "wrote through $tree"
    done
    ls $p/root/ >/dev/null 2>&1 && echo "$p: its root" 
    (: >>$p/exe) 2>/dev/null && echo "wrote to $p/exe"
done
exit 0
"#;

/// The container's first process is no target here, for it is as powerful as the lab's root; this one is as
/// powerful as `prefix` lets it be.
pub(crate) fn process(web: &Container, prefix: &[&str]) -> (RunningProgram, String) {
    let words = [prefix, &["sh", "-c", "echo ready; read -r _"]].concat();
    let running = web.command(words[0]).args(&words[1..]).start_with(Stdio::piped());
    running.wait_for("ready");
    // The lab's nsenter and the container's are one behind the other.
    let outer = running.pid_behind_nsenter();
    let inner = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", inner.trim())).unwrap();
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    // Ours, perhaps others, the lab's, the container's.
    let pids: Vec<&str> = pids.split_whitespace().collect();
    let pid = pids[pids.len() - 2].to_owned();
    (running, pid)
}

/// A program of the host that waits in the container, started with `options`.
fn waiting(lab: &Lab, target: &str, options: &[&str]) -> RunningProgram {
    let mut enter: Command = lab.tool("nsenter-rs");
    enter.env("PATH", PATH).args(["-t", target]).args(options);
    enter.args(["sh", "-c", "echo ready; read -r _"]).start_with(Stdio::piped())
}

fn exploit(web: &Container, prefix: &[&str]) -> Ran {
    let words = [prefix, &["sh", "-c", EXPLOIT]].concat();
    web.command(words[0]).args(&words[1..]).run().ok()
}

#[test]
fn the_hosts_tree_cannot_be_read_by_a_container_that_cannot_trace() {
    need!(program("setpriv", "util-linux"));
    let lab = need!(Lab::with_users());
    let web = lab.container("web", Options { may_trace: false, ..Options::default() });
    let (_target, pid) = process(&web, &UNTRACING);
    let inside = waiting(&lab, &pid, &["-a", "-H"]);
    inside.wait_for("ready");
    let got = exploit(&web, &UNTRACING);
    // The other processes of the container are its own to look at.
    let own = |line: &&str| !line.contains("its root");
    assert_eq!(got.stdout.lines().filter(own).collect::<Vec<_>>(), Vec::<&str>::new(), "{got}");
    // The same is open where the container is trusted, so the exploit is a working one.
    drop(inside);
    let trusted = waiting(&lab, &pid, &["-a", "-H", "--trust-target"]);
    trusted.wait_for("ready");
    exploit(&web, &["env"]).stdout_has("read through /proc/");
}

#[test]
fn who_weakens_a_program_in_the_hosts_root_opens_nothing_by_that() {
    need!(program("setpriv", "util-linux"));
    let lab = need!(Lab::new());
    let web = lab.container("web", Options { may_trace: false, ..Options::default() });
    let target = web.pid.to_string();
    let enter = |options: &[&str]| {
        let mut enter = lab.tool("nsenter-rs");
        enter.args(["-t", &target]).args(options).args(["sh", "-c", "echo ready; read -r _"]);
        let inside = enter.start_with(Stdio::piped());
        inside.wait_for("ready");
        inside
    };
    // What EXPLOIT writes would be written on the host itself here: this only reads, and in the lab's own /run.
    fs::write(lab.path("/run/secret"), "of the host alone\n").unwrap();
    let read = || {
        let words = ["sh", "-c", "cat /proc/[0-9]*/root/run/secret 2>/dev/null; exit 0"];
        web.command(UNTRACING[0]).args(&UNTRACING[1..]).args(words).run().ok().stdout
    };
    let told = "can reach the host's files";
    let strong = enter(&["-p"]);
    assert_eq!(read(), "");
    assert!(!strong.finish().stderr.contains(told));
    let weak = enter(&["-p", "--confine"]);
    assert_eq!(read(), "");
    assert!(!weak.finish().stderr.contains(told));
    let with_its_files = enter(&["-p", "-m", "--confine"]);
    assert_eq!(read(), "");
    assert!(!with_its_files.finish().stderr.contains(told));
}

#[test]
fn a_container_that_can_trace_reads_nothing_unless_it_is_trusted() {
    let lab = need!(Lab::with_users());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    // CAP_SYS_PTRACE over the lab's user namespace is none over the machine's.
    need!(lab.user_namespace());
    let unread = waiting(&lab, &target, &["-a", "-H"]);
    unread.wait_for("ready");
    let read = |got: &Ran| got.stdout.contains("read through") || got.stdout.contains("wrote");
    let got = exploit(&web, &["env"]);
    assert!(!read(&got), "{got}");
    drop(unread);
    let mut trusted = waiting(&lab, &target, &["-a", "-H", "--trust-target"]);
    trusted.wait_for("ready");
    let got = exploit(&web, &["env"]).stdout_has("root:").stdout_has("read through /proc/");
    // Even so nothing of the host can be written.
    assert!(!got.stdout.contains("wrote"), "{got}");
    trusted.close_stdin();
    trusted.finish();
}

#[test]
fn a_container_in_a_user_namespace_of_its_own_gets_no_more_power_and_no_look() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    let unshared = vec!["user", "mnt", "net", "pid"];
    let web = lab.container("web", Options { unshared, ..Options::default() });
    let target = web.pid.to_string();
    for option in ["-a", "-mnpiU", "-mnpi"] {
        let inside = waiting(&lab, &target, &[option, "-H"]);
        inside.wait_for("ready");
        let mut own = lab.tool("nsenter-rs");
        own.env("PATH", PATH).args(["-t", &target, option, "-H", "readlink", "/proc/self/ns/user"]);
        // Also where it was not asked for: elsewhere its capabilities would count for more.
        assert_eq!(own.run().ok().text(), lab.namespace(web.pid, "user"));
        let got = exploit(&web, &["env"]);
        assert!(!got.stdout.contains("read through"), "{got}");
    }
}

#[test]
fn no_library_of_the_container_is_loaded_however_it_is_offered() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let mut maps = lab.command("cat");
    let maps = maps.arg("/proc/self/maps").run().ok();
    let libc = maps.stdout.lines().filter_map(|line| line.split_whitespace().nth(5));
    let libc = libc.into_iter().find(|file| file.contains("libc.so") || file.contains("libc-"));
    let Some(libc) = libc else { return };
    fs::copy(libc, web.path("/tmp/hostile.so")).unwrap();
    fs::write(web.path("/etc/ld.so.preload"), "/tmp/hostile.so\n").unwrap();
    let show = ["cat", "/proc/self/maps"];
    // The container's own programs obey it: so it is a working one.
    web.command(show[0]).arg(show[1]).run().ok().stdout_has("/tmp/hostile.so");
    let target = web.pid.to_string();
    for options in [&["-a"][..], &["-r", "-p"]] {
        let mut enter = lab.tool("nsenter-rs");
        enter.env("PATH", PATH).args(["-t", &target, "-H", "--trust-target"]).args(options);
        let shown = enter.args(show).run().ok();
        assert!(!shown.stdout.contains("hostile"), "{shown}");
    }
    // Children of the host's programs are held to the same.
    let mut enter = lab.command(need!(static_tool("nsenter-rs")));
    enter.env("PATH", PATH).args([
        "-t",
        &target,
        "-a",
        "-H",
        "--trust-target",
        "bash",
        "-c",
        "cat /proc/self/maps",
    ]);
    let shown = enter.run().ok();
    assert!(!shown.stdout.contains("hostile"), "{shown}");
}

#[test]
fn what_others_can_write_is_not_believed() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options { root: Root::Bare, ..Options::default() });
    // Somebody was there first, and left the directory open for himself.
    lab.shell("mkdir -p /run/netns-toolbox/host-tools; chmod 777 /run/netns-toolbox/host-tools").run().ok();
    let mut enter = lab.tool("nsenter-rs");
    enter.env("PATH", PATH).args(["-t", &web.pid.to_string(), "-a", "-H", "--trust-target", "ls", "/etc"]);
    enter.run().ok().stdout_is("hostname\n");
    assert_eq!(fs::read_dir(lab.path("/run/netns-toolbox/host-tools")).unwrap().count(), 0);
}

#[test]
fn a_program_of_ours_is_not_fooled_by_a_name_alone() {
    // Only a binary that lies in the directory of a kit is somebody else.
    let lab = need!(Lab::new());
    fs::create_dir_all(lab.path("/run/x/bin")).unwrap();
    std::os::unix::fs::symlink(tool("nsenter-rs"), lab.path("/run/x/bin/ls")).unwrap();
    lab.command("/run/x/bin/ls").arg("--version").run().ok().stdout_has("nsenter-rs ");
}
