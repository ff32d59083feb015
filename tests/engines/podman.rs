//! Podman, the real one, without a daemon and with its API, and its state as nobody should find it.

use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::by_hand::{Host, id, process};
use support::run::Run;
use support::scratch::unique;
use support::skip::need;
use support::tools::PATIENT;
use support::until::{as_busy, until};
use support::world::World;

const IMAGE: &str = "localhost/netns-toolbox/busybox";

/// Containers that are removed when this is dropped.
struct Podman {
    world: World,
    /// What all names begin with.
    prefix: String,
    /// What our tools take for `/`: the world's state, and no socket.
    root: String,
}

impl Podman {
    #[track_caller]
    fn new(world: World) -> Podman {
        let prefix = unique("pod-");
        let root = format!("/run/{prefix}");
        let script = format!(
            "mkdir -p {root}/run/podman {root}/var; ln -s /var/lib {root}/var/lib
             for dir in containers libpod runc; do ln -s /run/$dir {root}/run/$dir; done"
        );
        world.command("sh").args(["-ec", &script]).run().ok();
        Podman { world, prefix, root }
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// `podman ARGS`, where a word `@NAME` is a name of ours.
    fn command(&self, args: &str) -> Command {
        let mut podman = self.world.engine("podman");
        let ours = |arg: &str| arg.strip_prefix('@').map(|name| self.name(name));
        podman.args(args.split(' ').map(|arg| ours(arg).unwrap_or(arg.to_owned())));
        podman
    }

    #[track_caller]
    fn ok(&self, args: &str) -> String {
        self.command(args).run().ok().text().to_owned()
    }

    fn run(&self, name: &str) {
        self.ok(&format!("run --detach --network none --name @{name} {IMAGE} sleep infinity"));
    }

    fn pid(&self, name: &str) -> String {
        self.ok(&format!("inspect --format {{{{.State.Pid}}}} @{name}"))
    }

    fn cpid(&self, name: &str) -> Command {
        let mut cpid = self.world.tool("cpid");
        cpid.env("NETNS_TOOLBOX_ROOT", &self.root);
        cpid.arg("-v").arg(format!("podman:{}", self.name(name)));
        cpid
    }

    /// Our containers in `cpid --list -a --json`, without what only the API knows.
    fn listed(&self) -> Vec<Value> {
        let mut cpid = self.world.tool("cpid");
        cpid.args(["--list", "-a", "--json", "--engine", "podman", "--engine-timeout", "5s"]);
        let all = cpid.env("NETNS_TOOLBOX_ROOT", &self.root).run().ok().json();
        let mut ours = all.as_array().unwrap().clone();
        ours.retain(|container| container["name"].as_str().unwrap().starts_with(&self.prefix));
        for key in ["exit_code", "started_at", "finished_at"] {
            ours.iter_mut().for_each(|container| drop(container.as_object_mut().unwrap().remove(key)));
        }
        ours
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let script = format!(
            "podman pod rm -f {0}-pod; podman ps -aq --filter name={0} | xargs -r podman rm -f -t 0; rm -rf {1}",
            self.prefix, self.root
        );
        let _ = self.world.engine("sh").args(["-c", &script]).start().ends();
    }
}

#[test]
fn every_state_is_told_without_a_daemon() {
    let podman = Podman::new(need!(World::get().and_then(World::with_podman)));
    for name in ["web", "frozen", "twice", "stopped"] {
        podman.run(name);
    }
    podman.ok("pause @frozen");
    podman.ok("restart --time 0 @twice");
    podman.ok("stop --time 0 @stopped");
    podman.ok(&format!("create --name @made --network none {IMAGE} true"));
    podman.ok(&format!("create --name @ready --network none {IMAGE} sleep infinity"));
    podman.ok("init @ready");
    for name in ["web", "frozen", "twice", "ready"] {
        let pid = podman.pid(name);
        podman
            .cpid(name)
            .run()
            .ok()
            .stdout_is(&format!("{pid}\n"))
            .stderr_has("according to its state on disk");
    }
    podman.cpid("made").run().fails_with(1).stderr_has("-made is not running (created)");
    podman.cpid("stopped").run().fails_with(1).stderr_has("-stopped is not running (exited)");
    let states: Vec<String> = podman
        .listed()
        .iter()
        .map(|container| {
            container["name"].as_str().unwrap().rsplit('-').next().unwrap().to_owned()
                + " "
                + container["state"].as_str().unwrap()
        })
        .collect();
    let expected =
        ["frozen paused", "made created", "ready created", "stopped exited", "twice running", "web running"];
    assert_eq!(states, expected);
}

#[test]
fn the_api_and_the_disk_tell_the_same_as_far_as_the_disk_goes() {
    let podman = Podman::new(need!(World::get().and_then(World::with_podman)));
    for name in ["web", "frozen", "stopped"] {
        podman.run(name);
    }
    podman.ok("pause @frozen");
    podman.ok("stop --time 0 @stopped");
    podman.ok(&format!("create --name @made --network none {IMAGE} true"));
    let source = |listed: &mut Vec<Value>| -> Vec<Value> {
        listed
            .iter_mut()
            .map(|container| container.as_object_mut().unwrap().remove("source").unwrap())
            .collect()
    };
    // A service of our own at the default place, as our tools see it.
    let root = &podman.root;
    let service = podman
        .world
        .engine("podman")
        .args(["system", "service", "--time", "0", &format!("unix://{root}/run/podman/podman.sock")])
        .start();
    podman
        .world
        .command("sh")
        .args(["-ec", &format!("while [ ! -S {root}/run/podman/podman.sock ]; do sleep 0.05; done")])
        .run()
        .ok();
    let pid = podman.pid("web");
    podman.cpid("web").run().ok().stdout_is(&format!("{pid}\n")).stderr_has("according to its API");
    podman.cpid("nope").run().fails_with(1).stderr_has("no such container");
    // The service answers a list with an error where a container goes while it looks, as other tests' do.
    let mut by_api = Vec::new();
    until("the service lists its containers", || {
        by_api = podman.listed();
        source(&mut by_api) == ["api"; 4]
    });
    drop(service);
    podman.world.command("rm").arg(format!("{root}/run/podman/podman.sock")).run().ok();
    let mut by_disk = podman.listed();
    assert_eq!(source(&mut by_disk), ["state"; 4]);
    assert_eq!(by_api, by_disk);
}

#[test]
fn a_pods_infra_container_is_a_container_too() {
    let podman = Podman::new(need!(World::get().and_then(World::with_podman)));
    podman
        .world
        .engine("podman")
        .args([
            "pod",
            "create",
            "--name",
            &podman.name("pod"),
            "--infra-name",
            &podman.name("infra"),
            "--network",
            "none",
            "--infra-image",
            IMAGE,
            "--infra-command",
            "sleep infinity",
        ])
        .run()
        .ok();
    podman.ok(&format!("run --detach --pod @pod --name @web {IMAGE} sleep infinity"));
    let listed = podman.listed();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[0]["netns_inode"], listed[1]["netns_inode"]);
    let pid = podman.pid("infra");
    podman.cpid("infra").run().ok().stdout_is(&format!("{pid}\n"));
}

