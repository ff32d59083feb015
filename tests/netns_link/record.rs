//! What lies below a link: shown without harm, and believed no further than it can vouch for.

use std::fs;

use serde_json::{Value, json};

use crate::{everything, netns_link};
use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

/// Puts `words` where a record would be, with nothing bound above them or with `pid`'s network.
fn plant(lab: &Lab, name: &str, words: &[u8], pid: Option<i32>) {
    fs::write(lab.path("/run/netns").join(name), words).unwrap();
    if let Some(pid) = pid {
        lab.shell(&format!("mount --bind /proc/{pid}/ns/net /run/netns/{name}")).run().ok();
    }
}

fn listed(lab: &Lab, name: &str) -> Value {
    let all = netns_link(lab, &["--list", "--json"]).ok().json();
    let found = all.as_array().unwrap().iter().find(|link| link["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {all}")).clone()
}

fn inode(lab: &Lab, pid: i32) -> u64 {
    let name = lab.namespace(pid, "net");
    name.trim_start_matches("net:[").trim_end_matches(']').parse().unwrap()
}

#[test]
fn words_that_are_no_record_make_no_link_ours() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    lab.command("ip").args(["netns", "add", "theirs"]).run().ok();
    let record = json!({ "made_by": "netns-link", "since": "2024-01-01T00:00:00Z",
        "netns_inode": inode(&lab, web.pid), "netns_handle": null, "container": null, "process": null });
    let whole = record.to_string();
    let padded = format!("{whole}{}", " ".repeat(1 << 20));
    let hostile: [(&str, &[u8]); 5] = [
        ("truncated", &whole.as_bytes()[..whole.len() - 2]),
        ("empty", b""),
        ("huge", padded.as_bytes()),
        ("binary", &[0xff; 4096]),
        ("array", b"[[[[[[[[[[[["),
    ];
    for (name, words) in hostile {
        plant(&lab, name, words, Some(web.pid));
        let link = listed(&lab, name);
        assert_eq!((&link["state"], &link["made_by"]), (&json!("named"), &Value::Null), "{name}");
    }
    let before = everything(&lab);
    netns_link(&lab, &["--prune"]).ok().stdout_is("");
    netns_link(&lab, &["--rm", "--all"]).ok().stdout_is("");
    netns_link(&lab, &["--rm", "huge"]).fails_with(2).stderr_has("was not made by netns-link");
    assert_eq!(everything(&lab), before);
}

#[test]
fn a_name_that_would_drive_a_terminal_does_not() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    lab.command("ip").args(["netns", "add", "theirs"]).run().ok();
    let evil = "x\u{1b}]0;owned\u{7}\n\u{9b}31m\u{202e}";
    let record = json!({ "made_by": evil, "since": "9999-01-01T00:00:00Z", "netns_inode": inode(&lab, web.pid),
        "netns_handle": evil, "container": { "engine": "docker", "id": evil, "name": evil },
        "process": { "pid": -1, "start_time_ticks": u64::MAX } });
    plant(&lab, "evil", record.to_string().as_bytes(), Some(web.pid));
    let table = netns_link(&lab, &["--list"]);
    assert!(table.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{table}");
    assert!(!table.stdout.contains('\u{202e}') && table.stdout.contains("evil"), "{table}");
    assert_eq!(listed(&lab, "evil")["container"], evil);
    let said = lab.tool("cpid").arg("evil").run();
    assert!(said.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{said}");
}

#[test]
fn a_record_does_not_vouch_for_another_namespace() {
    let lab = need!(Lab::new());
    let (web, db) = (lab.container("web", Options::default()), lab.container("db", Options::default()));
    netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).ok();
    // Somebody binds another one over it.
    lab.shell(&format!("mount --bind /proc/{}/ns/net /run/netns/web", db.pid)).run().ok();
    let link = listed(&lab, "web");
    assert_eq!(
        (&link["state"], &link["pid"], &link["made_by"]),
        (&json!("named"), &Value::Null, &Value::Null)
    );
    let before = everything(&lab);
    netns_link(&lab, &["--prune"]).ok();
    netns_link(&lab, &["--rm", "web"]).fails_with(2);
    assert_eq!(everything(&lab), before);
}

#[test]
fn a_record_that_names_a_stranger_makes_the_link_no_container_s() {
    let lab = need!(Lab::new());
    let (web, db) = (lab.container("web", Options::default()), lab.container("db", Options::default()));
    let _engine = fake_docker::knows(&[&db]).listen(lab.path("/run/docker.sock"));
    lab.command("ip").args(["netns", "add", "theirs"]).run().ok();
    let ticks = fs::read_to_string(lab.path(format!("/proc/{}/stat", db.pid))).unwrap();
    let ticks: u64 = ticks.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().parse().unwrap();
    let owner = json!({ "engine": "docker", "id": fake_docker::id_of("db"), "name": "db" });
    let record = json!({ "made_by": "netns-link", "since": "2024-01-01T00:00:00Z",
        "netns_inode": inode(&lab, web.pid), "netns_handle": null, "container": owner,
        "process": { "pid": db.pid, "start_time_ticks": ticks } });
    plant(&lab, "lie", record.to_string().as_bytes(), Some(web.pid));
    // It says db, and db runs in another network.
    assert_eq!(listed(&lab, "lie")["state"], "restarted");
}

#[test]
fn what_another_user_may_write_is_no_record() {
    let lab = need!(Lab::with_users());
    let web = lab.container("web", Options::default());
    netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).ok();
    lab.shell("umount -l /run/netns/web; chown 1000 /run/netns/web").run().ok();
    assert_eq!(listed(&lab, "web")["state"], "not-a-namespace");
}
