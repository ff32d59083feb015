//! The default: a cable from the container to the host, and it works when the command returns.

use serde_json::Value;

use crate::{add_nic, everything, lab, plug, reaches, reaches_from};
use support::container::Options;
use support::run::Run;
use support::skip::need;

/// Of `ip -j address`, the addresses of one link as `10.1.0.2/24`, without link-local ones.
fn addresses(json: &Value, link: &str) -> Vec<String> {
    let links = json.as_array().unwrap();
    let link =
        links.iter().find(|found| found["ifname"] == link).unwrap_or_else(|| panic!("no {link} in {json}"));
    let held = link["addr_info"].as_array().unwrap().iter().filter(|held| held["scope"] != "link");
    held.map(|held| format!("{}/{}", held["local"].as_str().unwrap(), held["prefixlen"])).collect()
}

#[test]
fn a_cable_works_when_the_command_returns() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let said = plug(&lab, &web, "10.1.0.2/24").ok();
    reaches(&lab, "10.1.0.2");
    reaches_from(&lab, &web, "10.1.0.1");
    let line =
        format!("pid:{0}: eth0 10.1.0.2/24, host end pid{0}-eth0 10.1.0.1/24, reachable after ", web.pid);
    assert!(said.stdout.starts_with(&line) && said.stdout.ends_with(" ms\n"), "{said}");
    assert_eq!(addresses(&web.ip("-j address").json(), "eth0"), ["10.1.0.2/24"]);
    let host_end = format!("pid{}-eth0", web.pid);
    let outside = lab.command("ip").args(["-j", "address"]).run().ok().json();
    assert_eq!(addresses(&outside, &host_end), ["10.1.0.1/24"]);
    for links in [outside, web.ip("-j address").json()] {
        for link in links.as_array().unwrap().iter().filter(|link| link["ifname"] != "lo") {
            assert_eq!(link["operstate"], "UP", "{link}");
        }
    }
}

#[test]
fn each_kind_of_network_has_an_address_for_the_host() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let cases = [
        ("10.1.0.1/24", "10.1.0.1", "10.1.0.2"),
        ("10.2.0.2/30", "10.2.0.2", "10.2.0.1"),
        ("10.3.0.2/31", "10.3.0.2", "10.3.0.3"),
        ("10.4.0.2/32 --host-addr 192.0.2.7", "10.4.0.2", "192.0.2.7"),
        ("fd00:5::2/64", "fd00:5::2", "fd00:5::1"),
        ("fd00:6::3/127", "fd00:6::3", "fd00:6::2"),
        ("fd00:7::1/128 --host-addr fd00:77::1", "fd00:7::1", "fd00:77::1"),
        ("10.8.0.9/24 --host-addr 10.8.0.200", "10.8.0.9", "10.8.0.200"),
        ("10.9.0.9/24 --gateway 10.9.0.254", "10.9.0.9", "10.9.0.254"),
    ];
    for (words, inside, outside) in cases {
        plug(&lab, &web, words).ok();
        reaches(&lab, inside);
        reaches_from(&lab, &web, outside);
    }
    let nics = add_nic(&lab, &["--list", "--json"]).ok().json();
    let names: Vec<&str> = nics.as_array().unwrap().iter().map(|nic| nic["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["eth0", "eth1", "eth2", "eth3", "eth4", "eth5", "eth6", "eth7", "eth8"]);
    add_nic(&lab, &["--check"]).ok().stdout_is("");
}

#[test]
fn several_addresses_of_both_families_share_a_cable() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    plug(&lab, &web, "10.1.0.2/24 10.1.0.3/24 10.2.0.2/24 fd00:1::2/64").ok();
    for address in ["10.1.0.2", "10.1.0.3", "10.2.0.2", "fd00:1::2"] {
        reaches(&lab, address);
    }
    let outside = lab.command("ip").args(["-j", "address"]).run().ok().json();
    let host_end = format!("pid{}-eth0", web.pid);
    assert_eq!(addresses(&outside, &host_end), ["10.1.0.1/24", "10.2.0.1/24", "fd00:1::1/64"]);
}

