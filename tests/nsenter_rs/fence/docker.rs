//! Beside `docker exec`, which is what the container's own code can do anyway.

use std::process::Command;

use super::{Built, Report, built};
use crate::PATH;
use support::run::{Ran, Run};
use support::skip::{Missing, need};
use support::tools::static_tool;
use support::world::{DockerContainer, World};

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// A container with the probe in it: as a program, as a library, and where programs of the host look for plugins.
struct Planted<'world> {
    world: &'world World,
    container: DockerContainer<'world>,
    built: &'static Built,
}

/// `/proc/1/root` leads past the mounts on which nothing may be executed.
const PLANT: &str = r#"root=/proc/$1/root; lib=usr/lib/$(uname -m)-linux-gnu
cp $2 $root/probe.so; cp $3 $root/probe
mkdir -p $root/libnss_.. $root/$lib/ip $root/$lib/xtables $root/$lib/tc $root/etc/alternatives
for name in libnss_../evil.so.2 $lib/ip/link_veth.so $lib/xtables/libipt_tcp.so $lib/xtables/libxt_tcp.so \
    $lib/tc/q_evil.so; do ln -sf /proc/1/root/probe.so $root/$name; done
for name in $(ls /etc/alternatives | grep '\.so'); do ln -sf /proc/1/root/probe.so $root/etc/alternatives/$name; done
echo 'passwd: ../evil files' >$root/etc/nsswitch.conf"#;

impl<'world> Planted<'world> {
    #[track_caller]
    fn start(world: &'world World, built: &'static Built, args: &[&str]) -> Self {
        let container = world.docker_container("fence", args);
        let mut plant = world.command("sh");
        plant
            .args(["-ec", PLANT, "sh", &container.pid().to_string()])
            .arg(&built.library)
            .arg(&built.program);
        plant.run().ok();
        Planted { world, container, built }
    }

    /// What has been reported since the last time, if anything.
    fn reported(&self) -> Option<Report> {
        let file = format!("/proc/{}/root/probed", self.container.pid());
        let text = self.world.command("cat").arg(&file).run();
        self.world.command("rm").args(["-f", &file]).run().ok();
        (text.status.is_some_and(|status| status.success())).then(|| Report::parse(&text.stdout))
    }

    #[track_caller]
    fn by_docker_exec(&self) -> Report {
        self.container.command("/probe").run().ok();
        self.reported().unwrap()
    }

    fn nsenter(&self, options: &[&str]) -> Command {
        let mut command = self.world.command(static_tool("nsenter-rs").unwrap());
        command.env("PATH", PATH).args(["-t", &self.container.name, "-a", "-H"]).args(options);
        command
    }

    /// The library, loaded by a program of the host.
    #[track_caller]
    fn loaded(&self, options: &[&str]) -> (Report, Ran) {
        let mut command = self.nsenter(options);
        let ran = command.arg(&self.built.loads).arg("/proc/1/root/probe.so").run().ok();
        (self.reported().unwrap(), ran)
    }
}

/// Nothing more than the container's own code can do, entry by entry.
#[track_caller]
fn is_no_more(ours: &Report, theirs: &Report, what: &str) {
    let more: Vec<_> = ours.done().into_iter().filter(|name| !theirs.done().contains(name)).collect();
    assert_eq!(more, Vec::<&str>::new(), "{what} can do more than docker exec\n{ours:?}\n{theirs:?}");
    for set in ["CapEff", "CapPrm", "CapBnd", "user "] {
        assert_eq!(ours.fact(set), theirs.fact(set), "{what}: {set}");
    }
    // One keeps keys out of the operator's terminal, which docker exec has not.
    assert_eq!(ours.fact("Seccomp"), "2", "{what}");
    assert_eq!(ours.groups(), theirs.groups(), "{what}");
    assert!(!ours.groups().is_empty());
    let nothing = "0000000000000000";
    assert_eq!((ours.fact("CapInh"), ours.fact("CapAmb")), (nothing, nothing), "{what}");
    assert_eq!((ours.fact("NoNewPrivs"), ours.fact("Dumpable")), ("1", "0"), "{what}");
}

