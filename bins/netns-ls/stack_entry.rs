//! The rest of a namespace's stack as JSON: the field `details` of a namespace.

use std::net::IpAddr;

use common::firewall::{FilterChain, PacketCount};
use common::map::{AttachedProgram, LinkProgram};
use common::netlink::{FdbEntry, FdbOrigin, InetSocket, Neighbour, Route, Rule};
use common::ports::SocketHolder;
use serde::Serialize;

use crate::stack::NetnsStack;

/// What was asked for; the rest is null.
#[derive(Debug, Serialize)]
pub struct StackEntry {
    routes: Option<Vec<RouteEntry>>,
    rules: Option<Vec<RuleEntry>>,
    neighbours: Option<Vec<NeighbourEntry>>,
    fdb: Option<Vec<StationEntry>>,
    programs: Option<Vec<AttachedEntry>>,
    sockets: Option<Vec<SocketEntry>>,
    firewall: Option<Vec<ChainEntry>>,
    not_read: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RouteEntry {
    destination: String,
    gateway: Option<String>,
    ifname: Option<String>,
    source: Option<String>,
    metric: u32,
    table: u32,
    protocol: u8,
    scope: u8,
    kind: u8,
    /// Of a route that several routers share.
    hops: Vec<HopEntry>,
}

#[derive(Debug, Serialize)]
struct HopEntry {
    gateway: Option<String>,
    ifname: String,
    weight: u16,
}

#[derive(Debug, Serialize)]
struct RuleEntry {
    priority: u32,
    ipv4: bool,
    source: Option<String>,
    destination: Option<String>,
    table: u32,
    action: u8,
    mark: Option<u32>,
    mask: Option<u32>,
    iif: Option<String>,
    oif: Option<String>,
    inverted: bool,
    /// Whether there are more conditions.
    more: bool,
}

#[derive(Debug, Serialize)]
struct NeighbourEntry {
    ifname: String,
    address: String,
    mac: Option<String>,
    state: u16,
}

/// A station in a forwarding table.
#[derive(Debug, Serialize)]
struct StationEntry {
    bridge: Option<String>,
    ifname: String,
    mac: String,
    vlan: Option<u16>,
    remote: Option<String>,
    origin: &'static str,
}

/// What is attached to a link, or (`ifname` is null) to a control group.
#[derive(Debug, Serialize)]
struct AttachedEntry {
    ifname: Option<String>,
    hook: String,
    id: Option<u32>,
    name: Option<String>,
}

/// A socket of TCP or UDP.
#[derive(Debug, Serialize)]
struct SocketEntry {
    transport: String,
    state: &'static str,
    address: IpAddr,
    port: u16,
    peer_address: Option<IpAddr>,
    peer_port: Option<u16>,
    interface: Option<String>,
    receive_queue: u32,
    send_queue: u32,
    uid: u32,
    processes: Vec<HoldingEntry>,
}

/// A process that has a socket.
#[derive(Debug, Serialize)]
struct HoldingEntry {
    pid: i32,
    name: String,
}

#[derive(Debug, Serialize)]
struct ChainEntry {
    program: String,
    table: String,
    name: String,
    hook: Option<String>,
    policy: Option<String>,
    packets: Option<u64>,
    bytes: Option<u64>,
    rules: Vec<FilterEntry>,
}

#[derive(Debug, Serialize)]
struct FilterEntry {
    text: String,
    packets: Option<u64>,
    bytes: Option<u64>,
}

impl StackEntry {
    pub fn of(stack: &NetnsStack<'_>) -> Self {
        let details = &stack.details;
        fn each<T, U>(all: Option<&Vec<T>>, entry: impl Fn(&T) -> U) -> Option<Vec<U>> {
            all.map(|all| all.iter().map(entry).collect())
        }
        StackEntry {
            routes: each(details.routes.as_ref(), |route| RouteEntry::of(stack, route)),
            rules: each(details.rules.as_ref(), RuleEntry::of),
            neighbours: each(details.neighbours.as_ref(), |one| NeighbourEntry::of(stack, one)),
            fdb: each(details.fdb.as_ref(), |one| StationEntry::of(stack, one)),
            programs: details.programs.as_ref().map(|programs| AttachedEntry::all(stack, programs)),
            sockets: each(details.sockets.as_ref(), |one| SocketEntry::of(stack, one)),
            firewall: each(details.firewall.as_ref(), ChainEntry::of),
            not_read: details.unknown().map(|(what, why)| format!("{what}: {why}")).collect(),
        }
    }
}

impl RouteEntry {
    fn of(stack: &NetnsStack<'_>, route: &Route) -> Self {
        RouteEntry {
            destination: route.destination.to_string(),
            gateway: route.gateway.map(|gateway| gateway.to_string()),
            ifname: route.index.map(|index| stack.ifname(index)),
            source: route.source.map(|source| source.to_string()),
            metric: route.metric,
            table: route.table,
            protocol: route.protocol,
            scope: route.scope,
            kind: route.kind,
            hops: route
                .hops
                .iter()
                .map(|hop| HopEntry {
                    gateway: hop.gateway.map(|gateway| gateway.to_string()),
                    ifname: stack.ifname(hop.index),
                    weight: hop.weight,
                })
                .collect(),
        }
    }
}

impl RuleEntry {
    fn of(rule: &Rule) -> Self {
        let conditions = &rule.conditions;
        RuleEntry {
            priority: rule.priority,
            ipv4: rule.is_ipv4,
            source: rule.source.map(|source| source.to_string()),
            destination: rule.destination.map(|destination| destination.to_string()),
            table: rule.table,
            action: rule.action,
            mark: conditions.mark.map(|(mark, _)| mark),
            mask: conditions.mark.map(|(_, mask)| mask),
            iif: conditions.inbound.map(|link| link.name().into_owned()),
            oif: conditions.outbound.map(|link| link.name().into_owned()),
            inverted: conditions.is_inverted,
            more: conditions.has_more,
        }
    }
}

impl NeighbourEntry {
    fn of(stack: &NetnsStack<'_>, neighbour: &Neighbour) -> Self {
        NeighbourEntry {
            ifname: stack.ifname(neighbour.index),
            address: neighbour.address.to_string(),
            mac: neighbour.mac.map(|mac| mac.to_string()),
            state: neighbour.state,
        }
    }
}

impl StationEntry {
    fn of(stack: &NetnsStack<'_>, entry: &FdbEntry) -> Self {
        StationEntry {
            bridge: entry.bridge.map(|bridge| stack.ifname(bridge)),
            ifname: stack.ifname(entry.index),
            mac: entry.mac.to_string(),
            vlan: entry.vlan,
            remote: entry.remote.map(|remote| remote.to_string()),
            origin: origin(entry.origin),
        }
    }
}

impl SocketEntry {
    fn of(stack: &NetnsStack<'_>, socket: &InetSocket) -> Self {
        let holder = |one: &SocketHolder| HoldingEntry { pid: one.pid.as_raw(), name: one.name.clone() };
        SocketEntry {
            transport: socket.transport.to_string(),
            state: socket.state_word(),
            address: socket.own.ip().to_canonical(),
            port: socket.own.port(),
            peer_address: socket.peer.map(|peer| peer.ip().to_canonical()),
            peer_port: socket.peer.map(|peer| peer.port()),
            interface: socket.interface.map(|index| stack.ifname(index)),
            receive_queue: socket.receive_queue,
            send_queue: socket.send_queue,
            uid: socket.owner.as_raw(),
            processes: stack.holders.of(socket.inode).iter().map(holder).collect(),
        }
    }
}

impl AttachedEntry {
    fn all(stack: &NetnsStack<'_>, programs: &[LinkProgram]) -> Vec<Self> {
        let entry = |ifname: Option<String>, program: &AttachedProgram| {
            let AttachedProgram { hook, id, name } = program;
            AttachedEntry { ifname, hook: hook.clone(), id: *id, name: name.clone() }
        };
        let of_links = programs.iter().map(|one| entry(Some(stack.ifname(one.index)), &one.program));
        of_links.chain(stack.of_groups.iter().map(|program| entry(None, program))).collect()
    }
}

/// How the entry came into the table, in a word.
pub fn origin(origin: FdbOrigin) -> &'static str {
    match origin {
        FdbOrigin::Learned => "learned",
        FdbOrigin::External => "external",
        FdbOrigin::Static => "static",
        FdbOrigin::Local => "local",
    }
}

impl ChainEntry {
    fn of(chain: &FilterChain) -> Self {
        let count = |counter: Option<PacketCount>| {
            (counter.map(|counter| counter.packets), counter.map(|counter| counter.bytes))
        };
        let (packets, bytes) = count(chain.counter);
        ChainEntry {
            program: chain.program.to_string(),
            table: chain.table.clone(),
            name: chain.name.clone(),
            hook: chain.hook.clone(),
            policy: chain.policy.clone(),
            packets,
            bytes,
            rules: chain
                .rules
                .iter()
                .map(|rule| {
                    let (packets, bytes) = count(rule.counter);
                    FilterEntry { text: rule.text.clone(), packets, bytes }
                })
                .collect(),
        }
    }
}
