//! The other end on a bridge.

use crate::{add_nic, everything, lab, plug, reaches, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

/// A container whose NIC `eth0` is plugged into a bridge by hand.
pub(crate) fn by_hand(lab: &Lab, name: &str, bridge: &str, address: &str) -> Container {
    let container = lab.container(name, Options::only(&["net"]));
    let (pid, port) = (container.pid, format!("{name}-port"));
    lab.shell(&format!(
        "ip link show {bridge} >/dev/null 2>&1 || ip link add {bridge} up type bridge
         ip link add {port} up master {bridge} type veth peer name eth0 netns {pid}"
    ))
    .run()
    .ok();
    container.ip(&format!("address add {address} dev eth0 nodad"));
    container.ip("link set eth0 up");
    // Until then it hears nothing, and the bridge has no carrier.
    lab.shell(&format!("until ip -d link show {port} | grep -q 'state forwarding'; do sleep 0.02; done"))
        .run()
        .ok();
    container
}

#[test]
fn three_containers_on_a_bridge_reach_each_other_and_the_host() {
    let lab = need!(lab());
    let names = ["a", "b", "c"];
    let all = names.map(|name| lab.container(name, Options::only(&["net"])));
    for (at, container) in all.iter().enumerate() {
        let words = format!("10.1.0.{}/24 fd00:1::{}/64 --bridge br1 --create", at + 2, at + 2);
        plug(&lab, container, &words).ok();
        for other in 1..=at + 1 {
            reaches_from(&lab, container, &format!("10.1.0.{other}"));
            reaches_from(&lab, container, &format!("fd00:1::{other}"));
        }
        reaches(&lab, &format!("10.1.0.{}", at + 2));
    }
    let bridge = &lab.command("ip").args(["-j", "address", "show", "br1"]).run().ok().json()[0];
    assert_eq!(bridge["addr_info"][0]["local"], "10.1.0.1");
}

#[test]
fn a_bridge_that_was_made_goes_with_the_last_who_is_on_it() {
    let lab = need!(lab());
    let [a, b, c] = ["a", "b", "c"].map(|name| lab.container(name, Options::only(&["net"])));
    let before = everything(&lab, &[&a, &b, &c]);
    plug(&lab, &a, "10.1.0.2/24 --bridge br1 --create").ok();
    plug(&lab, &b, "10.1.0.3/24 --bridge br1").ok();
    plug(&lab, &c, "10.1.0.4/24 --bridge br1 --create").ok();
    for gone in [&a, &c] {
        add_nic(&lab, &["--rm", &gone.pid.to_string()]).ok();
        reaches(&lab, "10.1.0.3");
    }
    add_nic(&lab, &["--rm", &b.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&a, &b, &c]), before);
}

#[test]
fn a_bridge_that_somebody_else_uses_stays() {
    let lab = need!(lab());
    let a = lab.container("a", Options::only(&["net"]));
    plug(&lab, &a, "10.1.0.2/24 --bridge br1 --create").ok();
    let _b = by_hand(&lab, "b", "br1", "10.1.0.9/24");
    let removed = add_nic(&lab, &["--rm", &a.pid.to_string()]).ok();
    removed.stderr_is(
        "add-nic: br1: not deleted: b-port is attached to it; if nobody needs it: ip link del br1\n",
    );
    reaches(&lab, "10.1.0.9");
}

#[test]
fn a_bridge_that_got_another_mac_address_is_not_deleted_and_that_is_said() {
    let lab = need!(lab());
    let a = lab.container("a", Options::only(&["net"]));
    plug(&lab, &a, "10.1.0.2/24 --bridge br1 --create").ok();
    lab.shell("ip link set br1 address 02:00:00:00:00:55").run().ok();
    add_nic(&lab, &["--check"])
        .fails_with(1)
        .stdout_has("br1 has not the MAC address that it was created with");
    let removed = add_nic(&lab, &["--rm", &a.pid.to_string()]).ok();
    removed.stderr_has("br1: not deleted: its MAC address is not the one that it was created with; if nobody needs it: ip link del br1\n");
    lab.shell("ip link show br1").run().ok();
}

