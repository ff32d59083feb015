//! Routes, rules, neighbours and forwarding tables of one namespace, or of several with a column that says whose each is.

use std::net::{IpAddr, SocketAddr};

use comfy_table::Table;
use common::map::AttachedProgram;
use common::netlink::{InetSocket, Route, Rule};
use common::output::{self, one_line};
use common::target::Mac;

use super::interfaces::shown;
use super::link_words::{NOTHING, who};
use crate::named_map::NamedMap;
use crate::stack::NetnsStack;
use crate::stack_entry::origin;

/// RT_TABLE_LOCAL: the kernel's own routes to its own addresses.
const LOCAL: u32 = 255;
/// The rules that every namespace has: priority and table.
const USUAL_RULES: [(u32, u32); 3] = [(0, LOCAL), (32766, 254), (32767, 253)];

/// What is shown of several namespaces at once.
#[derive(Clone, Copy)]
pub struct StackView<'a> {
    pub map: &'a NamedMap,
    pub stacks: &'a [NetnsStack<'a>],
    /// Whether a column says whose each row is.
    pub with_who: bool,
    pub quiet: bool,
}

impl StackView<'_> {
    /// Routes of all tables but the kernel's own.
    pub fn routes(self) -> Option<String> {
        const HEADER: [&str; 7] =
            ["DESTINATION", "GATEWAY", "INTERFACE", "SOURCE", "METRIC", "TABLE", "MADE-BY"];
        let mut rows = Vec::new();
        for stack in self.stacks {
            for route in stack.details.routes.iter().flatten().filter(|route| route.table != LOCAL) {
                rows.extend(route_rows(stack, route).map(|row| (stack, row.to_vec())));
            }
        }
        self.table(&HEADER, &[4], &[6, 5, 4, 3], rows)
    }

    /// The rules of policy routing; without those that every namespace has, unless `all` are wanted.
    pub fn rules(self, all: bool) -> Option<String> {
        let mut rows = Vec::new();
        for stack in self.stacks {
            let rules = stack.details.rules.iter().flatten();
            for rule in rules.filter(|rule| all || !is_usual(rule)) {
                let family = if rule.is_ipv4 { "IPv4" } else { "IPv6" };
                rows.push((stack, vec![rule.priority.to_string(), family.to_owned(), rule_words(rule)]));
            }
        }
        self.table(&["PRIORITY", "FAMILY", "RULE"], &[0], &[], rows)
    }

    /// ARP's and ND's tables, with the namespace that has the MAC.
    pub fn neighbours(self) -> Option<String> {
        let mut rows = Vec::new();
        for stack in self.stacks {
            for neighbour in stack.details.neighbours.iter().flatten() {
                // What a link cannot have: loopback and multicast.
                if neighbour.state & NUD_NOARP != 0 {
                    continue;
                }
                rows.push((
                    stack,
                    vec![
                        stack.ifname(neighbour.index),
                        neighbour.address.to_string(),
                        neighbour.mac.map_or_else(|| NOTHING.to_owned(), |mac| mac.to_string()),
                        neighbour_state(neighbour.state).to_owned(),
                        neighbour.mac.map_or_else(|| NOTHING.to_owned(), |mac| self.owners(mac)),
                    ],
                ));
            }
        }
        self.table(&["INTERFACE", "NEIGHBOUR", "MAC", "STATE", "HAS-IT"], &[], &[4, 3, 0], rows)
    }

    /// The forwarding tables of bridges and vxlan links, with the namespace that has the MAC.
    pub fn fdb(self) -> Option<String> {
        const HEADER: [&str; 6] = ["BRIDGE", "MAC", "PORT", "VLAN", "LEARNED", "HAS-IT"];
        let mut rows = Vec::new();
        for stack in self.stacks {
            for entry in stack.details.fdb.iter().flatten() {
                let remote = entry.remote.map(|remote| format!(" to {remote}")).unwrap_or_default();
                rows.push((
                    stack,
                    vec![
                        entry.bridge.map_or_else(|| NOTHING.to_owned(), |bridge| stack.ifname(bridge)),
                        entry.mac.to_string(),
                        stack.ifname(entry.index) + &remote,
                        entry.vlan.map_or_else(|| NOTHING.to_owned(), |vlan| vlan.to_string()),
                        origin(entry.origin).to_owned(),
                        self.owners(entry.mac),
                    ],
                ));
            }
        }
        self.table(&HEADER, &[3], &[3, 4, 5], rows)
    }

    /// Sockets of TCP and UDP, each with the processes that have it.
    pub fn sockets(self) -> Option<String> {
        const HEADER: [&str; 7] = ["PROTO", "STATE", "LOCAL", "PEER", "RECV-Q", "SEND-Q", "PROCESS"];
        let mut rows = Vec::new();
        for stack in self.stacks {
            for socket in stack.details.sockets.iter().flatten() {
                rows.push((
                    stack,
                    vec![
                        socket.transport.to_string(),
                        socket.state_word().to_owned(),
                        local(stack, socket),
                        socket.peer.map_or_else(|| NOTHING.to_owned(), shown_end),
                        socket.receive_queue.to_string(),
                        socket.send_queue.to_string(),
                        holders(stack, socket),
                    ],
                ));
            }
        }
        self.table(&HEADER, &[4, 5], &[5, 4, 1, 3, 0], rows)
    }

    /// What is attached to links, and to the control groups of processes.
    pub fn programs(self) -> Option<String> {
        let mut rows = Vec::new();
        for stack in self.stacks {
            let of_links = stack.details.programs.iter().flatten();
            let of_links = of_links.map(|one| (stack.ifname(one.index), &one.program));
            let of_groups = stack.of_groups.iter().map(|program| (NOTHING.to_owned(), program));
            for (ifname, AttachedProgram { hook, id, name }) in of_links.chain(of_groups) {
                let id = id.map_or_else(|| NOTHING.to_owned(), |id| id.to_string());
                rows.push((
                    stack,
                    vec![ifname, hook.clone(), id, name.clone().unwrap_or_else(|| NOTHING.to_owned())],
                ));
            }
        }
        self.table(&["INTERFACE", "ATTACHED-TO", "ID", "NAME"], &[2], &[2], rows)
    }

    fn table(
        self,
        header: &[&str],
        numbers: &[usize],
        spared: &[usize],
        rows: Vec<(&NetnsStack<'_>, Vec<String>)>,
    ) -> Option<String> {
        if rows.is_empty() {
            return None;
        }
        let more = usize::from(self.with_who);
        let moved = |columns: &[usize]| columns.iter().map(|at| at + more).collect::<Vec<_>>();
        let whole = ["WHO"].iter().take(more).chain(header).copied();
        let mut table: Table = output::table(whole, &moved(numbers));
        for (stack, row) in rows {
            let whose = self.with_who.then(|| self.map.who(stack.netns));
            table.add_row(whose.into_iter().chain(row).map(|cell| one_line(&cell).into_owned()));
        }
        Some(shown(table, &moved(spared), self.quiet))
    }

    /// The namespaces that have a link with this MAC: there can be several.
    fn owners(self, mac: Mac) -> String {
        let mut names: Vec<String> = Vec::new();
        for link in self.map.links().filter(|link| link.mapped.link.mac == Some(mac)) {
            let name = who(self.map, link);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() { NOTHING.to_owned() } else { names.join(",") }
    }
}

/// `172.17.0.2:80`, `127.0.0.53%lo:53`.
fn local(stack: &NetnsStack<'_>, socket: &InetSocket) -> String {
    let Some(index) = socket.interface else { return shown_end(socket.own) };
    let (address, port, name) = (socket.own.ip().to_canonical(), socket.own.port(), stack.ifname(index));
    match address {
        IpAddr::V4(address) => format!("{address}%{name}:{port}"),
        IpAddr::V6(address) => format!("[{address}%{name}]:{port}"),
    }
}

/// An address of IPv4 that a socket of IPv6 has is shown as what it is.
fn shown_end(end: SocketAddr) -> String {
    SocketAddr::new(end.ip().to_canonical(), end.port()).to_string()
}

/// The oldest process that has the socket, and how many more have it.
fn holders(stack: &NetnsStack<'_>, socket: &InetSocket) -> String {
    match stack.holders.of(socket.inode) {
        [] => NOTHING.to_owned(),
        [only] => only.shown(),
        [oldest, more @ ..] => format!("{}, {} more", oldest.shown(), more.len()),
    }
}

/// A row for each way of a route: destination, gateway, interface, source, metric, table, what made it.
pub fn route_rows<'a>(stack: &'a NetnsStack<'_>, route: &'a Route) -> impl Iterator<Item = [String; 7]> + 'a {
    let row = move |gateway: Option<std::net::IpAddr>, index: Option<u32>| {
        let or_dash = |words: Option<String>| words.unwrap_or_else(|| NOTHING.to_owned());
        [
            destination(route),
            or_dash(gateway.map(|gateway| gateway.to_string())),
            or_dash(index.map(|index| stack.ifname(index))),
            or_dash(route.source.map(|source| source.to_string())),
            route.metric.to_string(),
            table_name(route.table),
            protocol(route.protocol),
        ]
    };
    let single = route.hops.is_empty().then(|| row(route.gateway, route.index));
    single.into_iter().chain(route.hops.iter().map(move |hop| row(hop.gateway, Some(hop.index))))
}

