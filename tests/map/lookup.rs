//! Single look-ups, in a lab.

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{need, program};

/// A container whose `eth0` has this address; the other end, `veth-NAME`, is a port of the lab's bridge `br0`.
#[track_caller]
fn on_bridge(lab: &Lab, name: &str, options: Options, address: &str) -> Container {
    let container = lab.container(name, options);
    let script = format!(
        "ip link show br0 >/dev/null 2>&1 || {{ ip link add br0 type bridge; ip address add 198.18.0.1/24 dev br0; ip link set br0 up; }}
         ip link add veth-{name} type veth peer name eth0 netns {}
         ip link set veth-{name} master br0 up",
        container.pid
    );
    lab.shell(&script).run().ok();
    container.ip(&format!("address add {address} dev eth0"));
    container.ip("link set eth0 up");
    container
}

fn cpid(lab: &Lab, target: &str) -> Ran {
    lab.tool("cpid").arg(target).run()
}

/// What `ip -j -d link` says in the container of its `eth0`.
fn eth0(container: &Container) -> serde_json::Value {
    container.ip("-j -d link show dev eth0").json()[0].clone()
}

#[test]
fn each_address_mac_and_veth_leads_to_its_own_container() {
    let lab = need!(Lab::new());
    let names = ["web", "db", "cache"];
    let containers: Vec<Container> = names
        .iter()
        .enumerate()
        .map(|(at, name)| on_bridge(&lab, name, Options::default(), &format!("198.18.0.1{at}/24")))
        .collect();
    for (at, container) in containers.iter().enumerate() {
        let pid = format!("{}\n", container.pid);
        cpid(&lab, &format!("ip:198.18.0.1{at}")).ok().stdout_is(&pid).stderr_is("");
        let mac = eth0(container)["address"].as_str().unwrap().to_owned();
        cpid(&lab, &format!("mac:{mac}")).ok().stdout_is(&pid).stderr_is("");
        cpid(&lab, &format!("veth:veth-{}", container.name)).ok().stdout_is(&pid).stderr_is("");
    }
}

#[test]
fn an_ipv6_address_leads_to_its_container_too() {
    let lab = need!(Lab::new());
    let web = on_bridge(&lab, "web", Options::default(), "2001:db8::5/64");
    cpid(&lab, "ip:2001:db8:0::5").ok().stdout_is(&format!("{}\n", web.pid));
}

#[test]
fn other_ends_with_the_same_index_as_the_near_one_are_told_apart() {
    let lab = need!(Lab::new());
    let [web, db] = ["web", "db"].map(|name| lab.container(name, Options::default()));
    for (container, near, index) in [(&web, "veth-web", 77), (&db, "veth-db", 78)] {
        let pid = container.pid;
        lab.shell(&format!(
            "ip link add {near} index {index} type veth peer name eth0 index {index} netns {pid}"
        ))
        .run()
        .ok();
        assert_eq!(eth0(container)["ifindex"], index);
    }
    // A third one has a link of index 77 whose peer is elsewhere.
    let lure = lab.container("lure", Options::default());
    lab.shell(&format!("ip link add name lure0 type veth peer name eth0 index 77 netns {}", lure.pid))
        .run()
        .ok();
    cpid(&lab, "veth:veth-web").ok().stdout_is(&format!("{}\n", web.pid));
    cpid(&lab, "veth:veth-db").ok().stdout_is(&format!("{}\n", db.pid));
    cpid(&lab, "veth:lure0").ok().stdout_is(&format!("{}\n", lure.pid));
}

#[test]
fn an_address_that_two_containers_have_is_an_error_whose_hint_works() {
    let lab = need!(Lab::new());
    let [left, right] = ["left", "right"].map(|name| {
        let container = lab.container(name, Options::default());
        container.ip("address add 198.18.7.7/32 dev lo");
        container
    });
    let said = cpid(&lab, "ip:198.18.7.7").fails_with(2).stdout_is("");
    let said = said.stderr_has("cpid: ip:198.18.7.7: means 2 network namespaces:\n");
    for container in [&left, &right] {
        let inode = lab.namespace(container.pid, "net");
        said.clone().stderr_has(&format!("  {inode}  pid:{} (sh)\n", container.pid));
    }
    let said = said.stderr_has("hint: say which: ");
    let hint = said.stderr.split("say which: ").nth(1).unwrap().trim();
    for target in hint.split(" or ") {
        cpid(&lab, target).ok();
    }
}