#[test]
fn ipv6_works_where_the_engine_has_switched_it_off() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let off = "for link in all default; do echo 1 >/proc/sys/net/ipv6/conf/$link/disable_ipv6; done";
    let pid = web.pid.to_string();
    lab.command("nsenter").args(["--target", &pid, "--net", "--", "sh", "-c", off]).run().ok();
    plug(&lab, &web, "fd00:1::2/64").ok();
    reaches(&lab, "fd00:1::2");
}

#[test]
fn a_nic_is_as_it_was_asked_for() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let words = "10.1.0.2/24 --name wan --host-name to-web --mac 02:00:00:00:00:07 --mtu 1400";
    let said = plug(&lab, &web, &format!("{words} --json")).ok().json();
    let link = &web.ip("-j link show wan").json()[0];
    assert_eq!((&link["address"], &link["mtu"]), (&"02:00:00:00:00:07".into(), &1400.into()));
    let outside = &lab.command("ip").args(["-j", "link", "show", "to-web"]).run().ok().json()[0];
    assert_eq!(outside["mtu"], 1400);
    assert_eq!(outside["ifalias"], format!("add-nic: wan of pid:{}", web.pid));
    assert_eq!(said["outcome"], "added");
    assert_eq!(said["host_mac"], outside["address"]);
    assert_eq!((&said["name"], &said["mtu_bytes"]), (&"wan".into(), &1400.into()));
    assert!(said["took_us"].as_u64().unwrap() > 0, "{said}");
}

#[test]
fn the_same_call_again_changes_nothing_and_succeeds() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let words = "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --bridge br0 --create";
    plug(&lab, &web, words).ok();
    let before = everything(&lab, &[&web]);
    plug(&lab, &web, words).ok().stdout_has(", unchanged\n");
    assert_eq!(plug(&lab, &web, &format!("{words} --json")).ok().json()["outcome"], "unchanged");
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn a_nic_that_somebody_changed_is_not_called_the_same() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    plug(&lab, &web, "10.1.0.2/24").ok();
    web.ip("address del 10.1.0.2/24 dev eth0");
    let again = plug(&lab, &web, "10.1.0.2/24").fails_with(2);
    again
        .stderr_has("10.1.0.2/24 is not on eth0")
        .stderr_has(&format!("hint: add-nic --rm pid:{} eth0", web.pid));
    let drift = add_nic(&lab, &["--check"]).fails_with(1);
    drift.stdout_is(&format!("pid:{}: eth0: 10.1.0.2/24 is not on eth0\n", web.pid));
    let pid = web.pid.to_string();
    add_nic(&lab, &["--rm", &pid, "eth0"]).ok();
    plug(&lab, &web, "10.1.0.2/24").ok();
    reaches(&lab, "10.1.0.2");
    add_nic(&lab, &["--check"]).ok();
}

#[test]
fn check_names_whatever_is_different() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let pid = web.pid.to_string();
    let changes = [
        ("nsenter -t PID -n ip link set eth0 down", "eth0 is down"),
        ("nsenter -t PID -n ip link set eth0 address 02:00:00:00:00:99", "eth0 has a different MAC address"),
        ("nsenter -t PID -n ip link set eth0 mtu 1300", "eth0 has MTU 1300, not 1500"),
        ("nsenter -t PID -n ip link set eth0 down name other", "eth0 was renamed to other"),
        ("nsenter -t PID -n ip route del 10.9.0.0/16", "the route to 10.9.0.0/16 is gone"),
        ("nsenter -t PID -n ip route del default", "the default route is gone"),
        ("ip address flush dev host-end", "10.1.0.1/24 is not on host-end"),
        ("ip link set host-end down name else", "host-end was renamed to else"),
        ("ip link del host-end", "no longer exists"),
    ];
    for (change, difference) in changes {
        plug(&lab, &web, "10.1.0.2/24 --host-name host-end --gateway 10.1.0.1 --route 10.9.0.0/16").ok();
        add_nic(&lab, &["--check", &pid]).ok();
        lab.shell(&change.replace("PID", &pid)).run().ok();
        add_nic(&lab, &["--check", &pid]).fails_with(1).stdout_has(difference);
        add_nic(&lab, &["--rm", &pid]).ok();
        add_nic(&lab, &["--check", &pid]).ok();
    }
}
