//! containerd: by task ID, in its namespaces; without Docker's; and what it makes of state that is not right.

use std::fs;

use serde_json::json;

use support::engine_state::{Host, id};
use support::run::Run;
use support::scratch::unique;
use support::skip::{Missing, need};
use support::until::until;
use support::world::World;

pub(crate) const IMAGE: &str = "localhost/netns-toolbox/busybox:latest";
const TASKS: &str = "/run/containerd/io.containerd.runtime.v2.task";

/// A task of the real containerd, ended and removed when this is dropped.
pub(crate) struct Task<'world> {
    world: &'world World,
    namespace: &'static str,
    pub(crate) id: String,
}

pub(crate) fn containerd() -> Result<World, Missing> {
    World::get()?.with("containerd")
}

impl Task<'_> {
    #[track_caller]
    pub(crate) fn run<'world>(
        world: &'world World,
        namespace: &'static str,
        options: &[&str],
    ) -> Task<'world> {
        let task = Task { world, namespace, id: unique("task") + "-end" };
        let mut ctr = world.command("ctr");
        ctr.args(["-n", namespace, "run", "--detach"]).args(options);
        ctr.args([IMAGE, &task.id, "sleep", "infinity"]).run().ok();
        task
    }

    /// What `ctr task list` says.
    #[track_caller]
    pub(crate) fn pid(&self) -> String {
        let listed = self.world.command("ctr").args(["-n", self.namespace, "task", "list"]).run().ok();
        let mut lines = listed.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        format!("{}\n", lines.find(|words| words[0] == self.id).expect("a task")[1])
    }

    /// Its process ends, and the task stays until somebody deletes it.
    #[track_caller]
    pub(crate) fn end(&self) {
        let ctr = |words: &[&str]| {
            let mut command = self.world.command("ctr");
            command.args(["-n", self.namespace, "task"]).args(words).arg(&self.id);
            command
        };
        ctr(&["kill", "--signal", "SIGKILL"]).run().ok();
        // It is ended when its shim has reaped it, which is when its runtime says so.
        until("the task has ended", || ctr(&["ps"]).run().stdout.lines().nth(1).is_none_or(str::is_empty));
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        for words in [["task", "delete", "--force"].as_slice(), &["container", "delete"]] {
            let mut ctr = self.world.command("ctr");
            drop(ctr.args(["-n", self.namespace]).args(words).arg(&self.id).run());
        }
    }
}

#[test]
fn a_task_of_the_real_containerd_is_found_by_id_by_prefix_and_in_its_namespace() {
    let world = need!(containerd());
    let task = Task::run(&world, "default", &[]);
    let (pid, id) = (task.pid(), &task.id);
    for target in [id, &id[..id.len() - 2], &format!("containerd:{id}"), &format!("containerd:default/{id}")]
    {
        world.tool("cpid").arg(target).run().ok().stdout_is(&pid).stderr_is("");
    }
    world.tool("cpid").arg(format!("containerd:k8s.io/{id}")).run().fails_with(1);
    let object = world.tool("cpid").args(["--json", id]).run().ok().json()[0].clone();
    assert_eq!((&object["engine"], &object["state"]), (&json!("containerd"), &json!("running")), "{object}");
    assert_eq!(object["source"], "state");
}

#[test]
fn a_task_whose_process_has_ended_is_not_running_though_its_pid_file_is_there() {
    let world = need!(containerd());
    let task = Task::run(&world, "default", &[]);
    task.end();
    world.tool("cpid").arg(&task.id).run().fails_with(1).stdout_is("").stderr_has("is not running (exited)");
}

#[test]
fn a_container_that_was_never_started_is_not_running_and_not_unknown() {
    let world = need!(containerd());
    let made = Task { world: &world, namespace: "default", id: unique("task") + "-end" };
    world.command("ctr").args(["containers", "create", IMAGE, &made.id, "true"]).run().ok();
    let id = &made.id;
    for target in [id, &id[..id.len() - 2], &format!("containerd:{id}"), &format!("containerd:default/{id}")]
    {
        let said = world.tool("cpid").arg(target).run().fails_with(1).stdout_is("");
        said.stderr_has(&format!("{id} is not running (created"));
    }
    world.tool("cpid").arg(format!("containerd:k8s.io/{id}")).run().fails_with(1).stderr_has("no such");
    world.tool("cpid").args(["--list", "--all"]).run().ok().stdout_has(id);
    assert!(!world.tool("cpid").arg("--list").run().ok().stdout.contains(id.as_str()));
    // The same of one whose task was deleted.
    let task = Task::run(&world, "default", &[]);
    world.command("ctr").args(["task", "delete", "--force", &task.id]).run().ok();
    world.tool("cpid").arg(&task.id).run().fails_with(1).stderr_has("is not running (created");
    // One that starts has a task.
    world.command("ctr").args(["run", "--detach", IMAGE, &format!("{id}2"), "sleep", "9"]).run().ok();
    let started = Task { world: &world, namespace: "default", id: format!("{id}2") };
    world.tool("cpid").arg(&started.id).run().ok().stdout_is(&started.pid());
}

