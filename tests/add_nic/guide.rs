//! The table of docs/guide.md: each of its commands does what its line says, as it is printed there.

use crate::bridge::by_hand;
use crate::firewall::{Site, does_not_reach};
use crate::nat::inner;
use crate::publish::{SERVER, fetch, fetch_from, serve, site};
use crate::{add_nic, everything, reaches, reaches_from};
use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::FakeEngine;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::need;

const GUIDE: &str = include_str!("../../docs/guide.md");
const HEADING: &str = "\n## When it needs another NIC\n";
/// The command that the row of that purpose has.
const ROWS: [(&str, &str); 10] = [
    ("two namespaces", "add-nic netns:red 10.1.0.2/24 --peer netns:blue"),
    ("containers on a bridge", "add-nic web 10.2.0.2/24 -b br1 --create"),
    ("a container without network", "add-nic alone 172.17.0.200/16 -b docker0 -g 172.17.0.1"),
    ("a default route of its own", "add-nic web 10.3.0.2/24 -g 10.3.0.1 --nat"),
    ("NAT to all other networks", "add-nic web 10.6.0.2/24 -g 10.6.0.1 --nat=all"),
    ("port forwarding", "add-nic web 10.4.0.2/24 --publish 8080:80"),
    ("the same interface", "add-nic web 10.4.0.2/24 --publish 8080:80 --mtu 1400 --replace"),
    ("a name that", "add-nic web 10.5.0.2/24 --name-prefix net"),
    ("remove one", "add-nic --rm web 10.5.0.2"),
    ("a second interface", "add-nic web 192.168.7.2/24 -b br-lan --sbr -g 192.168.7.1"),
];

/// The command of the row that begins so, in the words of the guide.
#[track_caller]
fn command(purpose: &str) -> &'static str {
    let (_, command) = ROWS.into_iter().find(|(begin, _)| *begin == purpose).unwrap();
    command
}

#[track_caller]
fn run(lab: &Lab, command: &str) -> Ran {
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[0], "add-nic");
    add_nic(lab, &words[1..])
}

/// A site whose containers are called `web` and `alone`, and whose default route leads outside.
fn scene(site: &Site) -> (Container, FakeEngine) {
    let alone = site.lab.container("alone", Options::only(&["net"]));
    let engine = fake_docker::knows(&[&site.web, &alone]).listen(site.lab.path("/run/docker.sock"));
    site.lab.shell("ip route add default via 203.0.113.9").run().ok();
    (alone, engine)
}

#[test]
fn each_row_of_the_table_has_a_test_here() {
    let (_, section) = GUIDE.split_once(HEADING).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), ROWS.len(), "{rows:?}");
    for (row, (purpose, command)) in rows.iter().zip(ROWS) {
        assert!(row.starts_with(&format!("| {purpose}")) && row.contains(&format!("`{command}`")), "{row}");
    }
}

#[test]
fn two_namespaces_are_connected_to_each_other() {
    let site = need!(Site::new());
    site.lab.shell("ip netns add red; ip netns add blue").run().ok();
    let before = everything(&site.lab, &[]);
    run(&site.lab, command("two namespaces")).ok().stdout_has("reachable after");
    site.lab.shell("ip netns exec red ping -n -c1 -W1 -q 10.1.0.1").run().ok();
    site.lab.shell("ip netns exec blue ping -n -c1 -W1 -q 10.1.0.2").run().ok();
    assert_eq!(everything(&site.lab, &[]), before, "the host has no part in it");
}

#[test]
fn containers_on_a_bridge_reach_each_other_and_the_host() {
    let site = need!(Site::new());
    let (alone, _engine) = scene(&site);
    let command = command("containers on a bridge");
    run(&site.lab, command).ok();
    run(&site.lab, &command.replace("web 10.2.0.2", "alone 10.2.0.3")).ok();
    reaches_from(&site.lab, &site.web, "10.2.0.3");
    reaches_from(&site.lab, &alone, "10.2.0.2");
    reaches_from(&site.lab, &alone, "10.2.0.1");
    reaches(&site.lab, "10.2.0.2");
}

