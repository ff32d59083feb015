//! Containers that put something else where their resolver's files should be.

use std::time::Duration;

use super::scene;
use support::container::Container;
use support::run::Run;
use support::skip::need;

/// What would hang, or read a long time, is over by then.
const SOON: Duration = Duration::from_secs(10);

/// Has the container run a script in its `/etc`.
#[track_caller]
fn in_etc(web: &Container, script: &str) {
    web.command("sh").args(["-ec", &format!("cd /etc; rm -rf resolv.conf; {script}")]).run().ok();
}

#[test]
fn nothing_but_a_regular_file_is_read() {
    let scene = need!(scene());
    for (script, why) in [
        ("mkfifo resolv.conf", "is not a regular file"),
        ("mkdir resolv.conf", "is not a regular file"),
        ("ln -s /dev/null resolv.conf", "is not a regular file"),
        ("truncate -s 10G resolv.conf", "is larger than 8 MiB"),
        ("ln -s resolv.conf resolv.conf", "is a link in a circle"),
        // Ours, not the container's, is the process that these would be resolved for.
        ("ln -s /proc/1/root/etc/passwd resolv.conf", "through a link of procfs"),
        ("ln -s /proc/1/cwd/etc/passwd resolv.conf", "through a link of procfs"),
        ("ln -s /proc/1/fd/0 resolv.conf", "through a link of procfs"),
        // Files that are read once, or never end.
        ("ln -s /proc/kmsg resolv.conf", "is a file of the kernel's"),
        ("ln -s /proc/sys/kernel/hostname resolv.conf", "is a file of the kernel's"),
    ] {
        in_etc(&scene.web, script);
        let ran = scene.enter(&["--dns", "echo", script]).run_within(SOON).fails_with(1).stdout_is("");
        let file = format!("nsenter-rs: /proc/{}/root/etc/resolv.conf: ", scene.pid);
        ran.stderr_has(&file).stderr_has(why);
    }
}

#[test]
fn a_fifo_is_not_even_opened() {
    let scene = need!(scene());
    in_etc(&scene.web, "mkfifo resolv.conf");
    // Opening it to write waits for somebody who opens it to read.
    let writer =
        scene.web.command("sh").args(["-c", "echo waiting; echo x >/etc/resolv.conf; echo read"]).start();
    writer.wait_for("waiting\n");
    scene.enter(&["--dns", "true"]).run_within(SOON).fails_with(1);
    assert!(!writer.has_ended_within(Duration::ZERO), "{}", writer.so_far());
    let read = scene.web.command("cat").arg("/etc/resolv.conf").run().ok();
    read.stdout_is("x\n");
    writer.finish().ok().stdout_is("waiting\nread\n");
}

#[test]
fn links_stay_in_the_containers_root() {
    let scene = need!(scene());
    let up = "../../../../../../../../../../..";
    for link in ["/run/mine", "../run/mine", &format!("{up}/run/mine")] {
        in_etc(&scene.web, &format!("echo nameserver 198.18.4.4 >/run/mine; ln -s {link} resolv.conf"));
        let ran = scene.enter(&["--dns", "cat", "/etc/resolv.conf"]).run().ok();
        ran.stdout_is("nameserver 198.18.4.4\n");
    }
    // The host has an /etc/passwd, this container has none.
    in_etc(&scene.web, &format!("ln -s {up}/etc/passwd resolv.conf"));
    scene.enter(&["--dns", "cat", "/etc/resolv.conf"]).run().ok().stdout_is("");
    // An /etc that leads elsewhere.
    scene.web.command("sh").args(["-ec", "mv /etc /run/etc; ln -s /proc/1/root/etc /etc"]).run().ok();
    scene.enter(&["--dns", "echo", "ran"]).run().fails_with(1).stdout_is("").stderr_has("link of procfs");
}

#[test]
fn what_it_wrote_does_not_reach_the_terminal() {
    let scene = need!(scene());
    in_etc(&scene.web, r"printf 'nameserver 127.0.0.1\n\033[2J\n' >resolv.conf");
    let ran = scene.enter(&["-v", "--dns", "true"]).run().ok();
    assert!(!ran.stderr.contains('\x1b'), "{ran}");
}
