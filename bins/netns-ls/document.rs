//! The map as JSON: one object with everything. `docs/netns-ls.schema.json` says what is in it, and a test compares.

use common::diagnose::host::Finding;
use common::engine::Container;
use common::map::{AttachedProgram, LinkEnd, MappedLink, MappedNetns, NetnsHolder};
use common::ports::PortLine;
use serde::Serialize;

use crate::named_map::{LinkAt, NamedMap, links_of};
use crate::stack::NetnsStack;
use crate::stack_entry::StackEntry;
use crate::view::link_words::{address, port_state, state};
use crate::view::path::PathStep;

/// What `schema` says: the number grows when a field changes its meaning or goes.
pub const SCHEMA: &str = "netns-ls/1";

/// The whole map.
#[derive(Debug, Serialize)]
pub struct MapDocument<'a> {
    schema: &'static str,
    namespaces: Vec<NetnsEntry<'a>>,
    bridges: Vec<BridgeEntry>,
    /// Nothing is known of ports and findings where they were not looked for: null, and not an empty list.
    ports: Option<&'a [PortLine]>,
    findings: Option<&'a [Finding]>,
    /// The interfaces of a way, where one was asked for; empty if there is none.
    path: Option<Vec<PathEntry>>,
    /// What could not be looked at, in words.
    unseen: Option<String>,
}

#[derive(Debug, Serialize)]
struct NetnsEntry<'a> {
    inode: u64,
    name: String,
    is_own: bool,
    owner_uid: Option<u32>,
    mounts: Vec<String>,
    containers: &'a [Container],
    processes: Vec<i32>,
    held_by: Vec<HolderEntry>,
    links: Vec<InterfaceEntry>,
    /// Where it was asked for.
    details: Option<StackEntry>,
}

/// What keeps a namespace alive.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum HolderEntry {
    Processes,
    Thread {
        pid: i32,
        tid: i32,
    },
    Mount {
        /// The process in whose mount namespace it is, if not in ours.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<i32>,
        path: String,
    },
    Descriptor {
        pid: i32,
        fd: i32,
    },
    Socket {
        pid: i32,
        fd: i32,
    },
    Unknown,
}

#[derive(Debug, Serialize)]
struct InterfaceEntry {
    ifname: String,
    ifindex: u32,
    kind: Option<String>,
    mac: Option<String>,
    mtu: u32,
    state: &'static str,
    addresses: Vec<String>,
    master: Option<String>,
    /// Of a veth.
    peer: Option<EndEntry>,
    /// Of a macvlan, ipvlan, VLAN or vxlan link the one below.
    lower: Option<EndEntry>,
    vlan: Option<u16>,
    alias: Option<String>,
    programs: Vec<ProgramEntry>,
}

/// One interface of a way.
#[derive(Debug, Serialize)]
struct PathEntry {
    netns_inode: u64,
    netns: String,
    ifname: String,
    ifindex: u32,
    addresses: Vec<String>,
    /// How it leads to the next; null of the last.
    next: Option<PathStep>,
}

/// Another link; what is not known of it is null.
#[derive(Debug, Serialize)]
struct EndEntry {
    netns_inode: Option<u64>,
    ifname: Option<String>,
    ifindex: Option<u32>,
}

