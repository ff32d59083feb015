//! A cable between two containers, of which the host has no end.

use crate::{add_nic, everything, lab, plug, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::until::until;

fn two(lab: &Lab) -> [Container; 2] {
    ["web", "db"].map(|name| lab.container(name, Options::only(&["net"])))
}

/// Waits until the kernel has ended the namespace of the container that was at the other end.
#[track_caller]
fn wait_until_gone(container: &Container, link: &str) {
    let links = || container.ip("-j link").stdout;
    until(&format!("{link} is gone"), || !links().contains(&format!("\"{link}\"")));
}

#[test]
fn two_containers_reach_each_other_and_the_host_has_no_part_in_it() {
    let lab = need!(lab());
    let [web, db] = two(&lab);
    let host = everything(&lab, &[]);
    let before = everything(&lab, &[&web, &db]);
    let words =
        format!("10.1.0.2/24 fd00:1::2/64 --peer {} --peer-addr 10.1.0.3 --peer-addr fd00:1::3", db.pid);
    let said = plug(&lab, &web, &words).ok();
    said.stdout_has(&format!(
        "pid:{}: eth0 10.1.0.2/24 fd00:1::2/64, to pid:{}:eth0 10.1.0.3/24 fd00:1::3/64, reachable after ",
        web.pid, db.pid
    ));
    for (from, addresses) in [(&web, ["10.1.0.3", "fd00:1::3"]), (&db, ["10.1.0.2", "fd00:1::2"])] {
        addresses.iter().for_each(|address| reaches_from(&lab, from, address));
    }
    assert_eq!(everything(&lab, &[]), host);
    add_nic(&lab, &["--check"]).ok().stdout_is("");
    plug(&lab, &web, &words).ok().stdout_has(", unchanged\n");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web, &db]), before);
}

#[test]
fn either_side_shows_it_and_removes_it() {
    let lab = need!(lab());
    let [web, db] = two(&lab);
    let [from_web, from_db] = [&web, &db].map(|container| container.pid.to_string());
    let before = everything(&lab, &[&web, &db]);
    for (which, removed) in [
        (&[from_web.as_str(), "wan"][..], "wan 10.1.0.2/24 removed"),
        (&[&from_db, "lan"], "lan 10.1.0.1/24 removed"),
        (&[&from_db, "10.1.0.1"], "lan 10.1.0.1/24 removed"),
        (&[&from_db], "lan 10.1.0.1/24 removed"),
    ] {
        plug(&lab, &web, &format!("10.1.0.2/24 --name wan --peer {from_db} --peer-name lan")).ok();
        let rows = add_nic(&lab, &["--list", "--json", &from_db]).ok().json();
        assert_eq!((&rows[0]["name"], &rows[0]["kind"]), (&"lan".into(), &"peer".into()));
        assert_eq!((&rows[0]["peer"]["name"], &rows[0]["host_name"]), (&"wan".into(), &().into()));
        let rows = add_nic(&lab, &["--list", "--json", &from_web]).ok().json();
        assert_eq!(rows[0]["peer"]["addresses"], serde_json::json!(["10.1.0.1/24"]));
        assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json().as_array().unwrap().len(), 2);
        add_nic(&lab, &["--list"]).ok().stdout_has(&format!("pid:{from_db}:lan"));
        // A name of the other side's is not this one's.
        add_nic(&lab, &["--rm", &from_db, "wan"]).ok().stdout_is("");
        let arguments: Vec<&str> = std::iter::once("--rm").chain(which.iter().copied()).collect();
        add_nic(&lab, &arguments).ok().stdout_is(&format!("pid:{}: {removed}\n", which[0]));
        assert_eq!(everything(&lab, &[&web, &db]), before);
    }
}

#[test]
fn named_networks_are_as_good_as_containers() {
    let lab = need!(lab());
    lab.shell("ip netns add blue; ip netns add red").run().ok();
    add_nic(&lab, &["netns:blue", "10.1.0.2/31", "--peer", "netns:red"]).ok();
    lab.shell("ip netns exec blue ping -c1 -W1 -q 10.1.0.3; ip netns exec red ping -c1 -W1 -q 10.1.0.2")
        .run()
        .ok();
    add_nic(&lab, &["--rm", "netns:red"]).ok();
    assert!(!lab.shell("ip -n blue -br link; ip -n red -br link").run().ok().stdout.contains("eth"));
}

