//! CRI-O, in directories written by hand from its sources (`internal/annotations`, `internal/oci`,
//! `server/sandbox_run_linux.go`, `internal/factory/container`).

use serde_json::{Value, json};

use support::container::Container;
use support::engine_state::{Host, config, id};
use support::run::Run;
use support::skip::need;

const RUN: &str = "/run/containers/storage/overlay-containers";
const DATA: &str = "/var/lib/containers/storage/overlay-containers";

fn sandbox(host: &Host, id: &str, namespace: &str, pod: &str, process: Option<&Container>) {
    let annotations = json!({
        "io.kubernetes.cri-o.ContainerType": "sandbox",
        "io.kubernetes.cri-o.ContainerName": format!("k8s_POD_{pod}_{namespace}_uid_0"),
        "io.kubernetes.cri-o.Name": format!("k8s_{pod}_{namespace}_uid_0"),
        "io.kubernetes.cri-o.SandboxID": id,
        "io.kubernetes.cri-o.KubeName": pod,
        "io.kubernetes.cri-o.Namespace": namespace,
        "io.container.manager": "cri-o",
    });
    bundle(host, id, &annotations, process);
}

fn member(host: &Host, id: &str, sandbox: &str, name: &str, process: Option<&Container>) {
    let annotations = json!({
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.Name": format!("k8s_{name}_web_prod_uid_0"),
        "io.kubernetes.cri-o.Metadata": json!({ "name": name, "attempt": 1 }).to_string(),
        "io.kubernetes.cri-o.SandboxID": sandbox,
        "io.kubernetes.cri-o.SandboxName": "k8s_web_prod_uid_0",
        "io.kubernetes.cri-o.Image": "registry/app:1",
        "io.container.manager": "cri-o",
    });
    bundle(host, id, &annotations, process);
}

fn bundle(host: &Host, id: &str, annotations: &Value, process: Option<&Container>) {
    host.json(&format!("{RUN}/{id}/userdata/config.json"), &config(annotations));
    if let Some(process) = process {
        host.write(&format!("{RUN}/{id}/userdata/pidfile"), process.pid.to_string());
        runs(host, id, process.pid, host.start_time(process.pid));
    }
}

fn runs(host: &Host, id: &str, pid: i32, start_time: u64) {
    let state = json!({ "ociVersion": "1.0.2", "id": id, "status": "running", "pid": pid, "initPid": pid,
        "initStartTime": start_time.to_string(), "started": "2024-01-01T00:00:00.5Z",
        "finished": "0001-01-01T00:00:00Z" });
    host.json(&format!("{DATA}/{id}/userdata/state.json"), &state);
}

#[test]
fn a_pod_and_a_container_in_it_are_found() {
    let host = need!(Host::new());
    let (pause, app) = (host.process("pause"), host.process("app"));
    sandbox(&host, &id("5a"), "prod", "web", Some(&pause));
    member(&host, &id("c1"), &id("5a"), "app", Some(&app));
    for target in ["pod:web", "pod:prod/web", &id("5a")] {
        host.finds(target, &pause);
    }
    for target in ["app", "crio:app", "pod:prod/web/app", "c1"] {
        host.finds(target, &app);
    }
    host.finds_nothing("pod:test/web");
    host.finds_nothing("pod:prod/web/other");
    let object = host.object("app");
    assert_eq!((&object["engine"], &object["image"]), (&json!("crio"), &json!("registry/app:1")));
    assert_eq!(object["pod"], json!({ "namespace": "prod", "name": "web", "is_sandbox": false }));
    assert_eq!(object["started_at"], "2024-01-01T00:00:00.5Z");
    assert_eq!(host.listed(), ["crio:app", "crio:web"]);
}

#[test]
fn a_pod_without_a_process_of_its_own_is_entered_through_its_first_container_that_runs() {
    let host = need!(Host::new());
    let (app, log) = (host.process("app"), host.process("log"));
    sandbox(&host, &id("5a"), "prod", "web", None);
    member(&host, &id("c1"), &id("5a"), "log", Some(&log));
    member(&host, &id("c2"), &id("5a"), "app", Some(&app));
    member(&host, &id("c3"), &id("5a"), "aaa", None);
    // An earlier sandbox of the same pod, and another pod of that name.
    sandbox(&host, &id("5b"), "prod", "web", None);
    host.finds("pod:prod/web", &app);
    host.finds("pod:web", &app);
    sandbox(&host, &id("5c"), "test", "web", None);
    member(&host, &id("c4"), &id("5c"), "app", Some(&log));
    host.cpid(&["pod:web"]).run().fails_with(2).stderr_has("prod/web/app").stderr_has("test/web/app");
    host.finds("pod:test/web", &log);
}