#[test]
fn a_container_without_network_is_on_dockers_bridge_wherever_that_is() {
    for bridge_has in ["172.17.0.1/16", "198.18.0.1/24"] {
        let site = need!(Site::new());
        let (alone, _engine) = scene(&site);
        site.lab
            .shell(&format!("ip link add docker0 up type bridge; ip address add {bridge_has} dev docker0"))
            .run()
            .ok();
        let command = command("a container without network");
        // "--preflight prints the command that fits yours"
        let preflight = run(&site.lab, &format!("{command} --preflight"));
        let fits = match bridge_has {
            "172.17.0.1/16" => {
                preflight.ok().stdout_is("");
                command.to_owned()
            }
            _ => {
                let said = preflight.fails_with(1).stdout;
                said.lines().find_map(|line| line.trim().strip_prefix("fix: ")).unwrap().to_owned()
            }
        };
        run(&site.lab, &fits).ok().stderr_is("").stdout_has("reachable after");
        reaches_from(&site.lab, &alone, bridge_has.split('/').next().unwrap());
        let default = alone.ip("route show default").stdout;
        assert!(default.contains("dev eth0"), "{default}");
        add_nic(&site.lab, &["--check"]).ok();
    }
}

#[test]
fn nat_gives_internet_access_and_nat_all_other_networks_too() {
    let site = need!(Site::new());
    let (_alone, _engine) = scene(&site);
    let _secret = inner(&site);
    site.dockers_rules("nft");
    let before = everything(&site.lab, &[&site.web]);
    for (purpose, reaches_others) in
        [("a default route of its own", false), ("NAT to all other networks", true)]
    {
        run(&site.lab, command(purpose)).ok();
        reaches_from(&site.lab, &site.web, "203.0.113.9");
        match reaches_others {
            true => reaches_from(&site.lab, &site.web, "198.51.100.9"),
            false => does_not_reach(&site.lab, &site.web, "198.51.100.9"),
        }
        run(&site.lab, "add-nic --rm web").ok();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{purpose}");
    }
}

#[test]
fn a_port_is_forwarded_and_the_same_interface_changed_in_place() {
    let site = need!(site());
    let (_alone, _engine) = scene(&site);
    let _server = serve(&site.lab, &site.web, SERVER, "80");
    let is_served = || {
        let outside = fetch_from(&site.lab, &site.outside, "http://203.0.113.1:8080/");
        let host = fetch(&site.lab, "http://127.0.0.1:8080/");
        assert!(outside.starts_with("hello ") && host.starts_with("hello "), "{outside} {host}");
    };
    run(&site.lab, command("port forwarding")).ok();
    is_served();
    let replacing = command("the same interface");
    run(&site.lab, &format!("{replacing} --dry-run")).ok().stdout_has("mtu 1400");
    let link = || site.web.ip("-o link show eth0").stdout;
    let before = link();
    assert!(before.contains("mtu 1500"));
    run(&site.lab, replacing).ok().stdout_has(", changed in place");
    assert_eq!(link(), before.replace("mtu 1500", "mtu 1400"));
    is_served();
}

#[test]
fn a_prefix_gives_names_of_their_own_and_any_name_of_the_list_removes() {
    let site = need!(Site::new());
    let (alone, engine) = scene(&site);
    let before = everything(&site.lab, &[]);
    let adding = command("a name that");
    run(&site.lab, adding).ok().stdout_has(": net0 10.5.0.2/24");
    run(&site.lab, &adding.replace("10.5.0.2", "10.7.0.2")).ok().stdout_has(": net1 10.7.0.2/24");
    run(&site.lab, "add-nic --rm web net1").ok();
    // The container is gone; a link keeps its network.
    site.lab.tool("netns-link").arg("web").run().ok();
    drop(engine);
    let _engine = fake_docker::knows(&[&alone]).listen(site.lab.path("/run/docker.sock"));
    let mut web = site.web;
    web.stop();
    let listed = add_nic(&site.lab, &["--list"]).ok();
    listed.stdout_has("web").stdout_has("10.5.0.2/24");
    let removed = add_nic(&site.lab, &command("remove one").split(' ').skip(1).collect::<Vec<_>>()).ok();
    removed.stdout_is("web: net0 10.5.0.2/24 removed\n");
    assert_eq!(everything(&site.lab, &[]), before);
}

#[test]
fn a_second_interface_replies_through_its_own_router() {
    let site = need!(Site::new());
    let (_alone, _engine) = scene(&site);
    let router = by_hand(&site.lab, "router", "br-lan", "192.168.7.1/24");
    // A client behind the router, which the container's default route does not lead to.
    router.ip("link set lo up");
    router.ip("address add 198.51.100.77/32 dev lo");
    run(&site.lab, "add-nic web 10.8.0.2/24 -g 10.8.0.1").ok();
    run(&site.lab, command("a second interface")).ok();
    let ping =
        format!("nsenter --target {} --net ping -n -c1 -W1 -q -I 198.51.100.77 192.168.7.2", router.pid);
    site.lab.shell(&ping).run().ok();
    let default = site.web.ip("route show default").stdout;
    assert!(default.contains("via 10.8.0.1"), "{default}");
}
