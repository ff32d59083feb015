//! A NIC that stands on a link of the host.

use crate::{add_nic, everything, lab, neighbour, plug, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::until::until;

fn web(lab: &Lab) -> Container {
    lab.container("web", Options::only(&["net"]))
}

#[test]
fn it_is_on_the_segment_of_its_parent() {
    let lab = need!(lab());
    let (neighbour, web, db) = (neighbour(&lab), web(&lab), lab.container("db", Options::only(&["net"])));
    let before = everything(&lab, &[&web, &db, &neighbour]);
    // The host has a link of the name that the NIC gets.
    lab.shell("ip link add eth0 type veth peer name other").run().ok();
    let words = "10.1.0.2/24 fd00:1::2/64 --macvlan lan0";
    plug(&lab, &web, words)
        .ok()
        .stdout_has(": eth0 10.1.0.2/24 fd00:1::2/64, on lan0 as macvlan mode bridge, added in ");
    plug(&lab, &db, "10.1.0.3/24 --macvlan lan0:bridge").ok();
    for address in ["10.1.0.9", "fd00:1::9", "10.1.0.3"] {
        reaches_from(&lab, &web, address);
    }
    reaches_from(&lab, &neighbour, "10.1.0.2");
    plug(&lab, &web, words).ok().stdout_has(", unchanged\n");
    add_nic(&lab, &["--check"]).ok().stdout_is("");
    let rows = add_nic(&lab, &["--list", "--json"]).ok().json();
    assert_eq!(
        (&rows[0]["kind"], &rows[0]["parent"], &rows[0]["mode"]),
        (&"macvlan".into(), &"lan0".into(), &"bridge".into())
    );
    assert_eq!((&rows[0]["host_name"], &rows[0]["bridge"]), (&().into(), &().into()));
    let link = &web.ip("-d -j link show eth0").json()[0];
    assert_eq!(
        (&link["linkinfo"]["info_data"]["mode"], &link["address"]),
        (&"bridge".into(), &rows[0]["mac"])
    );
    for container in [&web, &db] {
        add_nic(&lab, &["--rm", &container.pid.to_string()]).ok();
    }
    lab.shell("ip link del eth0").run().ok();
    // What neighbours have learned, and the number that each namespace has given to the other, are no links of ours.
    assert_eq!(everything(&lab, &[&web, &db, &neighbour]), before);
}

#[test]
fn each_mode_is_the_kernels() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), web(&lab));
    let pid = web.pid.to_string();
    for mode in ["private", "vepa", "bridge", "passthru"] {
        plug(&lab, &web, &format!("10.1.0.2/24 --macvlan lan0:{mode} --name wan")).ok();
        let link = &web.ip("-d -j link show wan").json()[0];
        assert_eq!(link["linkinfo"]["info_data"]["mode"], mode);
        reaches_from(&lab, &web, "10.1.0.9");
        add_nic(&lab, &["--check"]).ok();
        add_nic(&lab, &["--rm", &pid]).ok();
    }
}

#[test]
fn the_mtu_is_the_parents_and_never_more() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), web(&lab));
    lab.shell("ip link set lan0 mtu 1400").run().ok();
    let before = everything(&lab, &[&web]);
    plug(&lab, &web, "10.1.0.2/24 --macvlan lan0 --mtu 1401")
        .fails_with(2)
        .stderr_has("MTU 1401: larger than the MTU of lan0, 1400");
    assert_eq!(everything(&lab, &[&web]), before);
    plug(&lab, &web, "10.1.0.2/24 --macvlan lan0 --mac 02:00:00:00:00:07").ok();
    let link = &web.ip("-j link show eth0").json()[0];
    assert_eq!((&link["mtu"], &link["address"]), (&1400.into(), &"02:00:00:00:00:07".into()));
}

#[test]
fn an_address_that_somebody_on_the_segment_has_is_refused() {
    let lab = need!(lab());
    let (neighbour, web) = (neighbour(&lab), web(&lab));
    // Somebody else's, on the same parent: the host reaches those as little.
    let sibling = lab.container("sibling", Options::only(&["net"]));
    lab.shell(&format!("ip link add link lan0 name mv netns {} type macvlan mode bridge", sibling.pid))
        .run()
        .ok();
    sibling.ip("address add 10.1.0.4/24 dev mv");
    sibling.ip("link set mv up");
    // Only then does it answer for an IPv6 address.
    until("the neighbour's eth0 is up", || neighbour.ip("-br link show eth0").stdout.contains(" UP "));
    let before = everything(&lab, &[&web]);
    for (address, whose) in
        [("10.1.0.9/24", &neighbour), ("fd00:1::9/64", &neighbour), ("10.1.0.4/24", &sibling)]
    {
        let links = whose.ip("-j link").json();
        let mac =
            links.as_array().unwrap().iter().find(|link| link["ifname"] != "lo").unwrap()["address"].clone();
        let refused = plug(&lab, &web, &format!("{address} --macvlan lan0")).fails_with(2);
        refused.stderr_has(mac.as_str().unwrap()).stderr_has("already in use by ").stderr_has(" on lan0\n");
        assert_eq!(everything(&lab, &[&web]), before);
    }
    plug(&lab, &web, "10.1.0.9/24 --macvlan lan0 --no-dad").ok();
}

#[test]
fn an_address_that_comes_again_answers_although_a_neighbour_remembers_another() {
    let lab = need!(lab());
    let (neighbour, web) = (neighbour(&lab), web(&lab));
    neighbour.ip("neigh replace 10.1.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud reachable");
    plug(&lab, &web, "10.1.0.2/24 --macvlan lan0").ok();
    reaches_from(&lab, &neighbour, "10.1.0.2");
}

