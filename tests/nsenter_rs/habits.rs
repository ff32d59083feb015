//! Habits of docker exec and of other tools: nothing that was meant for a container runs on the host in silence.

use std::process::Command;

use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::FakeEngine;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::need;
use support::tools::{self, PATIENT};

const NEITHER: &str = "nsenter-rs: the program sees the host's files and network: -n enters the container's network, -a all its namespaces\n";

fn engine(lab: &Lab, containers: &[&Container]) -> FakeEngine {
    fake_docker::knows(containers).listen(lab.path("/run/docker.sock"))
}

fn enter(lab: &Lab, words: &[&str]) -> Ran {
    lab.tool("nsenter-rs").arg(PATIENT).args(words).run()
}

/// What a shell makes of a hint, with our own binary.
fn by_a_shell(lab: &Lab, line: &str) -> Command {
    let line = line.replacen("nsenter-rs", tools::tool("nsenter-rs"), 1);
    lab.shell(&line)
}

#[test]
fn a_container_without_a_namespace_is_an_error_with_the_commands_that_were_meant() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let _engine = engine(&lab, &[&web]);
    let words = ["sh", "-c", "echo \"$(hostname) 'ran'\""];
    for target in ["web", "docker:web", "veth:web", "ip:198.18.0.1", "netns:web", "pod:web"] {
        for options in
            [&["-t", target][..], &["-t", target, "-v"], &["-e", "-t", target], &["-w", "-t", target]]
        {
            let ran = enter(&lab, &[options, &words].concat()).fails_with(1).stdout_is("");
            ran.stderr_has(&format!("nsenter-rs: -t {target}: no namespace was requested"));
        }
    }
    let ran = enter(&lab, &[&["-t", "web"], &words[..]].concat());
    // What is shown can be pasted into a shell as it is.
    let hints: Vec<&str> = ran.stderr.lines().filter_map(|line| line.strip_prefix("hint: ")).collect();
    let [net, all] = hints[..] else { panic!("{ran}") };
    let host = lab.command("hostname").run().ok().text().to_owned();
    by_a_shell(&lab, net).run().ok().stdout_is(&format!("{host} 'ran'\n"));
    by_a_shell(&lab, all).run().ok().stdout_is("web 'ran'\n");
    // Without a PROGRAM it would be a shell of the host, and with --explain nothing that could be entered.
    enter(&lab, &["-t", "web"]).fails_with(1).stderr_has(&format!("hint: nsenter-rs {PATIENT} -t web -n\n"));
    enter(&lab, &["-t", "web", "--explain", "true"]).fails_with(1).stdout_is("");
    // For a namespace without a process there is one thing to enter.
    let ran = enter(&lab, &["-t", "netns:web", "ip", "a"]);
    ran.stderr_has(&format!("hint: nsenter-rs {PATIENT} -t netns:web -n ip a\n"));
}

#[test]
fn a_pid_without_a_namespace_is_as_it_was() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let note = "nsenter-rs: no namespace was requested (-n, -a, ...): the program runs on the host\n";
    for target in [web.pid.to_string(), format!("pid:{}", web.pid)] {
        enter(&lab, &["-t", &target, "echo", "ran"]).ok().stdout_is("ran\n").stderr_is(note);
        // Who asks for something of a process is a script that was written for util-linux's.
        enter(&lab, &["-i", "-t", &target, "echo", "ran"]).ok().stdout_is("ran\n").stderr_is("");
    }
}

#[test]
fn where_files_and_network_stay_the_hosts_one_line_says_so() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let shares = lab.container("shares", Options::only(&["mnt", "uts"]));
    let _engine = engine(&lab, &[&web, &shares]);
    for options in ["-it web", "-ti web", "-it docker:web", "-u -t web", "-p -i -C -t web", "--proc -t web"] {
        let words = [options.split(' ').collect(), vec!["echo", "ran"]].concat();
        // -ti is -t with the value i, and finds no such container.
        match options {
            "-ti web" => enter(&lab, &words).fails_with(1).stdout_is(""),
            _ => enter(&lab, &words).ok().stdout_is("ran\n").stderr_is(NEITHER),
        };
    }
    let explained = enter(&lab, &["-it", "web", "--explain", "true"]).ok();
    assert_eq!(explained.stderr, NEITHER);
    // It was asked for, and is no other than ours.
    let shared = "nsenter-rs: the program sees the host's files, and the container uses the host's network\n";
    enter(&lab, &["-t", "shares", "-n", "-u", "echo", "ran"]).ok().stderr_is(shared);
    for options in ["-n", "-a", "-m", "-r", "-i -n", "-i -m", "--dns", "-m -n -w"] {
        let words = [vec!["-t", "web"], options.split(' ').collect(), vec!["echo", "ran"]].concat();
        enter(&lab, &words).ok().stdout_is("ran\n").stderr_is("");
    }
}

/// The files are the container's then.
#[test]
fn with_the_targets_root_alone_nothing_is_said_to_run_on_the_host() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let _engine = engine(&lab, &[&web]);
    for target in ["web", &web.pid.to_string()] {
        let ran = enter(&lab, &["-t", target, "-r", "cat", "/etc/hostname"]);
        ran.ok().stdout_is("web\n").stderr_is("");
    }
}

#[test]
fn a_slip_is_answered_with_the_command_that_was_meant() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let _engine = engine(&lab, &[&web]);
    let hint = |words: &[&str], status| {
        let ran = enter(&lab, words).fails_with(status);
        let hint = ran.stderr.lines().find_map(|line| line.strip_prefix("hint: ").map(str::to_owned));
        hint.unwrap_or_else(|| panic!("no hint: {ran}"))
    };
    for way in [&["-n"][..], &["-a"], &["-n", "-p"]] {
        let words = [&["-t", "web"], way, &["echo one two"]].concat();
        let said = hint(&words, 127);
        by_a_shell(&lab, &said).run().ok().stdout_is("one two\n");
        let words = [&["-t", "web"], way, &["echo one; echo 'two'"]].concat();
        let said = hint(&words, 127);
        by_a_shell(&lab, &said).run().ok().stdout_is("one\ntwo\n");
    }
    assert!(hint(&["-t", "web", "-a", "-w", "/tmp", "pwd"], 126).contains("-W /tmp"));
    assert!(hint(&["-t", "web", "-a", "-u", "root", "id"], 127).contains("-S 0 is root"));
    let said = hint(&["-t", "web", "-a", "-e", "A=x y", "sh", "-c", "echo $A"], 127);
    by_a_shell(&lab, &said).run().ok().stdout_is("x y\n");
}
