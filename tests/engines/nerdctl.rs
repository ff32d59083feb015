//! nerdctl's names, in directories written by hand from `docs/dir.md` of nerdctl.

use serde_json::json;

use support::engine_state::{Host, id};
use support::run::Run;
use support::skip::need;

const STORE: &str = "/var/lib/nerdctl/1935db59";

/// What nerdctl leaves of a container: the name, and a directory.
fn named(host: &Host, namespace: &str, name: &str, id: &str) {
    host.write(&format!("{STORE}/names/{namespace}/{name}"), id);
    let started = json!({ "started_at": "2024-01-01T00:00:00Z", "create_error": false });
    host.json(&format!("{STORE}/containers/{namespace}/{id}/lifecycle.json"), &started);
}

#[test]
fn a_name_leads_to_containerds_task_and_is_shown_for_it() {
    let host = need!(Host::new());
    let web = host.process("web");
    named(&host, "default", "web", &id("3f2a"));
    host.task("default", &id("3f2a"), web.pid, &json!({}));
    for target in ["web", "nerdctl:web", "nerdctl:default/web", "nerdctl:3f2a", "containerd:3f2a", "3f2a"] {
        host.finds(target, &web);
        let object = host.object(target);
        assert_eq!((&object["engine"], &object["name"]), (&json!("nerdctl"), &json!("web")), "{target}");
    }
    assert_eq!(host.listed(), ["nerdctl:web"]);
    host.finds_nothing("nerdctl:other/web");
}

#[test]
fn a_name_that_is_taken_in_two_namespaces_needs_the_namespace() {
    let host = need!(Host::new());
    let (one, two) = (host.process("one"), host.process("two"));
    for (namespace, prefix, process) in [("blue", "aaa", &one), ("red", "bbb", &two)] {
        named(&host, namespace, "web", &id(prefix));
        host.task(namespace, &id(prefix), process.pid, &json!({}));
    }
    host.cpid(&["web"]).run().fails_with(2).stderr_has("means 2 containers");
    host.finds("nerdctl:red/web", &two);
}

#[test]
fn a_container_without_a_task_is_stopped_or_was_never_started() {
    let host = need!(Host::new());
    named(&host, "default", "web", &id("3f2a"));
    host.cpid(&["web"]).run().fails_with(1).stderr_has("web is not running (exited)");
    host.json(&format!("{STORE}/containers/default/{}/lifecycle.json", id("3f2a")), &json!({}));
    host.cpid(&["nerdctl:3f2a"]).run().fails_with(1).stderr_has("web is not running (created)");
    assert_eq!(host.listed(), ["nerdctl:web"]);
}

#[test]
fn a_name_that_leads_out_of_its_directory_leads_nowhere() {
    let host = need!(Host::new());
    let web = host.process("web");
    host.task("default", "victim", web.pid, &json!({}));
    for content in ["../default/victim", "victim\u{1b}[2J", "a b"] {
        host.write(&format!("{STORE}/names/other/web"), content);
        host.cpid(&["nerdctl:web"]).run().fails_with(2).stderr_has("names/other/web: holds no container ID");
    }
    host.write(&format!("{STORE}/names/other/web"), "");
    host.finds_nothing("nerdctl:web");
}
