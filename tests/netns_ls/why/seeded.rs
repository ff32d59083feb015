//! Faults, one at a time.

use std::time::Duration;

use support::run::Run;
use support::skip::need;
use support::until::until_some;

use super::{STATE, Scene, words};

/// A fault: its word, and the script that makes it.
#[derive(Clone, Copy)]
pub(super) struct Fault<'a> {
    pub word: &'a str,
    pub seed: &'a str,
    /// Prepares the host before the fault; what the fix restores is the state after it.
    pub before: &'a str,
    /// Whether the fix leaves everything as it was before the fault.
    pub restores: bool,
}

pub(super) const fn fault(word: &'static str, seed: &'static str) -> Fault<'static> {
    Fault { word, seed, before: "", restores: true }
}

const OF_ROUTES: &[Fault<'static>] = &[
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
    // Through chains that people have emptied, or that a program keeps for later.
    Fault {
        before: "echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
                 iptables -N EMPTY; iptables -A FORWARD -j EMPTY; iptables -A FORWARD -o br0 -j EMPTY",
        restores: false,
        ..fault("forward-drops", "iptables -P FORWARD DROP")
    },
    Fault {
        restores: false,
        ..fault(
            "forward-drops",
            "nft 'add table inet q; add chain inet q later; add chain inet q routed { type filter hook forward priority 5; policy drop; }
                  add rule inet q routed jump later'",
        )
    },
    Fault {
        before: "echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; iptables -A FORWARD -i br0 -o out0 -j ACCEPT",
        restores: false,
        ..fault("bridge-filtered", "iptables -P FORWARD DROP")
    },
];

const OF_SEGMENTS: &[Fault<'static>] = &[
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

const OF_LEFTOVERS: &[Fault<'static>] = &[
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

/// A server at 198.18.1.2:80 in `a` with a queue of one, which accepts what comes; then `between`; and so many connections to it from
/// `b`, which are held.
fn connected(between: &str, count: u32) -> String {
    format!(
        "ip netns exec a python3 -c 'import socket
s = socket.create_server((\"198.18.1.2\", 80), backlog=1)
held = []
while True: held.append(s.accept())' &
         server=$!
         for wait in $(seq 100); do ip netns exec a ss -Hltn | grep -q ':80 ' && break; sleep 0.1; done; {between}
         ip netns exec b python3 -c 'import socket, time
held = []
for at in range({count}):
    one = socket.socket(); one.setblocking(False); one.connect_ex((\"198.18.1.2\", 80)); held.append(one); time.sleep(0.02)
time.sleep(600)' &
         for wait in $(seq 100); do
            [ $(ip netns exec b ss -Htan 'dport = :80' | wc -l) -ge {count} ] && break; sleep 0.1
         done
         sleep 0.5"
    )
}

#[test]
fn what_is_full_is_named_with_the_fix_that_makes_it_go() {
    need!(support::skip::program("python3", "python3"));
    need!(support::skip::program("sysctl", "procps"));
    let stopped = connected("kill -STOP $server", 6);
    // Twenty local ports, of which 19 are in use.
    let few = "ip netns exec b sh -c 'echo 40000 40019 >/proc/sys/net/ipv4/ip_local_port_range'";
    let used = format!("{few}; {}", connected("", 19));
    for (word, seed) in [("backlog-full", stopped), ("local-ports-full", used)] {
        let scene = need!(Scene::routed());
        // What runs on would hold the pipe of the script.
        scene.shell(&format!("exec >/dev/null 2>&1; {seed}"));
        let (found, status) = scene.why();
        assert_eq!((words(&found), status), (vec![word], Some(1)), "{found:#?}");
        let fixes = found[0]["fix"].as_array().unwrap();
        assert!(!fixes.is_empty(), "{found:#?}");
        fixes.iter().for_each(|fix| drop(scene.shell(fix.as_str().unwrap())));
        let gone = until_some(Duration::from_secs(10), || scene.why().0.is_empty().then_some(()));
        assert!(gone.is_some(), "{word}, after {fixes:?}: {:#?}", scene.why());
    }
}

/// Published ports at whose end nobody waits: for these a program has to do something, and the advice says what.
#[test]
fn published_ports_without_a_listener_are_named_and_what_the_advice_says_makes_them_go() {
    need!(support::skip::program("python3", "python3"));
    let listen = |at: &str| {
        format!(
            "(ip netns exec a python3 -c 'import socket, time; s = socket.create_server((\"{at}\", 80)); time.sleep(600)' &) >/dev/null 2>&1
             for wait in $(seq 100); do ip netns exec a ss -Hltn | grep -qF '{at}:80 ' && break; sleep 0.1; done"
        )
    };
    let publish = "iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 198.18.1.2:80
                   iptables -t nat -A OUTPUT -p tcp --dport 8080 -j DNAT --to-destination 198.18.1.2:80";
    // `a` has a program, or it is kept for later and nobody is missing.
    let program = "(ip netns exec a sleep 600 &) >/dev/null 2>&1";
    for (word, seed, remedy) in [
        ("nobody-listens", String::new(), listen("0.0.0.0")),
        ("listens-on-loopback-only", listen("127.0.0.1"), listen("198.18.1.2")),
        (
            "listens-elsewhere",
            format!("ip -n a address add 198.18.1.66/24 dev eth0; {}", listen("198.18.1.66")),
            listen("198.18.1.2"),
        ),
    ] {
        let scene = need!(Scene::routed());
        scene.shell(&format!("{program}; {seed}"));
        let (found, status) = scene.why();
        assert_eq!((words(&found), status), (vec![], Some(0)), "before {word}: {found:#?}");
        scene.shell(publish);
        let (found, status) = scene.why();
        assert_eq!((words(&found), status), (vec![word], Some(1)), "{found:#?}");
        let advice = found[0]["advice"].as_str().unwrap_or_else(|| panic!("no advice: {found:#?}"));
        assert!(advice.contains("listen on 0.0.0.0:80"), "{advice}");
        scene.shell(&remedy);
        let (found, status) = scene.why();
        assert_eq!((words(&found), status), (vec![], Some(0)), "{word}, after {remedy}: {found:#?}");
    }
    // A rule that leads to nobody any more has a command.
    let scene = need!(Scene::routed());
    let state = scene.shell(STATE);
    scene.shell("iptables -t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 198.18.1.99:80");
    let (found, _) = scene.why();
    assert_eq!(words(&found), ["published-to-nobody"], "{found:#?}");
    found[0]["fix"].as_array().unwrap().iter().for_each(|fix| drop(scene.shell(fix.as_str().unwrap())));
    assert_eq!(scene.why().0, Vec::<serde_json::Value>::new());
    assert_eq!(scene.shell(STATE), state);
}

/// The finding is the only one and has a fix, which makes it go.
pub(super) fn each_is_named_and_fixed(faults: &[Fault<'_>]) {
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
