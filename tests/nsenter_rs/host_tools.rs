//! `--host-tools`: the host's programs in a root that has none.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::{PATH, TRUSTED};
use support::container::{Container, Options, Root};
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need, program};
use support::tools::static_tool;

/// A lab with a container whose image has no tools in it.
fn bare() -> Result<(Lab, Container), Missing> {
    let lab = Lab::new()?;
    let web = lab.container("web", Options { root: Root::Bare, ..Options::default() });
    Ok((lab, web))
}

/// `nsenter-rs -t WEB -a -H`, for a container that is trusted: in a lab, everybody may trace everybody.
fn enter(lab: &Lab, web: &Container) -> Result<Command, Missing> {
    let mut command = lab.command(static_tool("nsenter-rs")?);
    command.env("PATH", PATH).args(["-t", &web.pid.to_string(), "-a", "-H", "--trust-target"]);
    Ok(command)
}

#[test]
fn the_hosts_programs_run_in_the_containers_root() {
    let (lab, web) = need!(bare());
    need!(enter(&lab, &web)).args(["cat", "/etc/hostname"]).run().ok().stdout_is("web\n").stderr_is(TRUSTED);
    need!(enter(&lab, &web)).args(["ls", "/etc"]).run().ok().stdout_is("hostname\n");
    // By its path it is the host's too.
    need!(enter(&lab, &web)).args(["/bin/cat", "/etc/hostname"]).run().ok().stdout_is("web\n");
    let ip = need!(enter(&lab, &web)).args(["ip", "-j", "link"]).run().ok().json();
    assert_eq!(ip.as_array().unwrap().len(), 1);
    for kind in ["mnt", "pid", "net"] {
        let link = format!("/proc/self/ns/{kind}");
        let shown = need!(enter(&lab, &web)).args(["readlink", &link]).run().ok();
        // The mounts are a copy.
        assert_eq!(shown.text() == lab.namespace(web.pid, kind), kind != "mnt", "{shown}");
    }
}

/// A program of the host with what it says on the host, and must say in the container.
const SAME_AS_ON_THE_HOST: &[&[&str]] = &[
    &["bash", "-c", "echo {a,b} | tr a-z A-Z"],
    &["curl", "--version"],
    &["dig", "-v"],
    &["ip", "-V"],
    &["less", "--version"],
    &["perl", "-MPOSIX", "-MData::Dumper", "-e", "print floor(2.5), Dumper([1])"],
    &["/usr/bin/python3", "-c", "import json, socket, ssl, subprocess; print(ssl.OPENSSL_VERSION)"],
    &["/usr/bin/python3", "-c", "import ssl; print(ssl.create_default_context().cert_store_stats())"],
    &["/usr/bin/python3", "-c", "import subprocess; print(subprocess.check_output(['echo', 'a']))"],
    &[
        "/usr/bin/python3",
        "-c",
        "import subprocess, sys; subprocess.check_call([sys.executable, '-c', 'print(1)'])",
    ],
    &["sh", "-c", "echo b; echo a; seq 3 | sort -r | xargs echo"],
    &["ss", "-V"],
    &["strace", "-V"],
    &["tcpdump", "--version"],
    &["top", "-v"],
    &["vim", "--version"],
];

#[test]
fn they_say_what_they_say_on_the_host() {
    let (lab, web) = need!(bare());
    let mut asked = 0;
    for words in SAME_AS_ON_THE_HOST {
        if program(words[0].rsplit('/').next().unwrap(), "").is_err() || !is_on_path(words[0]) {
            continue;
        }
        let on_host = lab.command(words[0]).env("PATH", PATH).args(&words[1..]).run();
        let inside = need!(enter(&lab, &web)).args(*words).run();
        assert_eq!((&inside.stdout, inside.status), (&on_host.stdout, on_host.status), "{inside}\n{on_host}");
        asked += 1;
    }
    assert!(asked > 4, "this machine has next to no programs");
}

fn is_on_path(name: &str) -> bool {
    PATH.split(':').any(|directory| Path::new(directory).join(name).exists())
}

#[test]
fn their_children_are_the_hosts_too_and_called_by_their_names() {
    let (lab, web) = need!(bare());
    let script = "ls / | grep -c etc; cat /proc/self/comm; env cat /proc/self/comm; \
                  echo x | xargs -n1 cat /proc/self/comm | head -n1";
    let ran = need!(enter(&lab, &web)).args(["bash", "-c", script]).run();
    ran.fails_with(0).stdout_is("1\ncat\ncat\ncat\n");
    let mut traced = need!(enter(&lab, &web));
    if program("strace", "strace").is_ok() {
        traced
            .args(["strace", "-f", "-o", "/dev/null", "sh", "-c", "cat /etc/hostname"])
            .run()
            .ok()
            .stdout_is("web\n");
    }
}

