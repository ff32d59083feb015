//! Faults in a full scene: published ports and NAT with flows that the kernel remembers, and links of strangers that have every name of
//! ours by now. Nothing is left of ours, and nothing of theirs is touched.

use crate::faults::Scene;
use crate::firewall_faults::scene;
use support::run::Run;
use support::skip::{Missing, need};
use support::tier;

const WORDS: &str = "10.1.0.2/24 fd00:1::2/64 --bridge br1 --create --gateway 10.1.0.1 --nat=all --publish 8080:80 --publish 5353:53/udp --forward";

/// Each link of the NIC that is there gets another name, and a stranger's gets its own. `$pid` is the container.
const TAKE: &str = r#"
take() { ! ip link show "$1" || ip link set "$1" name "$2"
    ip link add "$1" type bridge; ip link set "$1" alias theirs up; ip address add "10.66.$3.1/24" dev "$1"; }
case ${1-host} in
    host) take pid$pid-eth1 moved1 1; take br1 moved2 2
        nsenter --target $pid --net sh /run/take inside
        /run/theirs >/run/theirs-before ;;
    inside) take eth1 moved3 3 ;;
esac >/dev/null 2>&1"#;

/// What is theirs, as they have it: links, and a flow of the host's own. Their carrier comes and goes.
const THEIRS: &str = r#"
look() { ip -o link show "$1"; ip -o -4 address show "$1"; }
case ${1-host} in
    host) look pid$pid-eth1; look br1; nsenter --target $pid --net sh /run/theirs inside
        ! grep -q 'dport=9999 ' /proc/net/nf_conntrack || echo 'a flow to 9999' ;;
    inside) look eth1 ;;
esac 2>&1 | sed 's/ state [A-Z]*//; s/,LOWER_UP//; s/NO-CARRIER,//'"#;

/// The removal; then what is theirs is compared, and they go away.
const REMOVE: &str = r#"
$remove; rc=$?
if [ -e /run/theirs-before ]; then
    /run/theirs >/run/theirs-now
    cmp -s /run/theirs-before /run/theirs-now || diff /run/theirs-before /run/theirs-now >>/run/touched
    rm /run/theirs-before
fi
for name in pid$pid-eth1 br1; do ! ip -o link show $name 2>/dev/null | grep -q theirs || ip link del $name; done
nsenter --target $pid --net sh -c '! ip -o link show eth1 2>/dev/null | grep -q theirs || ip link del eth1'
exit $rc"#;

/// A client of the published port, and one of another port that is nobody's. What the kernel remembers of the other one outlasts
/// all rounds.
const CLIENTS: &str =
    r#"bash -c 'for port in 5353 9999; do echo x >/dev/udp/192.0.2.1/$port; done' 2>/dev/null || true"#;

fn full(kind: &str) -> Result<Scene, Missing> {
    let mut scene = scene(WORDS, kind)?;
    let has_flows = scene.lab.path("/proc/1/net/nf_conntrack").exists();
    if !has_flows {
        return Err(Missing::Fixable("no /proc/net/nf_conntrack".into()));
    }
    let timeout = "echo 3000 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout";
    scene.lab.shell(&format!("ip address add 192.0.2.1/32 dev lo; {timeout}")).run().ok();
    for (name, script) in [("take", TAKE), ("theirs", THEIRS), ("remove", REMOVE)] {
        let file = format!("#!/bin/sh\npid={} remove='{}'\n{script}\n", scene.web.pid, scene.remove);
        std::fs::write(scene.lab.path(format!("/run/{name}")), file).unwrap();
        scene.lab.shell(&format!("chmod +x /run/{name}")).run().ok();
    }
    scene.remove = "/run/remove".to_owned();
    // A kill between two changes is a kill at the second.
    (scene.most, scene.only_changes) = (if tier::is_all() { u32::MAX } else { 8 }, true);
    Ok(scene)
}

/// The next removal completes it. It compares what is theirs before it takes that away.
const AFTER: &str = r#"
case $rc in
    0|1|2|137) ;;
    *) [ $call = setns ] || echo "ended with $rc" ;;
esac
$remove >/run/again 2>&1 || { echo 'no removal'; cat /run/again; }
[ ! -e /run/touched ] || { echo 'theirs was touched'; cat /run/touched; rm /run/touched; }
! grep 'dport=5353 .*src=10.1.0.2 ' /proc/net/nf_conntrack || echo 'a flow is left'
# Where it could not find out who else needs it, it says so.
for switch in ipv4/ip_forward ipv6/conf/all/forwarding; do
    ! grep -q "$switch stays 1: whether another program needs it could not be read" /run/err || echo 0 >/proc/sys/net/$switch
done
as_before 'not undone'
no_record"#;

fn every_removal(what: &str, kind: &str, fault: &str) {
    let scene = full(kind).unwrap();
    let removal = format!("{} --rm {}", support::tools::tool("add-nic"), scene.web.pid);
    let before = format!("{}; {CLIENTS}; /run/take", scene.add);
    // The scene is what it is to be.
    scene.lab.shell(&before).run().ok();
    let theirs = scene.lab.shell("/run/theirs; grep dport=5353 /proc/net/nf_conntrack").run().ok();
    for what in
        ["inet 10.66.1.1/24", "inet 10.66.2.1/24", "inet 10.66.3.1/24", "a flow to 9999", "src=10.1.0.2"]
    {
        assert!(theirs.stdout.contains(what), "{what}: {theirs}");
    }
    scene.lab.shell("ip link show moved1; ip link show moved2").run().ok();
    scene.lab.shell(&scene.remove).run().ok();
    assert!(!scene.lab.path("/run/touched").exists());
    scene.every_time(what, &before, (&removal, &[fault]), AFTER);
}

#[test]
fn a_removal_that_is_killed_beside_strangers_is_completed_and_touches_none() {
    drop(need!(full("nft")));
    every_removal("removal beside strangers, SIGKILL", "nft", "signal=KILL");
}

#[test]
fn a_removal_that_the_kernel_refuses_beside_strangers_touches_none() {
    drop(need!(full("legacy")));
    every_removal("removal beside strangers, EIO", "legacy", "error=EIO");
}

#[test]
fn an_add_that_is_killed_before_strangers_take_the_names_is_undone() {
    let scene = need!(full("nft"));
    let after = format!("{CLIENTS}; /run/take; {AFTER}");
    scene.every_time("an add before strangers, SIGKILL", "true", (&scene.add, &["signal=KILL"]), &after);
}
