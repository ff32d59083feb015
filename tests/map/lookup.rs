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
    lab.tool("cpid").args([support::tools::PATIENT, target]).run()
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

/// As pasta(1) gives it to a rootless Podman's container: the address of the host's own interface.
#[test]
fn an_address_that_the_host_and_a_container_have_means_neither_alone() {
    let lab = need!(Lab::new());
    lab.shell("ip link add nic0 type bridge; ip address add 198.18.9.1/24 dev nic0").run().ok();
    let web = lab.container("web", Options::default());
    web.ip("link add eth0 type bridge");
    web.ip("address add 198.18.9.1/24 dev eth0");
    let said = cpid(&lab, "ip:198.18.9.1").fails_with(2).stdout_is("");
    let said = said.stderr_has("cpid: ip:198.18.9.1: means 2 network namespaces:\n");
    let inode = lab.namespace(web.pid, "net");
    let said = said.stderr_has(&format!("  {inode}  pid:{} (sh)\n", web.pid)).stderr_has(" this host\n");
    said.stderr_has(&format!("hint: say which: pid:{} or pid:1\n", web.pid));
    // Nothing runs in either of them before that is said.
    let mut inside = lab.tool("nsenter-rs");
    inside.args(["-t", "ip:198.18.9.1", "-n", "ip", "link"]);
    inside.run().stdout_is("").stderr_has("means 2 network namespaces");
    lab.shell("ip address delete 198.18.9.1/24 dev nic0").run().ok();
    cpid(&lab, "ip:198.18.9.1").ok().stdout_is(&format!("{}\n", web.pid)).stderr_is("");
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
    cpid(&lab, "veth:if4711")
        .fails_with(1)
        .stderr_is("cpid: veth:if4711: no interface has this index here\n");
}

#[test]
fn what_ip_prints_of_a_veth_leads_to_the_container_from_either_side() {
    let lab = need!(Lab::new());
    let [web, db] = ["web", "db"]
        .map(|name| on_bridge(&lab, name, Options::default(), &format!("198.18.0.{}/24", name.len())));
    for container in [&web, &db] {
        let pid = format!("{}\n", container.pid);
        let near = lab.shell(&format!("ip -o link show veth-{}", container.name)).run().ok();
        let far = container.ip("-o link show eth0");
        // 7: veth-web@if2: <BROADCAST,…
        let printed = |ran: &Ran| ran.stdout.split(':').nth(1).unwrap().trim().to_owned();
        let inside = printed(&far);
        let index = inside.strip_prefix("eth0@if").unwrap_or_else(|| panic!("{far}"));
        for copied in [printed(&near), inside.clone(), index.to_owned(), format!("if{index}")] {
            cpid(&lab, &format!("veth:{copied}")).ok().stdout_is(&pid).stderr_is("");
        }
    }
    // A copy that is not true any more, and one of another container's.
    let stale = cpid(&lab, "veth:veth-web@if4711").fails_with(1).stdout_is("");
    stale.stderr_is("cpid: veth:veth-web@if4711: veth-web is here, but has another peer\n");
    let index = eth0(&web)["link_index"].as_u64().unwrap();
    let stale = cpid(&lab, &format!("veth:eth7@if{index}")).fails_with(1).stdout_is("");
    stale.stderr_is(&format!("cpid: veth:eth7@if{index}: veth-web is here, but has another peer\n"));
    // The host has an eth0 as well: what was copied in the container is not that one's peer.
    lab.shell("ip link add eth0 type veth peer name eth0-peer").run().ok();
    cpid(&lab, &format!("veth:eth0@if{index}")).ok().stdout_is(&format!("{}\n", web.pid));
    // An interface that is called like the other's index.
    lab.shell(&format!("ip link add name {index} type veth peer name odd netns {}", db.pid)).run().ok();
    cpid(&lab, &format!("veth:{index}")).fails_with(2).stderr_has("means 2 network namespaces:\n");
    cpid(&lab, &format!("veth:if{index}")).ok().stdout_is(&format!("{}\n", web.pid));
}

#[test]
fn an_address_as_it_is_copied_is_the_same_address() {
    let lab = need!(Lab::new());
    let web = on_bridge(&lab, "web", Options::default(), "198.18.0.10/24");
    web.ip("address add fd00::2/64 dev eth0");
    let mac = eth0(&web)["address"].as_str().unwrap().to_owned();
    let digits = mac.replace(':', "");
    let cisco = [&digits[..4], &digits[4..8], &digits[8..]].join(".");
    let copied = ["ip:198.18.0.10/24".to_owned(), "ip:[fd00::2]".to_owned(), "ip:fd00::2/64".to_owned()];
    let macs =
        [mac.replace(':', "-"), digits.clone(), cisco, mac.to_uppercase()].map(|mac| format!("mac:{mac}"));
    for target in copied.iter().chain(&macs) {
        cpid(&lab, target).ok().stdout_is(&format!("{}\n", web.pid)).stderr_is("");
    }
}

/// Two containers with one link-local address, each on a link of its own.
#[test]
fn a_link_local_address_with_an_interface_is_looked_for_behind_that_interface_only() {
    let lab = need!(Lab::new());
    let web = on_bridge(&lab, "web", Options::default(), "198.18.0.10/24");
    web.ip("address add fe80::5/64 dev eth0 nodad");
    let db = lab.container("db", Options::default());
    lab.shell(&format!("ip link add veth-db up type veth peer name eth0 netns {}", db.pid)).run().ok();
    db.ip("link set eth0 up");
    db.ip("address add fe80::5/64 dev eth0 nodad");
    cpid(&lab, "ip:fe80::5").fails_with(2).stderr_has("means 2 network namespaces:\n");
    for zone in ["br0", "veth-web"] {
        cpid(&lab, &format!("ip:fe80::5%{zone}")).ok().stdout_is(&format!("{}\n", web.pid)).stderr_is("");
    }
    let index = lab.shell("ip -o link show veth-db | cut -d: -f1").run().ok().text().to_owned();
    for zone in ["veth-db", &index] {
        cpid(&lab, &format!("ip:[fe80::5%{zone}]")).ok().stdout_is(&format!("{}\n", db.pid)).stderr_is("");
    }
    let elsewhere = cpid(&lab, "ip:fe80::5%lo").fails_with(1);
    elsewhere.stderr_is(
        "cpid: ip:fe80::5%lo: nothing of this host that is attached to lo has this address
hint: use ip:fe80::5, which looks behind every interface\n",
    );
    cpid(&lab, "ip:fe80::5%eth7").fails_with(1).stderr_is(
        "cpid: ip:fe80::5%eth7: no interface has the name after the % here
hint: use ip:fe80::5, which looks behind every interface\n",
    );
    lab.shell("ip address add fe80::5/64 dev br0 nodad").run().ok();
    cpid(&lab, "ip:fe80::5%br0").fails_with(2).stderr_has(" this host\n");
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
        .stderr_has("hint: sudo cpid ip:198.18.0.10\n");
}
