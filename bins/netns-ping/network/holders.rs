//! Which container of this host has a MAC on one of its links, or whether the host itself has.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use common::engine::{Container, EngineSession};
use common::find::list;
use common::map::{MapEntry, Visit, walk};
use common::namespace::NamespaceId;
use common::netlink::{Link, NetlinkError, Socket};
use common::netns;
use common::output::one_line;
use common::packet::neighbour::Claim;
use common::target::Mac;
use serde::Serialize;

use super::netns::TargetNetns;

/// A network of this host that has a MAC on one of its links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MacHolder {
    /// What to call it: a container, a name under `/run/netns`, a process, or `this host`.
    #[serde(rename = "holder")]
    pub name: String,
    /// The container, if it is one.
    pub container: Option<Container>,
    /// The link that has the address.
    pub link: String,
    /// The other end of that link, if it is a veth that leads to this host.
    pub host_link: Option<String>,
    /// Whether its network has the IP address that it answers for; if not, it answers for another.
    pub has_address: bool,
    /// Whether that link has it: Linux answers on a link for the addresses of others, too.
    pub link_has_address: bool,
}

/// All holders of this host, read when the first is asked for.
#[derive(Debug)]
pub struct MacHolders {
    /// The network that asks: it is none of its own neighbours.
    asker: NamespaceId,
    engines: EngineSession,
    table: OnceCell<HolderTable>,
}

#[derive(Debug, Default)]
struct HolderTable {
    networks: Vec<HostNetwork>,
    links: HashMap<Mac, Vec<MacLink>>,
}

/// A network, and its container.
#[derive(Debug)]
struct HostNetwork {
    name: String,
    container: Option<Container>,
    /// Each with the index of its link.
    addresses: Vec<(IpAddr, u32)>,
}

/// A link.
#[derive(Debug)]
struct MacLink {
    network: usize,
    index: u32,
    link: String,
    /// Whether it is a port of a bridge, which often has the bridge's MAC or the other way round.
    is_port: bool,
    host_link: Option<String>,
}

impl MacHolders {
    /// Read when the first is asked for; at once if the host is out of reach from inside of `netns`.
    pub fn seen_from(netns: &TargetNetns, engines: &EngineSession) -> Self {
        let engines = engines.clone();
        let holders = MacHolders { asker: netns.netns.identity(), engines, table: OnceCell::new() };
        if !netns.is_open_to_us() {
            holders.load();
        }
        holders
    }

    /// Reads them now, rather than when the first is asked for.
    pub fn load(&self) {
        self.table.get_or_init(|| HolderTable::make(self.asker, &self.engines));
    }

    /// All addresses of the networks of this host.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.load();
        let networks = self.table.get().into_iter().flat_map(|table| &table.networks);
        networks.flat_map(|network| network.addresses.iter().map(|(address, _)| *address))
    }

    /// The holders of an IP address, where no MAC tells which of several it is.
    pub fn of_address(&self, address: IpAddr) -> Vec<MacHolder> {
        self.load();
        let Some(table) = self.table.get() else { return Vec::new() };
        let links = table.links.values().flatten().filter_map(|mac_link| {
            let network = table.networks.get(mac_link.network)?;
            network
                .addresses
                .contains(&(address, mac_link.index))
                .then(|| MacHolder::of(network, mac_link, (true, true)))
        });
        links.collect()
    }

    /// What the one network of this host is called that has the MACs of all these claims, and their address; `None` if it
    /// is not certain that it is one: a MAC that another network has too, or none of this host.
    pub fn one_host(&self, claims: &[Claim]) -> Option<String> {
        self.load();
        let table = self.table.get()?;
        let (first, others) = claims.split_first()?;
        let network = |claim: &Claim| {
            let mut networks = table.links.get(&claim.mac)?.iter().map(|link| link.network);
            let first = networks.next()?;
            networks.all(|other| other == first).then_some(first)
        };
        let one = network(first)?;
        let is_one = others.iter().all(|claim| network(claim) == Some(one) && claim.address == first.address);
        let host = table.networks.get(one)?;
        let has_it = host.addresses.iter().any(|(address, _)| *address == first.address);
        (is_one && has_it).then(|| host.name.clone())
    }

    /// The holders of the MAC of a claim: of several, those that have the IP address too.
    pub fn of(&self, claim: &Claim) -> Vec<MacHolder> {
        let table = self.table.get_or_init(|| HolderTable::make(self.asker, &self.engines));
        let links = table.links.get(&claim.mac).map(Vec::as_slice).unwrap_or_default();
        let holder = |mac_link: &MacLink| {
            let network = table.networks.get(mac_link.network)?;
            let index = network.addresses.iter().find(|(address, _)| *address == claim.address);
            let is_elsewhere = index.map(|(_, index)| *index) != Some(mac_link.index);
            let rank = (is_elsewhere, mac_link.is_port);
            let has = (index.is_some(), !is_elsewhere);
            Some((mac_link.network, rank, MacHolder::of(network, mac_link, has)))
        };
        let mut each: Vec<_> = links.iter().filter_map(holder).collect();
        each.sort_by_key(|(network, rank, _)| (*network, *rank));
        // Of several links of one network that share the MAC, the one that has the address.
        each.dedup_by_key(|(network, ..)| *network);
        let mut holders: Vec<MacHolder> = each.into_iter().map(|(.., holder)| holder).collect();
        if holders.iter().any(|holder| holder.has_address) {
            holders.retain(|holder| holder.has_address);
        }
        holders
    }
}

