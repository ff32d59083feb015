//! Nothing of a view gets out of it, whatever happens.

use std::process::Stdio;

use super::{Scene, scene};
use support::run::Run;
use support::skip::{need, program};
use support::tools;

/// The mounts of host and container.
#[track_caller]
fn mounts(scene: &Scene) -> String {
    let files = ["/proc/1/mountinfo".to_owned(), format!("/proc/{}/mountinfo", scene.pid)];
    scene.lab.command("cat").args(files).run().ok().stdout
}

#[test]
fn the_mounts_of_host_and_container_do_not_change() {
    for propagation in ["rshared", "rprivate", "rslave"] {
        let scene = need!(scene().and_then(Scene::with_sysfs));
        scene.lab.shell(&format!("mount --make-{propagation} /")).run().ok();
        let before = mounts(&scene);
        let mut program =
            scene.enter(&["--inside", "sh", "-c", "echo ready; read -r _"]).start_with(Stdio::piped());
        program.wait_for("ready\n");
        assert_eq!(mounts(&scene), before, "during, {propagation}");
        program.say("\n");
        program.finish().ok();
        assert_eq!(mounts(&scene), before, "after, {propagation}");
    }
}

#[test]
fn what_the_host_unmounts_is_unmounted_in_the_view_and_nothing_the_other_way_round() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    scene
        .lab
        .shell("mkdir /run/disk /run/mine; mount -t tmpfs disk /run/disk; touch /run/disk/file")
        .run()
        .ok();
    let before = mounts(&scene);
    let script = "mount -t tmpfs mine /run/mine && ls /run/disk; read -r _; ls /run/disk; echo end";
    let mut program = scene.enter(&["--inside", "sh", "-c", script]).start_with(Stdio::piped());
    program.wait_for("file\n");
    assert_eq!(mounts(&scene), before);
    scene.lab.shell("umount /run/disk").run().ok();
    program.say("\n");
    program.finish().ok().stdout_is("file\nend\n");
}

#[test]
fn from_a_root_that_is_no_mount_point_nothing_is_mounted() {
    let scene = need!(scene());
    // In a chroot the mounts that its directory is on cannot be named, nor be kept from the host.
    let jail = "mkdir -p /run/jail/etc /run/jail/proc; cd /run/jail; touch etc/resolv.conf etc/hosts
        for dir in /usr /bin /sbin /lib /lib64; do
            if [ -h $dir ]; then cp -P $dir .$dir; elif [ -d $dir ]; then mkdir .$dir; mount --rbind $dir .$dir; fi
        done
        mount --rbind /proc proc";
    scene.lab.shell(jail).run().ok();
    std::fs::copy(tools::tool("nsenter-rs"), scene.lab.path("/run/jail/tool")).unwrap();
    let before = mounts(&scene);
    let mut tool = scene.lab.command("chroot");
    tool.args(["/run/jail", "/tool", "-t", &scene.pid, "--dns", "echo", "ran"]);
    tool.run().fails_with(1).stdout_is("").stderr_has("nsenter-rs: /: is not a mount point");
    assert_eq!(mounts(&scene), before);
}

#[test]
fn no_descriptor_is_left_to_the_program() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    scene.shell(&["--inside"], "ls /proc/$$/fd").stdout_is("0\n1\n2\n");
}

/// What can be changed about mounts, and files made.
const CALLS: [&str; 10] = [
    "unshare",
    "mount",
    "umount2",
    "fsopen",
    "fsconfig",
    "fsmount",
    "open_tree",
    "move_mount",
    "mkdirat",
    "linkat",
];

/// Each half of the view with what shows that all of it is there. Apart, because strace counts the calls of parent
/// and child apart, and a fault in the first call of the one would hide that of the other.
const HALVES: [(&str, &str, &str); 2] = [
    ("--dns --sys", "cat /etc/resolv.conf; ls /sys/class/net", "nameserver 127.0.0.1 inner0 inner1 lo"),
    ("--proc", "set -- /proc/[0-9]*; echo $#", "2"),
];

/// Runs nsenter-rs with each of `faults` at each of those calls that it makes, and gives of each the call, what
/// came of it (`STATUS WHAT THE PROGRAM SAID`), and what the program says when all is well.
#[track_caller]
fn with_faults(scene: &Scene, faults: &[&str]) -> Vec<(String, String, &'static str)> {
    scene.web.ip("link add inner0 type veth peer name inner1");
    let mut rounds = Vec::new();
    for (options, program, expected) in HALVES {
        let tool = format!("{} -t {} {options} sh -c '{program}'", tools::tool("nsenter-rs"), scene.pid);
        let traced =
            format!("strace -f -o /run/calls -e trace={} {tool} >&2; cat /run/calls", CALLS.join(","));
        let made = scene.lab.shell(&traced).run().ok().stdout;
        let mut script = String::from("set +e\n");
        for call in CALLS {
            let callers = made.lines().filter(|line| line.contains(&format!(" {call}(")));
            let callers: Vec<_> = callers.filter_map(|line| line.split_whitespace().next()).collect();
            let of_caller = |caller| callers.iter().filter(|other| *other == caller).count();
            let times = callers.iter().map(of_caller).max().unwrap_or_default();
            for (time, fault) in (1..=times).flat_map(|time| faults.iter().map(move |fault| (time, fault))) {
                let inject = format!("strace -f -o /dev/null -e inject={call}:{fault}:when={time} {tool}");
                script +=
                    &format!("said=$({inject} 2>/run/err); echo {call} {time} {options} {fault}: $? $said\n");
            }
        }
        let said = scene.lab.command("sh").args(["-c", &script]).run().ok().stdout;
        rounds.extend(said.lines().map(|line| {
            let (call, came) = line.split_once(": ").unwrap();
            (call.to_owned(), came.to_owned(), expected)
        }));
    }
    rounds
}

#[test]
fn killed_at_any_call_it_leaves_nothing() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    need!(program("strace", "strace"));
    let before = mounts(&scene);
    let rounds = with_faults(&scene, &["signal=KILL"]);
    assert!(rounds.len() > 30, "{rounds:?}");
    for (call, came, _) in rounds {
        assert_eq!(came, "137", "{call}");
    }
    assert_eq!(mounts(&scene), before);
}

#[test]
fn where_the_kernel_refuses_a_call_the_program_sees_all_of_the_view_or_does_not_run() {
    let scene = need!(scene().and_then(Scene::with_sysfs));
    need!(program("strace", "strace"));
    let before = mounts(&scene);
    let mut seen = Vec::new();
    for (call, came, expected) in with_faults(&scene, &["error=EPERM", "error=ENOMEM"]) {
        if came != "1" {
            assert_eq!(came, format!("0 {expected}"), "{call}");
            seen.push(call);
        }
    }
    // The old mount is hidden where it cannot be taken away, and what may not be mounted before the user namespace is
    // entered is mounted after. An unshare before each fork asks whether we have one thread, which is counted where there
    // is no answer. What is refused to the unreadable loader, before anything is joined, is done later, or it is said.
    let may_be_refused = ["umount2", "unshare", "fsopen", "fsconfig", "fsmount", "open_tree"];
    let harmless = |call: &String| {
        may_be_refused.iter().any(|name| call.starts_with(&format!("{name} "))) || call.ends_with("EPERM")
    };
    assert!(seen.iter().all(harmless), "{seen:?}");
    assert_eq!(mounts(&scene), before);
}