#[test]
fn code_of_a_container_can_do_no_more_in_a_program_of_the_host_than_docker_exec_can() {
    let world = need!(docker());
    need!(static_tool("nsenter-rs"));
    let planted = Planted::start(&world, need!(built()), &[]);
    let exec = planted.by_docker_exec();
    let (loaded, _) = planted.loaded(&[]);
    is_no_more(&loaded, &exec, "a library of the container");
    // What the host's programs load by themselves, if they still do.
    let programs: [&[&str]; 6] = [
        &["ls", "-ld", "/"],
        &["ip", "-d", "link"],
        &["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "1"],
        &["tc", "qdisc", "add", "dev", "lo", "root", "evil"],
        &["nmap", "-V"],
        &["bash", "-c", "ls -ld ~nobody; ip -d link"],
    ];
    for words in programs {
        let _ = planted.nsenter(&[]).args(words).run();
        if let Some(report) = planted.reported() {
            is_no_more(&report, &exec, &words.join(" "));
        }
    }
    // The same library, where the container is trusted: so the attempts are working ones.
    let (trusted, ran) = planted.loaded(&["--trust-target"]);
    for name in ["read-shadow", "read-root", "mount", "remount-usr-writable", "keyctl", "bpf"] {
        assert_eq!(trusted.tried[name], "ok", "{trusted:?}");
    }
    assert_ne!(trusted.fact("CapEff"), exec.fact("CapEff"));
    ran.stderr_has("the container's files decide");
}

#[test]
fn the_bounds_are_those_of_each_container() {
    let world = need!(docker());
    need!(static_tool("nsenter-rs"));
    let built = need!(built());
    for args in [
        &["--cap-drop", "ALL"][..],
        &["--cap-drop", "MKNOD", "--cap-add", "NET_ADMIN"],
        &["--security-opt", "seccomp=unconfined"],
        &["--read-only", "--tmpfs", "/tmp"],
        &["--ulimit", "nofile=1024:1024"],
    ] {
        let planted = Planted::start(&world, built, if args[0] == "--read-only" { &[] } else { args });
        let exec = planted.by_docker_exec();
        let (loaded, ran) = planted.loaded(&[]);
        is_no_more(&loaded, &exec, &args.join(" "));
        ran.stderr_is("");
    }
}

#[test]
fn a_user_of_the_container_leaves_us_root_within_its_bounds() {
    let world = need!(docker());
    need!(static_tool("nsenter-rs"));
    let planted = Planted::start(&world, need!(built()), &["--user", "1000"]);
    let status = planted.nsenter(&[]).args(["grep", "-E", "^(Uid|CapEff)", "/proc/self/status"]).run().ok();
    status.stdout_has("Uid:\t0\t0\t0\t0").stdout_has("CapEff:\t00000000a80425fb");
}

#[test]
fn a_privileged_container_is_not_refused_but_told() {
    let world = need!(docker());
    need!(static_tool("nsenter-rs"));
    let planted = Planted::start(
        &world,
        need!(built()),
        &["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"],
    );
    let (loaded, ran) = planted.loaded(&[]);
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    ran.stderr_has("privileged");
    // Not even then is what only root may read to be had by opening it.
    assert_ne!(loaded.tried["read-shadow"], "ok");
    assert_ne!(loaded.tried["read-root"], "ok");
}

#[test]
fn a_capability_that_is_added_says_what_it_opens() {
    let world = need!(docker());
    need!(static_tool("nsenter-rs"));
    let planted = Planted::start(&world, need!(built()), &[]);
    let exec = planted.by_docker_exec();
    let (loaded, ran) = planted.loaded(&["--cap-add", "net_admin"]);
    let set = |report: &Report| u64::from_str_radix(report.fact("CapEff"), 16).unwrap();
    assert_eq!(set(&loaded), set(&exec) | 1 << 12);
    let more: Vec<_> = loaded.done().into_iter().filter(|name| !exec.done().contains(name)).collect();
    // A link of the host, by the number that its network namespace has for the container's.
    assert_eq!(more, ["delete-link-beyond"]);
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    ran.stderr_has("NET_ADMIN").stderr_has("interfaces of the host");
    let unknown = planted.nsenter(&["--cap-add", "NET_ADMINS"]).arg("true").run().fails_with(1);
    unknown.stderr_has("no such capability");
}

#[test]
fn what_a_program_leaves_behind_is_reaped_where_the_container_does_not() {
    let world = need!(docker());
    need!(static_tool("nsenter-rs"));
    let container = world.docker_container("zombies", &[]);
    let pid = container.pid().to_string();
    // sleep, the container's first process, waits for nobody.
    let zombies = || {
        let script = r"for s in /proc/[0-9]*/stat; do read -r _ _ state _ <$s && [ $state != Z ] || echo $s; done; exit 0";
        container.command("sh").args(["-c", script]).run().ok().stdout
    };
    let leave = "(read -r _ </probe-fifo) >/dev/null 2>&1 </dev/null & exit 7";
    container.command("mkfifo").arg("/probe-fifo").run().ok();
    let enter = |tool: &str, options: &[&str]| {
        let mut enter = world.command(tool);
        enter.env("PATH", PATH).args(["-t", &pid]).args(options).args(["sh", "-c", leave]);
        enter.run().fails_with(7);
        container.command("sh").args(["-c", "echo >/probe-fifo"]).run().ok();
    };
    let ours = need!(static_tool("nsenter-rs"));
    enter(ours.to_str().unwrap(), &["-a", "-H"]);
    let wait = r"i=0; while [ $i -lt 300 ]; do i=$((i+1));
        for s in /proc/[0-9]*/stat; do read -r _ name _ <$s; case $name in '(nsenter-rs)') sleep 0.1; continue 2;; esac; done; exit 0; done 2>/dev/null; exit 1";
    let _ = container.command("sh").args(["-c", wait]).run();
    assert_eq!(zombies(), "");
    // And a container that is full of zombies is no reason to refuse.
    enter("nsenter", &["-p", "-m"]);
    let twin = || (0..100).find(|_| !zombies().is_empty());
    assert!(twin().is_some(), "a naive nsenter leaves a zombie");
    let mut again = world.command(ours);
    again.env("PATH", PATH).args(["-t", &pid, "-a", "-H", "true"]).run().ok().stderr_is("");
}
