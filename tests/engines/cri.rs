//! Kubernetes' pods: a real one that containerd's CRI plugin made, and what stays of restarts.

use serde_json::{Value, json};

use super::containerd::{Task, containerd};
use support::engine_state::{Host, id};
use support::run::Run;
use support::scratch::{Scratch, unique};
use support::skip::{need, program};
use support::world::World;

/// A field of a protocol buffer that holds bytes, a text or a message; up to 127 bytes a length is one byte.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let length = u8::try_from(content.len()).unwrap();
    let length = if length < 128 { vec![length] } else { vec![length & 127 | 128, 1] };
    [&[number << 3 | 2][..], &length, content].concat()
}

/// Asks containerd's CRI plugin, over gRPC as curl can speak it; the first field of the answer.
/// Field numbers: `k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`.
#[track_caller]
fn ask(world: &World, method: &str, message: &[u8]) -> String {
    let (dir, length) = (Scratch::new(), u32::try_from(message.len()).unwrap());
    let (question, answer) = (dir.path("question"), dir.path("answer"));
    std::fs::write(&question, [&[0], &length.to_be_bytes()[..], message].concat()).unwrap();
    let mut curl = world.command("curl");
    curl.args(["--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket"]);
    curl.args([
        "/run/containerd/containerd.sock",
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
    ]);
    curl.arg("--data-binary").arg(format!("@{}", question.display())).arg("--output").arg(&answer);
    curl.args(["--dump-header", "-"]).arg(format!("http://localhost/runtime.v1.RuntimeService/{method}"));
    curl.run().ok().stdout_has("grpc-status: 0");
    let answer = std::fs::read(&answer).unwrap_or_default();
    answer.get(7..).map(|text| String::from_utf8(text.to_vec()).unwrap()).unwrap_or_default()
}

/// A pod with one container, `app`, of the real containerd; gone when this is dropped.
struct Pod<'world> {
    world: &'world World,
    name: String,
    sandbox: String,
    app: String,
}

impl Pod<'_> {
    #[track_caller]
    fn run(world: &World) -> Pod<'_> {
        let name = unique("pod");
        let metadata = [field(1, &name), field(2, &name), field(3, "prod")].concat();
        let config = [field(1, metadata), field(3, "/tmp")].concat();
        let sandbox = ask(world, "RunPodSandbox", &field(1, &config));
        let mut pod = Pod { world, name, sandbox, app: String::new() };
        let image = field(1, "localhost/netns-toolbox/busybox:latest");
        let app =
            [field(1, field(1, "app")), field(2, image), field(3, "sleep"), field(4, "infinity")].concat();
        let create = [field(1, &pod.sandbox), field(2, app), field(3, config)].concat();
        pod.app = ask(world, "CreateContainer", &create);
        ask(world, "StartContainer", &field(1, &pod.app));
        pod
    }

    /// As the plugin sees it.
    #[track_caller]
    fn pid(&self, id: &str) -> String {
        let listed = self.world.command("ctr").args(["-n", "k8s.io", "task", "list"]).run().ok();
        let mut lines = listed.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        format!("{}\n", lines.find(|words| words[0] == id).expect("a task")[1])
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            ask(self.world, "StopPodSandbox", &field(1, &self.sandbox));
            ask(self.world, "RemovePodSandbox", &field(1, &self.sandbox));
        }
    }
}

