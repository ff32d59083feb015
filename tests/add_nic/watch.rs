//! `--watch`: NICs follow containers and a file, whatever happens to engines and to the watch itself.

use std::fs;
use std::io::Write;
use std::process::Command;

use jiff::Timestamp;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::spare_docker::SpareDocker;
use crate::support::container::{Container, Options};
use crate::support::fake_docker;
use crate::support::fake_engine::{Answer, FakeEngine, Script};
use crate::support::lab::Lab;
use crate::support::run::{LIMIT, Run, Running};
use crate::support::scratch::unique;
use crate::support::skip::{need, program};
use crate::support::tools;
use crate::support::world::World;
use crate::{add_nic, everything, lab, reaches};

const FILE: &str = "/run/nics.toml";

/// As an editor does it: the new version is moved into the place of the old one.
#[track_caller]
fn write(lab: &Lab, text: &str) {
    let new = lab.path("/run/.nics.toml.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, lab.path(FILE)).unwrap();
}

/// A watch whose stderr is in its stdout, so that one can wait for both.
fn watch(lab: &Lab, options: &str) -> Running {
    lab.shell(&format!("exec {} --watch {FILE} {options} 2>&1", tools::tool("add-nic"))).start()
}

fn engine(lab: &Lab, containers: &[&Container]) -> FakeEngine {
    fake_docker::knows(containers).listen(lab.path("/run/docker.sock"))
}

/// Waits until it has said `text` so often.
#[track_caller]
fn wait_for_times(watch: &Running, text: &str, times: usize) {
    while watch.so_far().stdout.matches(text).count() < times {
        assert!(!watch.has_ended_within(std::time::Duration::ZERO), "{}", watch.so_far());
        std::thread::yield_now();
    }
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
    add_nic(&lab, &["web", "10.1.0.2/24", "fd00:1::2/64"]).ok().stdout_has(", as before");
    add_nic(&lab, &["--check"]).ok();
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
    watch.wait_for("db: eth0 10.2.0.2/24, on br1 by db-eth0, which has 10.2.0.1/24, reachable");
    reaches(&lab, "10.2.0.2");
    assert_eq!(watch.so_far().stdout.matches("no such container").count(), 1, "{}", watch.so_far());
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
    watch.wait_for("add-nic: /run/nics.toml:1: db: 10.3.0.0/24: is already on the host's taken");
    watch.wait_for("add-nic: /run/nics.toml:4: hosty: hosty: is in the network of the host itself\n");
    watch.wait_for("web: eth0 10.1.0.2/24");
    // It is tried again without any news, and is not told again.
    lab.command("ip").args(["link", "del", "taken"]).run().ok();
    watch.wait_for("db: eth0 10.3.0.2/24");
    drop(first);
    let _second = engine(&lab, &[&web, &db, &hosty]);
    let said = watch.so_far().stdout;
    assert_eq!(said.matches("is already on").count(), 1, "{said}");
    assert_eq!(said.matches("network of the host").count(), 1, "{said}");
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
        "State": { "Status": "running", "Running": true, "Paused": false, "Pid": podman.pid },
    });
    let script = Script::new().on("/containers/json", Answer::json(200, &other.to_string()));
    let script = script.on("/containers/web/json", Answer::json(200, &inspected.to_string()));
    let _podman = script.listen(lab.path("/run/podman/podman.sock"));
    let watch = watch(&lab, "");
    watch.wait_for("add-nic: /run/nics.toml:2: web: web: means 2 containers:");
    assert!(nics(&lab).is_empty());
}

