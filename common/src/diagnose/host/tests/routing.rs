//! What happens to packets on their way out, and networks that overlap.

use super::*;

#[test]
fn a_bridge_that_is_not_dockers_is_filtered_and_cannot_leave() {
    let facts = docker().on_plain_bridge();
    let found = findings(&facts);
    let of = |word: &str| found.iter().find(|finding| finding.what.word() == word).unwrap();
    let rules = "the policy of FORWARD (iptables-nft) drops what";
    expect(
        of("bridge-filtered"),
        "bridge-filtered",
        &format!(
            "host: br0: {rules} its containers send to each other: br_netfilter has bridged packets filtered"
        ),
        &["iptables-nft -I DOCKER-USER -i br0 -o br0 -j ACCEPT"],
    );
    expect(
        of("forward-drops"),
        "forward-drops",
        &format!("host: br0: {rules} comes from it and leaves by eth0"),
        &[
            "iptables-nft -I DOCKER-USER -i br0 -j ACCEPT",
            "iptables-nft -I DOCKER-USER -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ],
    );
    assert_eq!(found.len(), 2, "{found:#?}");
    // Each alone.
    let mut alone = facts.clone();
    alone.known(HOST).bridge_calls = [Some(false); 2];
    assert_eq!(words(&alone), ["forward-drops"]);
    let mut meant = facts.clone();
    meant.chain_mut("filter", "DOCKER-USER").rules =
        chain("", "", None, &["-A DOCKER-USER -i br0 -o br0 -j DROP", "-A DOCKER-USER -i br0 -j DROP"]).rules;
    assert_eq!(words(&meant), [""; 0], "a rule wants it so");
    let mut isolated = facts;
    for inode in [WEB, DB] {
        isolated.known(inode).routes = Some(vec![route("172.17.0.0/16", None, 2)]);
        isolated.known(inode).expects_default_route = Some(false);
    }
    assert_eq!(words(&isolated), ["bridge-filtered"], "it is not to leave");
}

#[test]
fn what_leaves_without_an_address_that_is_known_out_there() {
    let fix = ["iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"];
    let found = seeded(|host| host.chain_mut("nat", "POSTROUTING").rules.clear());
    let text = "host: docker0: packets from 172.17.0.0/16 leave by eth0 with their own address, and Docker's rule for it is gone";
    expect(&found, "no-masquerade", text, &fix);
    // Nobody knows what a router elsewhere knows: such a network may be routed.
    let mut routed = docker();
    routed.chain_mut("nat", "POSTROUTING").rules.clear();
    routed.chain_mut("nat", "DOCKER").rules.clear();
    assert_eq!(words(&routed), [""; 0]);
    // With the router on the map it is seen.
    let router = MappedNetns {
        inode: 9,
        names: vec!["/run/netns/wan".into()],
        links: vec![with(link(9, 2, "eth0", "veth"), Some("192.168.7.1/24"), Some((HOST, 2)), None)],
        ..MappedNetns::default()
    };
    routed.map.namespaces.push(router);
    let eth0 = with(link(HOST, 2, "eth0", "veth"), Some("192.168.7.5/24"), Some((9, 2)), None);
    *routed.link_mut(HOST, 2) = eth0;
    routed.netns.insert(9, facts_of("wan", vec![route("192.168.7.0/24", None, 2)]));
    let text = "host: docker0: packets from 172.17.0.0/16 leave by eth0 with their own address, and wan: eth0 has no route back";
    expect(&only(&routed), "no-masquerade", text, &fix);
    routed.known(9).routes.as_mut().unwrap().push(route("172.17.0.0/16", Some("192.168.7.5"), 2));
    assert_eq!(words(&routed), [""; 0]);
}

#[test]
fn networks_that_have_addresses_in_common() {
    let second = |host: &mut HostFacts, name: &str, kind: &str, cidr: &str, to: Route| {
        host.netns_mut(HOST).links.push(with(link(HOST, 6, name, kind), Some(cidr), None, None));
        host.known(HOST).routes.as_mut().unwrap().push(to);
    };
    let found =
        seeded(|host| second(host, "br1", "bridge", "172.17.0.1/16", route("172.17.0.0/16", None, 6)));
    let text =
        "host: br1 and docker0 both have the network 172.17.0.0/16: only what is at one of them is reached";
    expect(&found, "prefix-twice", text, &["ip addr del 172.17.0.1/16 dev br1"]);
    let found = seeded(|host| {
        second(host, "tun0", "tun", "10.8.0.2/24", route("172.17.4.0/24", Some("10.8.0.1"), 6))
    });
    assert_eq!(found.what.word(), "subnet-overlap");
    assert_eq!(found.fix[0], "ip route del 172.17.4.0/24 via 10.8.0.1 dev tun0");
    let found = seeded(|host| second(host, "wlan0", "", "172.17.9.9/20", route("172.17.0.0/20", None, 6)));
    assert_eq!(
        (found.what.word(), &*found.fix[0]),
        ("subnet-overlap", "ip addr del 172.17.0.1/16 dev docker0")
    );
    for to in ["10.0.0.0/8", "172.16.0.0/12", "0.0.0.0/1", "172.17.0.9/32", "172.18.0.0/16"] {
        let mut facts = docker();
        second(&mut facts, "tun0", "tun", "10.8.0.2/24", route(to, Some("10.8.0.1"), 6));
        assert_eq!(words(&facts), [""; 0], "{to}");
    }
    let mut lan = docker();
    second(&mut lan, "wlan0", "", "192.168.7.9/24", route("192.168.7.0/24", None, 6));
    assert_eq!(words(&lan), [""; 0], "two interfaces in one LAN");
    let mut vrf = docker();
    second(
        &mut vrf,
        "br1",
        "bridge",
        "172.17.0.1/16",
        Route { table: 10, ..route("172.17.0.0/16", None, 6) },
    );
    assert_eq!(words(&vrf), [""; 0], "another table");
}

#[test]
fn mtus_that_do_not_fit() {
    let found = seeded(|host| host.link_mut(WEB, 2).link.mtu_bytes = 1400);
    assert_eq!(found.what.word(), "mtu-unequal");
    assert_eq!(found.fix[0], "ip link set veth1 mtu 1400");
    let found = seeded(|host| host.link_mut(HOST, 4).link.mtu_bytes = 1400);
    assert_eq!(found.fix[0], "nsenter-rs -t docker:web -n ip link set eth0 mtu 1400");
    let found = seeded(|host| host.link_mut(HOST, 2).link.mtu_bytes = 1400);
    let text = "web: eth0 and 1 other: MTU 1500, but 1400 of eth0 by which the default route of host leaves";
    let fix = [
        "nsenter-rs -t docker:web -n ip link set eth0 mtu 1400",
        "ip link set veth1 mtu 1400",
        "nsenter-rs -t docker:db -n ip link set eth0 mtu 1400",
        "ip link set veth2 mtu 1400",
        "ip link set docker0 mtu 1400",
    ];
    expect(&found, "mtu-above-way-out", text, &fix);
    let mut clamped = docker();
    clamped.link_mut(HOST, 2).link.mtu_bytes = 1400;
    let rule = "-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu";
    clamped.known(HOST).filters.as_mut().unwrap().chains.push(chain(
        "mangle",
        "FORWARD",
        Some("accept"),
        &[rule],
    ));
    assert_eq!(words(&clamped), [""; 0]);
}

#[test]
fn the_way_out_of_a_container() {
    let found = seeded(|host| {
        host.known(WEB).routes = Some(vec![route("172.17.0.0/16", None, 2)]);
    });
    let fix = ["nsenter-rs -t docker:web -n ip route add default via 172.17.0.1 dev eth0"];
    expect(&found, "no-route", "web: eth0: no default route", &fix);
    let mut internal = docker();
    internal.known(WEB).routes = Some(vec![route("172.17.0.0/16", None, 2)]);
    internal.known(WEB).expects_default_route = Some(false);
    assert_eq!(words(&internal), [""; 0], "its engine gives it none");
    let wrong = |host: &mut HostFacts| {
        let routes = host.known(WEB).routes.as_mut().unwrap();
        routes[0].gateway = "172.17.0.77".parse().ok();
    };
    let text = "web: eth0: the gateway 172.17.0.77 of the default route is nobody's: nothing on its segment has that address";
    let fix = ["nsenter-rs -t docker:web -n ip route replace default via 172.17.0.1 dev eth0"];
    expect(&seeded(wrong), "router-silent", text, &fix);
    let mut answered = docker();
    wrong(&mut answered);
    answered.known(HOST).links.get_mut(&3).unwrap().proxy_arp = Some(true);
    assert_eq!(words(&answered), [""; 0], "the bridge answers for others");
    // The host's own router is elsewhere: it is silent if it was asked in vain.
    let found = seeded(|host| host.known(HOST).neighbours = Some(vec![neighbour("192.168.7.1", 0x20)]));
    let text = "host: eth0: the gateway 192.168.7.1 of the default route does not answer ARP";
    expect(&found, "router-silent", text, &[]);
    let found =
        seeded(|host| host.known(HOST).links.values_mut().for_each(|link| link.forwards = [Some(false); 2]));
    let text = "host: docker0: does not forward IPv4, but web has its default route by 172.17.0.1";
    expect(&found, "forwarding-off", text, &["sysctl -w net.ipv4.ip_forward=1"]);
    let found = seeded(|host| host.known(HOST).links.get_mut(&3).unwrap().forwards[0] = Some(false));
    assert_eq!(found.fix[0], "sysctl -w net/ipv4/conf/docker0/forwarding=1");
}
