//! `common::netlink` told to change a lab's network, and `ip` looking at what came of it; `common::packet` on a segment there.

#![cfg(test)]

mod packet;

use common::namespace::{Namespace, NamespaceKind};
use common::netlink::{
    NetlinkError, NewAddress, NewBridge, NewRoute, NewRule, NewVeth, PortState, Route, Rule, Socket, UNICAST,
    VethEnd,
};
use common::netns::Home;
use common::target::{IfName, Mac};
use nix::errno::Errno;
use serde_json::Value;

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need};

/// A lab with a container in it, and a socket in each network.
struct Scene {
    lab: Lab,
    web: Container,
    outside: Namespace,
    inside: Namespace,
    here: Socket,
    there: Socket,
}

const HERE: Mac = Mac([2, 0, 0, 0, 0, 1]);
const THERE: Mac = Mac([2, 0, 0, 0, 0, 2]);

impl Scene {
    /// Only root may enter another user's networks from a process with threads, as tests are.
    fn new() -> Result<Scene, Missing> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Missing::Fixable("entering a lab's network from here needs root".into()));
        }
        let lab = Lab::new()?;
        let web = lab.container("web", Options::only(&["net"]));
        let of = |pid: i32| {
            let namespace =
                Namespace::open(&lab.path(format!("/proc/{pid}/ns/net")), NamespaceKind::Net).unwrap();
            let socket = Home::current().unwrap().inside(&namespace, Socket::open).unwrap().unwrap();
            (namespace, socket)
        };
        let ((outside, here), (inside, there)) = (of(1), of(web.pid));
        Ok(Scene { lab, web, outside, inside, here, there })
    }

    /// With a veth pair `a` and `b`.
    fn with_veth() -> Result<Scene, Missing> {
        let mut scene = Scene::new()?;
        scene.add_veth(None).unwrap();
        Ok(scene)
    }

    fn add_veth(&mut self, master: Option<u32>) -> Result<(), NetlinkError> {
        let (a, b) = (name("a"), name("b"));
        let ends = (VethEnd { name: &a, mac: HERE }, VethEnd { name: &b, mac: THERE });
        let order = NewVeth::between(ends.0, ends.1, &self.inside);
        self.here.add_veth(&NewVeth { mtu_bytes: Some(1400), master, ..order })
    }

    fn index(&mut self, link: &str) -> u32 {
        self.here.link_named(&name(link)).unwrap().unwrap().index
    }

    fn there(&mut self, link: &str) -> u32 {
        self.there.link_named(&name(link)).unwrap().unwrap().index
    }

    /// What `ip -d -j link` says of a link here.
    fn shown(&self, link: &str) -> Value {
        self.lab.command("ip").args(["-d", "-j", "link", "show", link]).run().ok().json()[0].clone()
    }
}

fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn errno(result: Result<(), NetlinkError>) -> Errno {
    match result.unwrap_err() {
        NetlinkError::Refused { errno, .. } => errno,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_end_of_a_veth_pair_is_born_in_its_place() {
    let mut scene = need!(Scene::with_veth());
    let (here, there) = (scene.shown("a"), scene.web.ip("-d -j link show b").json()[0].clone());
    for (link, mac) in [(&here, HERE), (&there, THERE)] {
        assert_eq!((&link["mtu"], &link["linkinfo"]["info_kind"]), (&1400.into(), &"veth".into()));
        assert_eq!(link["address"], mac.to_string());
    }
    let read = scene.here.link_named(&name("a")).unwrap().unwrap();
    assert_eq!(read.other_end(), Some(scene.there("b")));
    assert_eq!((read.mac, read.mtu_bytes), (Some(HERE), 1400));
    assert_eq!(errno(scene.add_veth(None)), Errno::EEXIST);
    scene.here.delete_link(read.index).unwrap();
    assert_eq!(scene.here.link(read.index).unwrap(), None);
    assert_eq!(scene.there.link_named(&name("b")).unwrap(), None);
    assert_eq!(errno(scene.here.delete_link(read.index)), Errno::ENODEV);
}

#[test]
fn what_is_set_is_what_ip_shows() {
    let mut scene = need!(Scene::with_veth());
    let a = scene.index("a");
    scene.here.set_link_mtu(a, 1300).unwrap();
    scene.here.set_link_mac(a, Mac([2, 0, 0, 0, 0, 9])).unwrap();
    scene.here.set_link_alias(a, "of web").unwrap();
    scene.here.set_link_up(a, true).unwrap();
    let shown = scene.shown("a");
    assert_eq!((&shown["mtu"], &shown["ifalias"]), (&1300.into(), &"of web".into()));
    assert_eq!(shown["address"], "02:00:00:00:00:09");
    assert!(shown["flags"].as_array().unwrap().contains(&"UP".into()), "{shown}");
    let read = scene.here.link(a).unwrap().unwrap();
    assert_eq!((read.alias.as_deref(), read.is_set_up()), (Some("of web"), true));
    scene.here.set_link_up(a, false).unwrap();
    assert!(!scene.here.link(a).unwrap().unwrap().is_set_up());
    // With the kernel's own words for it.
    let refused = scene.here.set_link_mtu(a, 70_000).unwrap_err();
    assert!(matches!(&refused, NetlinkError::Refused { why: Some(why), .. } if !why.is_empty()), "{refused}");
}

#[test]
fn a_bridge_keeps_its_address_and_knows_its_ports() {
    let mut scene = need!(Scene::new());
    let mac = Mac([2, 0, 0, 0, 0, 0x77]);
    let br0 = name("br0");
    scene.here.add_bridge(&NewBridge { name: &br0, mac, mtu_bytes: None, vlan_filtering: false }).unwrap();
    let bridge = scene.index("br0");
    scene.here.set_link_up(bridge, true).unwrap();
    scene.add_veth(Some(bridge)).unwrap();
    let (a, b) = (scene.index("a"), scene.there("b"));
    scene.here.set_link_up(a, true).unwrap();
    scene.there.set_link_up(b, true).unwrap();
    assert_eq!(
        (scene.shown("a")["master"].clone(), scene.shown("br0")["address"].clone()),
        ("br0".into(), mac.to_string().into())
    );
    let state = &scene.shown("a")["linkinfo"]["info_slave_data"]["state"];
    assert_eq!(state, "forwarding");
    let port = scene.here.link(a).unwrap().unwrap();
    assert_eq!((port.master, port.port_state), (Some(bridge), Some(PortState::Forwarding)));
    scene.here.set_link_master(a, None).unwrap();
    assert_eq!(scene.shown("a")["master"], Value::Null);
    scene.here.set_link_master(a, Some(bridge)).unwrap();
    assert_eq!(scene.shown("a")["master"], "br0");
    assert!(!scene.here.link(bridge).unwrap().unwrap().spanning_tree);
    scene.lab.shell("ip link set br0 type bridge stp_state 1").run().ok();
    assert!(scene.here.link(bridge).unwrap().unwrap().spanning_tree);
}

#[test]
fn addresses_are_given_and_taken() {
    let mut scene = need!(Scene::with_veth());
    let index = scene.index("a");
    let new = |cidr: &str, peer: Option<&str>| {
        NewAddress::usual(index, cidr.parse().unwrap(), peer.map(|peer| peer.parse().unwrap()))
    };
    let all = [new("10.1.0.1/24", None), new("fd00:1::1/64", None), new("10.2.0.1/32", Some("10.9.0.1"))];
    for address in &all {
        scene.here.add_address(address).unwrap();
        assert_eq!(errno(scene.here.add_address(address)), Errno::EEXIST);
    }
    let shown = scene.lab.command("ip").args(["-j", "address", "show", "a"]).run().ok().json();
    let held = shown[0]["addr_info"].as_array().unwrap();
    let find =
        |local: &str| held.iter().find(|held| held["local"] == local).unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(find("10.1.0.1")["broadcast"], "10.1.0.255");
    assert_eq!((&find("fd00:1::1")["prefixlen"], &find("fd00:1::1")["nodad"]), (&64.into(), &true.into()));
    assert_eq!(find("10.2.0.1")["address"], "10.9.0.1");
    let read = scene.here.addresses().unwrap();
    assert!(read.iter().any(|held| held.peer == Some([10, 9, 0, 1].into())), "{read:?}");
    for address in &all {
        scene.here.delete_address(address).unwrap();
        assert_eq!(errno(scene.here.delete_address(address)), Errno::EADDRNOTAVAIL);
    }
}

#[test]
fn routes_are_made_read_and_deleted() {
    let mut scene = need!(Scene::with_veth());
    let (a, b) = (scene.index("a"), scene.there("b"));
    scene.here.set_link_up(a, true).unwrap();
    scene.there.set_link_up(b, true).unwrap();
    for cidr in ["10.1.0.1/24", "fd00:1::1/64"] {
        let cidr = cidr.parse().unwrap();
        scene.here.add_address(&NewAddress::usual(a, cidr, None)).unwrap();
    }
    let new = |destination: &str, gateway: Option<&str>, metric| NewRoute {
        destination: destination.parse().unwrap(),
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        index: a,
        source: None,
        metric,
        table: 254,
        protocol: 3,
        scope: None,
        kind: UNICAST,
        on_link: false,
    };
    let cases = [
        (new("0.0.0.0/0", Some("10.1.0.9"), 0), "default via 10.1.0.9 dev a"),
        (new("10.5.0.0/16", Some("10.1.0.9"), 7), "10.5.0.0/16 via 10.1.0.9 dev a metric 7"),
        (new("10.6.0.0/16", None, 0), "10.6.0.0/16 dev a scope link"),
        (new("::/0", Some("fd00:1::9"), 0), "default via fd00:1::9 dev a metric 1024 pref medium"),
        (new("fd00:5::/64", None, 5), "fd00:5::/64 dev a metric 5 pref medium"),
    ];
    let shown = |scene: &Scene| scene.lab.shell("ip -4 route; ip -6 route").run().ok().stdout;
    for (route, line) in &cases {
        scene.here.add_route(route).unwrap();
        assert_eq!(errno(scene.here.add_route(route)), Errno::EEXIST);
        assert!(shown(&scene).lines().any(|shown| shown.trim() == *line), "{line}: {}", shown(&scene));
        let read = scene.here.routes().unwrap();
        let same = |read: &&Route| read.destination == route.destination && read.is_ordinary();
        let read = read.iter().find(same).unwrap();
        assert_eq!((read.gateway, read.index, read.is_plain), (route.gateway, Some(a), true), "{read:?}");
    }
    assert_eq!(scene.here.link_to([10, 5, 0, 1].into()).unwrap(), Some(a));
    assert_eq!(scene.there.link_to([10, 5, 0, 1].into()).unwrap(), None);
    assert_eq!(scene.here.link_from([10, 1, 0, 1].into(), [10, 5, 0, 1].into()).unwrap(), Some(a));
    let own = ["fd00:1::1", "fd00:5::1"].map(|address| address.parse().unwrap());
    assert_eq!(scene.here.link_from(own[0], own[1]).unwrap(), Some(a));
    for (route, line) in &cases {
        scene.here.delete_route(route).unwrap();
        assert_eq!(errno(scene.here.delete_route(route)), Errno::ESRCH);
        assert!(!shown(&scene).contains(line));
    }
}

#[test]
fn a_route_that_would_not_be_the_same_again_is_not_plain() {
    let mut scene = need!(Scene::with_veth());
    scene.lab.shell("ip link set dev a up; ip address add 10.1.0.1/24 dev a").run().ok();
    for (words, is_plain) in [
        ("10.2.0.0/16 via 10.1.0.9 src 10.1.0.1 proto static metric 4", true),
        ("10.3.0.0/16 via 10.7.0.9 dev a onlink", true),
        ("10.4.0.0/16 via 10.1.0.9 mtu 1400", false),
        ("10.5.0.0/16 nexthop via 10.1.0.8 nexthop via 10.1.0.9", false),
        ("10.6.0.0/16 via 10.1.0.9 tos 0x10", false),
        ("unreachable 10.8.0.0/16", false),
        ("10.9.0.0/16 via 10.1.0.9 proto ra", false),
    ] {
        scene.lab.command("ip").args(["route", "add"]).args(words.split(' ')).run().ok();
        let destination =
            words.trim_start_matches("unreachable ").split(' ').next().unwrap().parse().unwrap();
        let routes = scene.here.routes().unwrap();
        let route = routes.iter().find(|route| route.destination == destination).unwrap();
        assert_eq!(route.is_plain, is_plain, "{words}: {route:?}");
    }
}

#[test]
fn rules_are_made_read_and_deleted() {
    let mut scene = need!(Scene::new());
    let cases = [
        (NewRule { source: "10.1.0.2/32".parse().unwrap(), priority: 7, table: 9000 }, "-4", "10.1.0.2"),
        (NewRule { source: "10.1.0.3/32".parse().unwrap(), priority: 7, table: 9000 }, "-4", "10.1.0.3"),
        (NewRule { source: "10.2.0.0/16".parse().unwrap(), priority: 32000, table: 200 }, "-4", "10.2.0.0"),
        (NewRule { source: "fd00:1::2/128".parse().unwrap(), priority: 7, table: 9000 }, "-6", "fd00:1::2"),
    ];
    let shown = |scene: &Scene, family: &str, source: &str| {
        let rules = scene.lab.command("ip").args([family, "-j", "rule"]).run().ok().json();
        let rules = rules.as_array().unwrap().clone();
        rules.into_iter().find(|rule| rule["src"] == source)
    };
    // ip-rule(8): a network begins with the tables local, main and default; of IPv6 with the first two.
    let first =
        [(true, 0, 255), (true, 32766, 254), (true, 32767, 253), (false, 0, 255), (false, 32766, 254)];
    assert_eq!(
        scene.here.rules().unwrap(),
        first.map(|(is_ipv4, priority, table)| Rule::plain(is_ipv4, None, priority, table))
    );
    for (rule, family, source) in &cases {
        scene.here.add_rule(rule).unwrap();
        assert_eq!(errno(scene.here.add_rule(rule)), Errno::EEXIST);
        let found = shown(&scene, family, source).unwrap();
        assert_eq!(
            (&found["priority"], &found["table"]),
            (&rule.priority.into(), &rule.table.to_string().into())
        );
        let read = scene.here.rules().unwrap();
        assert!(
            read.contains(&Rule::plain(*family == "-4", Some(rule.source), rule.priority, rule.table)),
            "{read:?}"
        );
    }
    for (rule, family, source) in &cases {
        scene.here.delete_rule(rule).unwrap();
        assert_eq!(errno(scene.here.delete_rule(rule)), Errno::ENOENT);
        assert_eq!(shown(&scene, family, source), None);
    }
}

#[test]
fn a_rule_that_would_not_be_the_same_again_is_not_plain() {
    let mut scene = need!(Scene::new());
    for (words, is_plain) in [
        ("from 10.1.0.2 lookup 100", true),
        ("from all lookup 100", true),
        ("from 10.1.0.2 to 10.9.0.0/16 lookup 100", false),
        ("not from 10.1.0.2 lookup 100", false),
        ("fwmark 1 lookup 100", false),
        ("iif lo lookup 100", false),
        ("from 10.1.0.2 ipproto tcp lookup 100", false),
        ("from all lookup main suppress_prefixlength 0", false),
        ("from 10.1.0.2 unreachable", false),
        ("from 10.1.0.2 goto 32766", false),
    ] {
        scene.lab.command("ip").args(["rule", "add", "priority", "77"]).args(words.split(' ')).run().ok();
        let rules = scene.here.rules().unwrap();
        let rule = rules.iter().find(|rule| rule.priority == 77).unwrap();
        assert_eq!(rule.is_plain, is_plain, "{words}: {rule:?}");
        scene.lab.shell("ip rule del priority 77").run().ok();
    }
}

#[test]
fn neighbours_are_those_that_ip_shows() {
    let mut scene = need!(Scene::with_veth());
    let a = scene.index("a");
    scene.lab.shell("ip link set dev a up").run().ok();
    for address in ["10.1.0.7", "fd00:1::7"] {
        scene.lab.shell(&format!("ip neigh add {address} lladdr {THERE} dev a nud permanent")).run().ok();
    }
    let read = scene.here.neighbours().unwrap();
    for address in ["10.1.0.7", "fd00:1::7"] {
        let address: std::net::IpAddr = address.parse().unwrap();
        // 0x80 is NUD_PERMANENT.
        let same = |n: &&common::netlink::Neighbour| n.address == address && n.index == a;
        let neighbour = read.iter().find(same).unwrap_or_else(|| panic!("{read:?}"));
        assert_eq!((neighbour.mac, neighbour.state), (Some(THERE), 0x80));
    }
}