#[test]
fn the_file_is_read_again_when_it_is_written_and_hand_made_nics_are_not_touched() {
    let lab = need!(lab());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    let _engine = engine(&lab, &[&web, &db]);
    add_nic(&lab, &["web", "10.9.0.2/24"]).ok();
    add_nic(&lab, &["db", "10.2.0.2/24", "--bridge", "br1", "--create", "--mtu", "1400"]).ok();
    write(&lab, &[WEB, DB].concat());
    let watch = watch(&lab, "");
    watch.wait_for("web: eth1 10.1.0.2/24");
    // Another address is another NIC.
    write(&lab, &[&WEB.replace("10.1.0.2", "10.1.0.7"), DB].concat());
    watch.wait_for("web: eth1 10.1.0.2/24 fd00:1::2/64 removed\n");
    watch.wait_for("web: eth1 10.1.0.7/24");
    // In place, as `echo >>` does it, and not with sense.
    fs::write(lab.path(FILE), "[[nic]]\ncontainer = \n").unwrap();
    watch.wait_for("add-nic: /run/nics.toml:2: ");
    watch.wait_for("add-nic: /run/nics.toml: what it said before stays in force\n");
    reaches(&lab, "10.1.0.7");
    // Another file beside it is no news, nor is the same text again.
    fs::write(lab.path("/run/other.toml"), "[[nic").unwrap();
    fs::write(lab.path(FILE), "").unwrap();
    watch.wait_for("web: eth1 10.1.0.7/24 fd00:1::2/64 removed\n");
    let left: Vec<String> = nics(&lab).iter().map(|nic| nic["addresses"].to_string()).collect();
    assert_eq!(left, [r#"["10.9.0.2/24"]"#, r#"["10.2.0.2/24"]"#]);
    assert_eq!(watch.so_far().stdout.matches("add-nic: ").count(), 2, "{}", watch.so_far());
}

#[test]
fn a_file_that_is_reached_through_a_link_is_followed() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    // As Kubernetes mounts a ConfigMap.
    lab.shell("mkdir /run/config /run/config/1 /run/config/2; ln -s 1 /run/config/data; ln -s config/data/nics.toml /run/nics.toml")
        .run()
        .ok();
    fs::write(lab.path("/run/config/1/nics.toml"), WEB).unwrap();
    fs::write(lab.path("/run/config/2/nics.toml"), "").unwrap();
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.1.0.2/24");
    fs::write(lab.path("/run/config/1/nics.toml"), WEB.replace("10.1.0.2", "10.1.0.3")).unwrap();
    watch.wait_for("web: eth0 10.1.0.3/24");
    lab.shell("cd /run; ln -s config/2/nics.toml new; mv -T new nics.toml").run().ok();
    watch.wait_for("web: eth0 10.1.0.3/24 fd00:1::2/64 removed\n");
}

#[test]
fn sighup_reads_the_file_and_the_others_end_it_and_leave_the_nics() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let lab = need!(lab());
        let web = container(&lab, "web");
        let _engine = engine(&lab, &[&web]);
        write(&lab, "");
        let watch = watch(&lab, "");
        write(&lab, WEB);
        watch.wait_for("web: eth0 10.1.0.2/24");
        // Half a file may look so, and so it is not looked at.
        let new = lab.path("/run/new.toml");
        fs::write(&new, WEB.replace("10.1.0.2", "10.1.0.3")).unwrap();
        fs::remove_file(lab.path(FILE)).unwrap();
        fs::hard_link(new, lab.path(FILE)).unwrap();
        watch.signal_behind_nsenter(Signal::SIGHUP);
        watch.wait_for("web: eth0 10.1.0.3/24");
        let before = everything(&lab, &[&web]);
        watch.signal_behind_nsenter(signal);
        watch.finish().ok();
        assert_eq!(everything(&lab, &[&web]), before);
        reaches(&lab, "10.1.0.3");
        add_nic(&lab, &["--rm", "web"]).ok().stdout_has("removed");
    }
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
        "add-nic: /run/nics.toml has it: while that is watched, it comes back with the next event",
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
    assert!(killed.has_ended_within(LIMIT));
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
    wait_for_times(&watch, "web: eth0", 2);
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
    while lab.command("ip").args(["link", "show", "br1"]).run().status.unwrap().success() {
        std::thread::yield_now();
    }
    drop(second);
    db.restart();
    let _third = engine(&lab, &[&db]);
    wait_for_times(&watch, "db: eth0", 2);
    reaches(&lab, "10.2.0.2");
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
    watch.wait_for("\"removed\"");
    watch.wait_for("}\n{");
    let said = watch.so_far().stdout;
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |line: &Value| ["outcome", "container", "name", "watch_file"].map(|field| line[field].clone());
    assert_eq!(told(&lines[0]), ["added", "web", "eth0", FILE]);
    assert_eq!(told(&lines[1]), ["removed", "web", "eth0", FILE]);
}

