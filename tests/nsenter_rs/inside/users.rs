//! The view where user namespaces are in the way.

use std::process::Stdio;

use super::furnished;
use support::lab::Lab;
use support::name_server;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};

/// A host, and a container that an ordinary user made in a user namespace of its own, with its PID.
fn rootless() -> Result<(super::Scene, RunningProgram, String), Missing> {
    let lab = Lab::with_users()?;
    lab.user_namespace()?;
    program("setpriv", "util-linux")?;
    let scene = furnished(lab)?.with_sysfs()?;
    let tool = std::fs::copy(support::tools::tool("nsenter-rs"), scene.lab.path("/run/nsenter-rs"));
    assert!(tool.is_ok(), "{tool:?}");
    let script = "read -r pid _ </proc/self/stat; mount -t tmpfs none /tmp; cd /tmp; mkdir -p etc old proc usr; \
        echo nameserver 127.0.0.1 >etc/resolv.conf; echo 198.18.5.5 rootless >etc/hosts; ip link set lo up; \
        for dir in /usr /bin /sbin /lib /lib64; do if [ -h $dir ]; then cp -P $dir .$dir; else [ ! -d $dir ] || { mkdir -p .$dir; mount --rbind $dir .$dir; }; fi; done; \
        mount -t proc proc proc; pivot_root . old; cd /; umount -l /old; echo $pid; read -r _";
    let mut unshare = scene.lab.command("setpriv");
    unshare.args(["--reuid=1000", "--regid=1000", "--clear-groups", "unshare", "--user", "--map-root-user"]);
    unshare.args(["--net", "--pid", "--mount", "--fork", "sh", "-ec", script]);
    let container = unshare.start_with(Stdio::piped());
    let Some(pid) = container.first_line() else { panic!("{}", container.so_far()) };
    Ok((scene, container, pid))
}

const LOOK: &str =
    "getent hosts rootless; getent hosts api; echo /sys/class/net/*; set -- /proc/[0-9]*; echo $#; id -u";
const SEEN: &str = "198.18.5.5      rootless\n198.18.7.7      api\n/sys/class/net/lo\n2\n0\n";

#[test]
fn root_and_its_owner_have_the_view_of_a_users_container() {
    let (scene, _container, pid) = need!(rootless());
    let entering = ["nsenter", "--target", &pid, "--net", "--"];
    let _server = name_server::start(&scene.lab, &entering, "198.18.7.7");
    let root = |options: &[&str]| {
        let mut enter = scene.lab.command("/run/nsenter-rs");
        enter.args(["-t", &pid]).args(options).args(["--inside", "sh", "-c", LOOK]).run()
    };
    root(&[]).ok().stdout_is(SEEN);
    root(&["-U"]).ok().stdout_is(SEEN);
    root(&["-U", "--preserve-credentials"]).ok().stdout_has("198.18.5.5      rootless\n");
    let mut owner = scene.lab.command("setpriv");
    owner.args(["--reuid=1000", "--regid=1000", "--clear-groups", "/run/nsenter-rs", "-t", &pid]);
    owner.args(["-U", "--inside", "sh", "-c", LOOK]).run().ok().stdout_is(SEEN);
}

#[test]
fn whoever_runs_in_it_can_read_the_files() {
    let (scene, _container, pid) = need!(rootless());
    let script = format!(
        "umask 077; /run/nsenter-rs -t {pid} --dns -S 2000 -G 2000 cat /etc/hosts /etc/resolv.conf /etc/nsswitch.conf"
    );
    scene.lab.shell(&script).run().ok().stdout_has("198.18.5.5 rootless\n");
}

#[test]
fn what_is_refused_names_the_rule() {
    let (scene, _container, pid) = need!(rootless());
    // Over a part of /sys: below the first user namespace a new one would show more than the caller is shown.
    scene.lab.shell("mount -t tmpfs cover /sys/kernel; mount -t tmpfs cover /proc/sys").run().ok();
    let refused = |option: &str| {
        let mut enter = scene.lab.command("/run/nsenter-rs");
        let ran = enter.args(["-t", &pid, "-U", option, "echo", "ran"]).run();
        ran.fails_with(1).stdout_is("").stderr_has("something is mounted over a part of it")
    };
    refused("--sys").stderr_has("nsenter-rs: /sys: permission denied").stderr_has("hint: findmnt -R /sys");
    refused("--proc").stderr_has("nsenter-rs: /proc: permission denied").stderr_has("hint: findmnt -R /proc");
}

#[test]
fn an_ordinary_user_is_told_what_it_would_take() {
    let (scene, _container, _) = need!(rootless());
    // A process of the user's own, in no other namespace: nothing is joined that would be refused first.
    let user = |script: &str| {
        let mut user = scene.lab.command("setpriv");
        user.args(["--reuid=1000", "--regid=1000", "--clear-groups", "sh", "-c", script]);
        user
    };
    let ran = user("/run/nsenter-rs -t $$ --dns echo ran; exit $?").run().fails_with(1).stdout_is("");
    ran.stderr_has("a mount namespace of its own: permission denied: requires CAP_SYS_ADMIN over ")
        .stderr_has(&scene.lab.namespace(1, "user"))
        .stderr_has("hint: sudo ");
    let ran =
        user(&format!("/run/nsenter-rs -t {} --dns echo ran", scene.pid)).run().fails_with(1).stdout_is("");
    ran.stderr_has("its files: permission denied: requires CAP_SYS_PTRACE").stderr_has("hint: sudo ");
}
