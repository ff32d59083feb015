//! `/sys`: of the container's network, with all that the host has mounted below.

use super::{Scene, scene};
use support::run::Run;
use support::skip::{need, program};

/// The mounts at and below `/sys` that can be seen, without the numbers they have; not the device of the sysfs.
const MOUNTS: &str = "findmnt --list --noheadings --submounts /sys --output TARGET,SOURCE,FSTYPE,VFS-OPTIONS";

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn its_interfaces_are_the_containers() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    scene.web.ip("link add inner0 type veth peer name inner1");
    let ours = scene.shell(&["--sys"], "ls /sys/class/net");
    ours.stdout_is("inner0\ninner1\nlo\n");
    // With the network alone they are the host's.
    let hosts = scene.lab.command("ls").arg("/sys/class/net").run().ok();
    assert!(!hosts.stdout.contains("inner0"));
    scene.shell(&["-n"], "ls /sys/class/net").stdout_is(&hosts.stdout);
}

#[test]
fn what_was_mounted_below_is_there_as_it_was() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    need!(program("findmnt", "util-linux"));
    // Stand-ins, for not every kernel has all of them; the places are the real ones.
    let mount = "mount -t tmpfs -o nosuid cgroup /sys/fs/cgroup; mount -t tmpfs debug /sys/kernel
        mkdir '/sys/fs/cgroup/a b' /sys/fs/cgroup/cpu
        mount -t tmpfs -o nodev below '/sys/fs/cgroup/a b'; mount -t tmpfs -o ro,nodev cpu /sys/fs/cgroup/cpu
        touch '/sys/fs/cgroup/a b/file'";
    scene.lab.shell(mount).run().ok();
    let before = scene.lab.shell(MOUNTS).run().ok().stdout_has("/sys/fs/cgroup/a b").stdout_has("ro,nodev");
    let inside = scene.shell(&["--sys"], MOUNTS);
    assert_eq!(sorted(&inside.stdout), sorted(&before.stdout));
    scene.shell(&["--sys"], "ls '/sys/fs/cgroup/a b'; ls /sys/class/net").stdout_is("file\nlo\n");
}

#[test]
fn what_is_mounted_in_a_place_that_the_new_one_lacks_is_named() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    let place = "/sys/devices/virtual/net/outer0/statistics";
    let mount = format!("ip link add outer0 type veth peer name outer1; mount -t tmpfs mine {place}");
    scene.lab.shell(&mount).run().ok();
    let ran = scene.shell(&["--sys"], "ls /sys/class/net; grep -c mine /proc/self/mountinfo || true");
    ran.stdout_is("lo\n0\n").stderr_has(&format!("nsenter-rs: {place}: is not mounted in the new /sys"));
}

#[test]
fn it_can_be_written_to_no_more_than_the_hosts() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    need!(program("findmnt", "util-linux"));
    scene.lab.shell("mount -o remount,bind,ro,nosuid,noexec /sys").run().ok();
    let ran =
        scene.shell(&["--sys"], "findmnt --noheadings --output VFS-OPTIONS /sys | tail -n 1; ! mkdir /sys/x");
    let options = ran.stdout.lines().next().unwrap_or_default();
    let mut options: Vec<&str> = options.split(',').collect();
    options.sort_unstable();
    assert_eq!(options, ["noexec", "nosuid", "relatime", "ro"], "{ran}");
}

#[test]
fn who_stands_in_the_old_one_is_put_into_the_new_one() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    scene.web.ip("link add inner0 type veth peer name inner1");
    let tool = support::tools::tool("nsenter-rs");
    let from = |directory: &str| {
        let script = format!("cd {directory}; exec {tool} -t {} --sys sh -c 'pwd; ls'", scene.pid);
        scene.lab.shell(&script).run().ok()
    };
    from("/sys/class/net").stdout_is("/sys/class/net\ninner0\ninner1\nlo\n");
    from("/run/systemd").stdout_is("/run/systemd\nresolve\n");
}

#[test]
fn a_network_without_a_process_will_do() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    scene.lab.shell("ip netns add blue; ip -n blue link add inner0 type veth peer name inner1").run().ok();
    for target in ["--target=netns:blue", "--net=/run/netns/blue"] {
        let mut enter = scene.lab.tool("nsenter-rs");
        enter.args([target, "--sys", "ls", "/sys/class/net"]).run().ok().stdout_is("inner0\ninner1\nlo\n");
    }
}
