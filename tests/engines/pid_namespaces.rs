//! PIDs are those of the engine's PID namespace: where that is not ours, and where nothing shows that a process is the
//! container's, no process is believed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use nix::unistd::geteuid;
use serde_json::Value;

use crate::by_hand::{Host, docker_config, id, process};
use crate::containerd::{Task, containerd};
use support::container::Options;
use support::fake_docker;
use support::fake_engine::{Answer, Script};
use support::lab::Lab;
use support::run::{Ran, Run, RunningProgram};
use support::scratch::{Scratch, unique};
use support::skip::{Missing, need, program};
use support::spare_docker::SpareDocker;
use support::tools;
use support::world::World;

/// `nobody`, whom every host has.
const USER: u32 = 65534;

/// An engine that says of every container that it is `web`, and that `web` is this process since then.
fn says(pid: i32, started_at: &str) -> Script {
    let mut web: Value = docker_config(&id('a'), "web", true);
    web["Id"] = id('a').into();
    web["State"]["Pid"] = pid.into();
    web["State"]["Status"] = "running".into();
    web["State"]["StartedAt"] = started_at.into();
    Script::new().otherwise(Answer::json(200, &web.to_string()))
}

#[test]
fn tools_in_another_pid_namespace_than_docker_say_so() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &[]);
    let cpid = tools::tool("cpid");
    let other = |options: &[&str], arguments: &[&str]| {
        let mut unshare = world.command("unshare");
        unshare.args(["--mount", "--pid", "--fork"]).args(options).arg(cpid).args(arguments);
        unshare.run().fails_with(2)
    };
    for options in [["--mount-proc"].as_slice(), &[]] {
        for arguments in [[web.name.as_str()].as_slice(), &["--engine", "docker", "--list"], &[&web.id[..12]]]
        {
            let said = other(options, arguments);
            said.stderr_has("docker's containers are in another PID namespace").stderr_has("--pid=host");
        }
    }
    // Its state on disk has the same numbers: it is not read in the place of the API.
    let link = |name: &str| {
        let mut unshare = world.command("unshare");
        unshare.args(["--mount", "--pid", "--fork", "--mount-proc"]).arg(tools::tool("netns-link")).arg(name);
        unshare.run().fails_with(2)
    };
    link(&web.name).stderr_has("another PID namespace");
    world.tool("cpid").arg(&web.name).run().ok();
}

#[test]
fn tools_in_another_pid_namespace_than_containerd_say_so() {
    let world = need!(containerd());
    let task = Task::run(&world, "default", &[]);
    let mut unshare = world.command("unshare");
    unshare.args(["--mount", "--pid", "--fork", "--mount-proc", tools::tool("cpid")]);
    let said = unshare.arg(format!("containerd:{}", task.id)).run().fails_with(2).stdout_is("");
    said.stderr_has("containerd's containers are in another PID namespace").stderr_has("--pid=host");
}

/// `cpid ARGS` in a PID namespace that is younger than all containers of the world.
fn in_younger_namespace(mut command: Command, words: &[&str]) -> Ran {
    let script = "exec unshare --mount --pid --fork --mount-proc \"$0\" \"$@\"";
    command.args(["-c", script, tools::tool("cpid")]).args(words).run()
}

#[test]
fn what_is_on_disk_of_another_pid_namespace_is_not_said_to_have_ended() {
    let world = need!(World::get().and_then(World::with_podman));
    let (name, bundle) = (unique("web-"), concat!(env!("CARGO_MANIFEST_DIR"), "/tests/setup/bundle"));
    let run = r#"podman run --detach --network none --name "$0" localhost/netns-toolbox/busybox sleep infinity
        for runtime in runc crun; do
            "$1" "/run/$0-$runtime" sleep infinity
            $runtime run --detach --bundle "/run/$0-$runtime" "$0-$runtime" </dev/null >"/run/$0-$runtime/log" 2>&1
        done"#;
    world.engine("sh").args(["-ec", run, &name, bundle]).run().ok();
    let words = [("podman", format!("podman:{name}")), ("oci", format!("oci:{name}-runc"))];
    let words = words.into_iter().chain([("oci", format!("oci:{name}-crun"))]).collect::<Vec<_>>();
    for (engine, word) in &words {
        world.tool("cpid").arg(word).run().ok();
        let said = in_younger_namespace(world.command("sh"), &[word]).fails_with(2).stdout_is("");
        said.stderr_has(&format!("{engine}'s containers are in another PID namespace"))
            .stderr_has("--pid=host");
        in_younger_namespace(world.command("sh"), &["--list", "--engine", engine]).fails_with(2);
    }
    // What has ended here has: the world is itself no host's first PID namespace.
    let end = r#"for runtime in runc crun; do $runtime kill "$0-$runtime" KILL; done; podman kill "$0""#;
    world.engine("sh").args(["-ec", end, &name]).run().ok();
    for (_, word) in &words {
        let exited = || world.tool("cpid").arg(word).run().stderr.contains("is not running (exited");
        support::until::until("it has ended", exited);
        world.tool("cpid").arg(word).run().fails_with(1);
    }
    let remove = r#"for runtime in runc crun; do $runtime delete --force "$0-$runtime"; rm -r "/run/$0-$runtime"; done
        podman rm --force "$0""#;
    world.engine("sh").args(["-ec", remove, &name]).run().ok();
}

