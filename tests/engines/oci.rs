//! runc, crun and youki by hand.

use serde_json::{Value, json};

use crate::by_hand;
use support::engine_state::Host;
use support::lab::Lab;
use support::run::Run;
use support::scratch::unique;
use support::skip::{Missing, need};
use support::world::World;

/// A container that a runtime made by hand, removed when this is dropped.
struct Made<'world> {
    world: &'world World,
    runtime: &'static str,
    id: String,
}

fn runtime(name: &'static str) -> Result<World, Missing> {
    World::get()?.with(name)
}

impl Made<'_> {
    /// `how` is `run --detach` or `create`.
    #[track_caller]
    fn new<'world>(world: &'world World, runtime: &'static str, how: &str) -> Made<'world> {
        let made = Made { world, runtime, id: unique("by-hand") };
        let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/setup/bundle");
        let (id, dir) = (&made.id, format!("/run/{}", made.id));
        // The container must not hold the pipes that we read to their end.
        let script = format!(
            "{bundle} {dir} sleep infinity && {runtime} {how} --bundle {dir} {id} </dev/null >{dir}/log 2>&1"
        );
        let mut shell = world.engine("sh");
        shell.args(["-c", &script]).run().ok();
        made
    }

    /// What the runtime says.
    #[track_caller]
    fn state(&self) -> Value {
        self.world.engine(self.runtime).args(["state", &self.id]).run().ok().json()
    }

    #[track_caller]
    fn cpid(&self) -> Value {
        self.world.tool("cpid").args(["--json", &format!("oci:{}", self.id)]).run().ok().json()[0].clone()
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        drop(self.world.engine(self.runtime).args(["delete", "--force", &self.id]).run());
    }
}

#[track_caller]
fn is_found_in_every_state(world: &World, name: &'static str) {
    let web = Made::new(world, name, "create");
    let created = web.cpid();
    assert_eq!((&created["state"], &created["pid"]), (&json!("created"), &web.state()["pid"]));
    world.engine(name).args(["start", &web.id]).run().ok();
    let running = web.cpid();
    assert_eq!((&running["state"], &running["pid"]), (&json!("running"), &web.state()["pid"]));
    assert_eq!((&running["engine"], &running["name"]), (&json!("oci"), &json!(web.id)));
    world.engine(name).args(["pause", &web.id]).run().ok();
    let paused = web.cpid();
    world.engine(name).args(["resume", &web.id]).run().ok();
    assert_eq!((&paused["state"], &paused["pid"]), (&json!("paused"), &web.state()["pid"]));
    world.tool("cpid").arg(&web.id).run().ok().stdout_is(&format!("{}\n", running["pid"]));
    let pid = running["pid"].as_i64().unwrap();
    world.engine("kill").args(["-KILL", &pid.to_string()]).run().ok();
    world.engine("sh").args(["-c", &format!("while [ -e /proc/{pid} ]; do sleep 0.01; done")]).run().ok();
    world.tool("cpid").arg(&web.id).run().fails_with(1).stderr_has("is not running (exited)");
}

#[test]
fn a_container_of_the_real_runc_is_found_in_every_state() {
    is_found_in_every_state(&need!(runtime("runc")), "runc");
}

#[test]
fn a_container_of_the_real_crun_is_found_in_every_state() {
    is_found_in_every_state(&need!(runtime("crun")), "crun");
}

#[test]
fn a_container_of_youki_is_found_and_believed_for_its_state() {
    let host = need!(Host::new());
    let web = host.process("web");
    let state = |status: &str, pid: Value| {
        json!({ "ociVersion": "v1.0.2", "id": "web", "status": status, "pid": pid, "bundle": "/b",
            "annotations": {}, "created": support::fake_docker::just_now(), "useSystemd": false })
    };
    host.json("/run/youki/web/state.json", &state("running", json!(web.pid)));
    host.finds("oci:web", &web);
    host.json("/run/youki/web/state.json", &state("created", json!(web.pid)));
    assert_eq!(host.object("web")["state"], "created");
    host.json("/run/youki/web/state.json", &state("creating", Value::Null));
    host.cpid(&["web"]).run().fails_with(1).stderr_has("web is not running (created)");
}