#[test]
fn a_peer_can_be_the_router() {
    let lab = need!(lab());
    let [web, db] = two(&lab);
    let before = everything(&lab, &[&web, &db]);
    db.ip("address add 192.0.2.1/32 dev lo");
    plug(&lab, &web, &format!("10.1.0.2/24 --peer {} --gateway 10.1.0.9", db.pid)).ok();
    reaches_from(&lab, &web, "192.0.2.1");
    add_nic(&lab, &["--rm", &db.pid.to_string()]).ok();
    db.ip("address del 192.0.2.1/32 dev lo");
    assert_eq!(everything(&lab, &[&web, &db]), before);
}

#[test]
fn ipv6_works_where_either_has_it_switched_off() {
    let lab = need!(lab());
    let [web, db] = two(&lab);
    for container in [&web, &db] {
        let off = "for link in all default; do echo 1 >/proc/sys/net/ipv6/conf/$link/disable_ipv6; done";
        lab.command("nsenter").args(["-t", &container.pid.to_string(), "-n", "sh", "-c", off]).run().ok();
    }
    plug(&lab, &web, &format!("fd00:1::2/64 --peer {}", db.pid)).ok();
    reaches_from(&lab, &web, "fd00:1::1");
    reaches_from(&lab, &db, "fd00:1::2");
}

#[test]
fn the_death_of_either_is_swept() {
    let lab = need!(lab());
    let other = lab.container("other", Options::only(&["net"]));
    for dies_first in [0, 1] {
        let mut both = two(&lab);
        plug(&lab, &both[0], &format!("10.1.0.2/24 --peer {}", both[1].pid)).ok();
        both[dies_first].stop();
        let survivor = &both[1 - dies_first];
        wait_until_gone(survivor, "eth0");
        add_nic(&lab, &["--check"]).fails_with(1).stdout_has("no longer exists");
        plug(&lab, &other, "10.7.0.2/24").ok();
        add_nic(&lab, &["--rm", &other.pid.to_string()]).ok();
        assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json(), serde_json::json!([]));
        add_nic(&lab, &["--rm", &survivor.pid.to_string()]).ok().stdout_is("");
    }
}

#[test]
fn a_peer_that_was_restarted_is_another_one() {
    let lab = need!(lab());
    lab.shell("ip netns add blue; ip netns add red").run().ok();
    let words = ["netns:blue", "10.1.0.2/24", "--peer", "netns:red"];
    add_nic(&lab, &words).ok();
    lab.shell(
        "ip netns del red; while ip -n blue link show eth0 >/dev/null 2>&1; do sleep 0.02; done; ip netns add red",
    )
    .run()
    .ok();
    add_nic(&lab, &words).ok().stdout_has("reachable after");
    lab.shell("ip netns exec blue ping -c1 -W1 -q 10.1.0.1").run().ok();
}

#[test]
fn whatever_one_side_does_to_its_end_is_seen_and_undone() {
    let lab = need!(lab());
    let [web, db] = two(&lab);
    let before = everything(&lab, &[&web, &db]);
    let pid = web.pid.to_string();
    let changes = [
        ("WEB ip link set eth0 address 02:00:00:00:00:99", "eth0 has a different MAC address"),
        ("DB ip link set eth0 address 02:00:00:00:00:99", "eth0 has a different MAC address"),
        ("DB ip link set eth0 down name theirs", "eth0 was renamed to theirs"),
        ("DB ip link set eth0 down", "eth0 is down"),
        ("DB ip link set eth0 mtu 1300", "eth0 has MTU 1300, not 1500"),
        ("DB ip address flush dev eth0", "10.1.0.1/24 is not on eth0"),
        ("DB ip link del eth0", "no longer exists"),
        // Another link that looks like the one that it deleted is not ours, and is left to the container.
        (
            "DB sh -c 'mac=$(cat /sys/class/net/eth0/address 2>/dev/null || ip -br link show eth0 | grep -o \"..:..:..:..:..:..\"); \
             ip link del eth0; ip link add eth0 address $mac type veth peer name forged'",
            "no longer exists",
        ),
    ];
    for (change, difference) in changes {
        plug(&lab, &web, &format!("10.1.0.2/24 --peer {}", db.pid)).ok();
        add_nic(&lab, &["--check", &pid]).ok();
        let [at_web, at_db] = [&web, &db].map(|container| format!("nsenter -t {} -n ", container.pid));
        lab.shell(&change.replace("WEB ", &at_web).replace("DB ", &at_db)).run().ok();
        add_nic(&lab, &["--check", &pid]).fails_with(1).stdout_has(difference);
        add_nic(&lab, &["--rm", &pid]).ok();
        lab.shell(&format!("{at_db} ip link del forged || true")).run().ok();
        assert_eq!(everything(&lab, &[&web, &db]), before, "{change}");
    }
}