#[test]
fn what_a_dead_docker_left_running_in_another_pid_namespace_is_not_said_to_have_ended() {
    let mut spare = need!(SpareDocker::start());
    spare.run("web");
    let pid = spare.pid("web");
    spare.kill_daemon();
    let shell = spare.shell("exec sh \"${@:2}\"");
    let said = in_younger_namespace(shell, &["web"]).fails_with(2).stdout_is("");
    said.stderr_has("docker's containers are in another PID namespace").stderr_has("--pid=host");
    spare.tool("cpid").arg("web").run().ok().stdout_is(&format!("{pid}\n"));
    spare.shell(&format!("kill -KILL {pid}")).run().ok();
    let exited = || spare.tool("cpid").arg("web").run().stderr.contains("is not running (exited");
    support::until::until("it has ended", exited);
}

#[test]
fn a_machine_is_not_what_has_its_pid_in_a_younger_pid_namespace() {
    need!(root());
    let host = Host::new();
    // Its leader was PID 1 of somewhere else; here that is cpid.
    let state = "NAME=web\nCLASS=container\nLEADER=1\nREALTIME=1700000000000000\nMONOTONIC=1000000\n";
    host.write("run/systemd/machines/web", state);
    let mut shell = tools::in_clean_environment(Command::new("sh"));
    shell.env("NETNS_TOOLBOX_ROOT", host.path("/"));
    let said = in_younger_namespace(shell, &["machine:web"]).fails_with(2).stdout_is("");
    said.stderr_has("machine's containers are in another PID namespace");
}

#[test]
fn where_proc_shows_nothing_or_other_processes_no_pid_is_believed() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &[]);
    let cpid = tools::tool("cpid").to_owned();
    let mut without = world.command("unshare");
    without.args(["--mount", "sh", "-c", "umount -l /proc && exec \"$@\"", "sh", &cpid, &web.name]);
    without.run().fails_with(2).stdout_is("");
    // The host's /proc in a PID namespace of its own: PID 1 there is not that one.
    let mut others = world.command("unshare");
    others.args(["--pid", "--fork", &cpid, "1"]);
    others
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("/proc does not show the processes of our PID namespace");
}

#[test]
fn a_docker_in_a_container_does_not_lend_its_pids_to_the_host() {
    let lab = need!(Lab::new());
    let inner = lab.container("inner", Options::only(&["net"]));
    let _engine = fake_docker::knows(&[&inner]).listen(lab.path("/run/docker.sock"));
    // In there it is right.
    lab.tool("cpid").arg("inner").run().ok().stdout_is(&format!("{}\n", inner.pid));
    let host = Host::new();
    let address = format!("unix://{}", lab.path("/run/docker.sock").display());
    let said = host.cpid(&["inner"]).env("DOCKER_HOST", &address).run().fails_with(2).stdout_is("");
    said.stderr_has("docker's containers are in another PID namespace").stderr_has("hint: run it where");
    let listed = host.cpid(&["--list"]).env("DOCKER_HOST", &address).run().fails_with(2);
    listed.stderr_has("another PID namespace");
}

