//! Faults, one at a time.

use std::time::Duration;

use support::run::Run;
use support::skip::need;
use support::until::until_some;

use super::{STATE, Scene, words};

/// A fault: its word, and the script that makes it.
struct Fault {
    word: &'static str,
    seed: &'static str,
    /// Prepares the host before the fault; what the fix restores is the state after it.
    before: &'static str,
    /// Whether the fix leaves everything as it was before the fault.
    restores: bool,
}

const fn fault(word: &'static str, seed: &'static str) -> Fault {
    Fault { word, seed, before: "", restores: true }
}

const OF_ROUTES: &[Fault] = &[
    fault("no-route", "ip -n a route del default"),
    fault("router-silent", "ip -n a route replace default via 198.18.1.77"),
    fault("router-silent", "ip link set br0 down"),
    fault("forwarding-off", "echo 0 >/proc/sys/net/ipv4/ip_forward"),
    fault("no-masquerade", "iptables -t nat -F POSTROUTING"),
    fault("subnet-overlap", "ip route add 198.18.1.128/25 via 198.18.9.1"),
    Fault {
        before: "ip link add br1 type bridge; ip link set br1 up; sleep 0.2",
        ..fault("prefix-twice", "ip address add 198.18.1.254/24 dev br1")
    },
    Fault {
        restores: false,
        ..fault(
            "forward-drops",
            "echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables; iptables -P FORWARD DROP",
        )
    },
    Fault {
        restores: false,
        ..fault(
            "forward-drops",
            "nft 'add table inet q; add chain inet q routed { type filter hook forward priority 5; policy drop; }'",
        )
    },
    Fault {
        before: "echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; iptables -A FORWARD -i br0 -o out0 -j ACCEPT",
        restores: false,
        ..fault("bridge-filtered", "iptables -P FORWARD DROP")
    },
];

const OF_SEGMENTS: &[Fault] = &[
    Fault { restores: false, ..fault("mtu-unequal", "ip link set va mtu 1400") },
    Fault {
        restores: false,
        ..fault("mtu-above-way-out", "ip link set out0 mtu 1400; ip -n wan link set eth0 mtu 1400")
    },
    fault("address-conflict", "ip -n b address add 198.18.1.2/24 dev eth0"),
    Fault {
        restores: false,
        ..fault("mac-conflict", "ip -n b link set eth0 address $(ip netns exec a cat /sys/class/net/eth0/address)")
    },
    fault("port-not-forwarding", "bridge link set dev va state 0"),
    Fault {
        restores: false,
        ..fault(
            "port-isolated",
            "bridge link set dev va isolated on; bridge link set dev vb isolated on; ip -n a neigh flush dev eth0
             ip netns exec a ping -c1 -W1 198.18.1.3 >/dev/null || :",
        )
    },
    fault(
        "fdb-stale",
        "bridge fdb replace $(ip netns exec a cat /sys/class/net/eth0/address) dev vb master static sticky",
    ),
    fault("port-unplugged", "ip link set va nomaster"),
];

const OF_LEFTOVERS: &[Fault] = &[
    fault("name-stale", "touch /run/netns/old"),
    fault("name-stale", "ln -s /proc/999999/ns/net '/run/netns/o l;d'"),
    fault("veth-orphaned", "ip link add x1 type veth peer name x2"),
    Fault {
        restores: false,
        ..fault(
            "netns-orphaned",
            "exec 9</run/netns/b; sleep 300 >/dev/null 2>&1 & exec 9<&-; ip netns del b",
        )
    },
    Fault {
        before: "ip address add fd00:1::1/64 dev br0 nodad",
        restores: false,
        ..fault("ipv6-disabled", "ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6'")
    },
    Fault {
        before: "ip -n a address add fd00:1::2/64 dev eth0 nodad",
        ..fault(
            "dad-failed",
            "ip -n b address add fd00:1::2/64 dev eth0
             for i in $(seq 100); do ip -n b address show dadfailed | grep -q fd00 && break; sleep 0.1; done",
        )
    },
    Fault {
        before: "ip netns add m; ip link add m0 link out0 type macvlan mode bridge; ip link set m0 netns m name eth0
                 ip -n m address add 198.18.9.50/24 dev eth0; ip -n m link set eth0 up",
        restores: false,
        ..fault("macvlan-parent", "ping -c1 -W1 198.18.9.50 >/dev/null || :")
    },
];

/// The finding is the only one and has a fix, which makes it go.
fn each_is_named_and_fixed(faults: &[Fault]) {
    for fault in faults {
        let Fault { word, seed, before, restores } = fault;
        let scene = need!(Scene::routed());
        scene.shell(before);
        let state = scene.shell(STATE);
        let (found, status) = scene.why();
        assert_eq!((words(&found), status), (vec![], Some(0)), "before {seed}: {found:#?}");
        scene.shell(seed);
        let (found, status) = scene.why();
        assert_eq!((words(&found), status), (vec![*word], Some(1)), "{seed}: {found:#?}");
        let shown = scene.0.tool("netns-ls").args([support::tools::PATIENT, "--why"]).run();
        let fixes: Vec<&str> = shown.stdout.lines().filter_map(|line| line.strip_prefix("  fix: ")).collect();
        assert!(!fixes.is_empty(), "{seed}: no fix: {shown}");
        for fix in &fixes {
            scene.shell(fix);
        }
        let (found, status) = scene.why();
        assert_eq!((words(&found), status), (vec![], Some(0)), "{seed}, after {fixes:?}: {found:#?}");
        if *restores {
            // A bridge that is set up again has its carrier a moment later.
            let is_same = until_some(Duration::from_secs(10), || (scene.shell(STATE) == state).then_some(()));
            assert!(is_same.is_some(), "{seed}, after {fixes:?}: {} instead of {state}", scene.shell(STATE));
        }
    }
}

#[test]
fn faults_of_routes_and_filters_are_named_with_the_fix_that_makes_them_go() {
    each_is_named_and_fixed(OF_ROUTES);
}

#[test]
fn faults_on_a_segment_are_named_with_the_fix_that_makes_them_go() {
    each_is_named_and_fixed(OF_SEGMENTS);
}

#[test]
fn leftovers_are_named_with_the_fix_that_makes_them_go() {
    each_is_named_and_fixed(OF_LEFTOVERS);
}

#[test]
fn a_hostile_name_acts_neither_on_the_terminal_nor_in_the_fix() {
    let scene = need!(Scene::routed());
    scene.shell("ip -n a link set eth0 down; ip -n a link set eth0 name 'e;id>x'; ip -n a link set 'e;id>x' mtu 2000 up");
    let ran = scene.0.tool("netns-ls").args([support::tools::PATIENT, "--why"]).run();
    ran.stdout_has("[mtu-unequal]").stdout_has("-n ip link set 'e;id>x' mtu 1500\n");
    let esc = "\u{1b}";
    scene.shell(&format!("ip -n a link set 'e;id>x' down; ip -n a link set 'e;id>x' name '{esc}[2J'; ip -n a link set '{esc}[2J' up"));
    let ran = scene.0.tool("netns-ls").args([support::tools::PATIENT, "--why"]).run();
    let ran = ran.stdout_has(r"\u{1b}[2J: MTU 2000");
    assert!(!ran.stdout.contains(esc) && !ran.stdout.contains("fix: nsenter"), "{ran}");
}
