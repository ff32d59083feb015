//! The evidence: the map of the host, and what else was read of the namespaces on it. What was not read is `None`, and proves
//! nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::firewall::NetnsFilters;
use crate::map::{HostMap, LinkPlace, MappedLink, MappedNetns};
use crate::netlink::{FdbEntry, Neighbour, Route};
use crate::output::one_line;
use crate::target::Transport;

/// Everything that findings are made from.
#[derive(Debug, Clone, Default)]
pub struct HostFacts {
    /// The host's namespaces and links.
    pub map: HostMap,
    /// What else is known of each namespace, by its inode.
    pub netns: BTreeMap<u64, NetnsFacts>,
    /// Ports that are published, in all namespaces.
    pub published: Vec<PortPublication>,
    /// Sockets of which more connections wait to be accepted than may.
    pub full_queues: Vec<FullQueue>,
    /// Names under `/run/netns` that lead to no namespace.
    pub stale_names: Vec<StaleName>,
}

/// What is known of a namespace besides its links.
#[derive(Debug, Clone, Default)]
pub struct NetnsFacts {
    /// What people call it, as it came: `web`, `host`, `netns:blue`.
    pub name: String,
    /// The TARGET that means it; nothing of the host's own, and where there is none.
    pub target: Option<String>,
    /// Its routes, of all tables.
    pub routes: Option<Vec<Route>>,
    /// Its neighbours.
    pub neighbours: Option<Vec<Neighbour>>,
    /// Its bridges' forwarding tables.
    pub fdb: Option<Vec<FdbEntry>>,
    /// Its packet filters.
    pub filters: Option<NetnsFilters>,
    /// Settings of its links, by index.
    pub links: BTreeMap<u32, LinkSettings>,
    /// Whether what is bridged goes through the chains of iptables and ip6tables (br_netfilter).
    pub bridge_calls: [Option<bool>; 2],
    /// Whether its engine gives it a default route by one of its networks; nothing where no engine says.
    pub expects_default_route: Option<bool>,
    /// Whether IPv6 is switched off for the whole namespace.
    pub ipv6_disabled: Option<bool>,
    /// How full its connection tracking table is.
    pub conntrack: Option<TableUse>,
    /// The destination to which most local ports are in use.
    pub local_ports: Option<PortUse>,
    /// Whether its first process asks Docker's name server, and nothing listens at the address of that.
    pub lacks_docker_dns: bool,
}

/// Settings of a link, of IPv4 and of IPv6.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkSettings {
    /// Whether what comes in there is forwarded.
    pub forwards: [Option<bool>; 2],
    /// Whether IPv6 is switched off there.
    pub ipv6_disabled: Option<bool>,
    /// Whether ARP is answered there for addresses that are elsewhere.
    pub proxy_arp: Option<bool>,
}

/// How full a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableUse {
    /// Entries that it has.
    pub used: u64,
    /// Entries that it can have.
    pub most: u64,
}

/// How many local ports are in use to one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortUse {
    /// The destination.
    pub to: SocketAddr,
    /// The first and the last local port that the kernel gives.
    pub range: (u16, u16),
    /// Of these, and of those there can be.
    pub ports: TableUse,
}

/// A port that rules or a proxy forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortPublication {
    /// The inode of the namespace that it is a port of.
    pub netns: u64,
    /// TCP or UDP.
    pub transport: Transport,
    /// The address that it is published at; unspecified for all of its family.
    pub address: IpAddr,
    /// The port; of a rule for several the first.
    pub port: u16,
    /// The last of several.
    pub last_port: u16,
    /// The address that it leads to, where that is another one.
    pub to: Option<IpAddr>,
    /// The port there, where it is one.
    pub to_port: Option<u16>,
    /// The namespace that has the address, where it is one that we saw.
    pub to_netns: Option<u64>,
    /// Who waits there.
    pub waiting: PortWaiting,
    /// Whether a rule forwards it, and in which table: `ip nat`.
    pub by_rule: Option<String>,
    /// Whether a proxy of Docker's listens for it.
    pub has_proxy: bool,
}

/// Who waits where a published port leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortWaiting {
    /// Some program.
    Listening,
    /// None for this address, but one for these.
    Elsewhere(Vec<IpAddr>),
    /// Nobody.
    Nobody,
    /// No namespace has the address, and all were looked at.
    NoSuchAddress,
    /// It is not known.
    Unknown,
}

