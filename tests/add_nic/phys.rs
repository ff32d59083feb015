//! A NIC of the host's, moved in and given back. A veth end plays it: the kernel lets that one end with its container, where
//! hardware would come back.

use crate::{add_nic, everything, lab, neighbour, plug, reaches, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::until::until;

fn web(lab: &Lab) -> Container {
    lab.container("web", Options::only(&["net"]))
}

/// Gives lan0 whatever a NIC of the host's can have.
fn furnish(lab: &Lab) {
    lab.shell(
        "ip link set lan0 mtu 1400 alias 'the lab'
         ip address add 10.1.0.1/24 broadcast 10.1.0.255 dev lan0 label lan0:main
         ip address add 10.1.0.7/24 dev lan0
         ip address add 10.3.0.1/32 dev lan0 scope link
         ip address add fd00:1::1/64 dev lan0 nodad
         ip route add 192.0.2.0/24 via 10.1.0.9 src 10.1.0.7 metric 50
         ip route add 198.51.100.0/24 dev lan0 proto static
         ip route add 203.0.113.0/24 via 198.51.100.1 table 77
         ip route add fd00:9::/64 via fd00:1::9
         echo 2 >/proc/sys/net/ipv4/conf/lan0/rp_filter
         echo 0 >/proc/sys/net/ipv6/conf/lan0/accept_ra",
    )
    .run()
    .ok();
}

#[test]
fn it_works_in_the_container_and_comes_back_as_it_was() {
    let lab = need!(lab());
    let (neighbour, web) = (neighbour(&lab), web(&lab));
    furnish(&lab);
    reaches(&lab, "10.1.0.9");
    let before = everything(&lab, &[&web, &neighbour]);
    let pid = web.pid.to_string();
    for (words, remove) in [
        ("10.1.0.2/24 fd00:1::2/64 --phys lan0", &["--rm", pid.as_str()][..]),
        (
            "10.1.0.2/24 --phys lan0 --name wan --mac 02:00:00:00:00:07 --mtu 1300 --gateway 10.1.0.9",
            &["--rm", &pid, "lan0"],
        ),
    ] {
        plug(&lab, &web, words).ok().stdout_has(", the host's lan0, added in ");
        reaches_from(&lab, &web, "10.1.0.9");
        reaches_from(&lab, &neighbour, "10.1.0.2");
        plug(&lab, &web, words).ok().stdout_has(", unchanged\n");
        add_nic(&lab, &["--check"]).ok().stdout_is("");
        let row = &add_nic(&lab, &["--list", "--json"]).ok().json()[0];
        assert_eq!((&row["kind"], &row["host_name"]), (&"phys".into(), &"lan0".into()));
        let links = lab.command("ip").args(["-j", "link"]).run().ok().json();
        assert!(links.as_array().unwrap().iter().all(|link| link["ifname"] != "lan0"), "{links}");
        add_nic(&lab, remove).ok();
        assert_eq!(everything(&lab, &[&web, &neighbour]), before);
        reaches(&lab, "10.1.0.9");
    }
}

#[test]
fn one_that_was_down_is_down_again() {
    let lab = need!(lab());
    let (neighbour, web) = (lab.container("neighbour", Options::only(&["net"])), web(&lab));
    lab.shell(&format!("ip link add lan0 type veth peer name eth0 netns {}", neighbour.pid)).run().ok();
    neighbour.ip("address add 10.1.0.9/24 dev eth0");
    neighbour.ip("link set eth0 up");
    let before = everything(&lab, &[&web]);
    plug(&lab, &web, "10.1.0.2/24 --phys lan0").ok();
    reaches_from(&lab, &web, "10.1.0.9");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn without_a_carrier_it_is_moved_and_said() {
    let lab = need!(lab());
    let (neighbour, web) = (neighbour(&lab), web(&lab));
    neighbour.ip("link set eth0 down");
    plug(&lab, &web, "10.1.0.2/24 --phys lan0")
        .ok()
        .stderr_has("eth0 has no carrier: it will not work until it has");
    neighbour.ip("link set eth0 up");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    lab.shell("ip link show lan0").run().ok();
}

#[test]
fn what_the_host_cannot_spare_is_refused() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), web(&lab));
    lab.shell(
        "ip link add br0 up type bridge; ip link add port0 up master br0 type veth peer name port1
         ip link add out0 up type veth peer name out1; ip link set out1 up; ip address add 10.9.0.1/24 dev out0
         ip route add default via 10.9.0.2 dev out0
         ip link add low0 up type veth peer name low1; ip link add link low0 name mv0 type macvlan
         ip link add lease0 up type veth peer name lease1; ip address add 10.8.0.1/24 dev lease0 valid_lft 600 preferred_lft 600
         ip link add many0 up type veth peer name many1; ip link set many1 up; ip address add 10.7.0.1/24 dev many0",
    )
    .run()
    .ok();
    let before = everything(&lab, &[&web]);
    for (words, why) in [
        ("--phys nope", "nope: no such interface on the host"),
        ("--phys lo", "lo: the loopback interface cannot be moved"),
        ("--phys br0", "br0: a bridge cannot be moved"),
        ("--phys port0", "port0: in use as a port of br0"),
        ("--phys out0", "out0: has the host's default route: the host would be cut off\nhint: add-nic "),
        ("--phys low0", "low0: in use by mv0, which is stacked on it"),
        ("--phys mv0", "mv0: a macvlan cannot be moved: the container could replace it"),
        ("--phys lease0", "10.8.0.1 of the host's lease0: has a lifetime"),
        ("--phys lan0 --host-addr 10.1.0.1", "cannot be used with"),
        ("--phys lan0 --macvlan lan0", "cannot be used with"),
        ("--phys lan0 --name lo", "lo: name already in use"),
        ("--phys lan0 --gateway 10.2.0.1", "10.2.0.1: not in 10.1.0.0/24"),
    ] {
        let refused =
            plug(&lab, &web, &format!("10.1.0.2/24 {words}")).fails_with(2).stdout_is("").stderr_has(why);
        assert_eq!(refused.stderr.matches("add-nic: ").count(), 1, "{refused}");
        assert_eq!(everything(&lab, &[&web]), before, "{words}");
    }
    lab.shell("ip route add 172.31.0.0/16 nexthop via 10.7.0.2 nexthop via 10.7.0.3").run().ok();
    plug(&lab, &web, "10.1.0.2/24 --phys many0")
        .fails_with(2)
        .stderr_has("the host's route to 172.31.0.0/16");
    lab.shell("ip route del 172.31.0.0/16").run().ok();
    plug(&lab, &web, "10.1.0.9/24 --phys lan0").fails_with(2).stderr_has("already in use by");
    lab.shell("ip link show lan0; ip link show many0").run().ok();
}

