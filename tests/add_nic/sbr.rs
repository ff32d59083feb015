//! `--sbr`: replies leave by the NIC that they answer.

use crate::{PING, add_nic, everything, lab, neighbour, plug, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need};

/// A container whose default routes lead to somebody who knows nobody, and a peer behind a router on a second network, the
/// bridge `br2`. What comes there by a NIC that would not be the way back is dropped: the strict reverse path filter.
struct Scene {
    lab: Lab,
    web: Container,
    peer: Container,
    _others: [Container; 2],
}

impl Scene {
    fn new() -> Result<Scene, Missing> {
        let lab = lab()?;
        let [web, elsewhere, router, peer] =
            ["web", "elsewhere", "router", "peer"].map(|name| lab.container(name, Options::only(&["net"])));
        lab.veth((&web, "198.18.0.2/24"), (&elsewhere, "198.18.0.1/24"));
        web.ip("address add fd00:18::2/64 dev eth0 nodad");
        web.ip("route add default via 198.18.0.1 dev eth0");
        web.ip("route add default via fd00:18::1 dev eth0");
        lab.veth((&router, "10.3.0.1/24"), (&peer, "10.3.0.2/24"));
        router.ip("address add fd00:3::1/64 dev eth0 nodad");
        peer.ip("address add fd00:3::2/64 dev eth0 nodad");
        peer.ip("route add default via 10.3.0.1");
        peer.ip("route add default via fd00:3::1");
        plug(&lab, &router, "10.2.0.254/24 fd00:2::fe/64 --bridge br2 --create").ok();
        for (container, set) in [
            (
                &router,
                "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
            ),
            (&web, "for link in all default eth0; do echo 1 >/proc/sys/net/ipv4/conf/$link/rp_filter; done"),
        ] {
            let pid = container.pid.to_string();
            lab.command("nsenter").args(["--target", &pid, "--net", "--", "sh", "-ec", set]).run().ok();
        }
        Ok(Scene { lab, web, peer, _others: [elsewhere, router] })
    }

    fn plug(&self, words: &str) {
        plug(&self.lab, &self.web, &format!("10.2.0.2/24 fd00:2::2/64 --bridge br2 {words}")).ok();
    }

    fn remove(&self) {
        add_nic(&self.lab, &["--rm", &self.web.pid.to_string()]).ok();
    }
}

#[test]
fn a_peer_behind_a_router_is_answered_by_the_nic_that_it_asked() {
    let scene = need!(Scene::new());
    let Scene { lab, web, peer, .. } = &scene;
    let before = everything(lab, &[web]);
    let defaults = || web.ip("route show default").stdout + &web.ip("-6 route show default").stdout;
    let default_routes = defaults();
    scene.plug("");
    for address in ["10.2.0.2", "fd00:2::2"] {
        let mut nsenter = lab.command("nsenter");
        nsenter.args(["--target", &peer.pid.to_string(), "--net", "--", "ping"]);
        nsenter.args(PING).arg(address).run().fails_with(1);
    }
    scene.remove();
    scene.plug("--sbr --gateway 10.2.0.254 --gateway fd00:2::fe");
    for address in ["10.2.0.2", "fd00:2::2"] {
        reaches_from(lab, peer, address);
    }
    // Neighbours are reached without the router.
    for address in ["10.2.0.1", "fd00:2::1", "198.18.0.1"] {
        reaches_from(lab, web, address);
    }
    assert_eq!(defaults(), default_routes);
    scene.remove();
    assert_eq!(everything(lab, &[web]), before);
}

#[test]
fn without_a_gateway_it_is_the_host_that_routes() {
    let scene = need!(Scene::new());
    let Scene { lab, web, .. } = &scene;
    lab.shell("ip address add 172.31.0.1/32 dev lo; ip address add fd00:31::1/128 dev lo").run().ok();
    let far = |address: &str, from: &str| {
        lab.command("ping").args(["-I", from]).args(PING).arg(address).run().ok();
    };
    for words in [
        "10.4.0.2/24 fd00:4::2/64",
        "10.4.0.2/32 --host-addr 10.44.0.1 fd00:4::2/128 --host-addr fd00:44::1",
        "10.4.0.2/24 fd00:4::2/64 --bridge br4 --create",
        "10.4.0.2/24 fd00:4::2/64 --bridge br4 --create",
    ] {
        plug(lab, web, &format!("{words} --sbr")).ok();
        far("10.4.0.2", "172.31.0.1");
        far("fd00:4::2", "fd00:31::1");
        scene.remove();
    }
    // A bridge that is there has its address already.
    lab.shell("ip link add br4 up type bridge; ip address add 10.4.0.1/24 dev br4").run().ok();
    plug(lab, web, "10.4.0.2/24 --bridge br4 --sbr").ok();
    far("10.4.0.2", "172.31.0.1");
}

