//! Which namespaces the program ends up in.

use crate::like_util_linux;
use support::container::{Container, KINDS, Options};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::need;
use support::until::until;

/// Prints the program's namespaces, a line each: `cgroup:[4026531835]`, …
const SHOW: [&str; 3] = ["sh", "-c", "readlink /proc/self/ns/*"];

/// All kinds but the user's, and a root in which `/proc` shows whoever comes in without the PID namespace too.
fn everything_but_pid(lab: &Lab) -> Container {
    let unshared = vec!["mnt", "net", "uts", "ipc", "cgroup", "time"];
    lab.container("web", Options { unshared, ..Options::default() })
}

/// What `shown` must be when of the container's namespaces exactly `kinds` were entered.
#[track_caller]
fn is_inside(lab: &Lab, web: &Container, kinds: &[&str], shown: &Ran) {
    for (kind, _) in KINDS {
        let pid = if kinds.contains(kind) { web.pid } else { 1 };
        let expected = lab.namespace(pid, kind);
        assert!(shown.stdout.lines().any(|line| line == expected), "no {expected} in {shown}");
    }
}

#[test]
fn each_option_enters_one_namespace_and_no_other() {
    let lab = need!(Lab::new());
    let web = everything_but_pid(&lab);
    let target = web.pid.to_string();
    for (kind, long) in KINDS.iter().filter(|(kind, _)| !["user", "pid"].contains(kind)) {
        let short = match *kind {
            "cgroup" => "-C".to_owned(),
            "time" => "-T".to_owned(),
            kind => format!("-{}", &kind[..1]),
        };
        for option in [short.as_str(), *long] {
            let arguments = [&["--target", &target, option], &SHOW[..]].concat();
            is_inside(&lab, &web, &[kind], &like_util_linux(&lab, &arguments).ok().stderr_is(""));
        }
    }
}

#[test]
fn a_pid_namespace_holds_the_program_and_its_children() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    for option in ["-p", "--pid"] {
        // The container's own /proc, for the lab's does not show who is further down.
        let arguments = [&["-t", &target, option, "-m"], &SHOW[..]].concat();
        is_inside(&lab, &web, &["pid", "mnt"], &like_util_linux(&lab, &arguments).ok());
    }
}

#[test]
fn short_options_can_be_written_as_one() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    let apart = ["-t", &target, "-m", "-u", "-i", "-n", "-p", "-C"];
    is_inside(&lab, &web, &web.options.unshared, &like_util_linux(&lab, &[&apart, &SHOW[..]].concat()).ok());
    // To util-linux this is a file called uinpC.
    let together = [&["-muinpCt", &target], &SHOW[..]].concat();
    is_inside(&lab, &web, &web.options.unshared, &lab.tool("nsenter-rs").args(together).run().ok());
}

#[test]
fn all_is_everything_that_differs() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    // util-linux 2.38 would join namespaces again that are ours already, and be refused.
    for option in ["-a", "--all"] {
        let shown = lab.tool("nsenter-rs").args(["-t", &target, option]).args(SHOW).run().ok();
        is_inside(&lab, &web, &web.options.unshared, &shown);
    }
}

#[test]
fn all_of_a_process_that_shares_everything_is_no_error() {
    let lab = need!(Lab::new());
    let arguments = [&["-t", "1", "-a"], &SHOW[..]].concat();
    let ran = lab.tool("nsenter-rs").args(arguments).run().ok().stderr_is("");
    for (kind, _) in KINDS {
        ran.clone().stdout_has(&lab.namespace(1, kind));
    }
}

#[test]
fn a_namespace_can_come_from_a_file() {
    let lab = need!(Lab::new());
    let web = everything_but_pid(&lab);
    lab.command("ip").args(["netns", "attach", "blue", &web.pid.to_string()]).run().ok();
    let long = like_util_linux(&lab, &[&["--net=/run/netns/blue"], &SHOW[..]].concat()).ok();
    is_inside(&lab, &web, &["net"], &long);
    let short = lab.tool("nsenter-rs").arg("-n=/run/netns/blue").args(SHOW).run().ok();
    // util-linux takes the FILE only without the equals sign.
    let attached = like_util_linux(&lab, &[&["-n/run/netns/blue"], &SHOW[..]].concat()).ok();
    assert_eq!(attached.stdout, long.stdout);
    is_inside(&lab, &web, &["net"], &short);
    for (kind, long) in KINDS.iter().filter(|(kind, _)| !["user", "pid"].contains(kind)) {
        let option = format!("{long}=/proc/{}/ns/{kind}", web.pid);
        let arguments = [&[option.as_str()], &SHOW[..]].concat();
        is_inside(&lab, &web, &[kind], &like_util_linux(&lab, &arguments).ok());
    }
    let uts = format!("--uts=/proc/{}/ns/uts", web.pid);
    like_util_linux(&lab, &["--net=/run/netns/blue", &uts, "hostname"]).ok().stdout_is("web\n");
}

