//! With a PID namespace there is a process between the caller and the program: nobody may notice.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::{util_linux, version_of_util_linux};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{need, program};
use support::tools;
use support::until::until;

const FOREVER: &str = "echo ready; while :; do sleep 0.01; done";

/// `sh -c SCRIPT` in the container's PID namespace, once it is ready.
fn inside(lab: &Lab, web: &Container, script: &str) -> RunningProgram {
    through(lab.tool("nsenter-rs"), web, script)
}

fn through(mut enter: Command, web: &Container, script: &str) -> RunningProgram {
    let running =
        enter.args(["-t", &web.pid.to_string(), "-p", "sh", "-c", &format!("{script} {FOREVER}")]).start();
    running.wait_for("ready");
    running
}

/// The only child of a process.
fn child_of(pid: i32) -> Pid {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    match children.trim().parse() {
        Ok(child) => Pid::from_raw(child),
        Err(_) => panic!("not one child of {pid}: {children:?}"),
    }
}

fn state_of(pid: i32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("State:\t")).unwrap_or("gone").to_owned()
}

#[test]
fn a_signal_for_us_reaches_the_program() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let signals = [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGWINCH,
    ];
    for signal in signals {
        let name = signal.as_str().trim_start_matches("SIG");
        let program = inside(&lab, &web, &format!("trap 'echo got {name}; exit 7' {name};"));
        program.signal_behind_nsenter(signal);
        program.finish().fails_with(7).stdout_is(&format!("ready\ngot {name}\n"));
    }
}

#[test]
fn a_signal_that_the_program_does_not_handle_ends_it_and_us() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let program = inside(&lab, &web, "");
    program.signal_behind_nsenter(Signal::SIGTERM);
    program.finish().killed_by(Signal::SIGTERM);
}

#[test]
fn a_program_that_ignores_a_signal_goes_on() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let program = inside(&lab, &web, "trap '' TERM; trap 'exit 3' USR1;");
    program.signal_behind_nsenter(Signal::SIGTERM);
    program.signal_behind_nsenter(Signal::SIGUSR1);
    program.finish().fails_with(3);
}

#[test]
fn the_program_does_not_outlive_us() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let mut enter = lab.tool("nsenter-rs");
    let target = web.pid.to_string();
    let program = enter.args(["-t", &target, "-p", "sh", "-c", "echo ready; exec sleep infinity"]).start();
    program.wait_for("ready");
    let sleeper = child_of(program.pid_behind_nsenter());
    program.signal_behind_nsenter(Signal::SIGKILL);
    // It ends only when nobody holds its output any more.
    program.finish().killed_by(Signal::SIGKILL);
    assert_ne!(state_of(sleeper.as_raw()).chars().next(), Some('S'));
}

/// The table COMPATIBILITY of the manual says so, and why we are otherwise.
#[test]
fn util_linux_leaves_its_program_behind() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    if version_of_util_linux() > (2, 43) {
        return;
    }
    let program = through(lab.command(util_linux()), &web, "");
    let child = child_of(program.pid_behind_nsenter());
    program.signal_behind_nsenter(Signal::SIGTERM);
    assert!(program.ends());
    // It goes on until the container stops.
    let state = state_of(child.as_raw());
    assert!(state.starts_with(['R', 'S', 'D']), "{state}");
}

#[test]
fn the_program_outlives_us_if_it_is_told_to() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let mut enter = lab.tool("nsenter-rs");
    let target = web.pid.to_string();
    let program =
        enter.args(["-t", &target, "-p", "--no-kill-child", "sh", "-c", "echo ready; read -r _; echo on"]);
    let mut program = program.start_with(std::process::Stdio::piped());
    program.wait_for("ready");
    program.signal_behind_nsenter(Signal::SIGKILL);
    program.say("go\n");
    program.wait_for("on");
}

#[test]
fn the_program_does_not_outlive_us_as_another_user_either() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    let web = lab.container("web", Options::default());
    let mut enter = lab.tool("nsenter-rs");
    let target = web.pid.to_string();
    // Changing the user takes back what the kernel was told to do when the parent dies.
    enter.args([
        "-t",
        &target,
        "-p",
        "-S",
        "1000",
        "-G",
        "1000",
        "sh",
        "-c",
        "echo ready; exec sleep infinity",
    ]);
    let program = enter.start();
    program.wait_for("ready");
    program.signal_behind_nsenter(Signal::SIGKILL);
    program.finish().killed_by(Signal::SIGKILL);
}

