//! Faults in a full scene: published ports and NAT with flows that the kernel remembers, and links of strangers that have every name of
//! ours by now. Nothing is left of ours, and nothing of theirs is touched.

use crate::faults::Scene;
use crate::firewall_faults::scene;
use support::run::Run;
use support::skip::{Missing, need};

const WORDS: &str = "10.1.0.2/24 fd00:1::2/64 --bridge br1 --create --gateway 10.1.0.1 --nat=all --publish 8080:80 --publish 5353:53/udp --forward";

/// After the NIC was added: each link of it has another name, and a stranger's has its own; a client sends through the published port, and
/// another one elsewhere.
fn strangers(scene: &Scene) -> String {
    let pid = scene.web.pid;
    let theirs = "ip link add $name type bridge; ip link set $name alias theirs; ip address add 10.66.$n.1/24 dev $name; ip link set $name up";
    format!(
        "{add}
         n=0; for name in pid{pid}-eth1 br1; do n=$((n + 1)); ip link set $name name moved$n; {theirs}; done
         nsenter --target {pid} --net sh -c 'n=3; name=eth1; ip link set $name name moved$n; {theirs}'
         bash -c 'for port in 5353 9999; do echo x >/dev/udp/192.0.2.1/$port; done'
         theirs >/run/theirs 2>/dev/null || true",
        add = scene.add
    )
}

/// What is theirs, as they have it.
fn theirs(scene: &Scene) -> String {
    let pid = scene.web.pid;
    let list = "for name in {names}; do ip -o link show $name; ip -o -4 address show $name; done";
    let [host, inside] =
        [format!("pid{pid}-eth1 br1"), "eth1".to_owned()].map(|names| list.replace("{names}", &names));
    // Its uplinks come and go.
    format!(
        "{{ {host}; nsenter --target {pid} --net sh -c '{inside}'; }} | sed 's/ state [A-Z]*//; s/,LOWER_UP//; s/NO-CARRIER,//'"
    )
}

fn full(kind: &str) -> Result<Scene, Missing> {
    let mut scene = scene(WORDS, kind)?;
    scene.lab.shell("ip link set lo up; ip address add 192.0.2.1/32 dev lo").run().ok();
    let pid = scene.web.pid;
    // What the tests run after each round is the removal, and then the end of the strangers.
    let remove = format!(
        "#!/bin/sh\n{remove}; rc=$?; theirs() {{ {theirs}; }}
         if [ -e /run/theirs ]; then theirs >/run/theirs-now 2>&1; cmp -s /run/theirs /run/theirs-now || echo touched >>/run/touched; fi
         for name in pid{pid}-eth1 br1; do ip -o link show $name 2>/dev/null | grep -q theirs && ip link del $name; done
         nsenter --target {pid} --net sh -c 'ip -o link show eth1 | grep -q theirs && ip link del eth1'
         rm -f /run/theirs; exit $rc",
        remove = scene.remove,
        theirs = theirs(&scene)
    );
    std::fs::write(scene.lab.path("/run/remove"), remove).unwrap();
    scene.lab.shell("chmod +x /run/remove").run().ok();
    (scene.remove, scene.most) = ("/run/remove".to_owned(), 6);
    Ok(scene)
}

/// The next removal completes it; it compares what is theirs before it takes that away.
const AFTER: &str = r#"
case $rc in
    0|1|2|137) ;;
    *) case $call in
           clock_nanosleep|mmap|mprotect|munmap|brk|setns|arch_prctl|set_tid_address|set_robust_list|rseq|prlimit64|poll|sigaltstack|rt_sigaction|newfstatat|access|openat|read|pread64|close|fstat) ;;
           *) echo 'ended by a signal' ;;
       esac ;;
esac
$remove >/run/again 2>&1 || { echo 'no removal'; cat /run/again; }
[ ! -e /run/touched ] || { echo 'theirs was touched'; diff /run/theirs /run/theirs-now; rm /run/touched; }
! grep -q '^ipv4.* udp .*dport=5353 ' /proc/net/nf_conntrack 2>/dev/null || echo 'a flow is left'
as_before 'not undone'
no_record"#;

fn every_fault(what: &str, kind: &str, fault: &str) {
    let scene = full(kind).unwrap();
    let tool = support::tools::tool("add-nic");
    let removal = format!("{tool} --rm {}", scene.web.pid);
    let before = format!("theirs() {{ {}; }}; {}", theirs(&scene), strangers(&scene));
    scene.every_time(what, &before, (&removal, &[fault]), AFTER);
}

#[test]
fn a_removal_that_is_killed_beside_strangers_is_completed_and_touches_none() {
    drop(need!(full("nft")));
    every_fault("removal beside strangers, SIGKILL", "nft", "signal=KILL");
}

#[test]
fn a_removal_that_the_kernel_refuses_beside_strangers_touches_none() {
    drop(need!(full("legacy")));
    every_fault("removal beside strangers, EIO", "legacy", "error=EIO");
}

#[test]
fn an_add_that_is_killed_with_all_rules_is_undone() {
    let mut scene = need!(full("nft"));
    scene.most = 4;
    scene.every_time("an add with all rules, SIGKILL", "true", (&scene.add, &["signal=KILL"]), AFTER);
}
