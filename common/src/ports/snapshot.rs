//! What one look at all network namespaces saw: sockets that wait, rules that forward, processes that have the sockets, and
//! addresses where something is forwarded to one.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::forwards::{ForwardedPort, forwards};
use super::in_use::ProcNet;
use super::ipvs::{self, BalancedService};
use super::nat_rule::{NatCondition, NatHook, NatTable};
use super::tunnels::tunnels;
use super::{SocketHolders, ip_tables, nft};
use crate::map::{HostWalk, LookDepth, MapEntry, MapError, OpenSocket, UnseenNamespaces};
use crate::netlink::{
    ANYCAST, Chain, ListeningSocket, Netfilter, NetlinkError, Socket, TableFamily, listening_sockets,
};
use crate::target::Transport;

/// The ports of one network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetnsPorts {
    /// The inode of the namespace.
    pub inode: u64,
    /// Whether it is the one that the tool runs in.
    pub is_own: bool,
    /// Where its file is mounted, first choice first.
    pub names: Vec<PathBuf>,
    /// Processes that were in it, by ascending PID.
    pub processes: Vec<Pid>,
    /// Its sockets that wait, in the kernel's order.
    pub sockets: Vec<ListeningSocket>,
    /// What its rules forward, first what is met first.
    pub forwards: Vec<ForwardedPort>,
    /// The names of interfaces that sockets are bound to, by index.
    pub interfaces: HashMap<u32, String>,
    /// The kernel's number for it, which no later one has (SO_NETNS_COOKIE in socket(7), Linux 5.14).
    pub cookie: Option<u64>,
    /// The links for which the kernel itself listens at a port of UDP, where a socket is in no process.
    pub tunnels: HashMap<u16, String>,
    /// Its addresses; nothing where nobody had to know.
    pub addresses: Option<Vec<IpAddr>>,
    /// What IPVS balances there; nothing where nobody had to know the addresses.
    pub balanced: Vec<BalancedService>,
}

/// The ports of all network namespaces.
#[derive(Debug, Clone, Default)]
pub struct PortsSnapshot {
    /// Each namespace that could be read, those without any port included.
    pub namespaces: Vec<NetnsPorts>,
    /// Who has the sockets.
    pub holders: SocketHolders,
    /// What could not be looked at.
    pub unseen: UnseenNamespaces,
}

/// For whom the addresses of all namespaces are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressNeed {
    /// For what is forwarded to one, if there is anything.
    Forwarded,
    /// For whoever asks for a port of one.
    Asked,
}

/// Reads the ports of all network namespaces. No engine is asked, and no program is run.
///
/// # Errors
/// When not even `/proc` and our own network can be looked at.
pub fn read(addresses: AddressNeed, depth: LookDepth) -> Result<PortsSnapshot, MapError> {
    let mut reading = PortsReading::new(addresses)?;
    let mut walk = HostWalk::begin()?;
    let mut namespaces = walk.visit(|entry, is_own| reading.netns(entry, is_own));
    let holders = match depth {
        LookDepth::Quick => SocketHolders::look(&inodes(&namespaces))?,
        LookDepth::Whole => {
            let mut found = walk.search(&homes_of_sockets(&namespaces))?;
            namespaces.extend(walk.visit(|entry, is_own| reading.netns(entry, is_own)));
            let wait = inodes(&namespaces);
            let waits =
                |open: &OpenSocket| u32::try_from(open.inode).is_ok_and(|inode| wait.contains(&inode));
            found.open.retain(waits);
            SocketHolders::found(found)
        }
    };
    // The kernel is asked for its tunnels only where a socket of UDP is in no process at all.
    let is_unheld =
        |socket: &ListeningSocket| socket.transport == Transport::Udp && holders.of(socket.inode).is_empty();
    if holders.hidden == 0 && namespaces.iter().any(|netns| netns.sockets.iter().any(is_unheld)) {
        let mut tunnels = tunnels(&mut walk);
        for netns in &mut namespaces {
            netns.tunnels = tunnels.remove(&netns.inode).unwrap_or_default();
        }
    }
    let is_forwarded = || namespaces.iter().any(|netns| !netns.forwards.is_empty());
    if addresses == AddressNeed::Asked || holders.have_proxies() || is_forwarded() {
        reading.addresses_of_others(&mut namespaces, &mut walk);
    }
    let mut unseen = walk.into_unseen();
    reading.no_rules.iter().for_each(|(entry, error)| unseen.not_read(entry, error));
    Ok(PortsSnapshot { namespaces, holders, unseen })
}