#[test]
fn a_pid_that_nothing_ties_to_the_container_is_not_believed_of_an_engine_of_root_either() {
    let (_process, pid, _) = process();
    let host = Host::new();
    host.directory("run");
    // systemd or `ssh -L` listens, in our PID namespace, for an engine that is in another one, or on another machine.
    let far = says(pid, "2024-01-01T00:00:00Z").listen(host.path("run/docker.sock"));
    for target in ["web", "docker:web", &id('a')] {
        let said = host.cpid(&[target]).run().fails_with(2).stdout_is("");
        said.stderr_has(&format!("nothing shows that: PID {pid} is in no control group that root has named"))
            .stderr_has("hint: ");
    }
    drop(far);
    need!(root());
    let _near = says(pid, &fake_docker::just_now()).listen(host.path("run/docker.sock"));
    host.cpid(&["web"]).run().ok().stdout_is(&format!("{pid}\n"));
}

#[test]
fn what_an_ordinary_user_may_not_look_at_is_not_that_users() {
    need!(root());
    need!(program("setpriv", "util-linux"));
    let (_process, roots, _) = process();
    let stage = Stage::new();
    let started_at = fake_docker::just_now();
    let engine = says(roots, &started_at).listen_by(as_user("perl", &[]), stage.path("sock"));
    chown(stage.path("sock"), Some(USER), None).unwrap();
    let ask = || {
        let mut cpid = as_user(&stage.cpid, &[]);
        cpid.arg("web").env("DOCKER_HOST", engine.url());
        cpid.run()
    };
    let said = ask().fails_with(2).stdout_is("");
    said.stderr_has(&format!("claims PID {roots}, which is not in a user namespace of that user"));
}

#[test]
fn a_users_own_container_is_believed_of_the_users_own_engine() {
    need!(root());
    need!(program("setpriv", "util-linux"));
    let stage = Stage::new();
    let users = as_user("unshare", &[])
        .args(["--user", "--map-root-user", "--net", "sh", "-c", "echo ready; read -r _"])
        .start_with(std::process::Stdio::piped());
    need!(users.says("ready\n").then_some(()).ok_or_else(|| Missing::Fixable("no user namespace".into())));
    let engine =
        says(users.pid(), &fake_docker::just_now()).listen_by(as_user("perl", &[]), stage.path("sock"));
    chown(stage.path("sock"), Some(USER), None).unwrap();
    let mut cpid = as_user(&stage.cpid, &[]);
    cpid.arg("web").env("DOCKER_HOST", engine.url());
    cpid.run().ok().stdout_is(&format!("{}\n", users.pid()));
    drop::<RunningProgram>(users);
}

#[test]
fn a_user_of_the_group_docker_gets_the_answers_of_roots_docker() {
    let world = need!(World::get().and_then(World::with_docker));
    need!(program("setpriv", "util-linux"));
    let web = world.docker_container("web", &[]);
    let group =
        world.command("stat").args(["--format", "%g", "/run/docker.sock"]).run().ok().text().to_owned();
    let cpid = tools::tool("cpid").to_owned();
    // Through a descriptor: the directories above the program may be closed to others.
    let script =
        "exec 9<\"$1\"; exec setpriv --reuid=1000 --regid=1000 --groups=\"$2\" /proc/self/fd/9 \"$3\"";
    let mut user = world.command("sh");
    user.args(["-c", script, "sh", &cpid, &group, &web.name])
        .run()
        .ok()
        .stdout_is(&format!("{}\n", web.pid()));
}

fn root() -> Result<(), Missing> {
    let why = || Missing::Fixable("two users are needed: run the tests as root".into());
    geteuid().is_root().then_some(()).ok_or_else(why)
}

/// A directory that every user can write to, with a copy of cpid: the build may be in somebody's closed home.
struct Stage {
    directory: Scratch,
    cpid: String,
}

impl Stage {
    fn new() -> Stage {
        let directory = Scratch::new();
        fs::set_permissions(directory.as_ref(), Permissions::from_mode(0o777)).unwrap();
        let copy = directory.path("cpid");
        fs::copy(tools::tool("cpid"), &copy).unwrap();
        fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
        Stage { cpid: copy.to_str().unwrap().to_owned(), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path(name)
    }
}

fn as_user(program: &str, arguments: &[&str]) -> Command {
    let mut setpriv = tools::in_clean_environment(Command::new("setpriv"));
    setpriv.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups", program]);
    setpriv.args(arguments).current_dir("/");
    setpriv
}
