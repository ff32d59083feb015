//! What people want a NIC for, each the one line that the manual's examples have, and in the end a packet that arrives.

use crate::docker::{docker, of_docker0, pings};
use crate::{add_nic, lab, reaches};
use support::lab::Lab;
use support::run::Run;
use support::skip::{need, program};
use support::world::DockerContainer;

/// Named network namespaces, as `ip netns add` makes them.
fn namespaces(lab: &Lab, names: &[&str]) {
    for name in names {
        lab.shell(&format!("ip netns add {name}; ip -n {name} link set lo up")).run().ok();
    }
}

/// One packet from a named namespace.
#[track_caller]
fn reaches_from(lab: &Lab, name: &str, address: &str) {
    lab.shell(&format!("ip netns exec {name} ping -n -c1 -W1 -q {address}")).run().ok();
}

#[test]
fn two_namespaces_are_joined_by_a_cable() {
    let lab = need!(lab());
    namespaces(&lab, &["red", "blue"]);
    add_nic(&lab, &["netns:red", "10.1.0.2/24", "--peer", "netns:blue", "--peer-addr", "10.1.0.3"]).ok();
    reaches_from(&lab, "red", "10.1.0.3");
    reaches_from(&lab, "blue", "10.1.0.2");
}

#[test]
fn three_namespaces_on_a_bridge_reach_each_other_and_the_host() {
    let lab = need!(lab());
    namespaces(&lab, &["red", "green", "blue"]);
    for words in ["netns:red 10.2.0.2/24", "netns:green 10.2.0.3/24", "netns:blue 10.2.0.4/24"] {
        let words: Vec<&str> = words.split(' ').chain(["--bridge", "br1", "--create"]).collect();
        add_nic(&lab, &words).ok();
    }
    for from in ["red", "green", "blue"] {
        for to in ["10.2.0.1", "10.2.0.2", "10.2.0.3", "10.2.0.4"] {
            reaches_from(&lab, from, to);
        }
    }
    for to in ["10.2.0.2", "10.2.0.3", "10.2.0.4"] {
        reaches(&lab, to);
    }
}

#[test]
fn a_namespace_gets_out_to_a_network_that_knows_no_way_back() {
    let lab = need!(lab());
    need!(program("nft", "nftables"));
    namespaces(&lab, &["red", "outside"]);
    lab.shell(
        "ip link add wan up type veth peer name eth0 netns outside; ip address add 203.0.113.1/24 dev wan
         ip -n outside address add 203.0.113.9/24 dev eth0; ip -n outside link set eth0 up",
    )
    .run()
    .ok();
    add_nic(&lab, &["netns:red", "10.3.0.2/24", "--gateway", "10.3.0.1", "--nat=all"]).ok();
    reaches_from(&lab, "red", "203.0.113.9");
}

/// Has a container of Docker's answer on port 80.
fn serves(container: &DockerContainer<'_>) {
    container.command("sh").args(["-c", "echo hello >/home/index.html; httpd -h /home"]).run().ok();
}

#[test]
fn a_container_is_fetched_from_over_http_by_its_second_nic() {
    let world = need!(docker());
    need!(program("curl", "curl"));
    let nginx = world.docker_container("nginx", &[]);
    serves(&nginx);
    world.tool("add-nic").args([&nginx.name, "198.19.21.2/24"]).run().ok().stdout_has(": eth1 ");
    world.command("curl").args(CURL).arg("http://198.19.21.2/").run().ok().stdout_is("hello\n");
}

#[test]
fn a_container_without_network_is_put_on_docker0_and_reaches_the_others() {
    let world = need!(docker());
    need!(program("curl", "curl"));
    let web = world.docker_container("web", &[]);
    let alone = world.docker_container("alone", &["--network", "none"]);
    serves(&web);
    let (gateway, address) = of_docker0(&world, 200);
    let words = [&alone.name, &address, "--bridge", "docker0", "--gateway", &gateway.to_string()];
    world.tool("add-nic").args(words).run().ok().stdout_has(": eth0 ");
    let default = alone.command("ip").args(["route", "show", "default"]).run().ok();
    default.stdout_has(&format!("via {gateway} dev eth0"));
    pings(&alone, &gateway.to_string());
    let mut inside = world.command("nsenter");
    inside.args(["--target", &alone.pid().to_string(), "--net", "curl"]).args(CURL);
    let url = format!("http://{}/", web.inspect("{{.NetworkSettings.IPAddress}}"));
    inside.arg(url).run().ok().stdout_is("hello\n");
}

#[test]
fn a_port_of_the_host_leads_into_a_container() {
    let world = need!(docker());
    need!(program("curl", "curl"));
    need!(program("nft", "nftables"));
    let web = world.docker_container("web", &["--network", "none"]);
    serves(&web);
    let words = [&web.name, "198.19.22.2/24", "--gateway", "198.19.22.1", "--publish", "18080:80"];
    world.tool("add-nic").args(words).run().ok();
    for host in ["127.0.0.1", "198.19.22.1"] {
        let url = format!("http://{host}:18080/");
        world.command("curl").args(CURL).arg(url).run().ok().stdout_is("hello\n");
    }
    world.tool("add-nic").args(["--rm", &web.name]).run().ok();
    world.command("curl").args(CURL).arg("http://127.0.0.1:18080/").run().fails_with(7);
}

const CURL: [&str; 3] = ["-sS", "--max-time", "5"];