#[test]
fn a_real_pod_and_the_container_in_it_are_found() {
    let world = need!(containerd());
    need!(program("curl", "curl"));
    let pod = Pod::run(&world);
    let (name, sandbox, app) = (&pod.name, pod.pid(&pod.sandbox), pod.pid(&pod.app));
    for target in [&format!("pod:{name}"), &format!("pod:prod/{name}"), &pod.sandbox] {
        world.tool("cpid").arg(target).run().ok().stdout_is(&sandbox).stderr_is("");
    }
    for target in [&format!("pod:prod/{name}/app"), &pod.app, &pod.app[..20]] {
        world.tool("cpid").arg(target).run().ok().stdout_is(&app).stderr_is("");
    }
    world.tool("cpid").arg(format!("pod:test/{name}")).run().fails_with(1);
    for (pid, owner) in [(&app, format!("pod:prod/{name}/app\n")), (&sandbox, format!("pod:prod/{name}\n"))] {
        world.tool("cpid").args(["--of", pid.trim()]).run().ok().stdout_is(&owner);
    }
    let object = world.tool("cpid").args(["--json", &pod.app]).run().ok().json()[0].clone();
    assert_eq!(object["pod"], json!({ "namespace": "prod", "name": name, "is_sandbox": false }));
    assert_eq!((&object["name"], &object["engine"]), (&json!("app"), &json!("containerd")));
    assert_eq!(object["image"], "localhost/netns-toolbox/busybox:latest");
}

#[test]
fn a_real_container_that_has_ended_is_told_from_one_that_never_was() {
    let world = need!(containerd());
    need!(program("curl", "curl"));
    let pod = Pod::run(&world);
    ask(&world, "StopContainer", &field(1, &pod.app));
    let stopped = |target: &str| world.tool("cpid").arg(target).run().fails_with(1).stdout_is("");
    for target in [&pod.app, &pod.app[..20], &format!("containerd:k8s.io/{}", pod.app)] {
        stopped(target).stderr_has("is not running (exited, code 137, ");
    }
    // What the kubelet does, which is not here.
    let path = format!("prod/{}/app", pod.name);
    stopped(&format!("pod:{path}")).stderr_has("no such container");
    let link = format!("/var/log/containers/{}_prod_app-{}.log", pod.name, pod.app);
    let script = format!("mkdir -p /var/log/containers && ln -s /dev/null {link}");
    world.command("sh").args(["-c", &script]).run().ok();
    stopped(&format!("pod:{path}")).stderr_has("app is not running (exited, code 137, ");
    let listed = |more: &[&str]| {
        let mut list = world.tool("cpid");
        let rows = list.args(["--list", "--json", "--engine", "containerd"]).args(more).run().ok().json();
        rows.as_array().unwrap().iter().find(|row| row["id"] == *pod.app).cloned()
    };
    assert_eq!(listed(&[]), None);
    let row = listed(&["--all"]).expect("the container that has ended");
    assert_eq!(
        (&row["state"], &row["exit_code"], &row["name"]),
        (&json!("exited"), &json!(137), &json!("app"))
    );
    stopped(&format!("pod:test/{}/app", pod.name)).stderr_has("no such container");
    ask(&world, "RemoveContainer", &field(1, &pod.app));
    for target in [&pod.app, &format!("pod:{path}")] {
        stopped(target).stderr_has("no such container");
    }
    world.command("rm").arg(link).run().ok();
}

#[test]
fn a_pod_and_the_container_in_it_are_linked_under_names_that_tell_them_from_other_pods() {
    let world = need!(containerd());
    need!(program("curl", "curl"));
    let pod = Pod::run(&world);
    let app = pod.pid(&pod.app);
    let inside = world.command("readlink").arg(format!("/proc/{}/ns/net", app.trim())).run().ok().stdout;
    let links =
        [(format!("pod:{}", pod.name), pod.name.clone()), (pod.app.clone(), format!("{}-app", pod.name))];
    for (target, link) in links {
        let linked = world.tool("netns-link").arg(&target).run().ok();
        linked.stdout_is(&format!("/run/netns/{link}\n"));
        let named = world.command("ip").args(["netns", "exec", &link, "readlink", "/proc/self/ns/net"]).run();
        named.ok().stdout_is(&inside);
        let list = world.tool("netns-link").args(["--list", "--json"]).run().ok().json();
        let listed = list.as_array().unwrap().iter().find(|row| row["name"] == link.as_str());
        assert_eq!(
            listed.map(|row| (&row["state"], &row["engine"])),
            Some((&json!("live"), &json!("containerd")))
        );
        world.tool("netns-link").args(["--rm", &link]).run().ok();
    }
}

