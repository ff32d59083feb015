//! What is wrong on one segment, and what nobody cleaned up.

use super::super::facts::StaleName;
use super::*;

#[test]
fn duplicates_on_a_segment() {
    let found = seeded(|host| host.link_mut(DB, 2).addresses = vec![address(2, "172.17.0.2/16")]);
    let text = "db: eth0 and web: eth0 both have 172.17.0.2";
    expect(
        &found,
        "address-conflict",
        text,
        &["nsenter-rs -t docker:db -n ip addr del 172.17.0.2/16 dev eth0"],
    );
    let found = seeded(|host| host.link_mut(DB, 2).link.mac = Some(Mac([2, 0, 0, 0, WEB as u8, 2])));
    assert_eq!(found.what.word(), "mac-conflict");
    assert_eq!(found.fix[0], "nsenter-rs -t docker:db -n ip link set eth0 address 02:00:00:00:02:03");
    for shared in ["172.17.9.9/32", "169.254.1.1/16", "127.0.0.5/8"] {
        let mut facts = docker();
        for inode in [WEB, DB] {
            facts.link_mut(inode, 2).addresses.push(address(2, shared));
        }
        assert_eq!(words(&facts), [""; 0], "{shared}");
    }
    let mut down = docker();
    down.link_mut(DB, 2).addresses = vec![address(2, "172.17.0.2/16")];
    down.link_mut(DB, 2).link.flags = 0;
    assert_eq!(words(&down), [""; 0], "only one of them answers");
}

#[test]
fn ports_of_a_bridge() {
    let found = seeded(|host| host.link_mut(HOST, 4).link.port_state = Some(PortState::Disabled));
    let text = "host: veth1, which leads to web: eth0: docker0 does not forward: the port is disabled";
    expect(&found, "port-not-forwarding", text, &["bridge link set dev veth1 state 3"]);
    let mut stp = docker();
    stp.link_mut(HOST, 3).link.spanning_tree = true;
    stp.link_mut(HOST, 4).link.port_state = Some(PortState::Blocking);
    stp.link_mut(HOST, 5).link.port_state = Some(PortState::Waiting);
    assert_eq!(words(&stp), [""; 0]);
    let isolated = |host: &mut HostFacts| {
        host.link_mut(HOST, 4).link.is_isolated = true;
        host.link_mut(HOST, 5).link.is_isolated = true;
    };
    let mut kept_apart = docker();
    isolated(&mut kept_apart);
    assert_eq!(words(&kept_apart), [""; 0], "nobody tried");
    kept_apart.known(WEB).neighbours = Some(vec![neighbour("172.17.0.3", 0x20)]);
    kept_apart.known(DB).neighbours = Some(vec![neighbour("172.17.0.2", 0x20)]);
    let found = only(&kept_apart);
    assert_eq!(
        (found.what.word(), &*found.fix[0]),
        ("port-isolated", "bridge link set dev veth1 isolated off")
    );
    let entry = |index| FdbEntry {
        mac: Mac([2, 0, 0, 0, WEB as u8, 2]),
        index,
        bridge: Some(3),
        vlan: None,
        remote: None,
        origin: FdbOrigin::Static,
    };
    let found = seeded(|host| host.known(HOST).fdb = Some(vec![entry(5)]));
    assert_eq!(
        (found.what.word(), &*found.fix[0]),
        ("fdb-stale", "bridge fdb del 02:00:00:00:02:02 dev veth2 master")
    );
    let mut right = docker();
    right.known(HOST).fdb = Some(vec![entry(4)]);
    assert_eq!(words(&right), [""; 0]);
}

#[test]
fn ipv6_that_does_not_work() {
    let found = seeded(|host| {
        let own = Address { is_refused: true, ..address(2, "fd00::5/64") };
        host.link_mut(WEB, 2).addresses.push(own);
    });
    let text = "web: eth0: fd00::5 is not used: duplicate address detection failed, another host on the segment has it";
    expect(&found, "dad-failed", text, &["nsenter-rs -t docker:web -n ip addr del fd00::5/64 dev eth0"]);
    let off = |host: &mut HostFacts| host.known(WEB).links.get_mut(&2).unwrap().ipv6_disabled = Some(true);
    let mut without = docker();
    off(&mut without);
    assert_eq!(words(&without), [""; 0], "its network has no IPv6, and Docker switches it off");
    without.link_mut(HOST, 3).addresses.push(address(3, "fd00::1/64"));
    let found = only(&without);
    assert_eq!(found.what.word(), "ipv6-disabled");
    assert_eq!(found.fix[0], "nsenter-rs -t docker:web -n sysctl -w net/ipv6/conf/eth0/disable_ipv6=0");
    without.known(WEB).ipv6_disabled = Some(true);
    assert_eq!(words(&without), [""; 0], "it is off on purpose");
}

