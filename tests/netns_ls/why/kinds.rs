//! Hosts with links that not every kernel has: VLANs, bridges that keep VLANs apart, VRFs, bonds, ipvlans.

use support::run::Run;
use support::skip::{Missing, need, skipped};

use super::healthy::have_no_finding;
use super::seeded::{Fault, each_is_named_and_fixed, fault};
use super::{Scene, words};

/// A kind, and a script that fails where the kernel has none.
const KINDS: [(&str, &str); 5] = [
    ("vlan", "ip link add link out0 name probe0 type vlan id 9 && ip link del probe0"),
    ("bridge-vlan", "ip link add probe0 type bridge vlan_filtering 1 && ip link del probe0"),
    ("vrf", "ip link add probe0 type vrf table 9 && ip link del probe0"),
    ("bond", "ip link add probe0 type bond mode active-backup && ip link del probe0"),
    ("ipvlan", "ip link add link out0 name probe0 type ipvlan && ip link del probe0"),
];

/// What scenes begin with. `segment BRIDGE NETWORK NETNS NUMBER…`: a bridge with the address .1, and namespaces that have it for their
/// gateway. `tagged NETNS ID ADDRESS`: a VLAN on its eth0.
const PARTS: &str = r#"
segment() {
  bridge=$1 network=$2; shift 2
  ip link show $bridge >/dev/null 2>&1 || ip link add $bridge type bridge
  ip address add $network.1/24 dev $bridge; ip link set $bridge up
  while [ $# -gt 0 ]; do
    ip netns add $1; ip link add s$1 type veth peer name eth0 netns $1; ip link set s$1 master $bridge up
    ip -n $1 link set lo up; ip -n $1 link set eth0 up; ip -n $1 address add $network.$2/24 dev eth0
    ip -n $1 route add default via $network.1
    shift 2
  done
}
tagged() {
  ip -n $1 link add link eth0 name eth0.$2 type vlan id $2; ip -n $1 address add $3/24 dev eth0.$2; ip -n $1 link set eth0.$2 up
}
vrf() { ip link add $1 type vrf table $2; ip link set $1 up; ip link add $3 type bridge; ip link set $3 master $1; }
bond() {
  ip link add bond0 type bond mode active-backup miimon 100; ip link set out0 down; ip link set out0 master bond0
  ip address flush dev out0; ip link set bond0 up; ip address add 198.18.9.2/24 dev bond0; ip route add default via 198.18.9.1
  for i in $(seq 100); do grep -q 1 /sys/class/net/bond0/carrier && break; sleep 0.1; done
}
ipvlan() { ip netns add $1; ip link add i$1 link out0 type ipvlan mode $2; ip link set i$1 netns $1 name eth0
  ip -n $1 address add $3 dev eth0; ip -n $1 link set eth0 up; ip -n $1 link set lo up; }
"#;

/// The kind that it needs, what it is, and the script that makes it of a host that routes.
const HEALTHY: &[(&str, &str, &str)] = &[
    (
        "vlan",
        "a VLAN on the way out",
        "ip link add link out0 name out0.5 type vlan id 5; ip address add 198.18.50.2/24 dev out0.5; ip link set out0.5 up
         tagged wan 5 198.18.50.1; ip netns exec wan sysctl -qw net.ipv4.ip_forward=1",
    ),
    ("vlan", "VLANs of containers on one bridge", "tagged a 5 198.18.50.2; tagged b 5 198.18.50.3"),
    ("vlan", "one address in two VLANs", "tagged a 5 198.18.50.2; tagged b 6 198.18.50.2"),
    (
        "bridge-vlan",
        "one address in two VLANs of a bridge that keeps them apart",
        "ip link add br5 type bridge vlan_filtering 1 vlan_default_pvid 0
         segment br5 198.18.50 x 2 y 2; ip address del 198.18.50.1/24 dev br5; ip -n x route del default; ip -n y route del default
         bridge vlan add dev sx vid 5 pvid untagged; bridge vlan add dev sy vid 6 pvid untagged",
    ),
    ("vrf", "a network in a VRF", "vrf vrf1 100 br1; segment br1 198.18.60 x 2 y 3"),
    ("vrf", "one network in two VRFs", "vrf vrf1 100 br1; segment br1 198.18.60 x 2; vrf vrf2 200 br2; segment br2 198.18.60 y 2"),
    ("bond", "a bond as the way out", "bond"),
    ("ipvlan", "an ipvlan", "ipvlan m l2 198.18.9.50/24; ip -n m route add default via 198.18.9.1"),
    ("ipvlan", "two ipvlans in mode l3", "ipvlan m l3 198.18.70.2/24; ipvlan n l3 198.18.70.3/24; ip -n m route add default dev eth0"),
];

/// The kind that it needs, and the fault. Of VLANs and ipvlans, and of routers in a VRF, none is known yet.
const SEEDED: &[(&str, Fault<'static>)] = &[
    (
        "vrf",
        Fault {
            before: "vrf vrf1 100 br1; segment br1 198.18.60 x 2 y 3",
            restores: false,
            ..fault("mtu-unequal", "ip link set sx mtu 1400")
        },
    ),
    ("bond", Fault { before: "bond", ..fault("forwarding-off", "echo 0 >/proc/sys/net/ipv4/ip_forward") }),
    (
        "bond",
        Fault {
            before: "bond",
            restores: false,
            ..fault("mtu-above-way-out", "ip link set bond0 mtu 1400; ip -n wan link set eth0 mtu 1400")
        },
    ),
];

/// The kinds that this kernel has; what it lacks is a skipped test.
fn kinds(test: &str) -> Result<Vec<&'static str>, Missing> {
    let scene = Scene::routed()?;
    let mut there = Vec::new();
    for (name, script) in KINDS {
        match scene.0.shell(script).run().status.is_some_and(|status| status.success()) {
            true => there.push(name),
            false => skipped(
                &format!("netns_ls::why::kinds::{test}: {name}"),
                &Missing::ForGood(format!("kernel lacks {name}")),
            ),
        }
    }
    Ok(there)
}

fn with_parts(script: &str) -> String {
    format!("{PARTS}{script}")
}

#[test]
fn with_such_links_a_healthy_host_has_no_finding() {
    let there = need!(kinds("healthy"));
    for (kind, what, script) in HEALTHY {
        if there.contains(kind) {
            have_no_finding(&[(what, &with_parts(script))]);
        }
    }
}

#[test]
fn faults_of_such_links_are_named_with_the_fix_that_makes_them_go() {
    let there = need!(kinds("seeded"));
    for (kind, fault) in SEEDED {
        if there.contains(kind) {
            let before = with_parts(fault.before);
            each_is_named_and_fixed(&[Fault { before: &before, ..*fault }]);
        }
    }
}

/// The two never hear each other, whatever either tries.
#[test]
fn a_host_and_the_ipvlan_on_its_own_interface_are_not_called_anything_else() {
    let there = need!(kinds("ipvlan"));
    if !there.contains(&"ipvlan") {
        return;
    }
    let scene = need!(Scene::routed());
    scene.shell(&with_parts("ipvlan m l2 198.18.9.50/24; ping -c1 -W1 198.18.9.50 >/dev/null || :"));
    let (found, _) = scene.why();
    assert!(words(&found).iter().all(|word| *word == "macvlan-parent"), "{found:#?}");
}