/// The inodes of all sockets that a process may have.
fn inodes(namespaces: &[NetnsPorts]) -> HashSet<u32> {
    let sockets = namespaces.iter().flat_map(|netns| &netns.sockets);
    sockets.map(|socket| socket.inode).filter(|inode| *inode != 0).collect()
}

/// In which namespace each socket is, by its inode.
fn homes_of_sockets(namespaces: &[NetnsPorts]) -> HashMap<u64, u64> {
    let mut homes = HashMap::new();
    for netns in namespaces {
        homes.extend(netns.sockets.iter().map(|socket| (u64::from(socket.inode), netns.inode)));
    }
    homes
}

/// What is needed to read the ports of one namespace after the other.
struct PortsReading {
    proc_net: ProcNet,
    has_legacy: [bool; 2],
    has_ipvs: bool,
    /// Whether addresses are read by the way, for it is known that they are needed.
    with_addresses: bool,
    /// Where rules could not be read.
    no_rules: Vec<(MapEntry, RulesError)>,
}

impl PortsReading {
    fn new(addresses: AddressNeed) -> Result<Self, MapError> {
        let file = "/proc/thread-self/net";
        let proc_net = ProcNet::open().map_err(|errno| MapError::Proc { file, source: errno.into() })?;
        Ok(PortsReading {
            has_legacy: [false, true].map(|six| proc_net.has_legacy(six)),
            has_ipvs: proc_net.has_ipvs(),
            proc_net,
            with_addresses: addresses == AddressNeed::Asked,
            no_rules: Vec::new(),
        })
    }

    /// The ports of the namespace that this thread is in.
    fn netns(&mut self, entry: &MapEntry, is_own: bool) -> Result<Option<NetnsPorts>, NetlinkError> {
        let sockets = listening_sockets(self.proc_net.socket_kinds())?;
        // What waits is told even where nobody may look at the rules.
        let mut cookie = None;
        let forwards = read_forwards(&self.proc_net, self.has_legacy, &mut cookie).unwrap_or_else(|error| {
            self.no_rules.push((entry.clone(), error));
            vec![]
        });
        let interfaces = bound_interfaces(&sockets)?;
        // Our own comes first, and most that is forwarded is forwarded there.
        self.with_addresses |= is_own && !forwards.is_empty();
        // What cannot be read now is asked for once more, and then it is said.
        let places = if self.with_addresses { self.places().ok() } else { None };
        let (addresses, balanced) = places.map(|places| (places.addresses, places.balanced)).unzip();
        Ok(Some(NetnsPorts {
            inode: entry.identity.inode,
            is_own,
            names: names_of(entry),
            processes: entry.pids.clone(),
            sockets,
            forwards,
            interfaces,
            cookie,
            tunnels: HashMap::new(),
            addresses,
            balanced: balanced.unwrap_or_default(),
        }))
    }

    /// Where the namespace that this thread is in can be reached.
    fn places(&self) -> Result<NetnsPlaces, NetlinkError> {
        let mut socket = Socket::open()?;
        let (cookie, addresses) = (socket.netns_cookie(), socket.addresses()?);
        let addresses = addresses.into_iter().map(|address| address.address).collect();
        let balanced = if self.has_ipvs { ipvs::services() } else { Vec::new() };
        Ok(NetnsPlaces { cookie, addresses, balanced })
    }

    /// Reads the addresses of the namespaces that were read without them.
    fn addresses_of_others(&self, namespaces: &mut [NetnsPorts], walk: &mut HostWalk) {
        let others = namespaces.iter().filter(|netns| netns.addresses.is_none());
        let others: HashSet<u64> = others.map(|netns| netns.inode).collect();
        let look = |entry: &MapEntry, _| Ok::<_, NetlinkError>(Some((entry.identity.inode, self.places()?)));
        let seen = walk.visit_again(|inode| others.contains(&inode), look);
        let mut seen: HashMap<u64, NetnsPlaces> = seen.into_iter().collect();
        for netns in namespaces {
            // The inode of one that has ended is used again at once.
            let is_same =
                |cookie: Option<u64>| cookie.is_none() || netns.cookie.is_none() || cookie == netns.cookie;
            if let Some(places) = seen.remove(&netns.inode).filter(|places| is_same(places.cookie)) {
                (netns.addresses, netns.balanced) = (Some(places.addresses), places.balanced);
            }
        }
    }
}

/// Where a namespace can be reached.
struct NetnsPlaces {
    cookie: Option<u64>,
    addresses: Vec<IpAddr>,
    balanced: Vec<BalancedService>,
}