#[derive(Debug, Serialize)]
struct ProgramEntry {
    hook: String,
    id: Option<u32>,
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct BridgeEntry {
    netns_inode: u64,
    ifname: String,
    ifindex: u32,
    mac: Option<String>,
    stp: bool,
    addresses: Vec<String>,
    ports: Vec<PortEntry>,
}

#[derive(Debug, Serialize)]
struct PortEntry {
    ifname: String,
    ifindex: u32,
    /// As the bridge has it; null where the kernel does not tell.
    state: Option<&'static str>,
    peer: Option<EndEntry>,
}

impl<'a> MapDocument<'a> {
    /// These namespaces of the map, the bridges in them, and what was read of their stacks.
    pub fn of(map: &'a NamedMap, namespaces: &[&'a MappedNetns], stacks: &'a [NetnsStack<'a>]) -> Self {
        let links = namespaces.iter().flat_map(|netns| links_of(netns));
        let bridges = links.filter(|link| link.mapped.link.is_bridge());
        let stack = |netns: &MappedNetns| stacks.iter().find(|stack| stack.netns.inode == netns.inode);
        let unseen = &map.map.unseen;
        MapDocument {
            schema: SCHEMA,
            bridges: bridges.map(|bridge| BridgeEntry::of(map, bridge)).collect(),
            namespaces: namespaces.iter().map(|netns| NetnsEntry::of(map, netns, stack(netns))).collect(),
            ports: None,
            findings: None,
            path: None,
            unseen: (!unseen.is_empty()).then(|| unseen.to_string()),
        }
    }

    /// With what is wrong.
    pub fn with_findings(self, findings: &'a [Finding]) -> Self {
        MapDocument { findings: Some(findings), ..self }
    }

    /// The same with the way that was asked for.
    pub fn with_path(self, way: &[(LinkAt<'_>, Option<PathStep>)], map: &NamedMap) -> Self {
        let hops = way.iter().map(|(link, step)| PathEntry::of(map, *link, *step));
        MapDocument { path: Some(hops.collect()), ..self }
    }

    /// The same with ports.
    pub fn with_ports(self, ports: &'a [PortLine]) -> Self {
        MapDocument { ports: Some(ports), ..self }
    }
}

impl<'a> NetnsEntry<'a> {
    fn of(map: &NamedMap, netns: &'a MappedNetns, stack: Option<&NetnsStack<'_>>) -> Self {
        NetnsEntry {
            inode: netns.inode,
            name: map.who(netns),
            is_own: netns.is_own,
            owner_uid: netns.owner.map(|owner| owner.as_raw()),
            mounts: netns.names.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
            containers: &netns.containers,
            processes: netns.processes.iter().map(|pid| pid.as_raw()).collect(),
            held_by: netns.held_by.iter().map(HolderEntry::of).collect(),
            links: links_of(netns).map(|link| InterfaceEntry::of(map, link)).collect(),
            details: stack.map(StackEntry::of),
        }
    }
}

impl HolderEntry {
    fn of(holder: &NetnsHolder) -> Self {
        match holder {
            NetnsHolder::Processes => HolderEntry::Processes,
            NetnsHolder::Thread { pid, tid } => HolderEntry::Thread { pid: pid.as_raw(), tid: tid.as_raw() },
            NetnsHolder::Mount(path) => {
                HolderEntry::Mount { pid: None, path: path.to_string_lossy().into_owned() }
            }
            NetnsHolder::ForeignMount { pid, path } => {
                HolderEntry::Mount { pid: Some(pid.as_raw()), path: path.to_string_lossy().into_owned() }
            }
            NetnsHolder::Descriptor { pid, fd } => HolderEntry::Descriptor { pid: pid.as_raw(), fd: *fd },
            NetnsHolder::Socket { pid, fd } => HolderEntry::Socket { pid: pid.as_raw(), fd: *fd },
            NetnsHolder::Unknown => HolderEntry::Unknown,
        }
    }
}

impl PathEntry {
    fn of(map: &NamedMap, link: LinkAt<'_>, next: Option<PathStep>) -> Self {
        PathEntry {
            netns_inode: link.netns.inode,
            netns: map.who(link.netns),
            ifname: link.name(),
            ifindex: link.mapped.link.index,
            addresses: link.mapped.addresses.iter().map(address).collect(),
            next,
        }
    }
}

impl InterfaceEntry {
    fn of(map: &NamedMap, at: LinkAt<'_>) -> Self {
        let MappedLink { link, programs, .. } = at.mapped;
        let end = EndEntry::of(map, at);
        let (peer, lower) = if link.is_veth() { (end, None) } else { (None, end) };
        InterfaceEntry {
            ifname: at.name(),
            ifindex: link.index,
            kind: link.kind.clone(),
            mac: link.mac.map(|mac| mac.to_string()),
            mtu: link.mtu_bytes,
            state: state(link),
            addresses: at.mapped.addresses.iter().map(address).collect(),
            master: map.master(at).map(LinkAt::name),
            peer,
            lower,
            vlan: link.vlan,
            alias: link.alias.clone(),
            programs: programs.iter().map(ProgramEntry::of).collect(),
        }
    }
}

impl EndEntry {
    /// What is at the other end, or below; `None` of a link that has neither.
    fn of(map: &NamedMap, at: LinkAt<'_>) -> Option<Self> {
        Some(match at.mapped.end? {
            LinkEnd::Known(place) => EndEntry {
                netns_inode: Some(place.netns),
                ifname: map.at(place).map(LinkAt::name),
                ifindex: Some(place.index),
            },
            LinkEnd::Unseen { index } => EndEntry { netns_inode: None, ifname: None, ifindex: index },
        })
    }
}

impl ProgramEntry {
    fn of(program: &AttachedProgram) -> Self {
        let AttachedProgram { hook, id, name } = program;
        ProgramEntry { hook: hook.clone(), id: *id, name: name.clone() }
    }
}

impl BridgeEntry {
    fn of(map: &NamedMap, bridge: LinkAt<'_>) -> Self {
        let link = &bridge.mapped.link;
        let ports = bridge.netns.ports_of(link.index).map(|mapped| LinkAt { netns: bridge.netns, mapped });
        BridgeEntry {
            netns_inode: bridge.netns.inode,
            ifname: bridge.name(),
            ifindex: link.index,
            mac: link.mac.map(|mac| mac.to_string()),
            stp: link.spanning_tree,
            addresses: bridge.mapped.addresses.iter().map(address).collect(),
            ports: ports.map(|port| PortEntry::of(map, port)).collect(),
        }
    }
}

impl PortEntry {
    fn of(map: &NamedMap, port: LinkAt<'_>) -> Self {
        PortEntry {
            ifname: port.name(),
            ifindex: port.mapped.link.index,
            state: port.mapped.link.port_state.map(port_state),
            peer: EndEntry::of(map, port).filter(|_| port.mapped.link.is_veth()),
        }
    }
}
