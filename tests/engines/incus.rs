//! Incus and LXD, by the form of their directories and the names of their sockets: monitors of the test's own listen there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::json;

use crate::by_hand::{Host, process};
use crate::fake_monitor::{FakeMonitor, GET_INIT_PID, GET_STATE, RUNNING, Say};
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need};

/// A host with instances that have entries in their engine's directory, and fake monitors.
struct Instances {
    host: Host,
}

impl Instances {
    fn new() -> Result<Instances, Missing> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Missing::Fixable("a monitor that is root's needs root".into()));
        }
        Ok(Instances { host: Host::new() })
    }

    /// As both engines have it: a link to where the storage pool keeps the instance, which is nobody's to look into.
    fn defined(&self, home: &str, name: &str) -> PathBuf {
        let directory = self.host.directory(&format!("{home}/containers")).join(name);
        symlink(format!("{home}/storage-pools/default/containers/{name}"), &directory).unwrap();
        directory
    }

    /// One that runs.
    fn running(&self, home: &str, name: &str) -> (FakeMonitor, RunningProgram, i32) {
        let (first, pid, _) = process();
        let monitor = FakeMonitor::listen(&self.defined(home, name), move |command| match command {
            GET_STATE => Say::value(RUNNING),
            GET_INIT_PID => Say::value(pid.into()),
            _ => Say::HangUp,
        });
        (monitor, first, pid)
    }
}

const INCUS: &str = "/var/lib/incus";

#[test]
fn an_instance_is_found_by_its_name_and_by_its_project() {
    let instances = need!(Instances::new());
    let cpid = |target: &str| instances.host.cpid(&[target]).run();
    let (_monitor, _first, web) = instances.running(INCUS, "web");
    let (_monitor, _first, db) = instances.running(INCUS, "prod_db");
    for target in ["web", "incus:web", "incus:default/web"] {
        cpid(target).ok().stdout_is(&format!("{web}\n")).stderr_is("");
    }
    for target in ["db", "incus:db", "incus:prod/db", "incus:prod_db"] {
        cpid(target).ok().stdout_is(&format!("{db}\n")).stderr_is("");
    }
    for target in ["incus:prod/web", "incus:default/db", "lxd:web", "lxc:web", "incus:we"] {
        cpid(target).fails_with(if target.starts_with("l") { 2 } else { 1 }).stdout_is("");
    }
    instances.host.cpid(&["--of", &db.to_string()]).run().ok().stdout_is("incus:prod/db\n");
    // One name in two projects is two containers.
    let (_monitor, _first, other) = instances.running(INCUS, "test_db");
    cpid("db").fails_with(2).stdout_is("").stderr_has("means 2 containers");
    cpid("incus:test/db").ok().stdout_is(&format!("{other}\n"));
}

#[test]
fn both_homes_of_lxd_are_looked_into() {
    let instances = need!(Instances::new());
    let (_monitor, _first, packaged) = instances.running("/var/lib/lxd", "one");
    let (_monitor, _first, snap) = instances.running("/var/snap/lxd/common/lxd", "two");
    for (name, pid) in [("one", packaged), ("two", snap)] {
        for target in [name.to_owned(), format!("lxd:{name}")] {
            instances.host.cpid(&[&target]).run().ok().stdout_is(&format!("{pid}\n")).stderr_is("");
        }
    }
    let listed = instances.host.cpid(&["--list", "--json"]).run().ok().json();
    let rows: Vec<_> = listed.as_array().unwrap().iter().map(|row| (&row["engine"], &row["pid"])).collect();
    assert_eq!(rows, [(&json!("lxd"), &json!(packaged)), (&json!("lxd"), &json!(snap))], "{listed}");
}

#[test]
fn an_instance_that_does_not_run_has_the_command_that_starts_it() {
    let instances = need!(Instances::new());
    instances.defined(INCUS, "web");
    instances.defined(INCUS, "prod_db");
    instances.defined("/var/lib/lxd", "old");
    for (target, hint) in [
        ("web", "hint: incus start web"),
        ("db", "hint: incus start --project prod db"),
        ("old", "hint: lxc start old"),
    ] {
        instances.host.cpid(&[target]).run().fails_with(1).stderr_has("is not running").stderr_has(hint);
    }
    let listed = instances.host.cpid(&["--list", "-a"]).run().ok();
    listed.stdout_has("web").stdout_has("prod_db").stdout_has("old");
    fs::remove_dir_all(instances.host.path("/var/lib/incus")).unwrap();
    instances
        .host
        .cpid(&["incus:web"])
        .run()
        .fails_with(2)
        .stderr_has("incus has no containers on this host");
}