#[test]
fn when_the_program_stops_we_stop_and_go_on_together() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let ways = [
        (Signal::SIGSTOP, true),
        (Signal::SIGTSTP, true),
        (Signal::SIGSTOP, false),
        (Signal::SIGTSTP, false),
    ];
    for (signal, is_ours) in ways {
        let enter = if is_ours { lab.tool("nsenter-rs") } else { lab.command(util_linux()) };
        let program = through(enter, &web, "trap 'echo again; exit 5' CONT;");
        let ours = program.pid_behind_nsenter();
        kill(child_of(ours), signal).unwrap();
        // The lab's nsenter, between the test and the one in question, stops when that one has.
        let outer = Id::Pid(Pid::from_raw(program.pid()));
        let stopped = waitid(outer, WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT).unwrap();
        assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
        assert_eq!(state_of(ours), "T (stopped)");
        program.signal(Signal::SIGCONT);
        program.finish().fails_with(5).stdout_is("ready\nagain\n");
    }
}

#[test]
fn a_caller_that_ignores_the_end_of_children_gets_the_status_all_the_same() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let nsenter = tools::tool("nsenter-rs");
    // Some daemons start everything like this; the kernel then reaps children by itself.
    let python = need!(program("python3", "python3"));
    let script = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])";
    let mut enter = lab.command(python);
    enter.args(["-c", script, nsenter, "-t", &web.pid.to_string(), "-p", "sh", "-c", "exit 6"]);
    enter.run().fails_with(6);
}

#[test]
fn an_interrupt_from_the_terminal_arrives_once() {
    let lab = need!(Lab::new());
    need!(program("script", "bsdutils"));
    let web = lab.container("web", Options::default());
    let program = "trap 'n=$((n + 1)); echo interrupt $n' INT; trap 'echo $n in all' QUIT; ";
    let line = format!("exec {} -t {} -p sh -c \"$PROGRAM\"", tools::tool("nsenter-rs"), web.pid);
    let mut terminal = lab.command("script");
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let mut terminal =
        terminal.env("PROGRAM", format!("{program}{FOREVER}")).start_with(std::process::Stdio::piped());
    terminal.wait_for("ready");
    terminal.say("\x03");
    terminal.wait_for("interrupt 1");
    terminal.say("\x03");
    terminal.wait_for("interrupt 2");
    terminal.say("\x1c");
    terminal.wait_for("2 in all");
}

#[test]
fn job_control_of_a_shell_works_through_us() {
    let lab = need!(Lab::new());
    need!(program("script", "bsdutils"));
    need!(program("bash", "bash"));
    let web = lab.container("web", Options::default());
    let mut terminal: Command = lab.command("script");
    terminal.args(["--quiet", "--command", "bash --norc --noprofile -i", "/dev/null"]);
    let mut terminal = terminal.env("PS1", "$ ").start_with(std::process::Stdio::piped());
    let (nsenter, target) = (tools::tool("nsenter-rs"), web.pid);
    terminal.say(&format!(
        "{nsenter} -t {target} -p sh -c 'trap \"echo ag''ain\" CONT; echo rea''dy; while :; do sleep 0.01; done'\n"
    ));
    terminal.wait_for("ready");
    terminal.say("\x1a");
    terminal.wait_for("Stopped");
    terminal.say("jobs; echo the shell is ba''ck\n");
    terminal.wait_for("the shell is back");
    terminal.say("fg\n");
    terminal.wait_for("again");
    terminal.say("\x03");
    terminal.say("echo it is ov''er; exit\n");
    terminal.wait_for("it is over");
    terminal.finish();
}

/// When it stops we stop too, and go on together. Where we have been stopped before that, as by a shell, nobody but us tells
/// it to go on: who ends us, as timeout(1) and systemd do, sends SIGCONT to us alone.
#[test]
fn a_program_that_has_stopped_ends_when_we_are_told_to() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    for words in [&["-p"][..], &["-p", "--pty"]] {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let name = signal.as_str().trim_start_matches("SIG");
            let mut enter = lab.tool("nsenter-rs");
            enter.args(["-t", &web.pid.to_string()]).args(words);
            // What it does not handle would end it at once, whether it goes on or not.
            enter.args(["sh", "-c", &format!("trap 'echo got it; exit 7' {name}; {FOREVER}")]);
            let running = enter.start();
            running.wait_for("ready");
            let us = Pid::from_raw(running.pid_behind_nsenter());
            let program = child_of(us.as_raw());
            for pid in [us, program] {
                kill(pid, Signal::SIGSTOP).unwrap();
                until("it has stopped", || state_of(pid.as_raw()).starts_with('T'));
            }
            kill(us, signal).unwrap();
            kill(us, Signal::SIGCONT).unwrap();
            until(&format!("{words:?} has ended after {signal}"), || {
                ["Z", "gone"].iter().any(|ended| state_of(us.as_raw()).starts_with(ended))
            });
            // The other nsenter has stopped with us, and is still waiting to be told.
            running.signal(Signal::SIGCONT);
            running.finish().fails_with(7).stdout_has("got it");
        }
    }
}