#[test]
fn scripts_are_run_by_the_hosts_interpreter() {
    let (lab, web) = need!(bare());
    let script = lab.path("/run/tools/hello");
    fs::create_dir_all(script.parent().unwrap()).unwrap();
    for (first, zeroth) in [("#!/bin/sh", "/run/tools/hello"), ("#! /usr/bin/env sh", "/run/tools/hello")] {
        fs::write(&script, format!("{first}\necho ${{0##*/host}} \"$@\"; ls /etc\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut hello = need!(enter(&lab, &web));
        hello.env("PATH", format!("/run/tools:{PATH}")).args(["hello", "a b"]);
        hello.run().ok().stdout_is(&format!("{zeroth} a b\nhostname\n"));
    }
}

/// Each file below a root with all that could change when somebody writes there.
fn listing(root: &Path) -> Vec<String> {
    let device = fs::metadata(root).unwrap().dev();
    let mut left = vec![root.to_owned()];
    let mut all = Vec::new();
    while let Some(path) = left.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        all.push(format!(
            "{path:?} {} {} {} {:?}",
            stat.ino(),
            stat.mtime_nsec(),
            stat.ctime_nsec(),
            stat.mode()
        ));
        if stat.is_dir() && stat.dev() == device {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all.sort();
    all
}

#[test]
fn nothing_is_written_to_the_container_and_its_mounts_stay_as_they_are() {
    let (lab, web) = need!(bare());
    let table = || fs::read_to_string(lab.path(format!("/proc/{}/mountinfo", web.pid))).unwrap();
    let before = (table(), listing(&web.path("/")));
    let mut shell = need!(enter(&lab, &web));
    let script = "ls / >/dev/null; grep -c /host /proc/self/mountinfo; echo ready; read -r _";
    let mut shell = shell.args(["bash", "-c", script]).start_with(Stdio::piped());
    shell.wait_for("ready");
    // It has mounts of its own meanwhile.
    assert_ne!(shell.first_line().unwrap(), "0");
    assert_eq!((table(), listing(&web.path("/"))), before);
    shell.say("\n");
    shell.finish().ok();
    assert_eq!((table(), listing(&web.path("/"))), before);
}

#[test]
fn the_hosts_tree_is_where_host_root_says_and_read_only() {
    let (lab, web) = need!(bare());
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let shown = need!(enter(&lab, &web)).args(["sh", "-c", "cat $HOST_ROOT/etc/passwd"]).run().ok();
    shown.stdout_is(&passwd);
    fs::write(lab.path("/run/marker"), "").unwrap();
    // Below /run are the sockets of daemons, and /proc is the host's processes.
    let script = "for dir in run proc sys dev tmp; do ls -A $HOST_ROOT/$dir; done; \
                  touch $HOST_ROOT/etc/netns-toolbox-was-here || exit 7";
    need!(enter(&lab, &web))
        .args(["bash", "-c", script])
        .run()
        .fails_with(7)
        .stdout_is("")
        .stderr_has("Read-only");
    assert!(!Path::new("/etc/netns-toolbox-was-here").exists());
}

#[test]
fn a_program_that_the_host_lacks_is_missing_and_one_that_is_none_cannot_be_run() {
    let (lab, web) = need!(bare());
    let missing = need!(enter(&lab, &web)).arg("no-such-program").run().fails_with(127);
    missing.stderr_is(&format!("{TRUSTED}nsenter-rs: no-such-program: no such program on the host\n"));
    for none in ["/etc/passwd", "/etc"] {
        need!(enter(&lab, &web)).arg(none).run().fails_with(126).stderr_has(none);
    }
    let child = need!(enter(&lab, &web)).args(["bash", "-c", "no-such-program; exit $?"]).run();
    child.fails_with(127).stderr_has("command not found");
}

#[test]
fn its_status_its_signals_and_its_input_are_the_programs() {
    let (lab, web) = need!(bare());
    need!(enter(&lab, &web)).args(["sh", "-c", "exit 42"]).run().fails_with(42);
    need!(enter(&lab, &web)).args(["sh", "-c", "kill -TERM $$"]).run().killed_by(Signal::SIGTERM);
    need!(enter(&lab, &web)).arg("cat").run_with_input("one\ntwo").ok().stdout_is("one\ntwo");
    let mut waiting = need!(enter(&lab, &web));
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let waiting = waiting.args(["bash", "-c", script]).start();
    waiting.wait_for("ready");
    waiting.signal_behind_nsenter(Signal::SIGTERM);
    waiting.finish().fails_with(7);
}

#[test]
fn without_a_program_it_is_the_users_shell_and_reads_nothing_of_the_container() {
    let (lab, web) = need!(bare());
    fs::write(web.path("/etc/bash.bashrc"), "echo hostile").unwrap();
    fs::write(web.path("/etc/profile"), "echo hostile").unwrap();
    let shell =
        need!(enter(&lab, &web)).env("SHELL", "/bin/bash").run_with_input("echo $0 on $(hostname)\n").ok();
    shell.stdout_is("/bin/bash on web\n");
}

#[test]
fn without_another_root_there_is_nothing_to_take_along() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let target = web.pid.to_string();
    for way in ["-n", "-a"] {
        let mut show = lab.tool("nsenter-rs");
        show.args(["-t", &target, way, "-H", "sh", "-c", "echo $HOST_ROOT; readlink /proc/self/ns/mnt"]);
        show.run().ok().stdout_is(&format!("\n{}\n", lab.namespace(1, "mnt")));
    }
}

#[test]
fn what_is_made_once_for_all_is_made_again_when_programs_come_and_go() {
    let (lab, web) = need!(bare());
    fs::create_dir(lab.path("/run/tools")).unwrap();
    let look = || {
        let mut command = need_static(&lab, &web);
        command.env("PATH", format!("/run/tools:{PATH}")).args([
            "bash",
            "-c",
            "new 2>/dev/null || echo none",
        ]);
        command.run().ok().stdout
    };
    need!(static_tool("nsenter-rs"));
    let kits = || fs::read_dir(lab.path("/run/netns-toolbox/host-tools")).unwrap().count();
    assert_eq!((look(), look(), kits()), ("none\n".into(), "none\n".into(), 1));
    let script = lab.path("/run/tools/new");
    fs::write(&script, "#!/bin/sh\necho here\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!((look(), kits()), ("here\n".into(), 2));
}

fn need_static(lab: &Lab, web: &Container) -> Command {
    enter(lab, web).unwrap_or_else(|missing| panic!("{missing}"))
}
