//! Verdicts about destinations without a route.

use nix::errno::Errno;

use super::tests::{DOWN, UP, ip, link};
use super::{NoRoute, judge_no_route};
use crate::netlink::{Address, Link, Route, Rule, RuleConditions};

const MAIN: u32 = 254;
/// FR_ACT_* and RTN_*, which have the same numbers.
const BLACKHOLE: u8 = 6;
const UNREACHABLE: u8 = 7;
const PROHIBIT: u8 = 8;

fn known(errno: Option<Errno>) -> NoRoute {
    NoRoute {
        name: "nginx".to_owned(),
        target: "nginx".to_owned(),
        to: Some(ip("10.9.2.2")),
        is_ipv4: true,
        errno,
        through: None,
        links: vec![link(2, "eth0", UP)],
        addresses: vec![address(2, "10.9.1.2")],
        routes: Vec::new(),
        rules: vec![Rule::plain(true, None, 32766, MAIN)],
        otherwise: "nginx has only 10.9.1.0/24 on eth0".to_owned(),
    }
}

/// The cause's word, the sentence and the line behind `hint:`.
fn said(known: &NoRoute) -> (String, String, String) {
    let verdict = judge_no_route(known);
    let hint = verdict.hint().map_or_else(String::new, |hint| hint.to_string());
    (verdict.cause.unwrap().to_string(), verdict.text.unwrap(), hint)
}

fn route(kind: u8, destination: &str, table: u32, metric: u32) -> Route {
    Route { metric, table, kind, ..Route::plain(destination.parse().unwrap(), 2) }
}

fn address(index: u32, word: &str) -> Address {
    Address::plain(index, ip(word), 24)
}

#[test]
fn without_any_route_the_networks_that_there_are_are_named() {
    let (cause, text, hint) = said(&known(Some(Errno::ENETUNREACH)));
    assert_eq!(cause, "no-route");
    assert_eq!(text, "no route from inside: nginx has only 10.9.1.0/24 on eth0");
    assert_eq!(hint, "nsenter-rs -t nginx -n ip route");
    let gateway = NoRoute { to: None, ..known(None) };
    assert_eq!(said(&gateway).1, "nginx has only 10.9.1.0/24 on eth0");
    let v6 = NoRoute { to: Some(ip("fd09::1")), is_ipv4: false, ..known(Some(Errno::ENETUNREACH)) };
    assert_eq!(said(&v6).2, "nsenter-rs -t nginx -n ip -6 route");
}

#[test]
fn a_route_that_refuses_is_told_from_a_rule() {
    for (errno, kind, word) in [
        (Errno::EINVAL, BLACKHOLE, "blackhole"),
        (Errno::EHOSTUNREACH, UNREACHABLE, "unreachable"),
        (Errno::EACCES, PROHIBIT, "prohibit"),
    ] {
        let mut by_route = known(Some(errno));
        by_route.routes = vec![route(1, "0.0.0.0/0", MAIN, 0), route(kind, "10.9.2.2/32", MAIN, 0)];
        let (cause, text, hint) = said(&by_route);
        assert_eq!(cause, format!("route-{word}"));
        assert_eq!(text, format!("no route from inside: a route of nginx says {word}"));
        assert_eq!(hint, "nsenter-rs -t nginx -n ip route");
        let mut by_rule = known(Some(errno));
        let to = Some("10.9.2.0/24".parse().unwrap());
        let rule = Rule { action: kind, destination: to, is_plain: false, ..Rule::plain(true, None, 5, 0) };
        by_rule.rules.push(rule);
        let (cause, text, hint) = said(&by_rule);
        assert_eq!((cause.as_str(), hint.as_str()), ("rule", "nsenter-rs -t nginx -n ip rule"), "{word}");
        assert_eq!(text, format!("no route from inside: a policy rule of nginx says {word}"));
    }
}

#[test]
fn what_depends_on_more_than_the_destination_is_left_open() {
    let mut unclear = known(Some(Errno::EACCES));
    let conditional = Rule { is_conditional: true, is_plain: false, ..Rule::plain(true, None, 5, 100) };
    unclear.rules.push(conditional);
    unclear.routes = vec![route(PROHIBIT, "10.9.2.2/32", MAIN, 0)];
    let (cause, text, _) = said(&unclear);
    assert_eq!(cause, "no-route");
    assert_eq!(text, "no route from inside: a route or a policy rule of nginx says prohibit");
    // A rule about other destinations, or of the other family, is none of this.
    let mut clear = known(Some(Errno::EACCES));
    let other = Some("10.7.0.0/16".parse().unwrap());
    clear.rules.push(Rule { action: PROHIBIT, destination: other, ..Rule::plain(true, None, 5, 0) });
    clear.rules.push(Rule { action: PROHIBIT, ..Rule::plain(false, None, 5, 0) });
    clear.routes = vec![route(PROHIBIT, "10.9.2.0/24", MAIN, 0), route(1, "10.9.0.0/16", MAIN, 0)];
    assert_eq!(said(&clear).0, "route-prohibit", "the most exact route");
}

#[test]
fn a_rule_that_says_unreachable_is_told_from_no_route_although_the_kernel_says_the_same() {
    let mut by_rule = known(Some(Errno::ENETUNREACH));
    by_rule.rules.push(Rule { action: UNREACHABLE, ..Rule::plain(true, None, 5, 0) });
    assert_eq!(said(&by_rule).0, "rule");
}

