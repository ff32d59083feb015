//! --confine, as the engines themselves run programs in their containers.
//!
//! Oracles: `docker exec`, which takes from the container's configuration what we take from its process. Podman's
//! forgets the primary group among the others, so there it is what the container's first process says.

use support::run::{Ran, Run};
use support::scratch::unique;
use support::skip::{Missing, need, program};
use support::tools;
use support::world::{IMAGE, World};

/// Who a process is, and what it may.
const STATUS: &str = "^(Uid|Gid|Groups|Cap...|NoNewPrivs):";

/// All of that, and all else that docker exec sees to.
const EVERYTHING: &str = "grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs):' /proc/self/status
    cat /proc/self/cgroup /proc/self/oom_score_adj; for kind in /proc/self/ns/*; do readlink $kind; done; env | sort";

const NOTE: &str = "nsenter-rs: the container's seccomp filter is not applied to the program\n";

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

fn confined(world: &World, target: &str, words: &[&str]) -> Ran {
    world.tool("nsenter-rs").args(["-t", target, "-a", "--confine"]).args(words).run()
}

#[test]
fn it_is_as_docker_exec_would_run_it() {
    let world = need!(docker());
    let mut ways: Vec<&[&str]> = vec![
        &[],
        &["--user", "1000:1000"],
        &["--user", "65534"],
        &["--cap-drop", "ALL", "--cap-add", "NET_RAW"],
        &["--cap-add", "SYS_ADMIN", "--user", "7:8", "--group-add", "9"],
        &["--security-opt", "no-new-privileges"],
        &["--security-opt", "no-new-privileges", "--cap-drop", "CHOWN", "--user", "1000"],
        &["--group-add", "27", "--group-add", "1234"],
        &["--ulimit", "nofile=100:200", "--ulimit", "core=0:0", "--ulimit", "cpu=100"],
        &[
            "--oom-score-adj",
            "500",
            "--env",
            "A=b c",
            "--env",
            "PATH=/bin",
            "--pids-limit",
            "20",
            "--read-only",
        ],
    ];
    // Where Docker may not have all capabilities itself, it starts no such container.
    let privileged = world.command("docker").args(["run", "--rm", "--privileged", IMAGE, "true"]).run();
    if privileged.status.is_some_and(|status| status.success()) {
        ways.push(&["--privileged"]);
    }
    for way in ways {
        let web = world.docker_container("web", way);
        let exec = web.command("sh").args(["-c", EVERYTHING]).run().ok();
        let ran = confined(&world, &web.name, &["sh", "-c", EVERYTHING]).ok().stdout_is(&exec.stdout);
        let has_filter = !way.contains(&"--privileged");
        ran.stderr_is(if has_filter { NOTE } else { "" });
        // Of a runc in Go 1.19 the soft limit of open files is now this and now that (opencontainers/runc#4195).
        let limits = web.command("cat").arg("/proc/1/limits").run().ok();
        confined(&world, &web.name, &["cat", "/proc/self/limits"]).ok().stdout_is(&limits.stdout);
    }
}

#[test]
fn options_that_say_who_it_is_win() {
    let world = need!(docker());
    let web = world.docker_container("web", &["--user", "1000:1001", "--group-add", "9"]);
    let ids = |words: &[&str]| {
        let words = [words, &["sh", "-c", "id -u; id -g; id -G"]].concat();
        confined(&world, &web.name, &words).ok().stdout
    };
    assert_eq!(ids(&[]), "1000\n1001\n1001 9\n");
    assert_eq!(ids(&["-S", "7"]), "7\n1001\n1001 9\n");
    assert_eq!(ids(&["-G", "8"]), "1000\n8\n8\n");
    let exec = web.command("grep").args(["CapBnd", "/proc/self/status"]).run().ok();
    let ran = confined(&world, &web.name, &["-S", "0", "-G", "0", "grep", "CapBnd", "/proc/self/status"]);
    ran.ok().stdout_is(&exec.stdout);
}

#[test]
fn it_is_as_podmans_container_in_a_user_namespace_too() {
    let world = need!(World::get().and_then(World::with_podman));
    let ways = [
        "--user 1000:1000 --cap-add NET_RAW",
        "--uidmap 0:200000:65536 --gidmap 0:200000:65536 --user 5:6 --group-add 7",
        "--uidmap 0:200000:65536 --gidmap 0:200000:65536 --cap-drop CHOWN",
        "--privileged --security-opt no-new-privileges",
    ];
    let podman = |words: &str| {
        let mut podman = world.engine("podman");
        podman.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs"]).args(words.split(' '));
        podman.run()
    };
    for way in ways {
        let name = unique("confined-");
        let limits = "--ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --network none";
        podman(&format!("run --detach --name {name} {limits} {way} localhost/{IMAGE} sleep infinity")).ok();
        let init = podman(&format!("exec {name} grep -E {STATUS} /proc/1/status"));
        let cgroup = podman(&format!("exec {name} cat /proc/1/cgroup"));
        let [ours, group] = [&["grep", "-E", STATUS, "/proc/self/status"][..], &["cat", "/proc/self/cgroup"]]
            .map(|words| confined(&world, &format!("podman:{name}"), words));
        podman(&format!("rm --force --time 0 {name}"));
        ours.ok().stdout_is(&init.ok().stdout);
        group.ok().stdout_is(&cgroup.ok().stdout);
    }
}

/// A user of the world who runs Podman without root.
struct User {
    world: World,
    uid: u32,
}

impl User {
    #[track_caller]
    fn with_podman(uid: u32) -> Result<User, Missing> {
        let world = World::get().and_then(|world| world.with("podman"))?.with("crun")?.with("runc")?;
        program("setpriv", "util-linux")?;
        let user = User { world, uid };
        let home = "mkdir -p /run/user/$0 /run/home-$0; chown $0:$0 /run/user/$0 /run/home-$0; chmod 700 /run/user/$0
            tar -c -C /var/lib/netns-toolbox/rootfs . >/run/image-$0.tar; chmod 644 /run/image-$0.tar";
        user.root(home).ok();
        user.podman("import /run/image-$0.tar localhost/box").ok();
        Ok(user)
    }

    fn root(&self, script: &str) -> Ran {
        self.world.engine("bash").args(["-ec", script, &self.uid.to_string()]).run()
    }

    fn own(&self, line: &str) -> Ran {
        self.root(&format!(
            "cd /; export HOME=/run/home-$0 XDG_RUNTIME_DIR=/run/user/$0
             exec setpriv --reuid=$0 --regid=$0 --clear-groups {line}"
        ))
    }

    fn podman(&self, line: &str) -> Ran {
        self.own(&format!("podman --storage-driver vfs {line}"))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let script = "export HOME=/run/home-$0 XDG_RUNTIME_DIR=/run/user/$0; cd /
            setpriv --reuid=$0 --regid=$0 --clear-groups podman --storage-driver vfs rm --force --all --time 0
            rm -rf /run/user/$0 /run/home-$0 /run/image-$0.tar";
        let mut shell = self.world.engine("bash");
        let _ = shell.args(["-c", script, &self.uid.to_string()]).start().ends();
    }
}

#[test]
fn a_rootless_container_holds_its_user_and_root_alike() {
    let user = need!(User::with_podman(4251));
    for (runtime, more) in [("crun", "--cgroups=disabled"), ("runc", "--cap-drop CHOWN")] {
        let options = "--network none --ulimit nofile=1024:1024 --ulimit nproc=1000:1000";
        let run = format!("run --detach --name by-{runtime} {options} {more} localhost/box sleep infinity");
        user.podman(&format!("--runtime {runtime} --cgroup-manager cgroupfs {run}")).ok();
        let pid = user.podman(&format!("inspect --format '{{{{.State.Pid}}}}' by-{runtime}")).ok();
        let all = format!("sh -c \"grep -E '{STATUS}' /proc/1/status; cat /proc/1/cgroup /proc/1/limits\"");
        let init = user.podman(&format!("exec by-{runtime} {all}")).ok();
        let tool = tools::tool("nsenter-rs");
        let enter =
            format!("{tool} -t {} -a --confine {}", pid.text(), all.replace("/proc/1/", "/proc/self/"));
        user.own(&enter).ok().stdout_is(&init.stdout);
        user.root(&enter).ok().stdout_is(&init.stdout);
    }
}