#[test]
fn a_namespace_without_a_process_can_be_entered_but_has_no_pid() {
    let lab = need!(Lab::new());
    lab.shell("ip netns add blue; ip -n blue address add 198.18.3.3/32 dev lo").run().ok();
    cpid(&lab, "ip:198.18.3.3")
        .fails_with(2)
        .stderr_is("cpid: ip:198.18.3.3: is a namespace without a process\n");
    let mut inside = lab.tool("nsenter-rs");
    inside.args(["-t", "ip:198.18.3.3", "-n", "readlink", "/proc/self/ns/net"]);
    let inode = lab.shell("stat -Lc 'net:[%i]' /run/netns/blue").run().ok();
    inside.run().ok().stdout_is(&inode.stdout).stderr_is("");
}

#[test]
fn with_everything_entered_it_is_the_containers_own_world() {
    let lab = need!(Lab::new());
    let web = on_bridge(&lab, "web", Options::default(), "198.18.0.10/24");
    let mut entered = lab.tool("nsenter-rs");
    entered.args(["-t", "ip:198.18.0.10", "-a", "hostname"]).run().ok().stdout_is("web\n");
    drop(web);
}

#[test]
fn the_hosts_own_address_is_found_and_said_to_be_its_own() {
    let lab = need!(Lab::new());
    let _web = on_bridge(&lab, "web", Options::default(), "198.18.0.10/24");
    cpid(&lab, "ip:198.18.0.1")
        .ok()
        .stdout_is("1\n")
        .stderr_is("cpid: ip:198.18.0.1 is in the network namespace of this host itself\n");
}

#[test]
fn a_container_that_has_an_address_of_the_hosts_is_meant_before_the_host() {
    let lab = need!(Lab::new());
    lab.shell("ip address add 198.18.9.1/32 dev lo").run().ok();
    let inner = lab.container("inner", Options::default());
    inner.ip("address add 198.18.9.1/32 dev lo");
    cpid(&lab, "ip:198.18.9.1").ok().stdout_is(&format!("{}\n", inner.pid)).stderr_is("");
}

#[test]
fn an_address_that_nobody_has_is_an_honest_no_and_one_that_everybody_has_is_refused() {
    let lab = need!(Lab::new());
    cpid(&lab, "ip:198.18.1.1")
        .fails_with(1)
        .stderr_is("cpid: ip:198.18.1.1: no network namespace of this host has this address\n");
    cpid(&lab, "mac:02:00:00:00:00:01").fails_with(1).stdout_is("");
    for everybodys in ["ip:127.0.0.1", "ip:::1", "mac:00:00:00:00:00:00", "mac:ff:ff:ff:ff:ff:ff"] {
        cpid(&lab, everybodys).fails_with(2).stdout_is("");
    }
}

#[test]
fn the_peer_of_a_point_to_point_link_is_not_its_owner() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    web.ip("address add 198.18.5.1 peer 198.18.5.2/32 dev lo");
    cpid(&lab, "ip:198.18.5.1").ok().stdout_is(&format!("{}\n", web.pid));
    cpid(&lab, "ip:198.18.5.2").fails_with(1);
}

#[test]
fn what_is_no_veth_or_no_link_has_no_other_end() {
    let lab = need!(Lab::new());
    let _web = on_bridge(&lab, "web", Options::default(), "198.18.0.10/24");
    cpid(&lab, "veth:br0").fails_with(2).stderr_is("cpid: veth:br0: is not a veth, but bridge\n");
    cpid(&lab, "veth:nope").fails_with(1).stderr_is("cpid: veth:nope: no interface has this name here\n");
}

#[test]
fn a_pair_within_the_host_has_its_other_end_there() {
    let lab = need!(Lab::new());
    lab.shell("ip link add left type veth peer name right").run().ok();
    cpid(&lab, "veth:left")
        .ok()
        .stdout_is("1\n")
        .stderr_is("cpid: veth:left is in the network namespace of this host itself\n");
}

#[test]
fn a_container_in_a_user_namespace_of_its_own_is_found_as_well() {
    let lab = need!(Lab::new());
    need!(lab.user_namespace());
    let options = Options::only(&["user", "net", "pid", "mnt"]);
    let web = lab.container("web", options);
    web.ip("address add 198.18.4.4/32 dev lo");
    cpid(&lab, "ip:198.18.4.4").ok().stdout_is(&format!("{}\n", web.pid));
}

#[test]
fn who_may_not_look_everywhere_is_told_so_and_gets_no_false_negative() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    let _web = on_bridge(&lab, "web", Options::default(), "198.18.0.10/24");
    let mut as_user = lab.command("setpriv");
    as_user.args(["--reuid", "1000", "--regid", "1000", "--clear-groups"]);
    let said = as_user.arg(support::tools::tool("cpid")).arg("ip:198.18.0.10").run();
    said.fails_with(2)
        .stdout_is("")
        .stderr_has(
            "cpid: ip:198.18.0.10: no network namespace of this host has this address\n  not looked at: ",
        )
        .stderr_has("CAP_SYS_PTRACE")
        .stderr_has("hint: run it as root, who can look at all of them\n");
}