/// A host with Podman's state of these containers: their IDs' digits, names and metadata.
fn host(entries: &[(char, &str, Value)]) -> Host {
    let host = Host::new();
    let list: Vec<Value> = entries
        .iter()
        .map(|(digit, name, metadata)| json!({ "id": id(*digit), "names": [name], "metadata": metadata.to_string() }))
        .collect();
    host.write("var/lib/containers/storage/vfs-containers/containers.json", json!(list).to_string());
    host
}

fn podmans(name: &str) -> Value {
    json!({ "image-name": "busybox", "image-id": "", "name": name, "created-at": 1 })
}

#[test]
fn crun_says_when_the_process_started() {
    let (_sleep, pid, ticks) = process();
    let host = host(&[('a', "web", podmans("web"))]);
    let status = |ticks: u64| json!({ "pid": pid, "process-start-time": ticks, "bundle": "/x" }).to_string();
    host.write(&format!("run/crun/{}/status", id('a')), status(ticks));
    host.cpid(&["podman:web"]).run().ok().stdout_is(&format!("{pid}\n"));
    host.write(&format!("run/crun/{}/status", id('a')), status(ticks - 1));
    host.cpid(&["podman:web"]).run().fails_with(1).stderr_has("web is not running (exited)");
}

#[test]
fn a_pidfile_that_outlived_its_container_is_not_believed() {
    let (_sleep, pid, _) = process();
    let host = host(&[('a', "web", podmans("web"))]);
    let (kept, run) = ("var/lib/containers/storage/vfs-containers", "run/containers/storage/vfs-containers");
    host.write(&format!("{run}/{}/userdata/pidfile", id('a')), pid.to_string());
    host.write(&format!("{kept}/{}/userdata/config.json", id('a')), "{}");
    host.cpid(&["podman:web"]).run().fails_with(1).stderr_has("web is not running (exited)");
    host.write(&format!("run/libpod/exits/{}", id('a')), "7");
    host.cpid(&["podman:web"]).run().fails_with(1).stderr_has("web is not running (exited, code 7, ");
}