#[test]
fn what_cannot_be_is_one_clear_error_and_leaves_nothing() {
    let lab = need!(lab());
    let [web, db] = two(&lab);
    let hosty = lab.container("hosty", Options::only(&["pid"]));
    let twin = lab
        .command("nsenter")
        .args(["-t", &web.pid.to_string(), "-n", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"])
        .run()
        .ok();
    for (container, address) in [(&web, "10.60.0.1/24"), (&db, "10.50.0.1/24")] {
        container.ip("link add taken address 02:00:00:00:00:05 type veth peer name other");
        container.ip(&format!("address add {address} dev taken"));
        container.ip("link set taken up");
    }
    let before = everything(&lab, &[&web, &db]);
    let db_pid = db.pid;
    for (words, status, why) in [
        (format!("10.1.0.2/24 --peer {}", web.pid), 2, "in the same network namespace as pid:"),
        (format!("10.1.0.2/24 --peer {}", twin.stdout.trim()), 2, "in the same network namespace as pid:"),
        (format!("10.1.0.2/24 --peer {}", hosty.pid), 2, "the host's own network"),
        ("10.1.0.2/24 --peer pid:4194303".to_owned(), 1, "PID 4194303"),
        ("10.1.0.2/24 --peer -x".to_owned(), 2, "unexpected argument"),
        (format!("10.1.0.2/24 --peer {db_pid} --peer-name taken"), 2, "taken: name already in use in pid:"),
        (format!("10.1.0.2/24 --peer {db_pid} --peer-name sixteen-letters-"), 2, "that has 1 to 15 bytes"),
        (
            format!("10.1.0.2/24 --peer {db_pid} --peer-addr 10.2.0.1"),
            2,
            "--peer-addr 10.2.0.1: not in a network of the NIC",
        ),
        (
            format!("10.1.0.2/24 --peer {db_pid} --peer-addr 10.1.0.1/16"),
            2,
            "prefix length differs from the NIC's: use 10.1.0.1/24",
        ),
        (format!("10.1.0.2/24 --peer {db_pid} --peer-addr 10.1.0.2"), 2, "the container's own address"),
        (format!("10.50.0.1/24 --peer {db_pid}"), 2, "10.50.0.1: already the address of taken in pid:"),
        (format!("10.50.0.7/24 --peer {db_pid}"), 2, "10.50.0.0/24: already on taken in pid:"),
        (format!("10.60.0.7/24 --peer {db_pid}"), 2, "10.60.0.0/24: already on taken in pid:"),
        (format!("10.1.0.2/32 --peer {db_pid}"), 2, " --peer-addr none"),
        (
            format!("10.1.0.2/24 --mac 02:00:00:00:00:05 --peer {db_pid}"),
            2,
            "already the MAC address of taken in pid:",
        ),
        (format!("10.1.0.2/24 --peer {db_pid} --bridge br0"), 2, "cannot be used with"),
        (format!("10.1.0.2/24 --peer {db_pid} --host-addr 10.1.0.1"), 2, "cannot be used with"),
        (format!("10.1.0.2/24 --peer {db_pid} --host-name x"), 2, "cannot be used with"),
        ("10.1.0.2/24 --peer-addr 10.1.0.1".to_owned(), 2, "--peer"),
        ("10.1.0.2/24 --peer-name x".to_owned(), 2, "--peer"),
    ] {
        plug(&lab, &web, &words).fails_with(status).stdout_is("").stderr_has(why);
        assert_eq!(everything(&lab, &[&web, &db]), before, "{words}");
    }
}

#[test]
fn the_hosts_addresses_do_not_matter_between_two() {
    let lab = need!(lab());
    let [web, db] = two(&lab);
    let third = lab.container("third", Options::only(&["net"]));
    lab.shell("ip address add 10.1.0.1/24 dev lo").run().ok();
    plug(&lab, &web, &format!("10.1.0.2/24 --peer {}", db.pid)).ok();
    reaches_from(&lab, &web, "10.1.0.1");
    plug(&lab, &third, &format!("10.1.0.3/24 --name b --peer {} --peer-addr none", db.pid)).ok();
}