#[test]
fn without_a_carrier_it_is_made_and_said() {
    let lab = need!(lab());
    let (neighbour, web) = (neighbour(&lab), web(&lab));
    neighbour.ip("link set eth0 down");
    plug(&lab, &web, "10.1.0.2/24 --macvlan lan0")
        .ok()
        .stderr_has("lan0 has no carrier: eth0 will not work until it has");
    neighbour.ip("link set eth0 up");
    let lan0 = || lab.command("ip").args(["link", "show", "lan0"]).run().ok().stdout;
    until("lan0 is up", || lan0().contains("state UP"));
    reaches_from(&lab, &web, "10.1.0.9");
}

#[test]
fn what_cannot_carry_one_is_refused_in_words() {
    let lab = need!(lab());
    let (_neighbour, web, db) = (neighbour(&lab), web(&lab), lab.container("db", Options::only(&["net"])));
    lab.shell(
        "ip link add down0 type veth peer name down1
         ip link add br0 up type bridge; ip link add port0 up master br0 type veth peer name port1
         ip link add busy0 up type veth peer name busy1; ip link add link busy0 name mv0 type macvlan mode bridge",
    )
    .run()
    .ok();
    lab.shell(&format!("ip link add link lan0 name mv0 netns {} type macvlan mode bridge", db.pid))
        .run()
        .ok();
    let before = everything(&lab, &[&web, &db]);
    for (words, why) in [
        ("--macvlan nope", "nope: no such interface on the host"),
        ("--macvlan lo", "lo: a loopback interface cannot carry a macvlan"),
        ("--macvlan down0", "down0: interface is down\nhint: ip link set down0 up"),
        ("--macvlan port0", "port0: a port of br0 cannot carry a macvlan\nhint: add-nic "),
        (
            "--macvlan lan0:passthru",
            "lan0 already has a macvlan, or cannot carry one: passthru must be the only one",
        ),
        ("--macvlan lan0:fast", "mode must be private, vepa, bridge or passthru"),
        ("--macvlan lan0:", "mode must be"),
        ("--macvlan :bridge", "--macvlan :bridge: "),
        ("--macvlan a/b", "'/' cannot be in an interface's name"),
        ("--ipvlan lan0:l4", "mode must be l2, l3 or l3s"),
        ("--ipvlan lan0 --mac 02:00:00:00:00:07", "cannot be used with"),
        (
            "--macvlan lan0:passthru --mac 02:00:00:00:00:07",
            "not possible: macvlan mode passthru uses the MAC address of lan0",
        ),
        ("--macvlan lan0 --bridge br0", "cannot be used with"),
        ("--macvlan lan0 --host-addr 10.1.0.1", "cannot be used with"),
        ("--macvlan lan0 --ipvlan lan0", "cannot be used with"),
    ] {
        let refused =
            plug(&lab, &web, &format!("10.1.0.2/24 {words}")).fails_with(2).stdout_is("").stderr_has(why);
        assert_eq!(refused.stderr.matches("add-nic: ").count(), 1, "{refused}");
        assert_eq!(everything(&lab, &[&web, &db]), before, "{words}");
    }
}

#[test]
fn whatever_the_container_does_to_it_is_seen_and_undone() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), web(&lab));
    let pid = web.pid.to_string();
    let before = everything(&lab, &[&web]);
    for (change, difference) in [
        ("link set eth0 down name wan", "eth0 was renamed to wan"),
        ("link set eth0 address 02:00:00:00:00:99", "eth0 has a different MAC address"),
        ("link set eth0 mtu 1300", "eth0 has MTU 1300, not 1500"),
        ("link set eth0 down", "eth0 is down"),
        ("address flush dev eth0", "10.1.0.2/24 is not on eth0"),
        ("link del eth0", "no longer exists"),
    ] {
        plug(&lab, &web, "10.1.0.2/24 --macvlan lan0").ok();
        web.ip(change);
        add_nic(&lab, &["--check", &pid]).fails_with(1).stdout_has(difference);
        add_nic(&lab, &["--rm", &pid]).ok();
        assert_eq!(everything(&lab, &[&web]), before, "{change}");
    }
}

#[test]
fn it_goes_with_its_container_or_its_parent() {
    let lab = need!(lab());
    let (_neighbour, mut web, db) =
        (neighbour(&lab), web(&lab), lab.container("db", Options::only(&["net"])));
    plug(&lab, &web, "10.1.0.2/24 --macvlan lan0").ok();
    web.stop();
    plug(&lab, &db, "10.1.0.2/24 --macvlan lan0 --no-dad").ok();
    lab.shell("ip link del lan0").run().ok();
    add_nic(&lab, &["--check"]).fails_with(1).stdout_has("no longer exists");
    plug(&lab, &db, "10.7.0.2/24").ok();
    assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json().as_array().unwrap().len(), 1);
}

#[test]
fn a_kernel_without_ipvlan_is_told_in_one_line() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), web(&lab));
    if lab
        .shell("ip link add link lan0 name iv type ipvlan && ip link del iv")
        .run()
        .status
        .is_some_and(|status| status.success())
    {
        return;
    }
    let before = everything(&lab, &[&web]);
    let refused = plug(&lab, &web, "10.1.0.2/24 --ipvlan lan0").fails_with(2).stdout_is("");
    let refused = refused.stderr_has("the kernel has no ipvlan links (CONFIG_IPVLAN)\n");
    assert_eq!(refused.stderr.lines().count(), 1, "{refused}");
    assert_eq!(everything(&lab, &[&web]), before);
}