#[test]
fn a_pid_that_became_another_processs_is_refused_by_its_start_time() {
    let host = need!(Host::new());
    let (runc, crun) = (host.process("runc"), host.process("crun"));
    let status = |ticks: u64| json!({ "pid": crun.pid, "process-start-time": ticks, "bundle": "/b" });
    host.runc_record("/run/runc/one", runc.pid, host.start_time(runc.pid));
    host.json("/run/crun/two/status", &status(host.start_time(crun.pid)));
    host.finds("one", &runc);
    host.finds("two", &crun);
    host.runc_record("/run/runc/one", runc.pid, host.start_time(runc.pid) + 1);
    host.json("/run/crun/two/status", &status(host.start_time(crun.pid) - 1));
    for name in ["one", "two"] {
        host.cpid(&[name]).run().fails_with(1).stdout_is("").stderr_has("is not running (exited)");
    }
}

#[test]
fn the_beginning_of_an_id_that_two_have_lists_both() {
    let host = need!(Host::new());
    let (one, two) = (host.process("one"), host.process("two"));
    host.runc_record("/run/runc/web1", one.pid, host.start_time(one.pid));
    host.runc_record("/run/runc/web12", two.pid, host.start_time(two.pid));
    host.cpid(&["we"]).run().fails_with(2).stderr_has("web1 ").stderr_has("web12 ");
    host.finds("web1", &one);
    assert_eq!(host.listed(), ["oci:web1", "oci:web12"]);
}

#[test]
fn damaged_state_is_one_clear_error_that_names_the_file() {
    let host = need!(Host::new());
    for (content, message) in [
        ("", "EOF while parsing"),
        ("{\"pid\": 1", "EOF while parsing"),
        ("[1]", "invalid"),
        ("{\"pid\": 4294967297}", "invalid value"),
        ("{\"pid\": -7}", "has no valid PID"),
    ] {
        host.write("/run/crun/web/status", content);
        let ran =
            host.cpid(&["oci:web"]).run().fails_with(2).stdout_is("").stderr_has("/run/crun/web/status: ");
        assert!(ran.stderr.contains(message), "no {message:?} in {ran}");
        let list = host.cpid(&["--list", "-a", "--json"]).run().fails_with(2);
        list.stdout_is("[]\n").stderr_has("/run/crun/web/status: ");
    }
    std::fs::remove_file(host.path("/run/crun/web/status")).unwrap();
    host.finds_nothing("oci:web");
}

/// Whom every machine has, and no engine's containers belong to.
const NOBODY: &str = "65534";

#[test]
fn what_an_ordinary_users_state_says_of_a_process_that_is_not_theirs_is_not_believed() {
    let host = Host { lab: need!(Lab::with_users()) };
    let victim = host.process("victim");
    let (pid, ticks) = (victim.pid, host.start_time(victim.pid));
    let run = format!("/run/user/{NOBODY}");
    host.runc_record("/run/runc/of-root", pid, ticks);
    host.finds("of-root", &victim);
    host.runc_record(&format!("{run}/runc/one"), pid, ticks);
    host.json(&format!("{run}/crun/two/status"), &json!({ "pid": pid, "process-start-time": ticks }));
    host.json(&format!("{run}/youki/three/state.json"), &json!({ "pid": pid, "status": "running" }));
    host.write(
        &format!("{run}/containerd/io.containerd.runtime.v2.task/default/four/init.pid"),
        pid.to_string(),
    );
    host.lab.command("chown").args(["-R", NOBODY, &format!("/run/host{run}")]).run().ok();
    for name in ["one", "two", "three", "four"] {
        // Root asks every user's engines where its own have none of that name, under sudo and without.
        for mut asked in [host.cpid(&[name]), host.cpid_with(&format!("SUDO_UID={NOBODY}"), &[name])] {
            let refused = asked.run().fails_with(2).stdout_is("");
            refused.stderr_has("which is not in a user namespace of that user");
        }
    }
}

#[test]
fn a_container_of_runc_and_one_of_crun_that_have_one_id_are_two() {
    let ((_one, runcs, runc_ticks), (_two, cruns, crun_ticks)) = (by_hand::process(), by_hand::process());
    let host = by_hand::Host::new();
    let state = json!({ "init_process_pid": runcs, "init_process_start": runc_ticks });
    host.write("run/runc/web/state.json", state.to_string());
    let status = json!({ "pid": cruns, "process-start-time": crun_ticks });
    host.write("run/crun/web/status", status.to_string());
    for target in ["web", "oci:web"] {
        host.cpid(&[target]).run().fails_with(2).stdout_is("").stderr_has("means 2 containers");
    }
    let listed = host.cpid(&["--list", "--json"]).run().ok().json();
    let mut pids: Vec<_> =
        listed.as_array().unwrap().iter().map(|row| row["pid"].as_i64().unwrap()).collect();
    pids.sort_unstable();
    let mut both = [i64::from(runcs), i64::from(cruns)];
    both.sort_unstable();
    assert_eq!(pids, both);
}