#[test]
fn two_watches_and_fifty_hands_at_once_make_each_nic_once() {
    let lab = need!(lab());
    let names: Vec<String> = (0..10).map(|at| format!("web{at}")).collect();
    let containers: Vec<Container> = names.iter().map(|name| container(&lab, name)).collect();
    let _engine = engine(&lab, &containers.iter().collect::<Vec<_>>());
    let entries: String = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            format!("[[nic]]\ncontainer = '{name}'\naddresses = ['10.1.0.{}/24']\nbridge = 'br1'\ncreate = true\n", at + 10)
        })
        .collect();
    write(&lab, &entries);
    let watches = [watch(&lab, ""), watch(&lab, "")];
    let hands: Vec<_> = (0..50)
        .map(|at| {
            let address = format!("10.1.0.{}/24", at % 10 + 10);
            lab.tool("add-nic").args([&names[at % 10], &address, "--bridge", "br1", "--create"]).start()
        })
        .collect();
    for hand in hands {
        hand.finish().ok();
    }
    let nics = nics(&lab);
    assert_eq!(nics.len(), 10, "{nics:?}");
    for watch in &watches {
        assert!(!watch.so_far().stdout.contains("add-nic: "), "{}", watch.so_far());
    }
    add_nic(&lab, &["--check"]).ok();
    for at in 0..10 {
        reaches(&lab, &format!("10.1.0.{}", at + 10));
    }
    // Those that a watch has made go with the file, by whichever watch; those made by hand stay.
    let by_hand = nics.iter().filter(|nic| nic["watch_file"].is_null()).count();
    write(&lab, "");
    while self::nics(&lab).len() > by_hand {
        std::thread::yield_now();
    }
    assert!(watches.iter().all(|watch| !watch.has_ended_within(std::time::Duration::ZERO)));
}

#[test]
fn a_file_that_makes_no_sense_is_one_clear_error_before_anything_is_done() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    let before = everything(&lab, &[&web]);
    let nic = |keys: &str| format!("{WEB}[[nic]]\ncontainer = 'x'\naddresses = ['10.8.0.2/24']\n{keys}\n");
    let cases = [
        ("[[nic]]\ncontainer = ".to_owned(), "nics.toml:2: "),
        ("[[nic]]\ncontainer = 'a'\ncontainer = 'b'".to_owned(), "nics.toml:3: duplicate key"),
        (
            "[[nics]]".to_owned(),
            "nics.toml:1: 'nics' is not known here\nhint: each NIC is a table of its own, [[nic]]",
        ),
        (
            "[nic]\ncontainer = 'a'".to_owned(),
            "nics.toml:1: nic is no list of tables\nhint: [[nic]] begins one",
        ),
        ("nic = ['web']".to_owned(), "nics.toml:1: is no table"),
        ("\n[[nic]]\naddresses = []".to_owned(), "nics.toml:2: [[nic]] without a container"),
        ("[[nic]]\ncontainer = 7".to_owned(), "nics.toml:2: container is not a string"),
        ("[[nic]]\ncontainer = ''".to_owned(), "nics.toml:1: "),
        ("[[nic]]\ncontainer = '-t'\naddresses = '10.1.0.2/24'".to_owned(), "nics.toml:1: -t: "),
        ("[[nic]]\ncontainer = 'a'".to_owned(), "nics.toml:1: a: ADDR: none was given"),
        ("[[nic]]\ncontainer = 'a'\naddresses = '10.1.0.2'".to_owned(), "a: 10.1.0.2 has no prefix length"),
        (nic("adresses = 'x'"), "nics.toml:8: x: adresses is not an option of add-nic"),
        (nic("rm = true"), "nics.toml:8: x: rm is nothing that a NIC has"),
        (nic("dry-run = true"), "nics.toml:8: x: dry-run is nothing that a NIC has"),
        (nic("preflight = true"), "nics.toml:8: x: preflight is nothing that a NIC has"),
        (nic("help = true"), "nics.toml:8: x: help is nothing that a NIC has"),
        (nic("watch = 'nics.toml'"), "nics.toml:8: x: watch is nothing that a NIC has"),
        (nic("mtu = 1.5"), "nics.toml:8: x: mtu is not a string, a number, true or false"),
        (nic("mtu = 1979-05-27"), "nics.toml:8: x: mtu is not"),
        (nic("name = { eth = 1 }"), "nics.toml:8: x: name is not"),
        (nic("mtu = true"), "nics.toml:5: x: a value is required for '--mtu <BYTES>'"),
        (nic("mtu = 'wide'"), "nics.toml:5: x: invalid value 'wide' for '--mtu <BYTES>'"),
        (
            nic("mtu = [1400, 1500]"),
            "nics.toml:5: x: the argument '--mtu <BYTES>' cannot be used multiple times",
        ),
        (nic("mtu = 60"), "nics.toml:5: x: MTU 60: is not 68 to 65535"),
        (nic("create = true"), "nics.toml:5: x: the following required arguments were not provided:"),
        (nic("create = 'yes'\nbridge = 'b'"), "nics.toml:5: x: unexpected value 'yes' for '--create' found"),
        (nic("name = '--rm'"), "nics.toml:5: x: invalid value"),
        (nic("gateway = '10.9.0.1'"), "nics.toml:5: x: 10.9.0.1: is not in 10.8.0.0/24, where the NIC is"),
        (WEB.repeat(2), "nics.toml:6: web: 10.1.0.2: the entry in line 2 has it already"),
        (
            format!("{}name = 'n'\n{}name = 'n'", nic(""), nic("").replace(WEB, "").replace(".2/", ".3/")),
            "n: the entry in line 5 has it already",
        ),
    ];
    for (text, why) in cases {
        write(&lab, &text);
        let refused = add_nic(&lab, &["--watch", FILE]).fails_with(2).stdout_is("").stderr_has(why);
        assert_eq!(refused.stderr.matches("add-nic: ").count(), 1, "{refused}");
        assert!(!refused.stderr.contains("Usage"), "{refused}");
        assert_eq!(everything(&lab, &[&web]), before, "{text}");
    }
}

