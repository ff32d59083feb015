//! A host that is against us: directories that others own, PIDs that come again, signals.

use crate::{everything, netns_link};
use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need};

#[test]
fn what_another_user_has_planted_is_refused_and_stays() {
    let lab = need!(Lab::with_users());
    let web = lab.container("web", Options::default());
    let pid = web.pid.to_string();
    let plants = [
        ("mkdir /run/mine; ln -s mine /run/netns; chown -h 1000 /run/netns /run/mine", "is not a directory"),
        ("rm /run/netns; mkdir /run/netns; chown 1000 /run/netns", "belongs to another user"),
    ];
    for (plant, why) in plants {
        lab.shell(plant).run().ok();
        let before = everything(&lab);
        for words in [&[&pid, "--as", "web"][..], &["--new", "web"]] {
            netns_link(&lab, words).fails_with(2).stdout_is("").stderr_has(&format!("/run/netns: {why}"));
        }
        assert_eq!(everything(&lab), before);
    }
}

#[test]
fn a_run_that_is_read_only_is_left_as_it_is() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    lab.shell("mount -o remount,bind,ro /run").run().ok();
    let before = everything(&lab);
    let refused = netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).fails_with(2).stdout_is("");
    refused.stderr_has("/run/netns: make the directory: Read-only file system");
    netns_link(&lab, &["--list"]).ok();
    netns_link(&lab, &["--rm", "web"]).ok();
    assert_eq!(everything(&lab), before);
}

/// Lets the next processes of the lab have PIDs from `pid` on.
fn rewind(lab: &Lab, pid: i32) -> Result<(), Missing> {
    let set = lab.shell(&format!("echo {} >/proc/sys/kernel/ns_last_pid", pid - 1)).run();
    let done = set.status.is_some_and(|status| status.success());
    done.then_some(()).ok_or_else(|| Missing::Fixable("PIDs are chosen by root alone".to_owned()))
}

#[test]
fn a_pid_that_comes_again_does_not_make_a_dead_link_live() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    let pid = web.pid;
    netns_link(&lab, &[&pid.to_string(), "--as", "by-pid"]).ok();
    let engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    netns_link(&lab, &["web"]).ok();
    drop(engine);
    // A start takes some PIDs for itself before the container has its own.
    for before in 0..8 {
        web.stop();
        need!(rewind(&lab, pid - before));
        web.restart();
        if web.pid == pid {
            break;
        }
    }
    assert_eq!(web.pid, pid, "the PID did not come again");
    let mut dead = web;
    dead.name = "other".to_owned();
    let _engine = fake_docker::knows(&[&dead]).listen(lab.path("/run/docker.sock"));
    let links = netns_link(&lab, &["--list", "--json"]).ok().json();
    for link in links.as_array().unwrap() {
        assert_eq!((&link["state"], &link["pid"]), (&"pinned".into(), &serde_json::Value::Null), "{link}");
    }
    netns_link(&lab, &["--check"]).fails_with(1);
    netns_link(&lab, &["--prune"]).ok().stdout_is("/run/netns/by-pid\n/run/netns/web\n");
}

#[test]
fn a_signal_waits_until_the_link_is_whole() {
    let lab = need!(Lab::new());
    need!(support::skip::program("strace", "strace"));
    let web = lab.container("web", Options::default());
    lab.command("ip").args(["netns", "add", "kept"]).run().ok();
    let tool = support::tools::tool("netns-link");
    // As the file with the record gets its name.
    let strace = "strace -f -o /dev/null -e inject=linkat:signal=TERM:when=1";
    lab.command("sh").args(["-c", &format!("{strace} {tool} {} --as web", web.pid)]).run();
    let links = netns_link(&lab, &["--list", "--json"]).ok().json();
    assert_eq!(links[1]["state"], "live", "{links}");
}