#[test]
fn a_file_stands_in_for_one_namespace_of_a_target() {
    let lab = need!(Lab::new());
    let (web, db) = (everything_but_pid(&lab), lab.container("db", Options::default()));
    let net = format!("--net=/proc/{}/ns/net", db.pid);
    let target = web.pid.to_string();
    for arguments in [["-t", &target, "-u", &net], ["-t", &target, &net, "-u"]] {
        let ran = like_util_linux(&lab, &[&arguments[..], &SHOW[..]].concat()).ok();
        ran.stdout_has(&lab.namespace(db.pid, "net")).stdout_has(&lab.namespace(web.pid, "uts"));
    }
}

#[test]
fn a_network_namespace_without_a_process_is_a_target_for_n_alone() {
    let lab = need!(Lab::new());
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    let expected =
        lab.command("ip").args(["netns", "exec", "blue", "readlink", "/proc/self/ns/net"]).run().ok();
    for target in ["netns:blue", "/run/netns/blue", "/var/run/netns/blue", "blue"] {
        // A bare word could be a container's name, so an engine is asked first.
        let engine = support::fake_docker::knows(&[]).listen(lab.path("/run/docker.sock"));
        let mut ours = lab.tool("nsenter-rs");
        let ours = ours.args(["-t", target, "-n", "readlink", "/proc/self/ns/net"]).run();
        ours.ok().stdout_is(&expected.stdout);
        drop(engine);
    }
    for option in ["-m", "-a", "-r", "-e", "-w"] {
        let refused = lab.tool("nsenter-rs").args(["-t", "netns:blue", "-n", option, "true"]).run();
        let refused = refused.fails_with(1);
        refused.stderr_has("netns:blue").stderr_has("without a process");
    }
    lab.tool("nsenter-rs")
        .args(["-t", "netns:red", "-n", "true"])
        .run()
        .fails_with(1)
        .stderr_has("netns:red");
}

#[test]
fn a_file_that_is_no_such_namespace_is_refused() {
    let lab = need!(Lab::new());
    let cases = [
        ("--net=/nowhere", "/nowhere"),
        ("--net=/etc/passwd", "/etc/passwd: is not a namespace"),
        ("--net=/", "is not a namespace"),
        ("--net=/proc/1/ns/uts", "not a net one"),
        ("--net=", "--net"),
    ];
    for (option, why) in cases {
        let ran = lab.tool("nsenter-rs").args([option, "echo", "ran"]).run();
        ran.fails_with(1).stdout_is("").stderr_has(why);
    }
}

#[test]
fn without_a_fork_only_children_are_in_the_pid_namespace() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    for option in ["-F", "--no-fork"] {
        // The shell is not inside: its first child is, and gets a number of that namespace.
        let arguments = ["-t", &target, "-p", option, "sh", "-c", "readlink /proc/self/ns/pid; true"];
        like_util_linux(&lab, &arguments).ok();
        let arguments = ["-t", &target, "-p", option, "readlink", "/proc/self/ns/pid_for_children"];
        like_util_linux(&lab, &arguments).ok().stdout_is(&format!("{}\n", lab.namespace(web.pid, "pid")));
        let arguments = ["-t", &target, "-p", option, "readlink", "/proc/self/ns/pid"];
        like_util_linux(&lab, &arguments).ok().stdout_is(&format!("{}\n", lab.namespace(1, "pid")));
    }
}

#[test]
fn the_clocks_of_a_time_namespace_are_the_programs() {
    let lab = need!(Lab::new());
    let mut shifted = lab.command("unshare");
    shifted.args(["--time", "--boottime", "100000000", "--fork", "sh", "-c"]);
    shifted.arg("read -r pid _ </proc/self/stat; echo $pid; read -r _");
    let shifted = shifted.start_with(std::process::Stdio::piped());
    let target = shifted.first_line().unwrap();
    let ran =
        lab.tool("nsenter-rs").args(["-t", &target, "-T", "cut", "-d.", "-f1", "/proc/uptime"]).run().ok();
    assert!(ran.text().parse::<u64>().unwrap() >= 100_000_000, "{ran}");
    lab.tool("nsenter-rs").args(["-t", &target, "-a", "true"]).run().ok();
}

#[test]
fn a_process_that_has_ended_has_no_namespaces() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    web.stop();
    let ran = lab.tool("nsenter-rs").args(["-t", &target, "-n", "echo", "ran"]).run();
    ran.fails_with(1).stdout_is("").stderr_is(&format!("nsenter-rs: PID {target}: no such process\n"));
}

#[test]
fn a_zombie_has_no_namespaces() {
    let lab = need!(Lab::new());
    // The program that takes the shell's place knows nothing of its child.
    std::fs::write(lab.path("/run/word"), "ready\n").unwrap();
    let script = "exec 3<&0; cat <&3 & echo $!; exec 3<&-; exec tail --lines=+1 --follow /run/word";
    let mut parent = lab.shell(script).start_with(std::process::Stdio::piped());
    parent.wait_for("ready");
    parent.close_stdin();
    let target = parent.first_line().unwrap();
    let status = lab.path(format!("/proc/{target}/status"));
    until("the child is a zombie", || std::fs::read_to_string(&status).unwrap().contains("Z (zombie)"));
    for option in ["-n", "-a", "-m"] {
        let ran = lab.tool("nsenter-rs").args(["-t", &target, option, "echo", "ran"]).run();
        ran.fails_with(1).stdout_is("").stderr_has("ended");
    }
}