/// As ip(8) has it: `default`, `10.1.0.0/24`, `blackhole 10.9.0.0/16`.
fn destination(route: &Route) -> String {
    let cidr = match route.destination.prefix_len() {
        0 if route.destination.address().is_ipv4() => "default".to_owned(),
        _ => route.destination.to_string(),
    };
    // linux/rtnetlink.h: RTN_*
    match route.kind {
        1 => cidr,
        2 => format!("local {cidr}"),
        3 => format!("broadcast {cidr}"),
        4 => format!("anycast {cidr}"),
        5 => format!("multicast {cidr}"),
        6 => format!("blackhole {cidr}"),
        7 => format!("unreachable {cidr}"),
        8 => format!("prohibit {cidr}"),
        9 => format!("throw {cidr}"),
        other => format!("kind {other} {cidr}"),
    }
}

fn table_name(table: u32) -> String {
    match table {
        253 => "default".to_owned(),
        254 => "main".to_owned(),
        LOCAL => "local".to_owned(),
        other => other.to_string(),
    }
}

/// linux/rtnetlink.h: RTPROT_*
fn protocol(protocol: u8) -> String {
    match protocol {
        1 => "redirect".to_owned(),
        2 => "kernel".to_owned(),
        3 => "boot".to_owned(),
        4 => "static".to_owned(),
        9 => "ra".to_owned(),
        16 => "dhcp".to_owned(),
        other => other.to_string(),
    }
}