#[test]
fn a_macvlan_container_that_its_host_tried_to_reach() {
    let mut facts = docker();
    let inside = with(link(7, 2, "eth0", "macvlan"), Some("192.168.7.50/24"), Some((HOST, 2)), None);
    facts.map.namespaces.push(MappedNetns { inode: 7, links: vec![inside], ..MappedNetns::default() });
    facts.netns.insert(7, facts_of("mac", vec![route("192.168.7.0/24", None, 2)]));
    assert_eq!(words(&facts), [""; 0], "nobody tried");
    facts.known(HOST).neighbours = Some(vec![neighbour("192.168.7.50", 0x20)]);
    let found = only(&facts);
    assert_eq!(found.what.word(), "macvlan-parent");
    let commands: Vec<&str> = found.fix.iter().map(|command| &**command).collect();
    let expected = [
        "ip link add shim link eth0 type macvlan mode bridge",
        "ip link set shim up",
        "ip route add 192.168.7.50 dev shim",
    ];
    assert_eq!(commands, expected);
    facts.known(HOST).routes.as_mut().unwrap().push(route("192.168.7.50/32", None, 6));
    assert_eq!(words(&facts), [""; 0], "it is led there by another link");
}

#[test]
fn what_nobody_cleaned_up() {
    let found = seeded(|host| {
        host.stale_names.push(StaleName { name: "a b\u{1b}".to_owned(), is_symlink: false });
    });
    expect(&found, "name-stale", "/run/netns/a b\\u{1b}: a file without a namespace", &[]);
    let pair = |host: &mut HostFacts, flags: i32| {
        for (index, other) in [(6, 7), (7, 6)] {
            let mut end =
                with(link(HOST, index, &format!("v{index}"), "veth"), None, Some((HOST, other)), None);
            end.link.flags = flags.cast_unsigned();
            host.netns_mut(HOST).links.push(end);
        }
    };
    let found = seeded(|host| pair(host, 0));
    assert_eq!((found.what.word(), &*found.fix[0]), ("veth-orphaned", "ip link del v6"));
    let mut up = docker();
    pair(&mut up, UP);
    assert_eq!(words(&up), [""; 0], "something may send there");
    let forget = |host: &mut HostFacts, holder: NetnsHolder| {
        let web = host.netns_mut(WEB);
        web.containers.clear();
        web.processes.clear();
        web.held_by = vec![holder];
    };
    let found = seeded(|host| forget(host, NetnsHolder::Descriptor { pid: Pid::from_raw(7), fd: 5 }));
    assert_eq!((found.what.word(), &*found.fix[0]), ("netns-orphaned", "ip link del veth1"));
    let found = seeded(|host| forget(host, NetnsHolder::Mount("/run/docker/netns/0123456789ab".into())));
    assert_eq!(found.what.word(), "netns-orphaned");
    for kept in [
        "/run/netns/web",
        "/run/docker/netns/ingress_sbox",
        "/run/docker/netns/lb_0123abcd",
        "/run/docker/netns/1-abcdefghij",
    ] {
        let mut facts = docker();
        forget(&mut facts, NetnsHolder::Mount(kept.into()));
        facts.published.clear();
        assert_eq!(words(&facts), [""; 0], "{kept}");
    }
}

#[test]
fn a_host_end_that_fell_out_of_its_bridge() {
    let out = |host: &mut HostFacts| {
        host.link_mut(HOST, 4).link.master = None;
        // Its container hears nothing from the others.
        host.known(WEB).routes = Some(vec![route("172.17.0.0/16", None, 2)]);
        host.known(WEB).expects_default_route = Some(false);
    };
    let found = seeded(out);
    let text = "host: veth1: is in no bridge, and leads to web: eth0, whose network 172.17.0.0/16 is that of docker0";
    expect(&found, "port-unplugged", text, &["ip link set veth1 master docker0"]);
    let mut routed = docker();
    out(&mut routed);
    routed.known(HOST).routes.as_mut().unwrap().push(route("172.17.0.2/32", None, 4));
    assert_eq!(words(&routed), [""; 0], "it is led there by a route");
}
