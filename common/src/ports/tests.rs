//! Rows, lines and searches over snapshots made by hand.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use nix::unistd::{Pid, Uid};

use super::search::{PortHolders, search};
use super::*;
use crate::cidr::Cidr;
use crate::netlink::ListeningSocket;
use crate::target::{SocketPlace, Transport};

pub(super) const HOST: u64 = 1;
const WEB: u64 = 2;

fn ip(word: &str) -> IpAddr {
    word.parse().unwrap()
}

fn socket(transport: Transport, place: &str, inode: u32) -> ListeningSocket {
    ListeningSocket {
        transport,
        address: place.parse::<SocketAddr>().unwrap(),
        interface: None,
        v6only: None,
        queued: 0,
        most_queued: 128,
        owner: Uid::from_raw(0),
        inode,
    }
}

fn tcp(place: &str, inode: u32) -> ListeningSocket {
    socket(Transport::Tcp, place, inode)
}

fn holder(pid: i32, name: &str, netns: u64) -> SocketHolder {
    SocketHolder {
        pid: Pid::from_raw(pid),
        started_ticks: u64::from(pid.cast_unsigned()),
        name: name.to_owned(),
        netns: Some(netns),
        proxy: None,
    }
}

/// docker-proxy of 8080, for port 80 of the container.
fn proxy(pid: i32) -> SocketHolder {
    let proxy = DockerProxy {
        transport: Transport::Tcp,
        host_port: 8080,
        container_address: ip("172.17.0.2"),
        container_port: 80,
    };
    SocketHolder { proxy: Some(proxy), ..holder(pid, "docker-proxy", HOST) }
}

fn dnat(network: Option<&str>, port: u16, to: &str, new_port: u16) -> ForwardedPort {
    ForwardedPort {
        transport: Transport::Tcp,
        is_six: false,
        network: network.map(|address| Cidr::host(ip(address))),
        to_local: network.is_none(),
        except: vec![],
        ports: port..=port,
        new_address: Some(ip(to)),
        is_redirect: false,
        new_port: Some(new_port),
        new_last_port: None,
        is_shifted: false,
        hook: NatHook::Prerouting,
        is_limited: false,
        table: "ip nat".to_owned(),
    }
}

fn netns(
    inode: u64,
    addresses: &[&str],
    sockets: &[ListeningSocket],
    forwards: &[ForwardedPort],
) -> NetnsPorts {
    NetnsPorts {
        inode,
        is_own: inode == HOST,
        names: vec![],
        processes: vec![],
        sockets: sockets.to_vec(),
        forwards: forwards.to_vec(),
        interfaces: HashMap::new(),
        cookie: None,
        tunnels: HashMap::new(),
        addresses: Some(addresses.iter().map(|address| ip(address)).collect()),
        balanced: vec![],
    }
}

fn snapshot(namespaces: Vec<NetnsPorts>, holders: Vec<(u32, SocketHolder)>) -> PortsSnapshot {
    PortsSnapshot { namespaces, holders: SocketHolders::from_pairs(holders), unseen: Default::default() }
}

/// A host with a published port, whose container has these sockets.
fn published(inside: &[ListeningSocket]) -> PortsSnapshot {
    let host = netns(
        HOST,
        &["172.17.0.1", "192.0.2.1"],
        &[tcp("0.0.0.0:8080", 10)],
        &[dnat(None, 8080, "172.17.0.2", 80)],
    );
    let web = netns(WEB, &["172.17.0.2"], inside, &[]);
    snapshot(vec![web, host], vec![(10, proxy(435)), (20, holder(900, "nginx", WEB))])
}

fn names() -> PortNames {
    let namespaces = HashMap::from([(WEB, vec!["web".to_owned()])]);
    let processes = HashMap::from([(Pid::from_raw(900), "web".to_owned())]);
    PortNames { namespaces, processes, ..PortNames::default() }
}

/// A line as people see it.
fn shown(line: &PortLine) -> String {
    let to = line.leads_to().map_or(String::new(), |to| format!(" → {to}"));
    format!("{} {}{to} | {} | {}", line.netns, line.place(), line.by(), line.state)
}

fn all(snapshot: &PortsSnapshot) -> Vec<String> {
    lines(snapshot, &names()).iter().map(shown).collect()
}