#[test]
fn one_that_ends_with_its_container_is_forgotten() {
    let lab = need!(lab());
    let (neighbour, mut web) = (neighbour(&lab), web(&lab));
    let other = lab.container("other", Options::only(&["net"]));
    furnish(&lab);
    plug(&lab, &web, "10.1.0.2/24 --phys lan0").ok();
    web.stop();
    until("the neighbour's eth0 is gone", || !neighbour.ip("-j link").stdout.contains("eth0"));
    plug(&lab, &other, "10.7.0.2/24").ok().stderr_is("");
    assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json().as_array().unwrap().len(), 1);
}

#[test]
fn a_link_that_the_container_passes_off_as_it_does_not_reach_the_host() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), web(&lab));
    lab.shell("ip address add 10.1.0.1/24 dev lan0").run().ok();
    let mac = lab.command("ip").args(["-j", "link", "show", "lan0"]).run().ok().json()[0]["address"].clone();
    plug(&lab, &web, "10.1.0.2/24 --phys lan0").ok();
    web.ip("link del eth0");
    web.ip(&format!("link add eth0 address {} type veth peer name trap", mac.as_str().unwrap()));
    web.ip("link set trap up");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    let host = lab.command("ip").args(["-j", "address"]).run().ok();
    assert!(!host.stdout.contains("lan0") && !host.stdout.contains("10.1.0.1"), "{host}");
}

#[test]
fn a_name_that_the_host_has_given_to_another_is_said_and_nothing_is_lost() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), web(&lab));
    lab.shell("ip address add 10.1.0.1/24 dev lan0").run().ok();
    let before = everything(&lab, &[&web]);
    let pid = web.pid.to_string();
    plug(&lab, &web, "10.1.0.2/24 --phys lan0 --name lan0").ok();
    lab.shell("ip link add lan0 type veth peer name other").run().ok();
    add_nic(&lab, &["--rm", &pid])
        .fails_with(2)
        .stderr_has("lan0: the host has another interface of this name");
    lab.shell("ip link del lan0").run().ok();
    add_nic(&lab, &["--rm", &pid]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn whatever_the_container_does_to_it_is_seen_and_undone() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), web(&lab));
    furnish(&lab);
    let pid = web.pid.to_string();
    let before = everything(&lab, &[&web]);
    for (change, difference) in [
        ("link set eth0 down name wan", "eth0 was renamed to wan"),
        ("link set eth0 mtu 1300", "eth0 has MTU 1300, not 1400"),
        ("link set eth0 down", "eth0 is down"),
        ("address flush dev eth0", "10.1.0.2/24 is not on eth0"),
    ] {
        plug(&lab, &web, "10.1.0.2/24 --phys lan0").ok();
        web.ip(change);
        add_nic(&lab, &["--check", &pid]).fails_with(1).stdout_has(difference);
        add_nic(&lab, &["--rm", &pid]).ok();
        assert_eq!(everything(&lab, &[&web]), before, "{change}");
    }
}
