//! The rest of one namespace's stack, against what `ip`, `bridge` and `tc` say of it.

use common::firewall::PacketCount;
use common::map::{WantedDetails, details};
use common::namespace::{Namespace, NamespaceKind};
use common::netlink::{FdbOrigin, Route, Rule};
use serde_json::{Value, json};

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::{need, program};

/// Set, to what is wanted and the PID of a container, for a copy of this test program that prints details in a lab.
const ROLE: &str = "NETNS_TOOLBOX_MAP_TEST_DETAILS";
const BEGIN: &str = "the details: ";

/// No test of its own, but what the copy runs.
#[test]
fn details_are_printed_where_that_is_asked_for() {
    let Ok(wanted) = std::env::var(ROLE) else { return };
    let (what, pid) = wanted.split_once(' ').unwrap();
    let netns = Namespace::open(format!("/proc/{pid}/ns/net").as_ref(), NamespaceKind::Net).unwrap();
    if what == "filters" {
        return println!("\n{BEGIN}{}", filters(&netns));
    }
    // The programs of a packet filter are another test's.
    let found = details(&netns, WantedDetails { firewall: false, ..WantedDetails::ALL }).unwrap();
    let routes: Vec<Value> = found.routes.unwrap().iter().map(route).collect();
    let rules: Vec<Value> = found.rules.unwrap().iter().map(rule).collect();
    let neighbours: Vec<Value> = found
        .neighbours
        .unwrap()
        .iter()
        .map(|one| json!([one.index, one.address, one.mac.map(|mac| mac.to_string()), one.state]))
        .collect();
    let fdb: Vec<Value> = found
        .fdb
        .unwrap()
        .iter()
        .map(|entry| {
            let is_lasting = matches!(entry.origin, FdbOrigin::Local);
            json!([entry.index, entry.mac.to_string(), entry.bridge, entry.vlan, entry.remote, is_lasting])
        })
        .collect();
    let programs = found.programs.unwrap();
    let programs: Vec<Value> =
        programs.iter().map(|one| json!([one.index, one.program.hook, one.program.name])).collect();
    let all = json!({ "routes": routes, "rules": rules, "neighbours": neighbours, "fdb": fdb,
        "programs": programs, "not_read": found.not_read });
    println!("\n{BEGIN}{all}");
}

/// Chains with their rules' text and counters.
fn filters(netns: &Namespace) -> Value {
    let found = details(netns, WantedDetails { firewall: true, ..WantedDetails::default() }).unwrap();
    let count = |counter: Option<PacketCount>| counter.map(|counter| [counter.packets, counter.bytes]);
    let chains = found.firewall.unwrap();
    let chains = chains.iter().map(|chain| {
        let rules: Vec<Value> =
            chain.rules.iter().map(|rule| json!([rule.text, count(rule.counter)])).collect();
        json!({ "program": chain.program.to_string(), "table": chain.table, "name": chain.name,
            "hook": chain.hook, "policy": chain.policy, "counter": count(chain.counter), "rules": rules })
    });
    json!({ "chains": chains.collect::<Vec<_>>(), "not_read": found.not_read })
}

fn route(route: &Route) -> Value {
    let hops: Vec<Value> = route.hops.iter().map(|hop| json!([hop.gateway, hop.index, hop.weight])).collect();
    json!([route.destination.to_string(), route.gateway, route.index, route.metric, route.table, hops])
}

fn rule(rule: &Rule) -> Value {
    let mark = rule.conditions.mark.map(|(mark, mask)| format!("{mark:#x}/{mask:#x}"));
    let [inbound, outbound] = [rule.conditions.inbound, rule.conditions.outbound];
    let name = |link: Option<common::netlink::RuleLink>| link.map(|link| link.name().into_owned());
    json!([
        rule.priority,
        rule.source.map(|source| source.to_string()),
        rule.table,
        mark,
        name(inbound),
        name(outbound),
        rule.conditions.is_inverted,
        rule.conditions.has_more
    ])
}