#[test]
fn a_published_port_says_where_it_leads_to_and_who_waits_there() {
    assert_eq!(
        all(&published(&[tcp("0.0.0.0:80", 20)])),
        [
            "host 0.0.0.0:8080/tcp → web:80 | DNAT, docker-proxy 435 | listening on 0.0.0.0",
            "web 0.0.0.0:80/tcp | nginx 900 | listening",
        ]
    );
    assert_eq!(
        all(&published(&[tcp("127.0.0.1:80", 20), tcp("[::1]:80", 21)]))[0],
        "host 0.0.0.0:8080/tcp → web:80 | DNAT, docker-proxy 435 | web listens on 127.0.0.1 and ::1 only"
    );
    assert_eq!(
        all(&published(&[tcp("0.0.0.0:81", 20)]))[0],
        "host 0.0.0.0:8080/tcp → web:80 | DNAT, docker-proxy 435 | nobody listens"
    );
}

/// As swarm has it: the namespace that a published port leads to has no program at all.
#[test]
fn of_what_ipvs_balances_it_is_not_said_that_nobody_listens() {
    let balanced = |service| {
        let mut snapshot = published(&[]);
        snapshot.namespaces[0].balanced = vec![service];
        let lines = lines(&snapshot, &names());
        (lines[0].state.clone(), lines[0].is_listening)
    };
    let place = |address: &str, port| BalancedService::Place(Transport::Tcp, ip(address), port);
    for service in [BalancedService::Marked, place("172.17.0.2", 80), place("172.17.0.2", 0)] {
        assert_eq!(balanced(service), ("IPVS balances what comes there".to_owned(), None));
    }
    for service in [place("172.17.0.2", 81), place("172.17.0.3", 80)] {
        assert_eq!(balanced(service), ("nobody listens".to_owned(), Some(false)));
    }
}

#[test]
fn an_end_that_is_not_proven_is_not_named() {
    let mut snapshot = published(&[tcp("0.0.0.0:80", 20)]);
    let twin = NetnsPorts { inode: 3, ..snapshot.namespaces[0].clone() };
    snapshot.namespaces.push(twin);
    assert_eq!(
        all(&snapshot)[0],
        "host 0.0.0.0:8080/tcp → 172.17.0.2:80 | DNAT, docker-proxy 435 | several networks have the address"
    );
    snapshot.namespaces.retain(|netns| netns.inode == HOST);
    assert!(all(&snapshot)[0].ends_with("no network here has the address"));
    snapshot.unseen.not_entered = 1;
    assert!(all(&snapshot)[0].ends_with("no network that could be looked at has the address"));
    let line = &lines(&snapshot, &names())[0];
    assert_eq!((line.is_listening, line.to.as_ref().unwrap().netns_inode), (None, None));
}

#[test]
fn a_full_queue_is_shown_and_one_that_is_nearly_full_is_not_called_so() {
    let of = |queued, most_queued| {
        let waiting = ListeningSocket { queued, most_queued, ..tcp("0.0.0.0:80", 20) };
        all(&published(&[waiting]))[1].clone()
    };
    assert_eq!(of(5, 4), "web 0.0.0.0:80/tcp | nginx 900 | listening, accept queue full: 5 of 4");
    assert_eq!(of(4, 4), "web 0.0.0.0:80/tcp | nginx 900 | listening, accept queue 4 of 4");
    for (queued, most) in [(0, 0), (3, 4)] {
        assert!(of(queued, most).ends_with("| listening"));
    }
}

/// Docker's name server: dockerd's socket in the container's network, and rules there.
#[test]
fn a_process_of_another_network_than_its_socket_is_told_so() {
    let rule = ForwardedPort { hook: NatHook::Output, ..dnat(Some("127.0.0.11"), 53, "127.0.0.11", 39877) };
    let web = netns(WEB, &["172.18.0.2"], &[tcp("127.0.0.11:39877", 30)], &[rule]);
    let host = netns(HOST, &["192.0.2.1"], &[], &[]);
    let snapshot = snapshot(vec![host, web], vec![(30, holder(77, "dockerd", HOST))]);
    assert_eq!(
        all(&snapshot),
        [
            "web 127.0.0.11:53/tcp → 127.0.0.11:39877 | DNAT (from itself only) | listening on 127.0.0.11",
            "web 127.0.0.11:39877/tcp | dockerd 77 of another network | listening",
        ]
    );
}

#[test]
fn names_from_containers_reach_no_terminal() {
    let host = netns(HOST, &[], &[tcp("0.0.0.0:22", 10)], &[]);
    let snapshot = snapshot(vec![host], vec![(10, holder(7, "a\x1b[2J\nb", HOST))]);
    let line = &lines(&snapshot, &PortNames::default())[0];
    assert_eq!(line.by(), "a\\u{1b}[2J\\nb 7");
    assert_eq!(line.processes[0].name, "a\x1b[2J\nb", "JSON escapes for itself");
}