#[test]
fn a_damaged_database_hides_no_container_that_runs() {
    const DATABASE: &str = "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db";
    let host = need!(Host::new());
    let plain = host.process("plain");
    host.task("default", "plain", plain.pid, &json!({}));
    for content in ["no database", &"\0".repeat(40_000)] {
        host.write(DATABASE, content);
        host.finds("plain", &plain);
        host.cpid(&["--list"]).run().ok().stdout_has("plain").stderr_is("");
        let unsure = host.cpid(&["nope"]).run().fails_with(2).stdout_is("");
        unsure
            .stderr_has("cannot tell whether there is such a container: ")
            .stderr_has("meta.db: is damaged");
        let listed = host.cpid(&["--list", "--all"]).run().fails_with(2).stdout_has("plain");
        listed.stderr_has("meta.db: is damaged");
    }
    // containerd has just made it.
    host.write(DATABASE, "");
    host.finds_nothing("nope");
    fs::remove_file(host.path(DATABASE)).unwrap();
    host.lab.shell(&format!("mkfifo /run/host{DATABASE}")).run().ok();
    host.cpid(&["nope"]).run().fails_with(2).stderr_has("meta.db: is not a regular file");
    host.finds("plain", &plain);
}

#[test]
fn a_container_that_is_paused_is_told_so_and_found() {
    let world = need!(containerd());
    let task = Task::run(&world, "default", &[]);
    world.command("ctr").args(["task", "pause", &task.id]).run().ok();
    let object = world.tool("cpid").args(["--json", &task.id]).run().ok().json()[0].clone();
    world.command("ctr").args(["task", "resume", &task.id]).run().ok();
    assert_eq!(object["state"], "paused", "{object}");
    assert_eq!(format!("{}\n", object["pid"]), task.pid());
}

#[test]
fn dockers_namespace_is_left_to_docker_unless_it_is_named() {
    let host = need!(Host::new());
    let (web, plain) = (host.process("web"), host.process("plain"));
    host.task("moby", &id("abc"), web.pid, &json!({}));
    host.task("default", "plain", plain.pid, &json!({}));
    host.finds_nothing("abc");
    host.finds("containerd:moby/abc", &web);
    host.finds("plain", &plain);
    assert_eq!(host.listed(), ["containerd:plain"]);
}

#[test]
fn runtimes_other_than_runc_and_the_first_kind_of_shim_are_found_alike() {
    let host = need!(Host::new());
    let (crun, old) = (host.process("crun"), host.process("old"));
    host.task("default", "crun", crun.pid, &json!({}));
    let status = json!({ "pid": crun.pid, "process-start-time": host.start_time(crun.pid), "bundle": "/b" });
    host.json("/run/containerd/runc/default/crun/status", &status);
    host.write("/run/containerd/io.containerd.runtime.v1.linux/default/old/init.pid", old.pid.to_string());
    host.finds("crun", &crun);
    host.finds("old", &old);
}

#[test]
fn a_pid_that_became_another_processs_is_refused_by_its_start_time() {
    let host = need!(Host::new());
    let web = host.process("web");
    host.task("default", "web", web.pid, &json!({}));
    host.finds("web", &web);
    host.runc_record("/run/containerd/runc/default/web", web.pid, host.start_time(web.pid) + 1);
    host.cpid(&["web"]).run().fails_with(1).stdout_is("").stderr_has("web is not running (exited)");
}

#[test]
fn a_task_that_has_no_process_yet_is_created() {
    let host = need!(Host::new());
    host.json(&format!("{TASKS}/default/web/config.json"), &json!({}));
    host.cpid(&["web"]).run().fails_with(1).stderr_has("web is not running (created)");
}