#[track_caller]
fn details_of(lab: &Lab, container: &Container) -> Value {
    printed(lab, container, "stack")
}

/// What the copy of this program prints of a container.
#[track_caller]
pub fn printed(lab: &Lab, container: &Container, what: &str) -> Value {
    let mut itself = lab.command(std::env::current_exe().unwrap());
    let test = "details::details_are_printed_where_that_is_asked_for";
    itself.args(["--exact", test, "--nocapture"]).env(ROLE, format!("{what} {}", container.pid));
    let said = itself.run().ok();
    let line = said.stdout.lines().find_map(|line| line.strip_prefix(BEGIN)).expect("details");
    serde_json::from_str(line).unwrap()
}

/// The index of each link, by its name, as `ip` says.
fn index(container: &Container, name: &Value) -> Value {
    let links = container.ip("-j link").json();
    let found = links.as_array().unwrap().iter().find(|link| link["ifname"] == *name);
    found.map_or(Value::Null, |link| link["ifindex"].clone())
}

fn sorted(mut list: Vec<Value>) -> Vec<Value> {
    list.sort_by_key(Value::to_string);
    list
}

#[test]
fn routes_and_rules_are_those_of_ip() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    for line in [
        "link add va type veth peer name vb",
        // Link-local addresses get a route a second later, when nobody else has them.
        "link set va addrgenmode none up",
        "link set vb addrgenmode none up",
        "address add 198.18.0.1/24 dev va",
        "address add 2001:db8::1/64 dev va nodad",
        "route add default via 198.18.0.254 metric 100",
        "route add 198.18.9.0/24 table 77 via 198.18.0.253 dev va",
        "route add 198.18.10.0/24 nexthop via 198.18.0.7 weight 2 nexthop via 198.18.0.8",
        "route add unreachable 198.18.11.0/24",
        "route add 2001:db8:1::/64 via 2001:db8::ff",
        "rule add from 198.18.3.0/24 table 77 priority 50",
        "rule add fwmark 0x4/0xff iif va table 77 priority 51",
        "rule add not oif vb table 77 priority 52",
        "rule add ipproto tcp dport 80 table 77 priority 53",
    ] {
        web.ip(line);
    }
    let found = details_of(&lab, &web);
    // In a lab of its own user namespace even root may not ask for programs of tcx.
    let without_tcx =
        json!([["programs", "those of tcx: CAP_NET_ADMIN over the host's user namespace is missing"]]);
    let expected = if lab.user_namespace().is_ok() { without_tcx } else { json!([]) };
    assert_eq!(found["not_read"], expected);

    let number = |table: &Value| match table.as_str() {
        None | Some("main") => json!(254),
        Some("local") => json!(255),
        Some(number) => number.parse::<u32>().unwrap().into(),
    };
    let destination = |shown: &str, six: bool| match (shown, six) {
        ("default", false) => "0.0.0.0/0".to_owned(),
        ("default", true) => "::/0".to_owned(),
        (host, false) if !host.contains('/') => format!("{host}/32"),
        (host, true) if !host.contains('/') => format!("{host}/128"),
        (network, _) => network.to_owned(),
    };
    let mut expected = Vec::new();
    for (family, six) in [("-4", false), ("-6", true)] {
        for shown in web.ip(&format!("{family} -j route show table all")).json().as_array().unwrap() {
            let hops = shown["nexthops"].as_array().cloned().unwrap_or_default();
            let hops: Vec<Value> = hops
                .iter()
                .map(|hop| json!([hop["gateway"], index(&web, &hop["dev"]), hop["weight"]]))
                .collect();
            let metric = if shown["metric"].is_null() { json!(0) } else { shown["metric"].clone() };
            let to = destination(shown["dst"].as_str().unwrap(), six);
            expected.push(json!([
                to,
                shown["gateway"],
                index(&web, &shown["dev"]),
                metric,
                number(&shown["table"]),
                hops
            ]));
        }
    }
    assert_eq!(sorted(found["routes"].as_array().unwrap().clone()), sorted(expected));

    let ours: Vec<&Value> = found["rules"].as_array().unwrap().iter().filter(|rule| rule[2] == 77).collect();
    let nothing = Value::Null;
    let expected = [
        json!([50, "198.18.3.0/24", 77, nothing, nothing, nothing, false, false]),
        json!([51, nothing, 77, "0x4/0xff", "va", nothing, false, false]),
        json!([52, nothing, 77, nothing, nothing, "vb", true, false]),
        json!([53, nothing, 77, nothing, nothing, nothing, false, true]),
    ];
    assert_eq!(ours, expected.iter().collect::<Vec<_>>());
}