/// Why the rules of a namespace could not be read.
#[derive(Debug, thiserror::Error)]
enum RulesError {
    #[error("its rules: {0}")]
    Netlink(#[from] NetlinkError),
    #[error("its rules of iptables-legacy: {}", std::io::Error::from(*.0))]
    IpTables(Errno),
    #[error("its rules for NAT are too many, or in a circle")]
    NotFollowed,
}

/// What people made before what engines made.
fn names_of(entry: &MapEntry) -> Vec<PathBuf> {
    let first = entry.name().map(PathBuf::from);
    let others = entry.names.iter().filter(|name| Some(*name) != first.as_ref()).cloned();
    first.iter().cloned().chain(others).collect()
}

/// What the rules of the namespace of this thread forward; and its cookie, where there is a socket to ask.
fn read_forwards(
    proc_net: &ProcNet,
    has_legacy: [bool; 2],
    cookie: &mut Option<u64>,
) -> Result<Vec<ForwardedPort>, RulesError> {
    let mut tables = Vec::new();
    if let Some(mut netfilter) = Netfilter::open()? {
        *cookie = netfilter.netns_cookie();
        let chains = netfilter.chains()?.unwrap_or_default();
        for (family, table) in tables_with_nat(&chains) {
            tables.push(nft_table(&mut netfilter, family, table, &chains)?);
        }
    }
    for is_six in [false, true] {
        if has_legacy[usize::from(is_six)] && proc_net.has_legacy_nat(is_six) {
            tables.push(ip_tables::nat_table(is_six).map_err(RulesError::IpTables)?);
        }
    }
    let (found, is_whole) = forwards(&tables);
    if is_whole { Ok(found) } else { Err(RulesError::NotFollowed) }
}

/// Which hook replaces destinations: NF_INET_PRE_ROUTING and NF_INET_LOCAL_OUT of a chain of the type `nat`.
fn nat_hook(chain: &Chain) -> Option<NatHook> {
    match (chain.kind.as_deref(), chain.hook) {
        (Some("nat"), Some(0)) => Some(NatHook::Prerouting),
        (Some("nat"), Some(3)) => Some(NatHook::Output),
        _ => None,
    }
}

fn tables_with_nat(chains: &[Chain]) -> Vec<(TableFamily, &str)> {
    let mut tables: Vec<(TableFamily, &str)> = Vec::new();
    for chain in chains.iter().filter(|chain| nat_hook(chain).is_some() && chain.uses > 0) {
        let table = (chain.family, chain.table.as_str());
        if !tables.contains(&table) && !matches!(chain.family, TableFamily::Other(_)) {
            tables.push(table);
        }
    }
    tables
}

fn nft_table(
    netfilter: &mut Netfilter,
    family: TableFamily,
    table: &str,
    chains: &[Chain],
) -> Result<NatTable, NetlinkError> {
    let rules = netfilter.table_rules(family, table)?;
    let is_in = |chain: &&Chain| chain.family == family && chain.table == table;
    let entries = chains
        .iter()
        .filter(is_in)
        .filter_map(|chain| Some((nat_hook(chain)?, chain.priority, chain.name.clone())))
        .collect();
    let families = [family != TableFamily::Ip6, family != TableFamily::Ip];
    let title = format!("{} {table}", family.word());
    let mut read = NatTable { families, anchors: vec![], title, entries, chains: HashMap::new() };
    let mut known = HashMap::new();
    let mut elements = |set: &str| {
        let read = || netfilter.elements(family, table, set).ok();
        known.entry(set.to_owned()).or_insert_with(read).clone()
    };
    for rule in &rules {
        let chain = read.chains.entry(rule.chain.clone()).or_default();
        chain.extend(nft::read(rule, &mut elements));
    }
    let is_anchor = |asked: &NatCondition| matches!(asked, NatCondition::Anchored(_));
    if read.chains.values().flatten().flat_map(|rule| &rule.conditions).any(is_anchor) {
        let routes = Socket::open()?.routes()?;
        let anycast = routes.iter().filter(|route| route.kind == ANYCAST && route.destination.is_host());
        read.anchors = anycast.map(|route| route.destination.address()).collect();
    }
    Ok(read)
}

/// The names of the interfaces that sockets of this namespace are bound to.
fn bound_interfaces(sockets: &[ListeningSocket]) -> Result<HashMap<u32, String>, NetlinkError> {
    if sockets.iter().all(|socket| socket.interface.is_none()) {
        return Ok(HashMap::new());
    }
    let links = Socket::open()?.links()?;
    Ok(links.into_iter().map(|link| (link.index, link.name.to_string_lossy().into_owned())).collect())
}
