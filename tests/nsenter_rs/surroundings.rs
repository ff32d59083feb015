//! Root, working directory, environment.

use std::fs;
use std::process::Command;

use crate::{like_newer_util_linux, like_util_linux, util_linux};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tools;

fn web(lab: &Lab) -> Container {
    let environment = vec![("COLOUR", "blue"), ("EMPTY", "")];
    lab.container("web", Options { environment, cwd: "/tmp", ..Options::default() })
}

#[test]
fn the_targets_root_and_directory_are_taken_on_request() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    let target = web.pid.to_string();
    let cases: [&[&str]; 10] = [
        &["-m", "pwd"],
        &["-m", "-r", "pwd"],
        &["-m", "-w", "pwd"],
        &["-m", "-r", "-w", "pwd"],
        &["-m", "--wdns=/etc", "pwd"],
        &["-m", "-n", "-p", "-r", "-w", "ls", "/etc"],
        &["-n", "-r", "ls", "/etc"],
        &["-n", "-r", "-w", "pwd"],
        &["-m", "--root=/", "--wd=/", "pwd"],
        &["-m", "-W/etc", "pwd"],
    ];
    for case in cases {
        like_util_linux(&lab, &[&["-t", &target], case].concat()).ok();
    }
    like_util_linux(&lab, &["-t", &target, "-n", "-r", "ls", "/etc"]).ok().stdout_is("hostname\n");
    like_util_linux(&lab, &["-t", &target, "-m", "-r", "-w", "pwd"]).ok().stdout_is("/tmp\n");
}

#[test]
fn a_target_in_a_chroot_is_reached_with_its_root() {
    let lab = need!(Lab::new());
    fs::create_dir_all(lab.path("/run/jail/inner")).unwrap();
    let mut jail = lab.command("unshare");
    jail.args(["--mount", "sh", "-ec"]);
    let script = "mount --rbind / /run/jail; mkdir -p /run/jail/run/inner; echo $$; exec chroot /run/jail \
                  sh -c 'touch /run/marker; echo ready; read -r _'";
    let jail = jail.arg(script).start_with(std::process::Stdio::piped());
    jail.wait_for("ready");
    let target = jail.first_line().unwrap();
    like_util_linux(&lab, &["-t", &target, "-m", "-r", "readlink", "/proc/self/root"]).ok();
    like_util_linux(&lab, &["-t", &target, "-n", "-r", "ls", "/run/marker"]).ok();
}

#[test]
fn a_process_with_a_root_of_its_own_is_met_in_it() {
    let lab = need!(Lab::new());
    fs::create_dir_all(lab.path("/run/jail")).unwrap();
    let mut jail = lab.command("unshare");
    let script = "mount --rbind / /run/jail; mount -t tmpfs none /run/jail/tmp; touch /run/jail/tmp/here; \
                  echo $$; exec chroot /run/jail sh -c 'echo ready; read -r _'";
    let jail = jail.args(["--mount", "sh", "-ec", script]).start_with(std::process::Stdio::piped());
    jail.wait_for("ready");
    let target = jail.first_line().unwrap();
    // Not all that is there: on the host that changes all the time.
    let look = |command: Command, option: &[&str]| {
        let mut command = command;
        command.args(["-t", &target, "-m"]).args(option).args([
            "sh",
            "-c",
            "cd /tmp; ls -d here || echo not",
        ]);
        command.run().ok().stdout
    };
    let ours = |option: &[&str]| look(lab.tool("nsenter-rs"), option);
    let theirs = |option: &[&str]| look(lab.command(util_linux()), option);
    assert_eq!([ours(&[]), theirs(&["-r"])], ["here\n"; 2]);
    // Without, it is util-linux's: the root of the mount namespace, which the process cannot see.
    assert_eq!([ours(&["--no-root"]), theirs(&[])], ["not\n"; 2]);
}

/// A jail in the lab's own mount namespace that has the lab's programs, and a file that only it shows.
fn jail(lab: &Lab) {
    let script = "mkdir /run/jail; mount --rbind / /run/jail; mount --make-rprivate /run/jail; mount -t tmpfs none /run/jail/tmp; touch /run/jail/tmp/jail";
    lab.shell(script).run().ok();
}

const WHERE: [&str; 3] = ["sh", "-c", "ls -d /tmp/jail 2>/dev/null || echo outside"];

#[test]
fn a_caller_in_a_chroot_gets_out_of_it_with_the_mounts() {
    let lab = need!(Lab::new());
    jail(&lab);
    let enter = |tool: &str, options: &[&str]| {
        let mut enter = lab.command("chroot");
        enter.arg("/run/jail").arg(tool).args(["-t", "1"]).args(options).args(WHERE).run().ok().stdout
    };
    let nsenter = tools::tool("nsenter-rs");
    for options in [&["-m"][..], &["-m", "-n"], &["-m", "--root"], &["-r"]] {
        assert_eq!(
            [nsenter, &util_linux()].map(|tool| enter(tool, options)),
            ["outside\n"; 2],
            "{options:?}"
        );
    }
    assert_eq!(enter(nsenter, &["-a"]), "outside\n");
    assert_eq!([nsenter, &util_linux()].map(|tool| enter(tool, &["-n"])), ["/tmp/jail\n"; 2]);
    // What is explained is what is done.
    let mut told = lab.command("chroot");
    told.args(["/run/jail", nsenter, "-t", "1", "-m", "--explain", "true"]);
    told.run().ok().stdout_has("setns(pidfd, CLONE_NEWNS)");
}

