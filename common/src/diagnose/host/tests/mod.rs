//! Hosts written by hand: each fault alone is exactly one finding, and healthy ones have none.

mod ports;
mod routing;
mod segment;

use nix::unistd::{Pid, Uid};

use super::facts::{HostFacts, LinkSettings, NetnsFacts, PortPublication, PortWaiting};
use super::{Finding, findings};
use crate::engine::Container;
use crate::firewall::{FilterChain, FilterProgram, NetnsFilters, WrittenRule};
use crate::map::{HostMap, LinkEnd, LinkPlace, MappedLink, MappedNetns, NetnsHolder};
use crate::netlink::{Address, FdbEntry, FdbOrigin, Link, Neighbour, OperState, PortState, Route};
use crate::target::{EngineName, Mac, Transport};

const HOST: u64 = 1;
const WEB: u64 = 2;
const DB: u64 = 3;
const UP: i32 = libc::IFF_UP | libc::IFF_LOWER_UP;

fn link(netns: u64, index: u32, name: &str, kind: &str) -> MappedLink {
    let link = Link {
        name: name.into(),
        mac: Some(Mac([2, 0, 0, 0, netns as u8, index as u8])),
        kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
        mtu_bytes: 1500,
        flags: UP.cast_unsigned(),
        operstate: OperState::Up,
        ..Link::plain(index)
    };
    MappedLink { link, addresses: Vec::new(), end: None, programs: Vec::new() }
}

fn address(index: u32, cidr: &str) -> Address {
    let (address, prefix_len) = cidr.split_once('/').unwrap();
    Address::plain(index, address.parse().unwrap(), prefix_len.parse().unwrap())
}

fn route(to: &str, gateway: Option<&str>, index: u32) -> Route {
    Route {
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        protocol: if gateway.is_some() { 3 } else { 2 },
        ..Route::plain(to.parse().unwrap(), index)
    }
}

fn chain(table: &str, name: &str, policy: Option<&str>, rules: &[&str]) -> FilterChain {
    FilterChain {
        program: FilterProgram::Iptables { six: false },
        table: table.to_owned(),
        name: name.to_owned(),
        hook: None,
        policy: policy.map(str::to_owned),
        counter: None,
        is_nat: table == "nat",
        rules: rules
            .iter()
            .map(|text| WrittenRule { text: (*text).to_owned(), counter: None, handle: None })
            .collect(),
    }
}

/// The end of a cable, with its address.
fn with(
    mut link: MappedLink,
    cidr: Option<&str>,
    end: Option<(u64, u32)>,
    master: Option<u32>,
) -> MappedLink {
    link.addresses.extend(cidr.map(|cidr| address(link.link.index, cidr)));
    link.end = end.map(|(netns, index)| LinkEnd::Known(LinkPlace { netns, index }));
    link.link.master = master;
    link.link.port_state = master.map(|_| PortState::Forwarding);
    link
}

fn container(inode: u64, name: &str, cidr: &str, port: u32) -> MappedNetns {
    let eth0 = with(link(inode, 2, "eth0", "veth"), Some(cidr), Some((HOST, port)), None);
    MappedNetns {
        inode,
        processes: vec![Pid::from_raw(40)],
        held_by: vec![NetnsHolder::Processes],
        containers: vec![Container {
            name: name.to_owned(),
            ..Container::unknown(EngineName::Docker, &format!("{name}id"), Uid::from_raw(0))
        }],
        links: vec![eth0],
        ..MappedNetns::default()
    }
}

fn facts_of(name: &str, routes: Vec<Route>) -> NetnsFacts {
    let settings = LinkSettings {
        forwards: [Some(true), Some(false)],
        ipv6_disabled: Some(false),
        proxy_arp: Some(false),
    };
    NetnsFacts {
        name: name.to_owned(),
        target: (name != "host").then(|| format!("docker:{name}")),
        routes: Some(routes),
        neighbours: Some(vec![]),
        fdb: Some(vec![]),
        filters: Some(NetnsFilters { is_whole: true, ..NetnsFilters::default() }),
        links: (2..9).map(|index| (index, settings)).collect(),
        bridge_calls: [Some(true), Some(true)],
        ipv6_disabled: Some(false),
        ..NetnsFacts::default()
    }
}

/// A host as Docker leaves it: `docker0` with `web` and `db`, way out by `eth0`.
fn docker() -> HostFacts {
    let own = vec![
        with(link(HOST, 2, "eth0", ""), Some("192.168.7.5/24"), None, None),
        with(link(HOST, 3, "docker0", "bridge"), Some("172.17.0.1/16"), None, None),
        with(link(HOST, 4, "veth1", "veth"), None, Some((WEB, 2)), Some(3)),
        with(link(HOST, 5, "veth2", "veth"), None, Some((DB, 2)), Some(3)),
    ];
    let host = MappedNetns {
        inode: HOST,
        is_own: true,
        links: own,
        held_by: vec![NetnsHolder::Processes],
        ..MappedNetns::default()
    };
    let map = HostMap {
        namespaces: vec![
            host,
            container(WEB, "web", "172.17.0.2/16", 4),
            container(DB, "db", "172.17.0.3/16", 5),
        ],
        ..HostMap::default()
    };
    let own_routes = vec![
        route("0.0.0.0/0", Some("192.168.7.1"), 2),
        route("192.168.7.0/24", None, 2),
        route("172.17.0.0/16", None, 3),
    ];
    let inside = || vec![route("0.0.0.0/0", Some("172.17.0.1"), 2), route("172.17.0.0/16", None, 2)];
    let mut host = facts_of("host", own_routes);
    host.filters = Some(NetnsFilters { is_whole: true, chains: dockers_chains(), ..NetnsFilters::default() });
    let netns = [(HOST, host), (WEB, facts_of("web", inside())), (DB, facts_of("db", inside()))];
    HostFacts { map, netns: netns.into(), published: vec![published()], ..HostFacts::default() }
}