impl MacHolder {
    fn of(network: &HostNetwork, mac_link: &MacLink, (has, link_has): (bool, bool)) -> Self {
        MacHolder {
            name: network.name.clone(),
            container: network.container.clone(),
            link: mac_link.link.clone(),
            host_link: mac_link.host_link.clone(),
            has_address: has,
            link_has_address: link_has,
        }
    }
}

impl HolderTable {
    /// What cannot be looked at has no name: an answer is no less true for that.
    fn make(asker: NamespaceId, engines: &EngineSession) -> Self {
        let Ok(mut home) = Socket::open() else { return HolderTable::default() };
        let Ok(here) = home.links() else { return HolderTable::default() };
        let containers = list(None, engines).map(|listing| listing.containers).unwrap_or_default();
        let of_netns = |identity: NamespaceId| -> Vec<&Container> {
            let is_in_it = |inode: Option<u64>| inode == Some(identity.inode);
            let known = containers.iter().filter(|known| is_in_it(known.process.netns_inode));
            known.map(|known| &known.container).collect()
        };
        let seen = walk(|visit| {
            if visit.entry.identity == asker {
                return Ok(None);
            }
            let name = of_netns(visit.entry.identity);
            read_network(visit, &name, &mut home, &here).map(Some)
        });
        let mut table = HolderTable::default();
        for (network, links) in seen.map(|walk| walk.seen).unwrap_or_default() {
            for (mac, mac_link) in links {
                let mac_link = MacLink { network: table.networks.len(), ..mac_link };
                table.links.entry(mac).or_default().push(mac_link);
            }
            table.networks.push(network);
        }
        table
    }
}

/// A network's container, and its links with the other ends of those that lead to this host's own.
fn read_network(
    mut visit: Visit<'_>,
    containers: &[&Container],
    home: &mut Socket,
    here: &[Link],
) -> Result<(HostNetwork, Vec<(Mac, MacLink)>), NetlinkError> {
    let (links, addresses) = (visit.socket.links()?, visit.socket.addresses()?);
    let nsid = if visit.is_own { None } else { home.nsid(&visit.namespace).ok().flatten() };
    let other_end = |link: &Link| {
        let is_it = |near: &&Link| {
            nsid.is_some()
                && near.link_netnsid == nsid
                && near.other_end() == Some(link.index)
                && link.other_end() == Some(near.index)
        };
        here.iter().find(is_it).map(link_name)
    };
    let mac_link = |link: &Link| {
        let (is_port, host_link) = (link.master.is_some(), other_end(link));
        MacLink { network: 0, index: link.index, link: link_name(link), is_port, host_link }
    };
    let named = links.iter().filter_map(|link| Some((link.mac?, mac_link(link))));
    let named = named.filter(|(mac, ..)| mac.0 != [0; 6]).collect();
    let (name, container) = whose(visit.entry, visit.is_own, containers);
    let addresses = addresses.into_iter().map(|own| (own.address, own.index)).collect();
    Ok((HostNetwork { name, container, addresses }, named))
}

/// Of several containers the one whose process stands for the network; the others are named after it.
fn whose(entry: &MapEntry, is_own: bool, containers: &[&Container]) -> (String, Option<Container>) {
    if is_own {
        return ("this host".to_owned(), None);
    }
    let tenant = entry.tenant();
    let pid = tenant.as_ref().map(common::process::Process::pid);
    let first = containers.iter().find(|container| container.pid == pid).or(containers.first());
    if let Some(first) = first {
        let called = |one: &Container| one.full_name() + &one.of_whom();
        let names = containers.iter().filter(|one| one.key() != first.key()).map(|one| called(one));
        let names: Vec<String> = std::iter::once(called(first)).chain(names).collect();
        return (one_line(&names.join(" + ")).into_owned(), Some((*first).clone()));
    }
    let by_hand =
        entry.name().and_then(|name| Some(name.strip_prefix(netns::DIRECTORY).ok()?.display().to_string()));
    let name = match (by_hand, &tenant) {
        (Some(name), _) => format!("netns:{name}"),
        (None, Some(process)) => {
            let comm = process.read("comm").unwrap_or_default();
            format!("pid:{} ({})", process.pid(), String::from_utf8_lossy(&comm).trim_end())
        }
        (None, None) => entry.to_string(),
    };
    (one_line(&name).into_owned(), None)
}

fn link_name(link: &Link) -> String {
    one_line(&link.name.to_string_lossy()).into_owned()
}

impl fmt::Display for MacHolder {
    /// `web eth0 (veth12ab)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.link)?;
        if let Some(host_link) = &self.host_link {
            write!(f, " ({host_link})")?;
        }
        if !self.has_address {
            f.write_str(", for another host")?;
        }
        Ok(())
    }
}

/// All of them on one line; empty if there are none.
pub fn in_words(holders: &[MacHolder]) -> String {
    let words: Vec<String> = holders.iter().map(ToString::to_string).collect();
    words.join("; ")
}
