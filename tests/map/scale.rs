//! The whole map, against what `ip` and `lsns` say of it, and with many namespaces on it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use common::map::{Visit, walk};
use serde_json::{Value, json};

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{LIMIT, Run};
use support::skip::{need, program};
use support::until::as_busy;

/// Set for a copy of this test program that runs in a lab and prints the map that it sees there.
const ROLE: &str = "NETNS_TOOLBOX_MAP_TEST_ROLE";
const BEGIN: &str = "the map: ";

#[test]
fn the_map_says_what_ip_and_lsns_say() {
    if std::env::var_os(ROLE).is_some() {
        println!("\n{BEGIN}{}", Value::from(mapped()));
        return;
    }
    let lab = need!(Lab::new());
    need!(program("lsns", "util-linux"));
    let [web, db] = ["web", "db"].map(|name| lab.container(name, Options::default()));
    lab.veth((&web, "198.18.0.1/24"), (&db, "198.18.0.2/24"));
    web.ip("address add 2001:db8::1/64 dev eth0");
    web.ip("link add br0 mtu 1400 group 7 type bridge");
    web.ip("link set eth0 master br0");
    lab.shell("ip netns add blue; ip -n blue link set lo up").run().ok();

    for container in [&web, &db] {
        wait_until_up(&lab, container);
    }

    let map = map_of(&lab);
    let shown = lab.command("lsns").args(["-J", "-t", "net", "-o", "NS"]).run().ok().json();
    let shown: BTreeSet<u64> =
        shown["namespaces"].as_array().unwrap().iter().filter_map(|row| row["ns"].as_u64()).collect();
    let blue = lab.shell("stat -Lc %i /run/netns/blue").run().ok().text().parse::<u64>().unwrap();
    assert_eq!(map.keys().copied().collect::<BTreeSet<u64>>(), &shown | &BTreeSet::from([blue]));

    for container in [&web, &db] {
        let inode = lab.namespace(container.pid, "net");
        let inode: u64 = inode.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        assert_eq!(map[&inode]["links"], links_of(container), "{}", container.name);
        assert_eq!(map[&inode]["addresses"], addresses_of(container), "{}", container.name);
    }
    assert_eq!(map[&blue]["names"], json!(["/run/netns/blue"]));
    assert_eq!(map[&blue]["pids"], json!([]));
}

/// The kernel notices a carrier a moment after it has come, and tells nobody who was not listening before.
#[track_caller]
fn wait_until_up(lab: &Lab, container: &Container) {
    let look = format!("nsenter --target {} --net ip link show dev eth0", container.pid);
    lab.shell(&format!("until {look} | grep -q 'state UP'; do sleep 0.02; done")).run().ok();
}

/// In the lab: every namespace in the words of `ip -j`.
fn mapped() -> Vec<Value> {
    let walk = walk(|Visit { entry, mut socket, .. }| {
        let mut links: Vec<Value> = socket
            .links()?
            .iter()
            .map(|link| {
                let mac = link.mac.map(|mac| mac.to_string());
                json!([link.index, link.name.to_str(), mac, link.kind, link.mtu_bytes, link.group,
                    link.master, link.link, link.link_netnsid, format!("{:?}", link.operstate).to_uppercase()])
            })
            .collect();
        let mut addresses: Vec<Value> = socket
            .addresses()?
            .iter()
            .map(|own| json!([own.index, own.address, own.prefix_len, own.scope]))
            .collect();
        for list in [&mut links, &mut addresses] {
            list.sort_by_key(Value::to_string);
        }
        let pids: Vec<i32> = entry.pids.iter().map(|pid| pid.as_raw()).collect();
        let inode = entry.identity.inode;
        Ok(Some(json!({ "inode": inode, "pids": pids, "names": entry.names, "links": links, "addresses": addresses })))
    })
    .unwrap();
    assert!(walk.unseen.is_empty(), "{}", walk.unseen);
    walk.seen
}

fn map_of(lab: &Lab) -> BTreeMap<u64, Value> {
    let mut itself = lab.command(std::env::current_exe().unwrap());
    let test = "scale::the_map_says_what_ip_and_lsns_say";
    let said = itself.args(["--exact", test, "--nocapture"]).env(ROLE, "print").run().ok();
    let line = said.stdout.lines().find_map(|line| line.strip_prefix(BEGIN)).expect("a map");
    let map: Vec<Value> = serde_json::from_str(line).unwrap();
    map.into_iter().map(|place| (place["inode"].as_u64().unwrap(), place)).collect()
}