#[test]
fn what_is_given_to_an_existing_bridge_is_taken_from_it_again() {
    let lab = need!(lab());
    let old = by_hand(&lab, "old", "br0", "10.1.0.9/24");
    let [a, b] = ["a", "b"].map(|name| lab.container(name, Options::only(&["net"])));
    let before = everything(&lab, &[&a, &b]);
    plug(&lab, &a, "10.1.0.2/24 --bridge br0").ok();
    reaches_from(&lab, &a, "10.1.0.9");
    plug(&lab, &b, "10.1.0.3/24 --bridge br0 --host-addr 10.1.0.1").ok();
    reaches(&lab, "10.1.0.2");
    reaches_from(&lab, &old, "10.1.0.3");
    for container in [&b, &a] {
        add_nic(&lab, &["--rm", &container.pid.to_string()]).ok();
    }
    assert_eq!(everything(&lab, &[&a, &b]), before);
}

#[test]
fn an_address_that_somebody_on_the_bridge_has_is_refused_with_his_name() {
    let lab = need!(lab());
    let old = by_hand(&lab, "old", "br0", "10.1.0.9/24");
    old.ip("address add fd00:1::9/64 dev eth0 nodad");
    let mac = old.ip("-j link show eth0").json()[0]["address"].as_str().unwrap().to_owned();
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    for address in ["10.1.0.9/24", "fd00:1::9/64"] {
        let refused = plug(&lab, &web, &format!("{address} --bridge br0")).fails_with(2).stdout_is("");
        refused
            .stderr_has(&mac)
            .stderr_has("already in use by ")
            .stderr_has("(pid ")
            .stderr_has(") on br0\n");
        assert_eq!(everything(&lab, &[&web]), before);
    }
    plug(&lab, &web, "10.1.0.9/24 --bridge br0 --no-dad").ok();
}

#[test]
fn a_name_that_keeps_a_network_with_the_address_is_named() {
    let lab = need!(lab());
    let _other = by_hand(&lab, "other", "br0", "10.1.0.8/24");
    lab.shell(
        "ip netns add kept
         ip link add kept-port up master br0 type veth peer name eth0 netns kept
         ip -n kept address add 10.1.0.9/24 dev eth0; ip -n kept link set eth0 up
         until ip -d link show kept-port | grep -q 'state forwarding'; do sleep 0.02; done",
    )
    .run()
    .ok();
    let web = lab.container("web", Options::only(&["net"]));
    let refused = plug(&lab, &web, "10.1.0.9/24 --bridge br0").fails_with(2).stdout_is("");
    refused.stderr_has("/run/netns/kept").stderr_has("already in use by ").stderr_has(") on br0\n");
}

#[test]
fn what_is_no_bridge_that_works_is_refused() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    lab.shell("ip link add br-down type bridge; ip link add veth0 type veth peer name veth1").run().ok();
    let before = everything(&lab, &[&web]);
    let cases = [
        ("nope", "nope: no such bridge\nhint: add-nic "),
        ("veth0", "veth0: not a bridge"),
        ("br-down", "br-down: interface is down\nhint: ip link set br-down up"),
    ];
    for (bridge, why) in cases {
        plug(&lab, &web, &format!("10.1.0.2/24 --bridge {bridge}")).fails_with(2).stderr_has(why);
    }
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn the_mtu_is_the_bridges() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    lab.shell("ip link add br0 mtu 1400 up type bridge").run().ok();
    plug(&lab, &web, "10.1.0.2/24 --bridge br0 --mtu 1500")
        .fails_with(2)
        .stderr_has("larger than the MTU of br0, 1400");
    plug(&lab, &web, "10.1.0.2/24 --bridge br0").ok();
    assert_eq!(web.ip("-j link show eth0").json()[0]["mtu"], 1400);
}
