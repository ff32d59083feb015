//! What becomes of links, each produced for real and called by its name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{everything, netns_link};
use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::need;
use support::world::World;

fn states(list: &Ran) -> BTreeMap<String, String> {
    let list = list.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|link| (text(&link["name"]), text(&link["state"]))).collect()
}

fn expected(states: &[(&str, &str)]) -> BTreeMap<String, String> {
    states.iter().map(|&(name, state)| (name.to_owned(), state.to_owned())).collect()
}

/// Everything that can become of a link, on one host.
const ALL: [(&str, &str); 11] = [
    ("dangling-symlink", "dangling"),
    ("dir", "not-a-namespace"),
    ("leftover", "not-a-namespace"),
    ("live", "live"),
    ("lost", "dangling"),
    ("new", "named"),
    ("pinned", "pinned"),
    ("process", "live"),
    ("restarted", "restarted"),
    ("symlink", "named"),
    ("theirs", "named"),
];

#[test]
fn every_state_is_called_by_its_name() {
    let lab = need!(Lab::new());
    let [live, lost, mut pinned, mut restarted] =
        ["live", "lost", "pinned", "restarted"].map(|name| lab.container(name, Options::default()));
    let engine =
        fake_docker::knows(&[&live, &lost, &pinned, &restarted]).listen(lab.path("/run/docker.sock"));
    netns_link(&lab, &["--all"]).ok();
    netns_link(&lab, &[&live.pid.to_string(), "--as", "process"]).ok();
    netns_link(&lab, &["--new", "new"]).ok();
    let others = "umount -l /run/netns/lost; ip netns add theirs; ip netns add leftover; \
         umount -l /run/netns/leftover; mkdir /run/netns/dir; ln -s nowhere /run/netns/dangling-symlink; \
         ln -s new /run/netns/symlink";
    lab.shell(others).run().ok();
    pinned.stop();
    restarted.restart();
    drop(engine);
    let _engine =
        fake_docker::knows(&[&live, &lost, &pinned, &restarted]).listen(lab.path("/run/docker.sock"));

    assert_eq!(states(&netns_link(&lab, &["--list", "--json"]).ok()), expected(&ALL));
    let bad: Vec<(&str, &str)> =
        ALL.into_iter().filter(|(_, state)| !matches!(*state, "live" | "named")).collect();
    assert_eq!(states(&netns_link(&lab, &["--check", "--json"]).fails_with(1)), expected(&bad));
    let table = netns_link(&lab, &["--list"]).ok();
    for (name, state) in ALL {
        let row = table.stdout.lines().find(|row| row.split_whitespace().next() == Some(name));
        assert_eq!(row.and_then(|row| row.split_whitespace().nth(1)), Some(state), "{table}");
    }

    // What is ours can be put right; the rest is not ours.
    netns_link(&lab, &["--refresh"]).ok().stdout_is("/run/netns/lost\n/run/netns/restarted\n");
    netns_link(&lab, &["--prune"]).ok().stdout_is("/run/netns/pinned\n");
    let left: Vec<(&str, &str)> = ALL
        .into_iter()
        .filter(|(name, _)| *name != "pinned")
        .map(|(name, state)| (name, if matches!(name, "lost" | "restarted") { "live" } else { state }))
        .collect();
    assert_eq!(states(&netns_link(&lab, &["--list", "--json"]).ok()), expected(&left));
}

#[test]
fn an_engine_that_is_silent_makes_no_link_a_dead_one() {
    let lab = need!(Lab::new());
    let (web, mut db) = (lab.container("web", Options::default()), lab.container("db", Options::default()));
    let engine = fake_docker::knows(&[&web, &db]).listen(lab.path("/run/docker.sock"));
    netns_link(&lab, &["--all"]).ok();
    drop(engine);
    db.stop();
    let silent = support::fake_engine::Script::new().otherwise(support::fake_engine::Answer::never());
    let _engine = silent.listen(lab.path("/run/docker.sock"));
    const LIMIT: &str = "--engine-timeout=300ms";
    // The process proves one of them; nobody can say what has become of the other.
    let shown = netns_link(&lab, &[LIMIT, "--list", "--json"]).ok().stderr_has("did not answer");
    assert_eq!(states(&shown), expected(&[("db", "pinned"), ("web", "live")]));
    let before = everything(&lab);
    netns_link(&lab, &[LIMIT, "--prune"]).fails_with(2).stderr_has("did not answer");
    assert_eq!(everything(&lab), before);
}

#[test]
fn every_state_of_a_real_container_is_called_by_its_name() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &[]);
    let name = web.name.as_str();
    let state = || {
        let list = world.tool("netns-link").args(["--list", "--json"]).run().ok().json();
        let link = list.as_array().unwrap().iter().find(|link| link["name"] == name).cloned().unwrap();
        assert_eq!((&link["engine"], &link["container"]), (&"docker".into(), &name.into()));
        (link["state"].as_str().unwrap().to_owned(), link["pid"].as_i64())
    };
    let says = |expected: &str, pid: Option<i32>| {
        assert_eq!(state(), (expected.to_owned(), pid.map(i64::from)));
    };
    world.tool("netns-link").arg(name).run().ok();
    says("live", Some(web.pid()));
    let inside = web.command("readlink").arg("/proc/self/ns/net").run().ok().stdout;
    let observers = [
        vec!["ip", "netns", "exec", name, "readlink", "/proc/self/ns/net"],
        vec!["nsenter", &format!("--net=/run/netns/{name}"), "readlink", "/proc/self/ns/net"],
    ]
    .map(|words| world.command(words[0]).args(&words[1..]).run().ok().stdout);
    assert_eq!(observers, [inside.clone(), inside]);
    world.command("ip").args(["-n", name, "route"]).run().ok().stdout_has("default via");
    let pid = web.pid().to_string();
    world.command("ip").args(["netns", "identify", &pid]).run().ok().stdout_has(name);

    web.restart();
    says("restarted", Some(web.pid()));
    world.tool("netns-link").arg(name).run().fails_with(2).stderr_has("hint: netns-link --refresh");
    world.tool("netns-link").args(["--force", name]).run().ok();
    says("live", Some(web.pid()));
    world.command("umount").args(["-l", &format!("/run/netns/{name}")]).run().ok();
    says("dangling", None);
    world.tool("netns-link").arg(name).run().ok();
    says("live", Some(web.pid()));
    web.stop();
    says("pinned", None);
    world.tool("netns-link").args(["--rm", name]).run().ok();
}