#[test]
fn what_shares_podmans_storage_is_not_podmans() {
    let crio = json!({ "image-name": "busybox", "name": "k8s_web", "pod-id": id('f'), "pod-name": "web" });
    let host = host(&[('a', "k8s_web", crio), ('b', "buildah", Value::Null)]);
    for name in ["k8s_web", "buildah"] {
        host.cpid(&[&format!("podman:{name}")]).run().fails_with(1).stderr_has("no such container");
    }
}

#[test]
fn a_list_that_makes_no_sense_is_one_error_that_names_it() {
    for (content, why) in [
        ("[{\"id\":\"web\"", "EOF"),
        ("{\"web\":1}", "invalid type"),
        ("[{\"id\":7,\"web\":1}]", "invalid type"),
    ] {
        let host = host(&[]);
        host.write("var/lib/containers/storage/vfs-containers/containers.json", content);
        let began = Instant::now();
        // Without a socket and with state that cannot be read, it is not the socket that is missing.
        host.cpid(&["podman:web"]).run().fails_with(2).stderr_has("containers.json: ").stderr_has(why);
        assert!(began.elapsed() < as_busy(std::time::Duration::from_secs(5)));
    }
}

#[test]
fn a_real_pod_is_found_by_its_name_without_a_daemon() {
    let podman = Podman::new(need!(World::get().and_then(World::with_podman)));
    let [pod, named, gone] = ["pp", "pn", "gone"].map(|name| podman.name(name));
    let create = |more: &str| {
        let words = format!("pod create --network none --infra-image {IMAGE} --infra-command sleep {more}");
        // The command with its argument is one word.
        let mut create = podman.command(&words);
        create.args(["--infra-command", "sleep 600"]).run().ok()
    };
    create("--name @pp");
    create("--infra-name @infra --name @pn");
    create("--name @gone");
    podman.ok("pod start @pp @pn @gone");
    podman.ok("run --detach --pod @pp --name @inside busybox sleep infinity"
        .replace("busybox", IMAGE)
        .as_str());
    let infra = |pod: &str| {
        let id = podman.ok(&format!("pod inspect --format {{{{.InfraContainerID}}}} {pod}"));
        podman.ok(&format!("inspect --format {{{{.State.Pid}}}} {id}"))
    };
    let pids = [infra(&pod), infra(&named)];
    podman.ok("pod rm --force --time 0 @gone");
    let cpid = |target: &str| {
        let mut cpid = podman.world.tool("cpid");
        cpid.env("NETNS_TOOLBOX_ROOT", &podman.root).args(["-v", target]).run()
    };
    let found = [&pod, &named].map(|pod| cpid(&format!("pod:{pod}")));
    let others = [
        cpid(&format!("pod:{gone}")),
        cpid(&format!("pod:{}", &pod[..pod.len() - 1])),
        cpid(&format!("pod:prod/{pod}")),
    ];
    podman.ok("pod rm --force --time 0 @pp @pn");
    for (found, pid) in found.into_iter().zip(pids) {
        found.ok().stdout_is(&format!("{pid}\n"));
    }
    for other in others {
        other.fails_with(1).stdout_is("").stderr_has("no such container").stderr_has("podman");
    }
}

