//! `--watch`: NICs follow containers, whatever happens to engines and to the watch itself.

mod attacked;
mod drift;
mod file;
mod plan;
mod real;

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{add_nic, lab, reaches};
use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::{Answer, FakeEngine, Script};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::need;
use support::tools;
use support::until::until;

const FILE: &str = "/run/nics.toml";

/// As an editor does it: the new version is moved into the place of the old one.
#[track_caller]
fn write(lab: &Lab, text: &str) {
    let new = lab.path("/run/.nics.toml.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, lab.path(FILE)).unwrap();
}

/// A watch whose stderr is in its stdout, so that one can wait for both.
fn watch(lab: &Lab, options: &str) -> RunningProgram {
    lab.shell(&format!("exec {} --watch {FILE} {options} 2>&1", tools::tool("add-nic"))).start()
}

fn engine(lab: &Lab, containers: &[&Container]) -> FakeEngine {
    fake_docker::knows(containers).listen(lab.path("/run/docker.sock"))
}

/// Waits until it has said `text` so often.
#[track_caller]
fn wait_for_times(watch: &RunningProgram, text: &str, times: usize) {
    until(&format!("{text:?} is said {times} times"), || {
        assert!(!watch.has_ended_within(std::time::Duration::ZERO), "{}", watch.so_far());
        watch.so_far().stdout.matches(text).count() >= times
    });
}

fn container(lab: &Lab, name: &str) -> Container {
    lab.container(name, Options::only(&["net"]))
}

/// Those of our NICs that are there.
#[track_caller]
fn nics(lab: &Lab) -> Vec<Value> {
    let list = add_nic(lab, &["--list", "--json"]).ok().json();
    list.as_array().unwrap().clone()
}

const WEB: &str = r#"
[[nic]]
container = "web"
addresses = ["10.1.0.2/24", "fd00:1::2/64"]
"#;

const DB: &str = r#"
[[nic]]
container = "docker:db"
addresses = ["10.2.0.2/24"]
bridge = "br1"
create = true
mtu = 1400
"#;

#[test]
fn a_nic_comes_back_with_its_container() {
    let lab = need!(lab());
    let mut web = container(&lab, "web");
    write(&lab, WEB);
    let first = engine(&lab, &[&web]);
    let watch = watch(&lab, "");
    watch.wait_for(
        "web: eth0 10.1.0.2/24 fd00:1::2/64, host end web-eth0 10.1.0.1/24 fd00:1::1/64, reachable",
    );
    reaches(&lab, "10.1.0.2");
    reaches(&lab, "fd00:1::2");
    drop(first);
    web.restart();
    let _second = engine(&lab, &[&web]);
    wait_for_times(&watch, "web: eth0 10.1.0.2/24", 2);
    reaches(&lab, "10.1.0.2");
    assert_eq!(nics(&lab).len(), 1);
    add_nic(&lab, &["web", "10.1.0.2/24", "fd00:1::2/64"]).ok().stdout_has(", unchanged");
    add_nic(&lab, &["--check"]).ok();
}

/// As while a container is restarted: for a moment its engine cannot tell.
#[test]
fn what_cannot_be_told_is_said_only_if_it_lasts() {
    let lab = need!(lab());
    let mut web = container(&lab, "web");
    write(&lab, WEB);
    let broken = || Script::new().otherwise(Answer::hang_up()).listen(lab.path("/run/docker.sock"));
    let first = broken();
    let began = Instant::now();
    let watch = watch(&lab, "");
    first.wait_for_requests(1);
    drop(first);
    let second = engine(&lab, &[&web]);
    watch.wait_for("web: eth0 10.1.0.2/24");
    let said = watch.so_far().stdout;
    assert!(!said.contains("add-nic: ") || began.elapsed() > Duration::from_secs(2), "{said}");
    drop(second);
    web.restart();
    let _third = broken();
    watch.wait_for("add-nic: /run/nics.toml:2: web: ");
}

#[test]
fn who_is_not_there_is_waited_for_and_that_is_told_once() {
    let lab = need!(lab());
    write(&lab, &[WEB, DB].concat());
    let mut db = container(&lab, "db");
    db.stop();
    let watch = watch(&lab, "--verbose");
    watch.wait_for("add-nic: /run/nics.toml:2: web: ");
    watch.wait_for("add-nic: /run/nics.toml:6: docker:db: ");
    let first = engine(&lab, &[&db]);
    watch.wait_for("add-nic: /run/nics.toml:2: web: web: no such container");
    watch.wait_for("add-nic: /run/nics.toml:6: docker:db: db is not running");
    drop(first);
    let web = container(&lab, "web");
    let second = engine(&lab, &[&web, &db]);
    watch.wait_for("web: eth0 10.1.0.2/24");
    drop(second);
    db.restart();
    let _third = engine(&lab, &[&web, &db]);
    watch.wait_for("db: eth0 10.2.0.2/24, on br1 as port db-eth0, bridge address 10.2.0.1/24, reachable");
    reaches(&lab, "10.2.0.2");
    assert_eq!(watch.so_far().stdout.matches("no such container").count(), 1, "{}", watch.so_far());
}

#[test]
fn once_plugs_in_what_is_not_there_and_says_what_cannot_be() {
    let lab = need!(lab());
    write(&lab, &[WEB, DB].concat());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    let once = ["--watch", FILE, "--once"];
    let first = engine(&lab, &[&web]);
    let some = add_nic(&lab, &once).fails_with(1).stdout_has("web: eth0 10.1.0.2/24");
    some.stderr_has("add-nic: /run/nics.toml:6: docker:db: ").stderr_has("no such container");
    reaches(&lab, "10.1.0.2");
    drop(first);
    let _second = engine(&lab, &[&web, &db]);
    add_nic(&lab, &once).ok().stdout_has("db: eth0 10.2.0.2/24").stderr_is("");
    add_nic(&lab, &once).ok().stdout_is("").stderr_is("");
    reaches(&lab, "10.2.0.2");
}

#[test]
fn a_pass_over_many_entries_asks_an_engine_that_hangs_once() {
    let lab = need!(lab());
    let entry =
        |number| format!("[[nic]]\ncontainer = \"web-{number}\"\naddresses = [\"10.1.{number}.2/24\"]\n");
    write(&lab, &(0..40).map(entry).collect::<String>());
    let hangs = Script::new().otherwise(Answer::never()).listen(lab.path("/run/docker.sock"));
    let once = add_nic(&lab, &["--watch", FILE, "--once", "--engine-timeout=300ms"]);
    once.fails_with(1).stderr_has("web-0: ").stderr_has("web-39: ").stderr_has("did not answer");
    assert_eq!((hangs.requests().len(), hangs.connections()), (1, 1), "{:?}", hangs.requests());
}

#[test]
fn what_fails_is_told_once_and_keeps_no_other_from_being_plugged_in() {
    let lab = need!(lab());
    lab.shell("ip link add taken type veth peer name other; ip address add 10.3.0.1/24 dev taken").run().ok();
    let (web, db, hosty) =
        (container(&lab, "web"), container(&lab, "db"), lab.container("hosty", Options::only(&["mnt"])));
    let bad = "[[nic]]\ncontainer = 'db'\naddresses = '10.3.0.2/24'\n\
               [[nic]]\ncontainer = 'hosty'\naddresses = '10.4.0.2/24'\n";
    write(&lab, &[bad, WEB].concat());
    let first = engine(&lab, &[&web, &db, &hosty]);
    let watch = watch(&lab, "");
    watch.wait_for("add-nic: /run/nics.toml:1: db: 10.3.0.0/24: already on the host's taken");
    watch.wait_for("add-nic: /run/nics.toml:4: hosty: hosty: uses the host's own network: only with --host");
    watch.wait_for("web: eth0 10.1.0.2/24");
    // It is tried again without any news, and is not told again.
    lab.command("ip").args(["link", "del", "taken"]).run().ok();
    watch.wait_for("db: eth0 10.3.0.2/24");
    drop(first);
    let _second = engine(&lab, &[&web, &db, &hosty]);
    let said = watch.so_far().stdout;
    assert_eq!(said.matches("already on the host").count(), 1, "{said}");
    assert_eq!(said.matches("the host's own network").count(), 1, "{said}");
}

#[test]
fn a_name_that_two_engines_have_is_told() {
    let lab = need!(lab());
    let (docker, podman) = (container(&lab, "web"), container(&lab, "web"));
    write(&lab, WEB);
    fs::create_dir(lab.path("/run/podman")).unwrap();
    let _docker = engine(&lab, &[&docker]);
    let other =
        serde_json::json!([{ "Id": "ab".repeat(32), "Names": ["/web"], "State": "running", "Status": "Up" }]);
    let inspected = serde_json::json!({
        "Id": "ab".repeat(32), "Name": "/web",
        "State": { "Status": "running", "Running": true, "Paused": false, "Pid": podman.pid, "StartedAt": fake_docker::just_now() },
    });
    let script = Script::new().on("/containers/json", Answer::json(200, &other.to_string()));
    let script = script.on("/containers/web/json", Answer::json(200, &inspected.to_string()));
    let _podman = script.listen(lab.path("/run/podman/podman.sock"));
    let watch = watch(&lab, "");
    watch.wait_for("add-nic: /run/nics.toml:2: web: web: means 2 containers:");
    assert!(nics(&lab).is_empty());
}

#[test]
fn a_nic_that_is_removed_by_hand_comes_back_with_the_next_event() {
    let lab = need!(lab());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    write(&lab, WEB);
    let first = engine(&lab, &[&web]);
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.1.0.2/24");
    let removed = add_nic(&lab, &["--rm", "web"]).ok();
    removed.stderr_has(
        "add-nic: /run/nics.toml lists this NIC: a running watch adds it again at the next event",
    );
    drop(first);
    let _second = engine(&lab, &[&web, &db]);
    wait_for_times(&watch, "web: eth0 10.1.0.2/24", 2);
    reaches(&lab, "10.1.0.2");
}

#[test]
fn what_a_watch_that_was_killed_has_missed_the_next_makes_up_for() {
    let lab = need!(lab());
    let (mut web, db) = (container(&lab, "web"), container(&lab, "db"));
    write(&lab, &[WEB, DB].concat());
    let first = engine(&lab, &[&web, &db]);
    let killed = watch(&lab, "");
    killed.wait_for("web: eth0");
    killed.wait_for("db: eth0");
    killed.signal_behind_nsenter(Signal::SIGKILL);
    assert!(killed.ends());
    drop(first);
    web.restart();
    write(&lab, WEB);
    let _second = engine(&lab, &[&web, &db]);
    let watch = watch(&lab, "");
    watch.wait_for("db: eth0 10.2.0.2/24 removed\n");
    watch.wait_for("web: eth0 10.1.0.2/24");
    assert_eq!(nics(&lab).len(), 1);
    lab.command("ip").args(["link", "show", "br1"]).run().fails_with(1);
}

#[test]
fn an_engine_that_goes_away_takes_no_nic_with_it() {
    let lab = need!(lab());
    let mut web = container(&lab, "web");
    write(&lab, WEB);
    let running = engine(&lab, &[&web]);
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0");
    drop(running);
    let hung = Script::new().otherwise(Answer::never()).listen(lab.path("/run/docker.sock"));
    watch.wait_for("did not answer");
    reaches(&lab, "10.1.0.2");
    web.restart();
    drop(hung);
    let _again = engine(&lab, &[&web]);
    wait_for_times(&watch, "web: eth0 10.1.0.2/24", 2);
    reaches(&lab, "10.1.0.2");
}

#[test]
fn what_a_container_is_left_with_when_it_stops_goes_and_comes_back() {
    let lab = need!(lab());
    let mut db = container(&lab, "db");
    write(&lab, DB);
    let first = engine(&lab, &[&db]);
    let watch = watch(&lab, "");
    watch.wait_for("db: eth0");
    drop(first);
    db.stop();
    let second = engine(&lab, &[&db]);
    until("br1 is gone", || !lab.command("ip").args(["link", "show", "br1"]).run().status.unwrap().success());
    drop(second);
    db.restart();
    let _third = engine(&lab, &[&db]);
    wait_for_times(&watch, "db: eth0 10.2.0.2/24, on br1", 2);
    reaches(&lab, "10.2.0.2");
}

/// Two NICs without a name in the file: whichever can be added first.
#[test]
fn the_order_of_the_file_decides_the_names_at_each_restart() {
    let lab = need!(lab());
    let mut web = container(&lab, "web");
    let second = WEB.replace("10.1.0.2", "10.5.0.2").replace("fd00:1:", "fd00:5:");
    write(&lab, &[WEB, &second].concat());
    // The first cannot be added yet: the second does not get its name.
    lab.shell("ip link add taken type veth peer name other; ip address add 10.1.0.1/24 dev taken").run().ok();
    let mut running = Some(engine(&lab, &[&web]));
    let watch = watch(&lab, "");
    watch.wait_for("web: eth1 10.5.0.2/24");
    lab.command("ip").args(["link", "del", "taken"]).run().ok();
    watch.wait_for("web: eth0 10.1.0.2/24");
    for times in 2..5 {
        drop(running.take());
        web.restart();
        running = Some(engine(&lab, &[&web]));
        wait_for_times(&watch, "web: eth0 10.1.0.2/24", times);
        wait_for_times(&watch, "web: eth1 10.5.0.2/24", times);
    }
}

#[test]
fn a_warning_is_said_once_and_not_at_each_restart() {
    let lab = need!(lab());
    let mut web = container(&lab, "web");
    lab.shell("ip link add bare type bridge; ip link set bare up").run().ok();
    write(&lab, "[[nic]]\ncontainer = 'web'\naddresses = '10.74.0.2/24'\nbridge = 'bare'\n");
    let mut running = Some(engine(&lab, &[&web]));
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.74.0.2/24");
    watch.wait_for("warning: ");
    for times in 2..4 {
        drop(running.take());
        web.restart();
        running = Some(engine(&lab, &[&web]));
        wait_for_times(&watch, "web: eth0 10.74.0.2/24", times);
    }
    let said = watch.so_far().stdout;
    assert_eq!(said.matches("warning: ").count(), 1, "{said}");
}

#[test]
fn each_change_is_a_line_of_json_on_demand() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    write(&lab, WEB);
    let watch = lab.tool("add-nic").args(["--watch", FILE, "--json"]).start();
    watch.wait_for("}\n");
    write(&lab, "");
    wait_for_times(&watch, "}\n", 2);
    let said = watch.so_far().stdout;
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |line: &Value| ["outcome", "container", "name", "watch_file"].map(|field| line[field].clone());
    assert_eq!(told(&lines[0]), ["added", "web", "eth0", FILE]);
    assert_eq!(told(&lines[1]), ["removed", "web", "eth0", FILE]);
}
