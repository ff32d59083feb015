//! `--watch`: links follow containers, whatever happens to engines and to the watch itself.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{everything, mounts_at, netns_link};
use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::{Answer, FakeEngine, Script};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::need;
use support::spare_docker::SpareDocker;
use support::tools;
use support::until::until;
use support::world::World;

/// A watch whose stderr is in its stdout, so that one can wait for both.
fn watch(lab: &Lab) -> RunningProgram {
    lab.shell(&format!("exec {} --watch 2>&1", tools::tool("netns-link"))).start()
}

fn engine(lab: &Lab, containers: &[&Container]) -> FakeEngine {
    fake_docker::knows(containers).listen(lab.path("/run/docker.sock"))
}

#[track_caller]
fn is_named(lab: &Lab, container: &Container) {
    let pid = container.pid.to_string();
    let named = format!("{}\n", container.name);
    lab.command("ip").args(["netns", "identify", &pid]).run().ok().stdout_is(&named);
}

#[test]
fn links_come_and_go_with_the_containers() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    let first = engine(&lab, &[&web]);
    let watch = watch(&lab);
    watch.wait_for("+ web\n");
    is_named(&lab, &web);
    drop(first);
    let db = lab.container("db", Options::default());
    web.stop();
    let second = engine(&lab, &[&web, &db]);
    watch.wait_for("- web\n");
    watch.wait_for("+ db\n");
    is_named(&lab, &db);
    assert_eq!(mounts_at(&lab, "/run/netns/web"), 0);
    drop(second);
    web.restart();
    let _third = engine(&lab, &[&web, &db]);
    until("web is linked again", || watch.so_far().stdout.matches("+ web\n").count() >= 2);
    is_named(&lab, &web);
}

#[test]
fn an_engine_that_goes_away_takes_no_link_with_it() {
    let lab = need!(Lab::new());
    let (web, mut db) = (lab.container("web", Options::default()), lab.container("db", Options::default()));
    let running = engine(&lab, &[&web, &db]);
    let watch = watch(&lab);
    watch.wait_for("+ db\n");
    watch.wait_for("+ web\n");
    drop(running);
    watch.wait_for("netns-link: ");
    let hung = Script::new().otherwise(Answer::never()).listen(lab.path("/run/docker.sock"));
    watch.wait_for("did not answer");
    is_named(&lab, &web);
    is_named(&lab, &db);
    // That it has ended the kernel says, and needs no engine for it.
    db.stop();
    watch.wait_for("- db\n");
    drop(hung);
    let other = lab.container("other", Options::default());
    let _again = engine(&lab, &[&web, &db, &other]);
    watch.wait_for("+ other\n");
    is_named(&lab, &web);
    assert_eq!(watch.so_far().stdout.matches("web").count(), 1, "{}", watch.so_far());
}

#[test]
fn what_a_watch_that_was_killed_has_missed_the_next_makes_up_for() {
    let lab = need!(Lab::new());
    let [mut gone, mut anew, lost] =
        ["gone", "anew", "lost"].map(|name| lab.container(name, Options::default()));
    let before = engine(&lab, &[&gone, &anew, &lost]);
    let killed = watch(&lab);
    for name in ["gone", "anew", "lost"] {
        killed.wait_for(&format!("+ {name}\n"));
    }
    killed.signal_behind_nsenter(Signal::SIGKILL);
    assert!(killed.ends());
    drop(before);
    gone.stop();
    anew.restart();
    // As a link looks whose maker was killed half-way.
    lab.shell("umount -l /run/netns/lost").run().ok();
    let new = lab.container("new", Options::default());
    let _after = engine(&lab, &[&gone, &anew, &lost, &new]);
    let watch = watch(&lab);
    watch.wait_for("+ new\n");
    let said = watch.so_far().stdout;
    assert_eq!(said, "- gone\n~ anew\n~ lost\n+ new\n");
    for container in [&anew, &lost, &new] {
        is_named(&lab, container);
    }
}

#[test]
fn only_links_that_were_made_for_containers_are_touched() {
    let lab = need!(Lab::new());
    let hosty = lab.container("hosty", Options::only(&["mnt"]));
    let (mut process, mut mine) =
        (lab.container("p", Options::default()), lab.container("web", Options::default()));
    let first = engine(&lab, &[&mine, &hosty]);
    netns_link(&lab, &[&process.pid.to_string(), "--as", "process"]).ok();
    netns_link(&lab, &["--new", "new"]).ok();
    netns_link(&lab, &["web", "--as", "mine"]).ok();
    lab.shell("ip netns add theirs; ln -s nowhere /run/netns/symlink").run().ok();
    drop(first);
    process.stop();
    mine.restart();
    let second = engine(&lab, &[&mine, &hosty]);
    let watch = watch(&lab);
    watch.wait_for("+ web\n");
    assert_eq!(watch.so_far().stdout, "~ mine\n+ web\n");
    drop(second);
    mine.stop();
    let _third = engine(&lab, &[&mine, &hosty]);
    watch.wait_for("- mine\n");
    watch.wait_for("- web\n");
    let left = lab.shell("ls /run/netns").run().ok();
    left.stdout_is("new\nprocess\nsymlink\ntheirs\n");
}

