//! Networks that outlive their containers, because a link keeps them: they go on answering for their addresses.

use crate::{add_nic, lab, reaches};
use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::FakeEngine;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::need;

fn engine(lab: &Lab, containers: &[&Container]) -> FakeEngine {
    fake_docker::knows(containers).listen(lab.path("/run/docker.sock"))
}

fn container(lab: &Lab, name: &str) -> Container {
    lab.container(name, Options::only(&["net"]))
}

#[track_caller]
fn netns_link(lab: &Lab, words: &str) -> Ran {
    lab.tool("netns-link").args(words.split_whitespace()).run().ok()
}

const BRIDGE: [&str; 4] = ["10.1.0.2/24", "--bridge", "br1", "--create"];

#[track_caller]
fn add(lab: &Lab, name: &str) -> Ran {
    add_nic(lab, &[&[name][..], &BRIDGE].concat())
}

/// `web` has a link and a NIC, and was started again since.
fn scene(lab: &Lab) -> (Container, FakeEngine) {
    let mut web = container(lab, "web");
    let first = engine(lab, &[&web]);
    netns_link(lab, "web");
    add(lab, "web").ok();
    drop(first);
    web.restart();
    let second = engine(lab, &[&web]);
    (web, second)
}

#[test]
fn the_network_that_a_container_had_before_is_refused_by_the_name_of_its_link() {
    let lab = need!(lab());
    let (_web, _engine) = scene(&lab);
    let mac = add_nic(&lab, &["--list", "--json"]).ok().json()[0]["mac"].as_str().unwrap().to_owned();
    for words in [&[][..], &["--dry-run"]] {
        let refused = add_nic(&lab, &[&["web"][..], &BRIDGE, words].concat()).fails_with(2).stdout_is("");
        refused.stderr_is(&format!(
            "add-nic: 10.1.0.2: already in use by {mac} (the network namespace that /run/netns/web \
             keeps, from before web was restarted)\nhint: netns-link --refresh\n"
        ));
    }
    // It is the old network that answers.
    reaches(&lab, "10.1.0.2");
    netns_link(&lab, "--refresh");
    add(&lab, "web").ok().stdout_has("web: eth0 10.1.0.2/24, on br1 as port web-eth0");
    reaches(&lab, "10.1.0.2");
    add_nic(&lab, &["--check"]).ok();
}

#[test]
fn an_answer_on_the_bridge_is_traced_to_the_link_though_there_is_no_record() {
    let lab = need!(lab());
    let (_web, _engine) = scene(&lab);
    lab.shell("rm /run/netns-toolbox/nics/*").run().ok();
    let refused = add(&lab, "web").fails_with(2);
    refused
        .stderr_has(
            "(the network namespace that /run/netns/web keeps, from before web was restarted) on br1\n",
        )
        .stderr_has("hint: netns-link --refresh");
}

#[test]
fn a_network_whose_container_is_gone_is_in_nobodys_way_once_its_link_is_removed() {
    let lab = need!(lab());
    let (mut web, engine_before) = scene(&lab);
    drop(engine_before);
    web.stop();
    let db = container(&lab, "db");
    let _engine = engine(&lab, &[&db]);
    let refused = add(&lab, "db").fails_with(2);
    refused
        .stderr_has("(the network namespace that /run/netns/web keeps, of web, which no longer exists)\n")
        .stderr_has("hint: netns-link --rm web");
    netns_link(&lab, "--rm web");
    add(&lab, "db").ok().stdout_has("db: eth0 10.1.0.2/24");
    reaches(&lab, "10.1.0.2");
}

#[test]
fn a_network_that_the_kernel_is_about_to_end_is_in_nobodys_way() {
    let lab = need!(lab());
    let mut web = container(&lab, "web");
    for _ in 0..10 {
        let _engine = engine(&lab, &[&web]);
        // A cable: a second one with the same network would be refused.
        add_nic(&lab, &["web", "10.1.0.2/24"]).ok().stdout_has("web-eth0");
        reaches(&lab, "10.1.0.2");
        web.restart();
    }
    let mut other = container(&lab, "other");
    for _ in 0..5 {
        let engine_now = engine(&lab, &[&web, &other]);
        add_nic(&lab, &["web", "10.1.0.2/24"]).ok();
        drop(engine_now);
        web.stop();
        let engine_now = engine(&lab, &[&web, &other]);
        add_nic(&lab, &["other", "10.1.0.2/24"]).ok();
        drop(engine_now);
        other.restart();
        web.restart();
    }
}

#[test]
fn a_watch_takes_its_nic_out_of_the_network_that_a_link_keeps() {
    let lab = need!(lab());
    let mut web = container(&lab, "web");
    let file = "[[nic]]\ncontainer = 'web'\naddresses = '10.1.0.2/24'\nbridge = 'br1'\ncreate = true\n";
    std::fs::write(lab.path("/run/nics.toml"), file).unwrap();
    let first = engine(&lab, &[&web]);
    netns_link(&lab, "web");
    let watch = lab.tool("add-nic").args(["--watch", "/run/nics.toml"]).start();
    watch.wait_for("reachable");
    drop(first);
    web.restart();
    let _second = engine(&lab, &[&web]);
    watch.wait_for("web: eth0 10.1.0.2/24 removed\nweb: eth0 10.1.0.2/24, on br1 as port web-eth0");
    reaches(&lab, "10.1.0.2");
    assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json().as_array().unwrap().len(), 1);
}