fn is_usual(rule: &Rule) -> bool {
    rule.is_plain && rule.source.is_none() && USUAL_RULES.contains(&(rule.priority, rule.table))
}

/// As ip(8) writes it: `from 10.1.0.0/24 fwmark 0x1/0xff iif eth0 lookup main`.
fn rule_words(rule: &Rule) -> String {
    let conditions = &rule.conditions;
    let mut words = Vec::new();
    words.extend(conditions.is_inverted.then(|| "not".to_owned()));
    words.push(rule.source.map_or_else(|| "from all".to_owned(), |source| format!("from {source}")));
    words.extend(rule.destination.map(|destination| format!("to {destination}")));
    words.extend(conditions.mark.map(|(mark, mask)| match mask {
        u32::MAX => format!("fwmark {mark:#x}"),
        mask => format!("fwmark {mark:#x}/{mask:#x}"),
    }));
    words.extend(conditions.inbound.map(|link| format!("iif {}", link.name())));
    words.extend(conditions.outbound.map(|link| format!("oif {}", link.name())));
    words.extend(conditions.has_more.then(|| "(and more)".to_owned()));
    // linux/fib_rules.h: FR_ACT_*
    words.push(match rule.action {
        1 => format!("lookup {}", table_name(rule.table)),
        2 => "goto".to_owned(),
        3 => "nop".to_owned(),
        6 => "blackhole".to_owned(),
        7 => "unreachable".to_owned(),
        8 => "prohibit".to_owned(),
        other => format!("action {other}"),
    });
    words.join(" ")
}

/// linux/neighbour.h: NUD_*
const NUD_NOARP: u16 = 0x40;