#[test]
fn a_name_that_is_taken_is_told_once_and_left_alone() {
    let lab = need!(Lab::new());
    let (web, db) = (lab.container("web", Options::default()), lab.container("db", Options::default()));
    lab.command("ip").args(["netns", "add", "web"]).run().ok();
    let first = engine(&lab, &[&web]);
    let watch = watch(&lab);
    watch.wait_for("netns-link: /run/netns/web: is another network namespace\n");
    drop(first);
    let _second = engine(&lab, &[&web, &db]);
    watch.wait_for("+ db\n");
    assert!(watch.so_far().stdout.matches("is another network").count() <= 2, "{}", watch.so_far());
    lab.command("ip").args(["netns", "identify", &web.pid.to_string()]).run().ok().stdout_is("\n");
}

#[test]
fn a_signal_ends_it_and_the_links_stay() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let lab = need!(Lab::new());
        let web = lab.container("web", Options::default());
        let _engine = engine(&lab, &[&web]);
        let watch = watch(&lab);
        watch.wait_for("+ web\n");
        let before = everything(&lab);
        watch.signal_behind_nsenter(signal);
        watch.finish().killed_by(signal).stdout_is("+ web\n");
        assert_eq!(everything(&lab), before);
    }
}

#[test]
fn each_change_is_a_line_of_json_on_demand() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    let first = engine(&lab, &[&web]);
    let watch = lab.tool("netns-link").args(["--watch", "--json"]).start();
    watch.wait_for("}\n");
    drop(first);
    web.stop();
    watch.wait_for("\"unlinked\"");
    let said = watch.so_far().stdout;
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |line: &Value| ["change", "name", "engine", "container"].map(|field| line[field].clone());
    assert_eq!(told(&lines[0]), ["linked", "web", "docker", "web"]);
    assert_eq!(told(&lines[1]), ["unlinked", "web", "docker", "web"]);
    assert!(lines[0]["netns_inode"].is_u64() && lines[1]["netns_inode"].is_null());
}

/// In the world, over a `/run/netns` that no other test sees.
struct Private(RunningProgram);

impl Private {
    /// `shell` is the world's, and gets the script.
    fn watch(shell: impl Fn(&str) -> Command) -> Private {
        let watch = format!(
            "mkdir -p /run/netns; mount -t tmpfs none /run/netns; {} --watch 2>&1 & \
             while read -r line; do eval \"$line\"; done; kill $!",
            tools::tool("netns-link")
        );
        let script = format!("exec unshare --mount --propagation private sh -c '{watch}'");
        Private(shell(&script).start_with(Stdio::piped()))
    }

    /// Runs `command` there, and waits until it or the watch has said `expected`.
    #[track_caller]
    fn says(&mut self, command: &str, expected: &str) {
        self.0.say(&format!("{command}\n"));
        self.0.wait_for(expected);
    }
}

#[test]
fn real_containers_are_followed() {
    let world = need!(World::get().and_then(World::with_docker));
    let mut watch = Private::watch(|script| {
        let mut shell = world.command("sh");
        shell.args(["-c", script]);
        shell
    });
    let web = world.docker_container("web", &[]);
    let name = web.name.clone();
    watch.0.wait_for(&format!("+ {name}\n"));
    let inside = web.command("readlink").arg("/proc/self/ns/net").run().ok().stdout;
    watch.says(&format!("ip netns exec {name} readlink /proc/self/ns/net"), &inside);
    // Who shares its network, or the host's, has no link of its own.
    let side = world.docker_container("aside", &["--network", &format!("container:{name}")]);
    let hosty = world.docker_container("hosty", &["--network", "host"]);
    let last = world.docker_container("last", &[]);
    watch.0.wait_for(&format!("+ {}\n", last.name));
    for other in [&side, &hosty] {
        assert!(!watch.0.so_far().stdout.contains(&other.name), "{}", watch.0.so_far());
    }
    web.restart();
    let inside = web.command("readlink").arg("/proc/self/ns/net").run().ok().stdout;
    watch.says(
        &format!(
            "while ! ip netns exec {name} readlink /proc/self/ns/net | grep -F '{}'; do sleep 0.02; done",
            inside.trim()
        ),
        &inside,
    );
    drop(side);
    drop(web);
    watch.0.wait_for(&format!("- {name}\n"));
}

#[test]
fn a_real_engine_that_is_killed_and_started_again_takes_no_link_with_it() {
    let mut docker = need!(SpareDocker::start());
    docker.run("web");
    docker.run("db");
    let mut watch = Private::watch(|script| docker.shell(script));
    watch.0.wait_for("+ web\n");
    watch.0.wait_for("+ db\n");
    docker.kill_daemon();
    watch.says("ls /run/netns | xargs", "db web\n");
    docker.start_daemon();
    docker.run("new");
    watch.0.wait_for("+ new\n");
    let said = watch.0.so_far().stdout;
    assert!(!said.contains("- ") && said.matches("+ ").count() == 3, "{said}");
    docker.docker(&["rm", "--force", "db"]).ok();
    watch.0.wait_for("- db\n");
    let pid = docker.pid("web");
    watch.says(&format!("ip netns identify {pid}"), "web\n");
}