/// A socket whose queue is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullQueue {
    /// The inode of its namespace.
    pub netns: u64,
    /// Where it waits.
    pub address: SocketAddr,
    /// How many connections wait to be accepted.
    pub queued: u32,
    /// How many may.
    pub most: u32,
    /// The process that has it: its PID and the name of its program, as it came.
    pub process: Option<(i32, String)>,
    /// Whether that process is stopped (SIGSTOP).
    pub is_stopped: bool,
    /// The command that lets a paused container go on, if it is in one.
    pub resume: Option<crate::hint::Hint>,
}

/// A name under `/run/netns` that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleName {
    /// The name.
    pub name: String,
    /// Whether it is a symbolic link.
    pub is_symlink: bool,
}

/// A link of the map, with its namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkSpot<'a> {
    pub netns: &'a MappedNetns,
    pub link: &'a MappedLink,
}

impl<'a> LinkSpot<'a> {
    pub fn place(self) -> LinkPlace {
        LinkPlace { netns: self.netns.inode, index: self.link.link.index }
    }

    /// Its name, as it came.
    pub fn name(self) -> String {
        self.link.link.name.to_string_lossy().into_owned()
    }

    /// Its name for a sentence.
    pub fn shown(self) -> String {
        one_line(&self.name()).into_owned()
    }

    /// Whether it can carry packets now.
    pub fn is_running(self) -> bool {
        self.link.link.is_set_up() && self.link.link.has_carrier()
    }

    /// Whether it is a port of a bridge or a bond.
    pub fn is_port(self) -> bool {
        self.link.link.master.is_some()
    }

    pub fn master(self) -> Option<LinkSpot<'a>> {
        let link = self.netns.master_of(self.link)?;
        Some(LinkSpot { netns: self.netns, link })
    }

    /// Its addresses of that family which others can send to: none of loopback, none that every link has.
    pub fn addresses(self) -> impl Iterator<Item = &'a crate::netlink::Address> {
        self.link.addresses.iter().filter(|own| {
            let is_link_local = match own.address {
                IpAddr::V4(address) => address.is_link_local(),
                IpAddr::V6(address) => address.is_unicast_link_local(),
            };
            !own.address.is_loopback() && !is_link_local
        })
    }
}

impl HostFacts {
    /// All links of all namespaces.
    pub(super) fn spots(&self) -> impl Iterator<Item = LinkSpot<'_>> {
        self.map
            .namespaces
            .iter()
            .flat_map(|netns| netns.links.iter().map(move |link| LinkSpot { netns, link }))
    }

    pub(super) fn spot(&self, place: LinkPlace) -> Option<LinkSpot<'_>> {
        let netns = self.map.netns(place.netns)?;
        Some(LinkSpot { netns, link: netns.link(place.index)? })
    }

    /// The other end of a veth, or the link below another.
    pub(super) fn end_of<'a>(&'a self, spot: LinkSpot<'a>) -> Option<LinkSpot<'a>> {
        let (netns, link) = self.map.end_of(spot.link)?;
        Some(LinkSpot { netns, link })
    }

    pub(super) fn of(&self, inode: u64) -> Option<&NetnsFacts> {
        self.netns.get(&inode)
    }

    /// What a namespace is called in a sentence.
    pub(super) fn who(&self, inode: u64) -> String {
        match self.of(inode) {
            Some(facts) if !facts.name.is_empty() => one_line(&facts.name).into_owned(),
            _ => format!("net:[{inode}]"),
        }
    }

    /// `web: eth0`, as a sentence begins.
    pub(super) fn at(&self, spot: LinkSpot<'_>) -> String {
        format!("{}: {}", self.who(spot.netns.inode), spot.shown())
    }
}

impl NetnsFacts {
    pub(super) fn settings(&self, index: u32) -> LinkSettings {
        self.links.get(&index).copied().unwrap_or_default()
    }
}

impl TableUse {
    /// Whether 90 percent or more of it are used.
    pub(super) fn is_nearly_full(self) -> bool {
        self.most > 0 && self.used.saturating_mul(10) >= self.most.saturating_mul(9)
    }
}

/// Where in a pair of settings a family is: IPv4's first.
pub(super) fn family(address: IpAddr) -> usize {
    usize::from(address.is_ipv6())
}

/// `tcp`, or `udp`.
pub(super) fn transport_word(transport: Transport) -> Cow<'static, str> {
    Cow::Borrowed(match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    })
}