#[test]
fn a_file_that_others_can_write_is_no_order_of_roots() {
    let lab = need!(lab());
    write(&lab, WEB);
    lab.command("chmod").args(["666", FILE]).run().ok();
    let refused = add_nic(&lab, &["--watch", FILE]).fails_with(2);
    refused.stderr_has("/run/nics.toml: can be written by another user\nhint: chown root");
    for (file, why) in [
        ("/run/none.toml", "No such file"),
        ("/run/none/x", "No such file"),
        ("/", "is a directory"),
        ("/run", "is not a file"),
    ] {
        add_nic(&lab, &["--watch", file]).fails_with(2).stderr_has(why);
    }
    lab.command("mkfifo").arg("/run/fifo").run().ok();
    add_nic(&lab, &["--watch", "/run/fifo"]).fails_with(2).stderr_has("is not a file");
    fs::write(
        lab.path("/run/evil"),
        "[[nic]]\ncontainer = 'a\u{1b}[2J'\naddresses = '10.1.0.2/24'\n\"\\u001b[2J\" = 1\n",
    )
    .unwrap();
    let refused = add_nic(&lab, &["--watch", "/run/evil"]).fails_with(2);
    assert!(!refused.stderr.contains('\u{1b}'), "{refused}");
}

#[test]
fn with_dry_run_the_file_is_read_and_what_is_not_there_is_shown() {
    let lab = need!(lab());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    let _engine = engine(&lab, &[&web, &db]);
    write(&lab, &[WEB, DB].concat());
    add_nic(&lab, &["web", "10.1.0.2/24", "fd00:1::2/64"]).ok();
    let before = everything(&lab, &[&web, &db]);
    let shown = add_nic(&lab, &["--watch", FILE, "--dry-run"]).ok().stdout_has("ip link add br1 ");
    assert!(!shown.stdout.contains("web-eth0"), "{shown}");
    assert_eq!(everything(&lab, &[&web, &db]), before);
}