fn links_of(container: &Container) -> Value {
    let shown = container.ip("-j -d link").json();
    let index_of = |name: &Value| {
        let mut links = shown.as_array().unwrap().iter();
        links.find(|link| link["ifname"] == *name).map(|link| link["ifindex"].clone())
    };
    let mut links: Vec<Value> = shown
        .as_array()
        .unwrap()
        .iter()
        .map(|link| {
            // "default" is how ip writes group 0; a link below it is given by name if it is in the same namespace.
            let group = if link["group"] == "default" {
                json!(0)
            } else {
                link["group"].as_str().unwrap().parse::<u32>().unwrap().into()
            };
            let below = index_of(&link["link"]).map_or(link["link_index"].clone(), Value::from);
            json!([
                link["ifindex"],
                link["ifname"],
                link["address"],
                link["linkinfo"]["info_kind"],
                link["mtu"],
                group,
                index_of(&link["master"]),
                below,
                link["link_netnsid"],
                link["operstate"]
            ])
        })
        .collect();
    links.sort_by_key(Value::to_string);
    links.into()
}

fn addresses_of(container: &Container) -> Value {
    let scope = |name: &Value| match name.as_str().unwrap() {
        "global" => 0,
        "link" => 253,
        "host" => 254,
        other => panic!("scope {other}"),
    };
    let shown = container.ip("-j address").json();
    let of_link = |link: &Value| -> Vec<Value> {
        let own = link["addr_info"].as_array().unwrap().iter();
        own.map(|own| json!([link["ifindex"], own["local"], own["prefixlen"], scope(&own["scope"])]))
            .collect()
    };
    let mut addresses: Vec<Value> = shown.as_array().unwrap().iter().flat_map(of_link).collect();
    addresses.sort_by_key(Value::to_string);
    addresses.into()
}

#[test]
fn three_hundred_namespaces_are_looked_through_in_no_time_and_not_all_listed() {
    const COUNT: u32 = 300;
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    // One batch each: three hundred times `ip` would take longer than all the rest.
    let script = format!(
        "ip link add br0 type bridge; ip link set br0 up
         for i in $(seq {COUNT}); do echo netns add n$i; done | ip -batch -
         for i in $(seq {COUNT}); do
             echo link add v$i type veth peer name eth0 netns n$i
             echo link set v$i master br0 up
         done | ip -batch -
         ip link add veth-web type veth peer name eth0 netns {}
         for i in $(seq {COUNT}); do
             printf 'address add %s dev %s\n' 198.18.$((i / 250)).$((i % 250 + 1))/16 eth0 198.18.8.8/32 lo |
                 ip -n n$i -batch -
         done",
        web.pid
    );
    lab.command("bash").args(["-ec", &script]).run_within(4 * LIMIT).ok();
    web.ip("address add 198.18.9.9/16 dev eth0");
    let pid = format!("{}\n", web.pid);
    for target in ["ip:198.18.9.9", "veth:veth-web"] {
        let took =
            (0..5).map(|_| lab.tool("cpid").arg(target).run().ok().stdout_is(&pid).took).min().unwrap();
        let mut itself = Command::new("true");
        let nothing = (0..5).map(|_| itself.run().took).min().unwrap();
        println!("cpid {target} among {COUNT} namespaces: {took:?} (true: {nothing:?})");
        assert!(took < as_busy(Duration::from_secs(2)), "{took:?}");
    }
    is_listed_in_part(&lab, COUNT);
}

/// The namespaces that a test has filled `lab` with all have 198.18.8.8.
fn is_listed_in_part(lab: &Lab, count: u32) {
    let said = lab.tool("cpid").arg("ip:198.18.8.8").run().fails_with(2).stdout_is("");
    said.stderr_has(&format!("cpid: ip:198.18.8.8: means {count} network namespaces:\n"))
        .stderr_has("  netns:n")
        .stderr_has(&format!("\n  and {} more\n", count - 50));
}

#[test]
fn namespaces_that_come_and_go_meanwhile_are_no_error() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    web.ip("address add 198.18.0.10/24 dev lo");
    let churn = "echo begun; while :; do unshare --net true; ip netns add x; ip netns del x; done";
    let churn = lab.shell(churn).start();
    churn.wait_for("begun\n");
    for _ in 0..100 {
        lab.tool("cpid").arg("ip:198.18.0.10").run().ok().stdout_is(&format!("{}\n", web.pid)).stderr_is("");
        lab.tool("cpid").arg("ip:198.18.0.11").run().fails_with(1);
    }
    assert!(!churn.has_ended_within(Duration::ZERO));
}