#[test]
fn a_container_is_found_by_the_name_that_kubernetes_gave_it() {
    let world = need!(containerd());
    let name = unique("app");
    let called = format!("io.kubernetes.cri.container-name={name}");
    let kind = "io.kubernetes.cri.container-type=container";
    let task = Task::run(&world, "k8s.io", &["--annotation", kind, "--annotation", &called]);
    world.tool("cpid").arg(&name).run().ok().stdout_is(&task.pid()).stderr_is("");
    world.tool("cpid").arg(format!("containerd:k8s.io/{name}")).run().ok().stdout_is(&task.pid());
}

fn sandbox(id: &str, namespace: &str, pod: &str) -> Value {
    json!({ "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": id,
        "io.kubernetes.cri.sandbox-namespace": namespace, "io.kubernetes.cri.sandbox-name": pod })
}

/// As containerd 1.4 writes it: whose sandbox it is, and not which pod's.
fn member(sandbox: &str, name: &str) -> Value {
    json!({ "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": sandbox,
        "io.kubernetes.cri.container-name": name })
}

#[test]
fn a_container_that_does_not_say_its_pod_is_found_through_its_sandbox() {
    let host = need!(Host::new());
    let (pause, app, other) = (host.process("pause"), host.process("app"), host.process("other"));
    host.task("k8s.io", &id("5a"), pause.pid, &sandbox(&id("5a"), "prod", "web"));
    host.task("k8s.io", &id("c1"), app.pid, &member(&id("5a"), "app"));
    host.task("k8s.io", &id("c2"), other.pid, &member(&id("5b"), "app"));
    host.finds("pod:prod/web/app", &app);
    assert_eq!(host.object(&id("c1"))["pod"]["name"], "web");
}

#[test]
fn the_run_that_has_a_process_is_meant_and_not_what_is_left_of_earlier_ones() {
    let host = need!(Host::new());
    let (pause, app) = (host.process("pause"), host.process("app"));
    let mut ended = host.process("ended");
    for (prefix, namespace) in [("5a", "prod"), ("5b", "test")] {
        host.task("k8s.io", &id(prefix), pause.pid, &sandbox(&id(prefix), namespace, "web"));
    }
    host.task("k8s.io", &id("c1"), ended.pid, &member(&id("5a"), "app"));
    host.task("k8s.io", &id("c2"), app.pid, &member(&id("5a"), "app"));
    host.task("k8s.io", &id("c3"), ended.pid, &member(&id("5a"), "app"));
    ended.stop();
    host.finds("app", &app);
    host.finds("pod:prod/web/app", &app);
    host.cpid(&[&id("c1")]).run().fails_with(1).stderr_has("app is not running (exited)");
    // The same name in another pod is another container.
    host.task("k8s.io", &id("c4"), pause.pid, &member(&id("5b"), "app"));
    let ran = host.cpid(&["app"]).run().fails_with(2).stderr_has("means 2 containers");
    ran.stderr_has("containerd prod/web/app (running)").stderr_has("containerd test/web/app (running)");
    host.cpid(&["pod:web"]).run().fails_with(2).stderr_has("means 2 containers");
}

#[test]
fn a_pods_name_is_no_containers_name() {
    let host = need!(Host::new());
    let (pause, web) = (host.process("pause"), host.process("web"));
    host.task("k8s.io", &id("5a"), pause.pid, &sandbox(&id("5a"), "prod", "web"));
    host.finds_nothing("web");
    host.task("k8s.io", &id("c1"), web.pid, &member(&id("5a"), "web"));
    host.finds("web", &web);
    host.finds("pod:web", &pause);
}
