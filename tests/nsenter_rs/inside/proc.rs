//! `/proc`: of the container's processes.

use nix::sys::signal::Signal;

use super::scene;
use support::container::Options;
use support::run::Run;
use support::skip::{need, program};

#[test]
fn ps_and_top_show_the_containers_processes_and_no_others() {
    let scene = need!(scene());
    need!(program("ps", "procps"));
    let ps = scene.enter(&["--proc", "ps", "-e", "-o", "pid="]).run().ok();
    let inside = scene
        .web
        .command("sh")
        .args(["-c", "for pid in /proc/[0-9]*; do echo ${pid#/proc/}; done"])
        .run()
        .ok();
    // Its init, and who looks: util-linux's and ours.
    assert_eq!((ps.stdout.lines().count(), inside.stdout.lines().count()), (2, 2), "{ps}\n{inside}");
    assert_eq!(ps.stdout.lines().next().unwrap().trim(), "1");
    let top = scene.enter(&["--proc", "top", "-b", "-n", "1"]).run().ok();
    top.stdout_has("2 total");
    // With the PID namespace alone they are the host's.
    let hosts = scene.enter(&["-p", "cat", "/proc/1/cmdline"]).run().ok();
    hosts.stdout_has("lab-init");
    scene.enter(&["--proc", "cat", "/proc/1/cmdline"]).run().ok().stdout_has("init\0web");
}

#[test]
fn the_program_finds_itself_in_it() {
    let scene = need!(scene());
    let ran = scene
        .shell(&["--proc"], "read -r pid _ </proc/self/stat; [ $pid = $$ ] && readlink /proc/self/ns/pid");
    ran.stdout_is(&format!("{}\n", scene.lab.namespace(scene.web.pid, "pid")));
}

#[test]
fn nothing_of_the_hosts_is_left_at_or_below_it() {
    let scene = need!(scene());
    scene
        .lab
        .shell("mount -t tmpfs mine /proc/sys/fs/binfmt_misc || mount -t tmpfs mine /proc/scsi")
        .run()
        .ok();
    let mounts = "grep -c ' /proc' /proc/self/mountinfo; grep -c mine /proc/self/mountinfo; grep ' /proc ' /proc/self/mountinfo";
    // The one below it is the world's outside of the lab, which nobody here can take away.
    let ours = scene.shell(&["--proc"], mounts).stdout_has("\n0\n");
    ours.stdout_has(" - proc proc ");
}

#[test]
fn a_container_in_the_hosts_pid_namespace_is_shown_all() {
    let scene = need!(scene());
    let other = scene.lab.container("other", Options::only(&["net"]));
    let mut enter = scene.lab.tool("nsenter-rs");
    enter.args(["-t", &other.pid.to_string(), "--proc", "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '"]);
    enter.run().ok().stdout_has("lab-init");
}

#[test]
fn exit_status_and_signals_are_the_programs() {
    let scene = need!(scene());
    scene.enter(&["--proc", "sh", "-c", "exit 7"]).run().fails_with(7);
    scene.enter(&["--proc", "sh", "-c", "kill -TERM $$"]).run().killed_by(Signal::SIGTERM);
}

#[test]
fn where_it_cannot_be_had_the_program_does_not_run() {
    let scene = need!(scene());
    for (options, why) in [
        (&["-F", "--proc"][..], "--proc: cannot be used with --no-fork"),
        (&["-m", "--inside"], "--inside: cannot be used with -m: "),
        (
            &["-a", "--dns"],
            "hint: use -n -p -u -i -C instead: then a program of the host gets the inside view",
        ),
        (&["-r", "--sys"], "--sys: cannot be used with -r: "),
    ] {
        let ran = scene.enter(options).args(["echo", "ran"]).run();
        ran.fails_with(1).stdout_is("").stderr_has(why);
    }
    scene.lab.shell("ip netns add blue").run().ok();
    let ran = scene.lab.tool("nsenter-rs").args(["-t", "netns:blue", "--inside", "echo", "ran"]).run();
    ran.fails_with(1).stdout_is("").stderr_has("blue");
}
