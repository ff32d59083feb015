//! Hosts on which everything is as it is meant.

use support::run::Run;
use support::skip::need;
use support::tools::PATIENT;

use super::{Scene, code, words};

/// What it is, and the script that makes it of a host that routes.
const SCENES: &[(&str, &str)] = &[
    ("as it is", ""),
    ("a namespace that is kept", "ip netns add keep; ip -n keep link set lo up"),
    ("a network without a way out", "iptables -t nat -F; ip -n a route del default; ip -n b route del default"),
    (
        "a segment without an address of the host's",
        "ip link add lab0 type bridge; ip link set lab0 up
         for name in x y; do
           ip netns add $name; ip link add l$name type veth peer name eth0 netns $name; ip link set l$name master lab0 up
           ip -n $name link set eth0 up
         done
         ip -n x address add 10.0.0.1/24 dev eth0; ip -n y address add 10.0.0.2/24 dev eth0",
    ),
    (
        "a router of a lab that is a namespace",
        "ip netns add r; ip netns exec r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
         for name in x y; do
           ip netns add $name; ip -n r link add r$name type veth peer name eth0 netns $name
           ip -n r link set r$name up; ip -n $name link set eth0 up
         done
         ip -n r address add 10.0.1.1/24 dev rx; ip -n r address add 10.0.2.1/24 dev ry
         ip -n x address add 10.0.1.2/24 dev eth0; ip -n x route add default via 10.0.1.1
         ip -n y address add 10.0.2.2/24 dev eth0; ip -n y route add default via 10.0.2.1",
    ),
    (
        "a routed network, of which the router outside knows",
        "iptables -t nat -F; ip -n wan route add 198.18.1.0/24 via 198.18.9.2",
    ),
    ("FORWARD drops all but this bridge", "iptables -P FORWARD DROP; iptables -A FORWARD -i br0 -j ACCEPT; iptables -A FORWARD -o br0 -j ACCEPT"),
    ("a bridge that is kept in", "iptables -A FORWARD -i br0 -j DROP"),
    ("INPUT drops, and nothing is published", "iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT"),
    ("ports that are kept apart", "bridge link set dev va isolated on; bridge link set dev vb isolated on"),
    ("the spanning tree protocol at work", "ip link set br0 type bridge stp_state 1 forward_delay 400"),
    (
        "a macvlan that its host does not ask for",
        "ip netns add m; ip link add m0 link out0 type macvlan mode bridge; ip link set m0 netns m name eth0
         ip -n m address add 198.18.9.50/24 dev eth0; ip -n m link set eth0 up",
    ),
    (
        "a macvlan that its host reaches by one of its own",
        "ip netns add m; ip link add m0 link out0 type macvlan mode bridge; ip link set m0 netns m name eth0
         ip -n m address add 198.18.9.50/24 dev eth0; ip -n m link set eth0 up
         ip link add shim link out0 type macvlan mode bridge; ip link set shim up; ip route add 198.18.9.50 dev shim
         ping -c1 -W1 198.18.9.50 >/dev/null || :",
    ),
    ("a veth pair that is up, for some program", "ip link add p1 type veth peer name p2; ip link set p1 up; ip link set p2 up"),
    ("one address of a service on two", "ip -n a address add 198.18.1.200/32 dev eth0; ip -n b address add 198.18.1.200/32 dev eth0"),
    (
        "a gateway by proxy ARP, as Calico has it",
        "ip netns add c; ip link add cali type veth peer name eth0 netns c; ip link set cali up
         echo 1 >/proc/sys/net/ipv4/conf/cali/proxy_arp; ip route add 198.18.5.2 dev cali
         ip -n c link set eth0 up; ip -n c address add 198.18.5.2/32 dev eth0
         ip -n c route add 169.254.1.1 dev eth0; ip -n c route add default via 169.254.1.1",
    ),
    (
        "a host in a host, with a bridge of its own",
        "ip -n a link add docker0 type bridge; ip -n a address add 172.17.0.1/16 dev docker0; ip -n a link set docker0 up
         ip netns exec a sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
         ip netns add n; ip -n a link add vn type veth peer name eth0 netns n; ip -n a link set vn master docker0 up
         ip -n n address add 172.17.0.2/16 dev eth0; ip -n n link set eth0 up; ip -n n route add default via 172.17.0.1
         ip netns exec a iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    ),
    (
        "a small MTU, and a rule for it",
        "ip link set out0 mtu 1400; ip -n wan link set eth0 mtu 1400
         iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
    ),
    ("IPv6 switched off for a namespace", "ip address add fd00:1::1/64 dev br0 nodad; ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'"),
    ("a static entry that is right", "bridge fdb replace $(ip netns exec a cat /sys/class/net/eth0/address) dev va master static"),
    ("a name that a process keeps", "unshare -n sleep 300 >/dev/null 2>&1 & sleep 0.3; ln -s /proc/$!/ns/net /run/netns/linked"),
    ("a route for everything private", "ip route add 10.0.0.0/8 via 198.18.9.1; ip link add b2 type bridge; ip address add 10.9.0.1/16 dev b2; ip link set b2 up"),
    ("an unused bridge, and one that is down", "ip link add b2 type bridge; ip address add 10.9.0.1/16 dev b2; ip link add b3 type bridge"),
    ("a container that is down", "ip -n b link set eth0 down"),
    // As the generated pages of moby's integration/network/bridge/nftablesdoc have them, for Docker 29.
    (
        "Docker's own tables of nftables",
        "iptables -t nat -F; nft 'table ip docker-bridges {
           map filter-forward-in-jumps { type ifname : verdict; elements = { \"br0\" : jump filter-forward-in__br0 }; }
           map filter-forward-out-jumps { type ifname : verdict; elements = { \"br0\" : jump filter-forward-out__br0 }; }
           map nat-postrouting-out-jumps { type ifname : verdict; elements = { \"br0\" : jump nat-postrouting-out__br0 }; }
           chain filter-FORWARD { type filter hook forward priority 0; policy accept
             oifname vmap @filter-forward-in-jumps
             iifname vmap @filter-forward-out-jumps
           }
           chain nat-OUTPUT { type nat hook output priority -100; policy accept
             ip daddr != 127.0.0.0/8 fib daddr type local counter jump nat-prerouting-and-output
           }
           chain nat-POSTROUTING { type nat hook postrouting priority 100; policy accept
             iifname vmap @nat-postrouting-out-jumps
           }
           chain nat-PREROUTING { type nat hook prerouting priority -100; policy accept
             fib daddr type local counter jump nat-prerouting-and-output
           }
           chain nat-prerouting-and-output { iifname != \"br0\" tcp dport 8080 counter dnat to 198.18.1.2:80 comment \"DNAT\"
           }
           chain raw-PREROUTING { type filter hook prerouting priority -300; policy accept
             ip daddr 198.18.1.2 iifname != \"br0\" counter drop comment \"DROP DIRECT ACCESS\"
           }
           chain filter-forward-in__br0 {
             ct state established,related counter accept
             iifname \"br0\" counter accept comment \"ICC\"
             ip daddr 198.18.1.2 tcp dport 80 counter accept
             counter drop comment \"UNPUBLISHED PORT DROP\"
           }
           chain filter-forward-out__br0 {
             ct state established,related counter accept
             counter accept comment \"OUTGOING\"
           }
           chain nat-postrouting-out__br0 {
             oifname != \"br0\" ip saddr 198.18.1.0/24 counter masquerade comment \"MASQUERADE\"
           }
         }'",
    ),
];

pub(super) fn have_no_finding(scenes: &[(&str, &str)]) {
    for (what, script) in scenes {
        let scene = need!(Scene::routed());
        scene.shell(script);
        let (found, status) = scene.why();
        assert_eq!((words(&found), status), (vec![], Some(0)), "{what}: {found:#?}");
    }
}

#[test]
fn the_first_half_of_the_healthy_hosts_has_no_finding() {
    have_no_finding(&SCENES[..SCENES.len() / 2]);
}

#[test]
fn the_second_half_of_the_healthy_hosts_has_no_finding() {
    have_no_finding(&SCENES[SCENES.len() / 2..]);
}

#[test]
fn without_a_finding_it_says_so_and_without_a_look_it_does_not() {
    let scene = need!(Scene::routed());
    let ran = scene.0.tool("netns-ls").args([PATIENT, "--why"]).run().ok();
    assert_eq!(ran.stdout, "no findings\n");
    let ran = scene.0.tool("netns-ls").args([PATIENT, "--why", "-q"]).run().ok();
    assert_eq!(ran.stdout, "");
    // Without the capabilities of root it cannot look into other namespaces.
    need!(support::skip::program("setpriv", "util-linux"));
    let mut powerless = scene.0.command("setpriv");
    let tool = support::tools::tool("netns-ls");
    let ran = powerless.args(["--bounding-set=-all", "--inh-caps=-all", tool, "--why"]).run();
    assert_eq!((code(&ran), ran.stdout.as_str()), (Some(2), ""), "{ran}");
    ran.stderr_has("not looked at: ");
}
