//! `--dry-run`: commands that a person could paste, and that really do it.

use crate::{add_nic, everything, lab, plug, reaches, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

/// PEER is the PID of another container.
const CASES: [&str; 11] = [
    "10.1.0.2/24",
    "10.1.0.2/24 fd00:1::2/64 --mtu 1400 --gateway 10.1.0.1 --gateway fd00:1::1 --route 172.31.0.0/16@10.1.0.1 --metric 9",
    "10.1.0.2/32 --host-addr 192.0.2.1 --name wan --host-name lan",
    "10.1.0.2/24 --bridge br1 --create",
    "fd00:1::2/64 --host-addr none",
    "10.1.0.2/24 --sysctl net.ipv4.conf.IF.rp_filter=2 --sysctl net.ipv4.ip_default_ttl=33",
    "10.1.0.2/24 fd00:1::2/64 --sbr --route 172.31.0.0/16@10.1.0.1",
    "10.1.0.2/24 fd00:1::2/64 --peer PEER --mtu 1400 --peer-name lan",
    "10.1.0.2/24 fd00:1::2/64 --macvlan lan0 --name lan0 --gateway 10.1.0.9",
    "10.1.0.2/24 --phys lan0 --mtu 1400 --mac 02:00:00:00:00:07 --gateway 10.1.0.9",
    "10.1.0.2/32 --peer PEER --peer-addr 192.0.2.1",
];

/// Two containers, of which the second is the other end in some cases.
fn scene(words: &str) -> Result<(Lab, [Container; 2], String), support::skip::Missing> {
    let lab = lab()?;
    let both = ["web", "db"].map(|name| lab.container(name, Options::only(&["net"])));
    if words.contains("lan0") {
        let pid = both[1].pid;
        lab.shell(&format!("ip link add lan0 up type veth peer name eth0 netns {pid}")).run().ok();
        both[1].ip("address add 10.1.0.9/24 dev eth0");
        both[1].ip("link set eth0 up");
        lab.shell(
            "ip address add 10.5.0.1/24 dev lan0 label lan0:x; ip route add 192.0.2.0/24 via 10.5.0.2
             echo 2 >/proc/sys/net/ipv4/conf/lan0/rp_filter",
        )
        .run()
        .ok();
    }
    let words = words.replace("PEER", &both[1].pid.to_string());
    Ok((lab, both, words))
}

#[test]
fn what_it_shows_does_what_it_does() {
    for case in CASES {
        let shown = {
            let (lab, [web, db], words) = need!(scene(case));
            let before = everything(&lab, &[&web, &db]);
            let script = plug(&lab, &web, &format!("{words} --dry-run")).ok().stdout;
            assert_eq!(everything(&lab, &[&web, &db]), before, "a dry run that changed something");
            assert!(!lab.path("/run/netns-toolbox").exists());
            lab.shell(&script).run().ok();
            if case.contains("PEER") || case.contains("lan0") {
                reaches_from(&lab, &db, "10.1.0.2");
            } else if case.starts_with("10.") {
                reaches(&lab, "10.1.0.2");
            }
            addresses_and_routes(&lab, &[&web, &db])
        };
        let (lab, [web, db], words) = need!(scene(case));
        plug(&lab, &web, &words).ok();
        assert_eq!(shown, addresses_and_routes(&lab, &[&web, &db]), "{words}");
    }
}

/// Names, MTUs, flags, masters, aliases, addresses, routes and rules; the PID is the same word in both labs or is left out.
fn addresses_and_routes(lab: &Lab, containers: &[&Container]) -> Vec<String> {
    let pids: Vec<String> = containers.iter().map(|container| container.pid.to_string()).collect();
    let look = format!(
        "for n in 1 {}; do nsenter -t $n -n sh -c '
            ip -j link | tr , \"\\n\" | grep -E \"ifname|mtu|ifalias|master\"
            ip -br address | grep -o \"[^ ]*/[0-9]*\" | grep -v ^fe80 || true
            for family in -4 -6; do ip $family route show table all | grep -v fe80 || true; ip $family rule; done'; done",
        pids.join(" ")
    );
    let text = lab.shell(&look).run().ok().stdout;
    let text = pids.iter().fold(text, |text, pid| text.replace(pid, "PID"));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_it_shows_undoes_what_it_did() {
    for case in CASES {
        let (lab, [web, db], words) = need!(scene(case));
        let pid = web.pid.to_string();
        let before = everything(&lab, &[&web, &db]);
        plug(&lab, &web, &words).ok();
        let script = add_nic(&lab, &["--rm", "--dry-run", &pid]).ok().stdout;
        lab.shell(&script).run().ok();
        assert_eq!(everything(&lab, &[&web, &db]), before, "{words}");
        add_nic(&lab, &["--rm", &pid]).ok();
    }
}

#[test]
fn a_dry_run_of_what_is_there_shows_nothing() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    plug(&lab, &web, "10.1.0.2/24").ok();
    plug(&lab, &web, "10.1.0.2/24 --dry-run").ok().stdout_is("");
}

#[test]
fn json_has_each_step_as_data_and_as_a_command() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let steps = plug(&lab, &web, "10.1.0.2/24 --dry-run --json").ok().json();
    let steps = steps.as_array().unwrap();
    assert_eq!(steps[0]["step"]["add-veth"]["inside"]["name"], "eth0");
    assert!(steps[0]["command"].as_str().unwrap().starts_with("ip link add pid"), "{}", steps[0]);
}

#[test]
fn what_a_replacement_shows_removes_nothing_that_others_need() {
    let lab = need!(lab());
    let (web, db) =
        (lab.container("web", Options::only(&["net"])), lab.container("db", Options::only(&["net"])));
    plug(&lab, &web, "10.1.0.2/24 --bridge br1 --create").ok();
    plug(&lab, &db, "10.1.0.3/24 --bridge br1 --create").ok();
    let shown = plug(&lab, &web, "10.1.0.2/24 --bridge br2 --create --host-addr none --replace --dry-run");
    let script = shown.ok().stdout_has("ip link del ").stdout;
    assert!(!script.contains("link del br1") && !script.contains("dev br1"), "{script}");
    lab.shell(&script).run().ok();
    reaches(&lab, "10.1.0.3");
}