#[test]
fn a_container_of_podman_is_not_cri_os() {
    let host = need!(Host::new());
    let web = host.process("web");
    let plain = json!({ "io.container.manager": "libpod" });
    let in_pod = json!({ "io.container.manager": "libpod", "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.ContainerName": "web" });
    bundle(&host, &id("ab"), &plain, Some(&web));
    bundle(&host, &id("ac"), &in_pod, Some(&web));
    // Podman from before it called itself the manager.
    let old =
        json!({ "io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "7" });
    bundle(&host, &id("ad"), &old, Some(&web));
    for target in ["crio:ab", "crio:ac", "crio:ad", "crio:web"] {
        host.finds_nothing(target);
    }
    host.cpid(&["--list", "-a", "--engine", "crio"]).run().ok();
    assert!(!host.listed().iter().any(|name| name.starts_with("crio:")));
}

#[test]
fn a_pid_that_became_another_processs_is_refused_by_its_start_time() {
    let host = need!(Host::new());
    let app = host.process("app");
    member(&host, &id("c1"), &id("5a"), "app", Some(&app));
    host.finds("app", &app);
    runs(&host, &id("c1"), app.pid, host.start_time(app.pid) + 1);
    host.cpid(&["app"]).run().fails_with(1).stdout_is("").stderr_has("app is not running (exited)");
}

#[test]
fn annotations_that_are_no_json_inside_are_only_less_to_know() {
    let host = need!(Host::new());
    let app = host.process("app");
    let annotations = json!({ "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.Name": "k8s_app_web_prod_uid_0", "io.kubernetes.cri-o.Metadata": "{\"name\":", "io.kubernetes.cri-o.Labels": "[7]" });
    bundle(&host, &id("c1"), &annotations, Some(&app));
    host.finds("crio:c1", &app);
    host.finds_nothing("app");
    host.write(&format!("{RUN}/{}/userdata/pidfile", id("c1")), "x");
    host.cpid(&["crio:c1"]).run().fails_with(2).stderr_has("pidfile: is not a number");
}

#[test]
fn a_container_that_has_ended_is_told_from_one_that_never_was_also_after_a_boot() {
    let host = need!(Host::new());
    host.write("/etc/crio/crio.conf", "");
    let ended = |number: &str, state: &Value| {
        let annotations = json!({
            "io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.Name": "k8s_app_web_prod_uid_0",
            "io.kubernetes.cri-o.Metadata": json!({ "name": "app", "attempt": 0 }).to_string(),
            "io.kubernetes.cri-o.Labels": json!({ "io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "prod" }).to_string(),
            "io.kubernetes.cri-o.SandboxID": id("5a"), "io.container.manager": "cri-o",
        });
        host.json(&format!("{DATA}/{number}/userdata/config.json"), &config(&annotations));
        host.json(&format!("{DATA}/{number}/userdata/state.json"), state);
    };
    let stopped = json!({ "status": "stopped", "exitCode": 3, "initPid": 7, "initStartTime": "1",
        "started": "2024-01-01T00:00:00Z", "finished": "2024-01-01T00:00:05Z" });
    ended(&id("c1"), &stopped);
    // Podman's, beside it.
    host.json(&format!("{DATA}/{}/userdata/config.json", id("d1")), &json!({ "annotations": {} }));
    let not_running = |target: &str| host.cpid(&[target]).run().fails_with(1).stdout_is("");
    for target in ["app", "crio:app", &id("c1"), "c1"] {
        not_running(target).stderr_has("is not running (exited, code 3, ");
    }
    assert_eq!(host.listed(), ["crio:app"]);
    not_running("other").stderr_has("no such container");
    not_running(&id("d1")).stderr_has("no such container");
    // Below /run there is another generation, which runs.
    let app = host.process("app");
    member(&host, &id("c2"), &id("5a"), "log", Some(&app));
    not_running("app").stderr_has("is not running (exited, code 3, ");
    host.finds("log", &app);
    // By its state it runs, and nothing of it is below /run.
    let mut running = stopped.clone();
    running["status"] = "running".into();
    ended(&id("c1"), &running);
    host.cpid(&["app"]).run().fails_with(2).stderr_has("says that the container runs");
}