#[test]
fn every_kind_of_nic_can_have_routes_of_its_own() {
    let lab = need!(lab());
    let [web, elsewhere, db] =
        ["web", "elsewhere", "db"].map(|name| lab.container(name, Options::only(&["net"])));
    let neighbour = neighbour(&lab);
    lab.veth((&web, "198.18.0.2/24"), (&elsewhere, "198.18.0.1/24"));
    web.ip("route add default via 198.18.0.1 dev eth0");
    for router in [&neighbour, &db] {
        router.ip("address add 172.31.0.1/32 dev lo");
    }
    // The kernel settles the link-local address of eth0 in its own time.
    let roads = || web.ip("-4 rule").stdout + &web.ip("-4 route show table all").stdout;
    for (words, router) in [
        ("--macvlan lan0 --gateway 10.1.0.9".to_owned(), &neighbour),
        ("--phys lan0 --gateway 10.1.0.9".to_owned(), &neighbour),
        (format!("--peer {}", db.pid), &db),
    ] {
        let before = roads();
        plug(&lab, &web, &format!("10.1.0.2/24 {words} --sbr")).ok();
        let mut nsenter = lab.command("nsenter");
        nsenter.args(["--target", &router.pid.to_string(), "--net", "--", "ping", "-I", "172.31.0.1"]);
        nsenter.args(PING).arg("10.1.0.2").run().ok();
        add_nic(&lab, &["--check"]).ok();
        add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
        assert_eq!(roads(), before, "{words}");
    }
}

#[test]
fn two_nics_have_a_table_each() {
    let scene = need!(Scene::new());
    let Scene { lab, web, peer, .. } = &scene;
    let before = everything(lab, &[web]);
    lab.shell("ip address add 172.31.0.1/32 dev lo").run().ok();
    scene.plug("--sbr --gateway 10.2.0.254 --gateway fd00:2::fe");
    plug(lab, web, "10.4.0.2/24 --sbr").ok();
    for _ in 0..2 {
        reaches_from(lab, peer, "10.2.0.2");
        lab.command("ping").args(["-I", "172.31.0.1"]).args(PING).arg("10.4.0.2").run().ok();
    }
    add_nic(lab, &["--rm", &web.pid.to_string(), "eth1"]).ok();
    lab.command("ping").args(["-I", "172.31.0.1"]).args(PING).arg("10.4.0.2").run().ok();
    scene.remove();
    lab.shell("ip address del 172.31.0.1/32 dev lo").run().ok();
    assert_eq!(everything(lab, &[web]), before);
}

#[test]
fn tables_and_priorities_of_others_are_left_alone() {
    let scene = need!(Scene::new());
    let Scene { lab, web, .. } = &scene;
    let rules = || {
        let rules = [web.ip("-4 -j rule").json(), web.ip("-6 -j rule").json()];
        let all = rules.iter().flat_map(|rules| rules.as_array().unwrap());
        let of_nic = all.filter(|rule| rule["src"] == "10.2.0.2" || rule["src"] == "fd00:2::2");
        let mut found: Vec<(u64, String)> = of_nic
            .map(|rule| (rule["priority"].as_u64().unwrap(), rule["table"].as_str().unwrap().to_owned()))
            .collect();
        found.dedup();
        found
    };
    let cases = [
        ("rule show", (32765, "10000")),
        ("route add 10.99.0.0/16 dev eth0 table 10000", (32765, "10001")),
        ("-6 route add fd00:99::/64 dev eth0 table 10001", (32765, "10002")),
        ("rule add fwmark 1 lookup 10002 priority 900", (899, "10003")),
        ("-6 rule add from fd00:98::/64 lookup main priority 2", (1, "10003")),
        ("rule add from 10.98.0.0/16 lookup main priority 1", (3, "10003")),
    ];
    for (others, (priority, table)) in cases {
        web.ip(others);
        let before = everything(lab, &[web]);
        scene.plug("--sbr");
        assert_eq!(rules(), [(priority, table.to_owned())], "{others}");
        scene.remove();
        assert_eq!(everything(lab, &[web]), before, "{others}");
    }
}

#[test]
fn check_misses_each_rule_and_route() {
    let scene = need!(Scene::new());
    let Scene { lab, web, .. } = &scene;
    let pid = web.pid.to_string();
    for (change, difference) in [
        ("rule del from 10.2.0.2", "the rule for packets from 10.2.0.2 is gone"),
        ("-6 rule del from fd00:2::2", "the rule for packets from fd00:2::2 is gone"),
        ("route del default table 10000", "the default route in table 10000 is gone"),
        ("route del 10.9.0.0/16 table 10000", "the route to 10.9.0.0/16 in table 10000 is gone"),
        ("-6 route del fd00:2::/64 table 10000", "the route to fd00:2::/64 in table 10000 is gone"),
    ] {
        scene.plug("--sbr --route 10.9.0.0/16@10.2.0.254");
        add_nic(lab, &["--check", &pid]).ok();
        web.ip(change);
        add_nic(lab, &["--check", &pid]).fails_with(1).stdout_has(difference);
        scene.remove();
    }
}

#[test]
fn without_anybody_who_could_route_it_is_refused() {
    let scene = need!(Scene::new());
    let Scene { lab, web, .. } = &scene;
    lab.shell("ip link add br4 up type bridge").run().ok();
    let before = everything(lab, &[web]);
    for words in ["10.4.0.2/24 --host-addr none", "10.4.0.2/24 --bridge br4", "fd00:4::2/64 --host-addr none"]
    {
        let refused = plug(lab, web, &format!("{words} --sbr")).fails_with(2).stdout_is("");
        refused
            .stderr_has("--sbr: the other end has no address in ")
            .stderr_has("hint: give --gateway IP too");
        assert_eq!(everything(lab, &[web]), before, "{words}");
    }
}