/// Which processes a word means: their PIDs, or why none is named.
fn found(snapshot: &PortsSnapshot, word: &str) -> Result<i32, &'static str> {
    let search = search(snapshot, &word.parse::<SocketPlace>().unwrap());
    match (search.sockets.is_empty(), search.unknown.first()) {
        (_, Some(why)) => return Err(why),
        (true, None) => return Err("nobody"),
        _ => {}
    }
    match search.holders(snapshot) {
        PortHolders::One(holder, _) => Ok(holder.pid.as_raw()),
        PortHolders::Several => Err("several"),
        PortHolders::Hidden => Err("hidden"),
    }
}

#[test]
fn a_published_port_means_the_process_in_the_container() {
    let snapshot = published(&[tcp("0.0.0.0:80", 20)]);
    for word in [":8080", "192.0.2.1:8080", "127.0.0.1:8080", "172.17.0.2:80", ":80", "0.0.0.0:8080"] {
        assert_eq!(found(&snapshot, word), Ok(900), "{word}");
    }
    for word in [":8081", "172.17.0.2:8080", "127.0.0.1:80", "192.0.2.9:8080", ":8080/udp"] {
        assert_eq!(found(&snapshot, word), Err("nobody"), "{word}");
    }
    assert_eq!(found(&published(&[tcp("127.0.0.1:80", 20)]), ":8080"), Err("nobody"));
}

#[test]
fn a_port_of_the_host_comes_before_those_of_containers() {
    let host = netns(HOST, &["192.0.2.1"], &[tcp("0.0.0.0:80", 10)], &[]);
    let web = netns(WEB, &["172.17.0.2"], &[tcp("0.0.0.0:80", 20), tcp("0.0.0.0:81", 21)], &[]);
    let third = netns(3, &["172.17.0.3"], &[tcp("0.0.0.0:81", 31)], &[]);
    let holders = vec![
        (10, holder(100, "apache", HOST)),
        (20, holder(200, "nginx", WEB)),
        (21, holder(200, "nginx", WEB)),
        (31, holder(300, "nginx", 3)),
    ];
    let snapshot = snapshot(vec![web, host, third], holders);
    assert_eq!((found(&snapshot, ":80"), found(&snapshot, "172.17.0.2:80")), (Ok(100), Ok(200)));
    assert_eq!((found(&snapshot, ":81"), found(&snapshot, "172.17.0.3:81")), (Err("several"), Ok(300)));
}

#[test]
fn of_processes_that_share_sockets_the_oldest_that_has_all_is_meant() {
    let host = netns(HOST, &[], &[tcp("0.0.0.0:80", 10), tcp("[::]:80", 11), tcp("0.0.0.0:22", 12)], &[]);
    let mut holders = vec![(12, holder(1, "systemd", HOST)), (12, holder(50, "sshd", HOST))];
    for (pid, inodes) in [(100, &[10, 11][..]), (101, &[10, 11]), (102, &[10])] {
        holders.extend(inodes.iter().map(|inode| (*inode, holder(pid, "nginx", HOST))));
    }
    let snapshot = snapshot(vec![host], holders);
    assert_eq!((found(&snapshot, ":80"), found(&snapshot, ":22")), (Ok(100), Ok(50)));
}

#[test]
fn a_listener_that_a_rule_hides_is_told_and_not_chosen() {
    let mut snapshot = published(&[tcp("0.0.0.0:80", 20)]);
    snapshot.holders =
        SocketHolders::from_pairs([(10, holder(55, "python3", HOST)), (20, holder(900, "nginx", WEB))]);
    assert_eq!(
        all(&snapshot)[0],
        "host 0.0.0.0:8080/tcp → web:80 | DNAT | listening on 0.0.0.0, python3 55 listens here too"
    );
    assert_eq!(found(&snapshot, ":8080"), Err("several"));
    assert_eq!(found(&snapshot, "192.0.2.1:8080"), Ok(900), "the rule comes first");
    assert_eq!(found(&snapshot, "127.0.0.1:8080"), Ok(55), "a rule for others does not see it");
}

#[test]
fn a_service_that_passes_through_is_found_by_its_address_and_makes_no_row() {
    let host = netns(HOST, &["192.0.2.1"], &[], &[dnat(Some("10.96.0.1"), 443, "172.17.0.2", 80)]);
    let web = netns(WEB, &["172.17.0.2"], &[tcp("0.0.0.0:80", 20)], &[]);
    let snapshot = snapshot(vec![host, web], vec![(20, holder(900, "nginx", WEB))]);
    assert_eq!(all(&snapshot), ["web 0.0.0.0:80/tcp | nginx 900 | listening"]);
    assert_eq!((found(&snapshot, "10.96.0.1:443"), found(&snapshot, ":443")), (Ok(900), Err("nobody")));
}