#[test]
fn only_a_link_that_would_lead_there_is_blamed_for_being_down() {
    let down = |index, name| link(index, name, DOWN);
    let with = |links: Vec<Link>| NoRoute { links, ..known(Some(Errno::ENETUNREACH)) };
    let (cause, text, hint) = said(&with(vec![link(1, "lo", UP | 0x8), down(2, "eth0")]));
    assert_eq!(cause, "link-down");
    assert_eq!(text, "no route from inside: eth0 of nginx is down");
    assert_eq!(hint, "nsenter-rs -t nginx -n ip link set eth0 up");
    let two = || vec![link(2, "eth0", UP), down(3, "eth1")];
    assert_eq!(said(&with(two())).0, "no-route", "eth0 is up, and eth1 need not lead there");
    let mut of_network = with(two());
    of_network.addresses.push(address(3, "10.9.2.9"));
    assert_eq!(said(&of_network).0, "link-down", "the destination is on the network of eth1");
    assert_eq!(said(&NoRoute { through: Some(3), ..with(two()) }).0, "link-down", "-I");
    assert_eq!(said(&NoRoute { through: Some(2), ..with(two()) }).0, "no-route", "-I");
    let hostile = with(vec![down(2, "eth0\n$(x)")]);
    let (_, text, hint) = said(&hostile);
    assert!(!text.contains('\n'), "{text}");
    assert_eq!(hint, "nsenter-rs -t nginx -n ip route", "such a name cannot be pasted");
}

/// A VRF that is up with its port, which `-I` may bind to.
fn in_vrf(through: Option<u32>, errno: Errno, routes: Vec<Route>) -> NoRoute {
    let vrf = Link { vrf_table: Some(100), kind: Some("vrf".to_owned()), ..link(3, "vrf1", UP) };
    let port = Link { master: Some(3), ..link(2, "eth0", UP) };
    let conditions = RuleConditions { is_of_vrf: true, has_more: true, ..RuleConditions::default() };
    let of_vrf =
        Rule { conditions, is_conditional: true, is_plain: false, ..Rule::plain(true, None, 1000, 0) };
    let rules = vec![of_vrf, Rule::plain(true, None, 32766, MAIN)];
    NoRoute { through, links: vec![port, vrf], routes, rules, ..known(Some(errno)) }
}

#[test]
fn the_table_of_a_vrf_is_asked_where_packets_are_bound_to_it() {
    let routes = || vec![route(BLACKHOLE, "10.9.2.0/24", 100, 0)];
    for through in [2, 3] {
        let (cause, text, _) = said(&in_vrf(Some(through), Errno::EINVAL, routes()));
        assert_eq!(
            (cause.as_str(), text.as_str()),
            ("route-blackhole", "no route from inside: a route of nginx says blackhole")
        );
    }
    let (cause, ..) = said(&in_vrf(None, Errno::ENETUNREACH, routes()));
    assert_eq!(cause, "no-route");
}

#[test]
fn a_route_of_a_vrf_alone_is_named_where_nothing_is_bound_to_it() {
    let there = || vec![route(1, "0.0.0.0/0", 100, 0)];
    let (cause, text, hint) = said(&in_vrf(None, Errno::ENETUNREACH, there()));
    assert_eq!(cause, "no-route");
    assert_eq!(
        text,
        "no route from inside: only the VRF vrf1 has a route there, for packets that are bound to it"
    );
    assert_eq!(hint, "netns-ping -I vrf1 nginx 10.9.2.2");
    assert!(!said(&in_vrf(Some(3), Errno::ENETUNREACH, there())).1.contains("only the VRF"));
}

#[test]
fn of_a_vrf_the_port_that_is_down_is_named() {
    let mut known = in_vrf(Some(3), Errno::ENETUNREACH, Vec::new());
    assert_eq!(said(&known).0, "no-route", "all is up");
    known.links[0].flags = DOWN;
    let (cause, text, hint) = said(&known);
    assert_eq!((cause.as_str(), text.as_str()), ("link-down", "no route from inside: eth0 of nginx is down"));
    assert_eq!(hint, "nsenter-rs -t nginx -n ip link set eth0 up");
    known.links[0].master = None;
    assert_eq!(said(&known).0, "no-route", "it is no port of this VRF");
}

#[test]
fn below_a_vlan_that_is_down_the_link_that_has_to_be_set_up_first_is_named() {
    let vlan = Link { kind: Some("vlan".to_owned()), link: Some(2), ..link(3, "eth0.5", DOWN) };
    let mut known = NoRoute {
        links: vec![link(2, "eth0", DOWN), vlan],
        addresses: vec![address(3, "10.9.2.1")],
        ..known(Some(Errno::ENETUNREACH))
    };
    let (_, text, hint) = said(&known);
    assert_eq!(text, "no route from inside: eth0.5 of nginx is down, and so is eth0 below it");
    assert_eq!(hint, "nsenter-rs -t nginx -n ip link set eth0 up");
    known.links[0].flags = UP;
    let (_, text, hint) = said(&known);
    assert_eq!(text, "no route from inside: eth0.5 of nginx is down");
    assert_eq!(hint, "nsenter-rs -t nginx -n ip link set eth0.5 up");
    // Another namespace's link has the same index.
    known.links[0].flags = DOWN;
    known.links[1].link_netnsid = Some(0);
    assert!(!said(&known).1.contains("below"));
}