#[test]
fn damaged_state_is_one_clear_error_that_names_the_file() {
    let host = need!(Host::new());
    let web = host.process("web");
    host.task("default", "web", web.pid, &json!({}));
    let record = "/run/containerd/runc/default/web/state.json";
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("init.pid", b"12a".to_vec(), "init.pid: is not a number"),
        ("init.pid", vec![b'1'; 9 << 20], "init.pid: is longer than 8388608 bytes"),
        (record, b"{\"id\":\"web\",\"init_process_p".to_vec(), "state.json: EOF while parsing"),
        (record, b"{\"init_process_pid\":\"1\"}".to_vec(), "state.json: invalid type"),
        (record, b"{\"init_process_pid\":-1}".to_vec(), "state.json: has no valid PID"),
        (record, vec![b'['; 9 << 20], "state.json: is longer than 8388608 bytes"),
    ];
    for (file, content, message) in cases {
        let file = if file == record { file.to_owned() } else { format!("{TASKS}/default/web/{file}") };
        let before = fs::read(host.path(&file)).ok();
        host.write(&file, content);
        let ran = host.cpid(&["web"]).run().fails_with(2).stdout_is("").stderr_has(message);
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
        let list = host.cpid(&["--list", "-a", "--json"]).run().fails_with(2);
        list.stdout_is("[]\n").stderr_has(message);
        match before {
            Some(before) => host.write(&file, before),
            None => fs::remove_file(host.path(&file)).unwrap(),
        }
    }
    host.finds("web", &web);
}

#[test]
fn another_containers_damaged_configuration_hides_nobody_but_denies_nobody_either() {
    let host = need!(Host::new());
    let web = host.process("web");
    host.task("default", "web", web.pid, &json!({}));
    for content in [&b"{\"annotations\":{\"nope\":"[..], b"{\"annotations\":[\"nope\"]}"] {
        host.write(&format!("{TASKS}/default/broken/config.json"), content);
        host.finds("web", &web);
        host.cpid(&["nope"]).run().fails_with(2).stdout_is("").stderr_has("broken/config.json: ");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    let host = need!(Host::new());
    host.json(&format!("{TASKS}/default/web/config.json"), &json!({}));
    let pipe = format!("/run/host{TASKS}/default/web/init.pid");
    host.lab.command("mkfifo").arg(pipe).run().ok();
    host.cpid(&["web"]).run().fails_with(2).stderr_has("init.pid: is not a regular file");
}

#[test]
fn names_that_no_engine_gives_are_no_containers() {
    let host = need!(Host::new());
    let web = host.process("web");
    for name in ["web\u{1b}[2J", "we b", "-web", ".web", "wéb"] {
        host.task("default", name, web.pid, &json!({}));
    }
    host.finds_nothing("we");
    assert!(host.listed().is_empty());
}

#[test]
fn more_entries_than_any_engine_makes_are_an_error_in_bounded_time() {
    let host = need!(Host::new());
    let tasks = format!("/run/host{TASKS}/default");
    host.lab.shell(&format!("mkdir -p {tasks}; cd {tasks}; seq -f junk%.0f 100001 | xargs touch")).run().ok();
    host.cpid(&["web"]).run().fails_with(2).stdout_is("").stderr_has("has more than 100000 entries");
}

#[test]
fn more_bytes_than_any_engine_writes_are_an_error_in_bounded_time() {
    let host = need!(Host::new());
    let tasks = format!("/run/host{TASKS}/default");
    let sparse =
        "seq -f huge%.0f 1000 | while read -r id; do mkdir $id; truncate -s 8M $id/config.json; done";
    host.lab.shell(&format!("mkdir -p {tasks}; cd {tasks}; {sparse}")).run().ok();
    let ran = host.cpid(&["web"]).run().fails_with(2).stdout_is("");
    // On a busy machine the time for all that is read may be over first.
    let limits = ["comes after more than any engine writes", "the state of this engine is too large (10s)"];
    let is_limit =
        |line: &str| line.contains("config.json: ") && limits.iter().any(|limit| line.contains(limit));
    assert!(ran.stderr.lines().any(is_limit), "{ran}");
}

#[test]
fn state_that_is_not_for_us_says_so() {
    let host = need!(Host::new());
    let web = host.process("web");
    host.task("default", "web", web.pid, &json!({}));
    let unprivileged =
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "env", "NETNS_TOOLBOX_ROOT=/run/host"];
    fs::set_permissions(host.path(TASKS), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let mut cpid = host.lab.command(unprivileged[0]);
    cpid.args(&unprivileged[1..]).arg(support::tools::tool("cpid")).arg("web");
    cpid.run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("runtime.v2.task: permission denied")
        .stderr_has("CAP_DAC");
}

#[test]
fn one_of_two_hundred_tasks_is_found_by_the_name_in_its_annotations() {
    let host = need!(Host::new());
    let web = host.process("web");
    let annotations = |name: String| {
        json!({ "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": name,
            "padding": "x".repeat(8192) })
    };
    for number in 0..200 {
        let pid = if number == 150 { web.pid } else { 1 };
        host.task("k8s.io", &id(&format!("{number:03}a")), pid, &annotations(format!("app{number}")));
    }
    host.finds("app150", &web);
    host.finds(&id("150a"), &web);
    assert_eq!(host.listed().len(), 200);
}