fn dockers_chains() -> Vec<FilterChain> {
    vec![
        chain("filter", "INPUT", Some("accept"), &[]),
        chain(
            "filter",
            "FORWARD",
            Some("drop"),
            &[
                "-A FORWARD -j DOCKER-USER",
                "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                "-A FORWARD -o docker0 -j DOCKER",
                "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
                "-A FORWARD -i docker0 -o docker0 -j ACCEPT",
            ],
        ),
        chain("filter", "DOCKER-USER", None, &["-A DOCKER-USER -j RETURN"]),
        chain(
            "filter",
            "DOCKER",
            None,
            &["-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT"],
        ),
        chain(
            "nat",
            "POSTROUTING",
            Some("accept"),
            &["-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"],
        ),
        chain("nat", "DOCKER", None, &["-A DOCKER -i docker0 -j RETURN"]),
    ]
}

fn published() -> PortPublication {
    PortPublication {
        netns: HOST,
        transport: Transport::Tcp,
        address: "0.0.0.0".parse().unwrap(),
        port: 8080,
        last_port: 8080,
        to: "172.17.0.2".parse().ok(),
        to_port: Some(80),
        to_netns: Some(WEB),
        waiting: PortWaiting::Listening,
        by_rule: Some("ip nat".to_owned()),
        has_proxy: true,
    }
}

impl HostFacts {
    fn netns_mut(&mut self, inode: u64) -> &mut MappedNetns {
        self.map.namespaces.iter_mut().find(|netns| netns.inode == inode).unwrap()
    }

    fn link_mut(&mut self, inode: u64, index: u32) -> &mut MappedLink {
        self.netns_mut(inode).links.iter_mut().find(|link| link.link.index == index).unwrap()
    }

    fn known(&mut self, inode: u64) -> &mut NetnsFacts {
        self.netns.get_mut(&inode).unwrap()
    }

    fn chain_mut(&mut self, table: &str, name: &str) -> &mut FilterChain {
        let filters = self.known(HOST).filters.as_mut().unwrap();
        filters.chains.iter_mut().find(|chain| chain.table == table && chain.name == name).unwrap()
    }

    /// A second bridge beside `docker0`, plain, to which both containers are plugged instead.
    fn on_plain_bridge(mut self) -> Self {
        let bridge = self.link_mut(HOST, 3);
        bridge.link.name = "br0".into();
        self
    }
}

fn words(facts: &HostFacts) -> Vec<&'static str> {
    findings(facts).iter().map(|finding| finding.what.word()).collect()
}

/// What a change of the host by Docker makes of it: one finding, with its text and its commands.
fn seeded(seed: impl FnOnce(&mut HostFacts)) -> Finding {
    let mut facts = docker();
    seed(&mut facts);
    only(&facts)
}

fn only(facts: &HostFacts) -> Finding {
    let found = findings(facts);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

fn expect(finding: &Finding, word: &str, text: &str, fix: &[&str]) {
    assert_eq!((finding.what.word(), finding.text.as_str()), (word, text));
    let commands: Vec<&str> = finding.fix.iter().map(|command| &**command).collect();
    assert_eq!(commands, fix, "{text}");
}

fn neighbour(address: &str, state: u16) -> Neighbour {
    Neighbour { index: 2, address: address.parse().unwrap(), mac: None, state }
}

#[test]
fn a_host_with_docker_has_no_finding() {
    assert_eq!(findings(&docker()), []);
    assert_eq!(findings(&HostFacts::default()), []);
}

#[test]
fn no_name_acts_in_a_text_or_a_command() {
    let hostile = "x;\u{1b}[2J$(id)";
    let mut facts = docker();
    facts.link_mut(WEB, 2).link.name = hostile.into();
    facts.known(WEB).name = hostile.to_owned();
    facts.link_mut(HOST, 4).link.mtu_bytes = 1400;
    let found = only(&facts);
    assert!(!found.text.contains('\u{1b}'), "{}", found.text);
    assert!(found.fix.is_empty(), "it cannot be pasted");
    facts.link_mut(WEB, 2).link.name = "a'b;id".into();
    let command = &only(&facts).fix[0];
    assert_eq!(*command, r"nsenter-rs -t docker:web -n ip link set 'a'\''b;id' mtu 1400");
}