#[test]
fn neighbours_and_forwarding_tables_are_those_of_ip_and_bridge() {
    let lab = need!(Lab::new());
    need!(program("bridge", "iproute2"));
    let web = lab.container("web", Options::default());
    for line in [
        "link add br0 type bridge",
        "link add va type veth peer name vb",
        "link set va master br0 up",
        "link set vb up",
        "link set br0 up",
        "address add 198.18.0.1/24 dev br0",
        "neigh add 198.18.0.7 lladdr 02:00:00:00:00:07 dev br0 nud permanent",
        "neigh add 198.18.0.8 dev br0 nud failed",
        "neigh add 2001:db8::7 lladdr 02:00:00:00:00:08 dev br0 nud stale",
    ] {
        web.ip(line);
    }
    let bridge = |arguments: &str| {
        let words = format!("nsenter --target {} --net bridge {arguments}", web.pid);
        lab.shell(&words).run().ok()
    };
    bridge("fdb add 02:00:00:00:00:09 dev va master static");
    bridge("fdb add 02:00:00:00:00:0a dev va master dynamic");
    let found = details_of(&lab, &web);
    let neighbours = found["neighbours"].as_array().unwrap();
    let br0 = index(&web, &json!("br0"));
    for expected in [
        json!([br0, "198.18.0.7", "02:00:00:00:00:07", 0x80]),
        json!([br0, "198.18.0.8", null, 0x20]),
        json!([br0, "2001:db8::7", "02:00:00:00:00:08", 0x04]),
    ] {
        assert!(neighbours.contains(&expected), "{expected} in {neighbours:?}");
    }
    let shown = bridge("-j fdb show").json();
    let expected = shown.as_array().unwrap().iter().filter(|entry| entry["master"] == "br0").map(|entry| {
        let is_lasting = entry["state"] == "permanent";
        json!([index(&web, &entry["ifname"]), entry["mac"], br0, entry["vlan"], null, is_lasting])
    });
    assert_eq!(sorted(found["fdb"].as_array().unwrap().clone()), sorted(expected.collect()));
}

#[test]
fn disciplines_and_filters_that_somebody_has_set_are_listed_and_the_kernels_own_are_not() {
    let lab = need!(Lab::new());
    need!(program("tc", "iproute2"));
    let web = lab.container("web", Options::default());
    web.ip("link add va type veth peer name vb");
    web.ip("link set va up");
    assert_eq!(details_of(&lab, &web)["programs"], json!([]));
    let tc =
        |arguments: &str| lab.shell(&format!("nsenter --target {} --net tc {arguments}", web.pid)).run().ok();
    tc("qdisc add dev va root tbf rate 1mbit burst 10k latency 50ms");
    tc("qdisc add dev vb clsact");
    tc("filter add dev vb ingress pref 7 u32 match u32 0 0");
    tc("filter add dev vb egress pref 8 bpf bytecode '1,6 0 0 0'");
    let [a, b] = ["va", "vb"].map(|name| index(&web, &json!(name)));
    let expected = [
        json!([a, "qdisc", "tbf"]),
        json!([b, "qdisc", "clsact"]),
        json!([b, "tc egress", "bpf"]),
        json!([b, "tc ingress", "u32"]),
    ];
    let found = details_of(&lab, &web);
    assert_eq!(sorted(found["programs"].as_array().unwrap().clone()), sorted(expected.to_vec()));
}
