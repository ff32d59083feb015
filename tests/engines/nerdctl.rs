//! nerdctl's names, in directories written by hand from `docs/dir.md` of nerdctl.

use serde_json::{Value, json};

use crate::containerd::containerd;
use support::engine_state::{Host, id};
use support::run::Run;
use support::scratch::unique;
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

/// containerd's database has such a container under its ID, and nerdctl's directories have the name.
#[test]
fn a_container_of_the_real_containerd_without_a_task_is_found_by_nerdctls_name() {
    let world = need!(containerd());
    let name = unique("shop-");
    let id = name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let id = format!("{id:0<64.64}");
    let label = format!("nerdctl/name={name}");
    let ctr = |words: &[&str]| world.command("ctr").args(words).run();
    ctr(&["containers", "create", "--label", &label, crate::containerd::IMAGE, &id, "true"]).ok();
    // nerdctl's directories are this test's alone.
    let script = r#"
        mkdir -p /var/lib/nerdctl; mount -t tmpfs none /var/lib/nerdctl; cd /var/lib/nerdctl
        mkdir -p "1935db59/names/default" "1935db59/containers/default/$2"
        printf %s "$2" >"1935db59/names/default/$1"; echo '{}' >"1935db59/containers/default/$2/lifecycle.json"
        shift 2; exec "$@""#;
    let cpid = |words: &[&str]| {
        let mut unshare = world.command("unshare");
        unshare.args(["-m", "sh", "-ec", script, "sh", &name, &id, support::tools::tool("cpid")]);
        unshare.args(["--engine-timeout=10s"]).args(words).run()
    };
    let targets = [&name, &format!("nerdctl:{name}"), &format!("nerdctl:default/{name}"), &id, &id[..20]];
    let said = targets.map(|target| cpid(&[target]));
    let other = cpid(&[&format!("nerdctl:other/{name}")]);
    let listed = cpid(&["--list", "--all", "--json"]);
    ctr(&["containers", "delete", &id]).ok();
    for ran in said {
        let ran = ran.fails_with(1).stdout_is("");
        ran.stderr_has(&format!("{name} is not running (created)\nhint: nerdctl start {name}\n"));
    }
    other.fails_with(1).stderr_has("no such container");
    let rows = listed.json();
    let rows: Vec<&Value> = rows.as_array().unwrap().iter().filter(|row| row["id"] == json!(id)).collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["name"], &rows[0]["engine"]), (&json!(name), &json!("nerdctl")), "{rows:?}");
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