#[test]
fn a_real_pod_without_an_infra_container_is_found_by_its_containers() {
    let podman = Podman::new(need!(World::get().and_then(World::with_podman)));
    let pod = podman.name("pod");
    podman.ok("pod create --infra=false --name @pod");
    let run = |name: &str| {
        let words = format!("run --detach --pod @pod --network none --name @{name} {IMAGE} sleep infinity");
        podman.ok(&words);
        podman.pid(name)
    };
    let cpid = || {
        let mut cpid = podman.world.tool("cpid");
        cpid.env("NETNS_TOOLBOX_ROOT", &podman.root).args(["-v", &format!("pod:{pod}")]).run()
    };
    let none = cpid();
    let pid = run("one");
    let one = cpid();
    run("two");
    let two = cpid();
    podman.ok("stop --time 0 @two");
    let again = cpid();
    none.fails_with(1).stderr_has("no such container");
    one.ok().stdout_is(&format!("{pid}\n"));
    // They share no network: which of them is meant is not known.
    two.fails_with(2).stdout_is("").stderr_has("means 2 containers");
    again.ok().stdout_is(&format!("{pid}\n"));
}

#[test]
fn a_pod_without_an_infra_container_is_the_one_of_its_containers_that_runs() {
    let (_sleep, pid, ticks) = process();
    let (_other, other_pid, other_ticks) = process();
    let host = host(&[('a', "one", podmans("one")), ('b', "two", podmans("two")), ('c', "x", podmans("x"))]);
    let status = |pid: i32, ticks: u64| json!({ "pid": pid, "process-start-time": ticks }).to_string();
    host.write(&format!("run/crun/{}/status", id('a')), status(pid, ticks));
    host.write(&format!("run/crun/{}/status", id('c')), status(other_pid, other_ticks));
    let (pod, one, two) = (id('9'), id('a'), id('b'));
    let rows = format!("\0{{\"id\":\"{pod}\",\"name\":\"bare\"}}\0{one}one{pod}{{\0{two}two{pod}{{");
    host.write("var/lib/containers/storage/db.sql", rows);
    host.cpid(&["pod:bare"]).run().ok().stdout_is(&format!("{pid}\n"));
    host.write(&format!("run/crun/{two}/status"), status(other_pid, other_ticks));
    host.cpid(&["pod:bare"]).run().fails_with(2).stdout_is("").stderr_has("means 2 containers");
    // A list that is not BoltDB's is a doubt, and no answer.
    host.write("var/lib/containers/storage/libpod/bolt_state.db", "no database");
    host.cpid(&["pod:bare"]).run().fails_with(2).stdout_is("");
}

#[test]
fn one_name_in_two_real_engines_is_told_with_a_word_for_each() {
    let podman = Podman::new(need!(World::get().and_then(World::with_docker).and_then(World::with_podman)));
    podman.run("web");
    let (name, pid) = (podman.name("web"), podman.pid("web"));
    let docker = |args: &[&str]| podman.world.command("docker").args(args).run().ok();
    docker(&[
        "run",
        "--detach",
        "--network",
        "none",
        "--name",
        &name,
        "netns-toolbox/busybox",
        "sleep",
        "infinity",
    ]);
    let dockers = docker(&["inspect", "--format", "{{.State.Pid}}", &name]);
    let said = podman.world.tool("cpid").args([PATIENT, &name]).run().fails_with(2).stdout_is("");
    let hint = said.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).map(str::to_owned);
    assert_eq!(hint, Some(format!("say which: docker:{name} or podman:{name}")), "{said}");
    // Each word of the hint, as it stands there.
    let words = hint.unwrap().split_once(": ").unwrap().1.to_owned();
    for (word, pid) in words.split(" or ").zip([dockers.text(), &pid]) {
        podman.world.tool("cpid").args([PATIENT, word]).run().ok().stdout_is(&format!("{pid}\n"));
    }
    docker(&["rm", "--force", &name]);
}