fn neighbour_state(state: u16) -> &'static str {
    match state {
        0x01 => "incomplete",
        0x02 => "reachable",
        0x04 => "stale",
        0x08 => "delay",
        0x10 => "probe",
        0x20 => "failed",
        0x80 => "permanent",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use common::map::NetnsDetails;
    use common::netlink::{Neighbour, RuleConditions};

    use super::*;
    use crate::sample::{host, named};

    fn route(destination: &str, gateway: Option<&str>) -> Route {
        let gateway = gateway.map(|gateway| gateway.parse().unwrap());
        Route { gateway, ..Route::plain(destination.parse().unwrap(), 2) }
    }

    fn shown(details: NetnsDetails, part: impl Fn(StackView<'_>) -> Option<String>) -> Option<Vec<String>> {
        let map = named(host());
        let stacks = [NetnsStack::of_details(&map.map.namespaces[1], details)];
        let view = StackView { map: &map, stacks: &stacks, with_who: true, quiet: true };
        let text = part(view)?;
        Some(text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
    }

    #[test]
    fn routes_are_in_the_words_of_ip() {
        let hop = |gateway: &str, index| common::netlink::NextHop {
            gateway: gateway.parse().ok(),
            index,
            weight: 1,
        };
        let routes = vec![
            route("0.0.0.0/0", Some("172.17.0.1")),
            Route { kind: 6, index: None, table: 100, ..route("10.9.0.0/16", None) },
            Route { table: LOCAL, ..route("172.17.0.2/32", None) },
            Route {
                index: None,
                hops: vec![hop("10.0.0.1", 2), hop("10.0.0.2", 9)],
                ..route("10.8.0.0/16", None)
            },
        ];
        let details = NetnsDetails { routes: Some(routes), ..NetnsDetails::default() };
        let expected = [
            "web default 172.17.0.1 eth0 - 0 main boot",
            "web blackhole 10.9.0.0/16 - - - 0 100 boot",
            "web 10.8.0.0/16 10.0.0.1 eth0 - 0 main boot",
            "web 10.8.0.0/16 10.0.0.2 index 9 - 0 main boot",
        ];
        assert_eq!(shown(details, |view| view.routes()).unwrap(), expected);
        assert_eq!(shown(NetnsDetails::default(), |view| view.routes()), None);
    }

    #[test]
    fn rules_are_in_the_words_of_ip_and_the_usual_ones_are_left_out() {
        let plain = |priority, table| Rule::plain(true, None, priority, table);
        let conditions =
            RuleConditions { mark: Some((1, 0xff)), is_inverted: true, ..RuleConditions::default() };
        let marked =
            Rule { conditions, is_plain: false, ..Rule::plain(true, "10.1.0.0/24".parse().ok(), 100, 7) };
        let rules = vec![plain(0, 255), marked, plain(32766, 254), plain(32767, 253)];
        let details = NetnsDetails { rules: Some(rules), ..NetnsDetails::default() };
        let expected = ["web 100 IPv4 not from 10.1.0.0/24 fwmark 0x1/0xff lookup 7"];
        assert_eq!(shown(details.clone(), |view| view.rules(false)).unwrap(), expected);
        assert_eq!(shown(details, |view| view.rules(true)).unwrap().len(), 4);
    }

    #[test]
    fn a_neighbour_is_shown_with_who_has_its_mac() {
        let neighbour = |address: &str, mac: u8, state| Neighbour {
            index: 2,
            address: address.parse().unwrap(),
            mac: Some(Mac([2, 0, 0, 0, 0, mac])),
            state,
        };
        let neighbours = vec![
            neighbour("172.17.0.1", 3, 2),
            neighbour("172.17.0.9", 77, 4),
            neighbour("ff02::1", 1, 0x40),
        ];
        let details = NetnsDetails { neighbours: Some(neighbours), ..NetnsDetails::default() };
        let expected = [
            "web eth0 172.17.0.1 02:00:00:00:00:03 reachable host",
            "web eth0 172.17.0.9 02:00:00:00:00:4d stale -",
        ];
        assert_eq!(shown(details, |view| view.neighbours()).unwrap(), expected);
    }

    #[test]
    fn programs_are_shown_with_the_interface_and_the_hook() {
        let program = AttachedProgram { hook: "tc ingress".to_owned(), id: Some(7), name: None };
        let programs = vec![common::map::LinkProgram { index: 2, program }];
        let details = NetnsDetails { programs: Some(programs), ..NetnsDetails::default() };
        assert_eq!(shown(details, |view| view.programs()).unwrap(), ["web eth0 tc ingress 7 -"]);
    }
}