#[test]
fn an_idle_watch_makes_no_system_calls() {
    let lab = need!(lab());
    need!(program("strace", "strace"));
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    write(&lab, WEB);
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0");
    let pid = lab.shell("pidof add-nic").run().ok().text().to_owned();
    // By then it has done what it does when it has plugged something in; strace writes nothing where it would be news.
    let trace = format!("sleep 1; timeout --signal INT 5 strace -f -p {pid} 2>&1 || true");
    let calls = lab.shell(&trace).run().ok().stdout_has("attached");
    // The one that it sleeps in.
    let is_another = |line: &&str| line.contains('(') && !line.starts_with("restart_syscall(");
    let calls: Vec<&str> = calls.stdout.lines().filter(is_another).collect();
    assert!(calls.is_empty(), "{calls:?}");
}

/// A watch of a real engine's containers, with a file of its own. Ended with the test.
struct Real {
    watch: Running,
    file: String,
}

impl Real {
    /// `shell` is the engine's, and gets the script.
    #[track_caller]
    fn start(shell: impl Fn(&str) -> Command, text: &str) -> Real {
        let file = unique("/run/nics-");
        shell(&format!("cat >{file}")).run_with_input(text).ok();
        let watch = shell(&format!("exec {} --watch {file} 2>&1", tools::tool("add-nic"))).start();
        Real { watch, file }
    }
}

fn docker(world: &World) -> impl Fn(&str) -> Command {
    |script| {
        let mut shell = world.command("sh");
        shell.args(["-ec", script]);
        shell
    }
}

#[test]
fn a_real_container_that_is_started_anew_has_its_nic_at_once() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &[]);
    let text = format!("[[nic]]\ncontainer = '{}'\naddresses = '198.19.20.2/24'\n", web.name);
    let real = Real::start(docker(&world), &text);
    let mut times = vec![];
    for round in 1..=20 {
        wait_for_times(&real.watch, ": eth1 198.19.20.2/24, host end ", round);
        let now = Timestamp::now();
        let started: Timestamp = web.inspect("{{.State.StartedAt}}").parse().unwrap();
        // The first one was running already.
        if round > 1 {
            times.push(now.duration_since(started).as_millis());
        }
        web.command("ping").args(["-c1", "-W1", "-q", "198.19.20.1"]).run().ok();
        web.restart();
    }
    times.sort_unstable();
    let _ =
        writeln!(std::io::stderr(), "add-nic --watch: ms from the engine's start until reachable: {times:?}");
    assert!(times[times.len() / 2] < 1000, "{times:?}");
    let said = real.watch.so_far().stdout;
    assert!(!said.contains("add-nic: "), "{said}");
    // Its network is gone, but nobody has removed it.
    drop(web);
    let nics = |world: &World| world.tool("add-nic").args(["--list", "--json"]).run().ok().stdout;
    while nics(&world).contains("198.19.20.2/24") {
        std::thread::yield_now();
    }
    world.command("rm").arg(&real.file).run().ok();
}

#[test]
fn a_real_engine_that_is_killed_and_started_again_takes_no_nic_with_it() {
    let mut docker = need!(SpareDocker::start());
    docker.run("web");
    docker.run("db");
    let nic =
        |name: &str, net: u8| format!("[[nic]]\ncontainer = '{name}'\naddresses = '198.19.{net}.2/24'\n");
    let text = [nic("web", 21), nic("db", 22), nic("new", 23)].concat();
    let real = Real::start(|script| docker.shell(script), &text);
    real.watch.wait_for("web: eth0 198.19.21.2/24");
    real.watch.wait_for("db: eth0 198.19.22.2/24");
    docker.kill_daemon();
    docker.start_daemon();
    docker.run("new");
    real.watch.wait_for("new: eth0 198.19.23.2/24");
    docker.docker(&["restart", "--time", "0", "db"]).ok();
    wait_for_times(&real.watch, "db: eth0 198.19.22.2/24", 2);
    let said = real.watch.so_far().stdout;
    assert_eq!(said.matches("web: eth0").count(), 1, "{said}");
    docker.shell(&format!("ping -n -c1 -W1 198.19.21.2; : >{}", real.file)).run().ok();
    real.watch.wait_for("new: eth0 198.19.23.2/24 removed\n");
}