#[test]
fn a_target_in_a_chroot_of_our_own_mount_namespace_is_met_in_it() {
    let lab = need!(Lab::new());
    jail(&lab);
    let mut target = lab.command("chroot");
    let target = target.args(["/run/jail", "sh", "-c", "echo $$; read -r _"]);
    let target = target.start_with(std::process::Stdio::piped());
    let pid = target.first_line().unwrap();
    let enter = |tool: Command, options: &[&str]| {
        let mut enter = tool;
        enter.args(["-t", &pid]).args(options).args(WHERE).run().ok().stdout
    };
    let ours = |options: &[&str]| enter(lab.tool("nsenter-rs"), options);
    let theirs = |options: &[&str]| enter(lab.command(util_linux()), options);
    for options in [&["-m"][..], &["-a"]] {
        assert_eq!([ours(options), theirs(&["-m", "-r"])], ["/tmp/jail\n"; 2], "{options:?}");
    }
    assert_eq!([ours(&["-m", "--no-root"]), theirs(&["-m"])], ["outside\n"; 2]);
}

#[test]
fn with_the_mounts_the_directory_becomes_the_root_also_where_they_are_ours() {
    let lab = need!(Lab::new());
    let enter = |tool: &str, options: &str| {
        let line = format!("cd /tmp; exec {tool} -t 1 {options} pwd");
        lab.shell(&line).run().ok().stdout
    };
    for options in ["-m", "-m -n", "-m -W etc", "--mount=/proc/1/ns/mnt", "-n", "-m -w/run"] {
        let nsenter = util_linux();
        let [ours, theirs] = [tools::tool("nsenter-rs"), &nsenter].map(|tool| enter(tool, options));
        assert_eq!(ours, theirs, "{options}");
    }
    assert_eq!(enter(tools::tool("nsenter-rs"), "-a"), "/\n");
}

#[test]
fn the_new_root_cannot_be_left_upwards() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    let mut up = lab.tool("nsenter-rs");
    up.args(["-t", &web.pid.to_string(), "-r", "sh", "-c", "cd ..; cd ../..; ls etc"]);
    up.run().ok().stdout_is("hostname\n");
}

#[test]
fn a_directory_that_is_not_there_is_refused_before_the_program_runs() {
    let lab = need!(Lab::new());
    let target = web(&lab);
    let target = target.pid.to_string();
    for option in ["-w=/nowhere", "-r=/nowhere", "-W=/nowhere", "--wd=/etc/passwd", "--root=/etc/passwd"] {
        let ran = lab.tool("nsenter-rs").args(["-t", &target, "-m", option, "echo", "ran"]).run();
        ran.fails_with(1).stdout_is("").stderr_has(&option[option.find('/').unwrap()..]);
    }
    let both = lab.tool("nsenter-rs").args(["-t", &target, "-m", "-w", "-W/", "true"]).run();
    both.fails_with(1).stderr_has("cannot be used with");
}

#[test]
fn the_environment_is_ours_or_the_targets_and_never_a_mixture() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    let target = web.pid.to_string();
    let mut ours = lab.tool("nsenter-rs");
    let ours = ours.args(["-t", &target, "-n", "env"]).env("OURS", "1").run().ok().stdout_has("OURS=1\n");
    assert!(!ours.stdout.contains("COLOUR"), "{ours}");

    let environ = fs::read_to_string(lab.path(format!("/proc/{target}/environ"))).unwrap();
    let mut expected: Vec<&str> = environ.split_terminator('\0').collect();
    for option in ["-e", "--env"] {
        let mut theirs = lab.tool("nsenter-rs");
        let theirs = theirs.args(["-t", &target, "-a", option, "env"]).env("OURS", "1").run().ok();
        let mut shown: Vec<&str> = theirs.stdout.lines().collect();
        expected.sort_unstable();
        shown.sort_unstable();
        assert_eq!(shown, expected);
        let show = ["-t", &target, "-m", option, "sh", "-c", "echo $COLOUR${EMPTY-none}$OURS"];
        like_newer_util_linux(&lab, (2, 39), &show).ok().stdout_is("blue\n");
    }
}

#[test]
fn with_the_targets_environment_programs_are_found_on_its_path() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    let program = web.path("/tmp/only/hello");
    fs::create_dir(program.parent().unwrap()).unwrap();
    fs::write(&program, "#!/bin/sh\necho hello\n").unwrap();
    lab.command("chmod").arg("755").arg(format!("/proc/{}/root/tmp/only/hello", web.pid)).run().ok();
    // The same root as the container's, and another PATH.
    let mut other = lab.command("nsenter");
    other.args(["-t", &web.pid.to_string(), "-m", "env", "PATH=/tmp/only", "/bin/sh", "-c"]);
    let other = other.arg("echo ready; read -r _").start_with(std::process::Stdio::piped());
    other.wait_for("ready");
    let outside = other.pid_behind_nsenter();
    let status = fs::read_to_string(format!("/proc/{outside}/status")).unwrap();
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    let target = pids.split_whitespace().last().unwrap();
    lab.tool("nsenter-rs").args(["-t", target, "-m", "-e", "hello"]).run().ok().stdout_is("hello\n");
    lab.tool("nsenter-rs").args(["-t", target, "-m", "hello"]).run().fails_with(127);
}
