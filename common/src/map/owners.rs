//! The network namespaces that own an address, or the other end of a veth: reads all, holds open what it finds.

use std::collections::BTreeMap;

use nix::unistd::Uid;

use super::list::NetnsList;
use super::matching::{self, PeerNetns};
use super::veth::{self, NearEnd, near_ends};
use super::walk::{Visit, stranger, walk};
use super::zone::{NetnsNumbering, ZoneLink};
use super::{MapEntry, MapError, UnseenNamespaces};
use crate::engine::caller_of_sudo;
use crate::namespace::Namespace;
use crate::netlink::{Link, NetlinkError, Socket};
use crate::netns::Home;
use crate::process::Process;
use crate::target::{LinkName, Mac, WireAddress};

/// A namespace that owns what was asked for.
#[derive(Debug)]
pub struct OwnerNetns {
    /// Where it was found.
    pub entry: MapEntry,
    /// The namespace, held open since before it was asked: it has not become another one.
    pub namespace: Namespace,
    /// The process that stands for it, if there is one in it.
    pub process: Option<Process>,
    /// Whether it is the one that the tool runs in.
    pub is_own: bool,
    /// Whose it is, where that is another user than root and us: such a user can give it any address.
    pub stranger: Option<Uid>,
}

/// Each owner holds three descriptors, of which a process has 1,024 by default; and no user reads a longer list.
pub const MOST_KEPT: usize = 50;

/// All namespaces that own it, and those that could not be asked.
#[derive(Debug, Default)]
pub struct Owners {
    /// Root's, our own namespace last; those of other users only if root has none, of whoever called sudo before all
    /// others. `MOST_KEPT` at most.
    pub owners: Vec<OwnerNetns>,
    /// How many there are beside those.
    pub more: usize,
    /// As long as this is not empty, there may be more.
    pub unseen: UnseenNamespaces,
}

impl OwnerNetns {
    fn of(visit: Visit<'_>) -> Self {
        OwnerNetns::at(visit.entry, visit.namespace, visit.is_own)
    }

    fn at(entry: &MapEntry, namespace: Namespace, is_own: bool) -> Self {
        let stranger = stranger(&namespace);
        OwnerNetns { process: entry.tenant(), entry: entry.clone(), namespace, is_own, stranger }
    }
}

/// The namespaces that have `address` on one of their links; with a zone, on one that is attached to that zone's link.
///
/// # Errors
/// `UnownedIp` for loopback, multicast and the like, `NoZone`; others when we cannot even look at our own network.
pub fn owners_of_ip(wanted: &WireAddress) -> Result<Owners, MapError> {
    let address = matching::canonical(wanted.address);
    if let Some(why) = matching::nobodys_ip(address) {
        return Err(MapError::UnownedIp { address, why });
    }
    let Some(zone) = &wanted.zone else {
        return owners(|visit| {
            Ok(matching::links_with_ip(&visit.socket.addresses()?, address).next().is_some())
        });
    };
    let (home, mut own) = (Home::current()?, Socket::open()?);
    let links = own.links()?;
    let zone =
        matching::link_called(&links, zone.as_str()).ok_or_else(|| MapError::NoZone(wanted.clone()))?;
    let zone = ZoneLink::behind(zone, &links);
    owners(|visit| {
        let indices: Vec<u32> = matching::links_with_ip(&visit.socket.addresses()?, address).collect();
        if indices.is_empty() {
            return Ok(false);
        }
        let links = visit.socket.links()?;
        let numbering = match visit.is_own {
            true => NetnsNumbering::Own,
            false => NetnsNumbering::Other {
                theirs: own.nsid(&visit.namespace)?,
                ours: visit.socket.nsid(home.namespace())?,
            },
        };
        let mut holders = links.iter().filter(|link| indices.contains(&link.index));
        Ok(holders.any(|link| zone.has(link, &links, numbering)))
    })
}

/// The namespaces that have a link with this MAC.
///
/// # Errors
/// `UnownedMac` for multicast and the like; others when we cannot even look at our own network.
pub fn owners_of_mac(mac: Mac) -> Result<Owners, MapError> {
    if let Some(why) = matching::nobodys_mac(mac) {
        return Err(MapError::UnownedMac { mac, why });
    }
    owners(|visit| Ok(matching::link_with_mac(&visit.socket.links()?, mac).is_some()))
}

fn owners(mut owns: impl FnMut(&mut Visit<'_>) -> Result<bool, NetlinkError>) -> Result<Owners, MapError> {
    // For each rank those that were kept, and how many more there are.
    let mut ranks: BTreeMap<ClaimRank, (usize, usize)> = BTreeMap::new();
    let walk = walk(|mut visit| {
        if !owns(&mut visit)? {
            return Ok(None);
        }
        let rank = ClaimRank::of(stranger(&visit.namespace));
        let (kept, more) = ranks.entry(rank).or_default();
        if *kept == MOST_KEPT {
            *more += 1;
            return Ok(None);
        }
        *kept += 1;
        Ok(Some((rank, OwnerNetns::of(visit))))
    })?;
    let Some((first, (_, more))) = ranks.pop_first() else {
        return Ok(Owners { unseen: walk.unseen, ..Owners::default() });
    };
    let owners = walk.seen.into_iter().filter(|(rank, _)| *rank == first).map(|(_, owner)| owner);
    let mut owners: Vec<OwnerNetns> = owners.collect();
    owners.sort_by_key(|owner| owner.is_own);
    Ok(Owners { owners, more, unseen: walk.unseen })
}

/// Whose claims count before whose: a claim of a later rank never stands beside one of an earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ClaimRank {
    Roots,
    OfCallerOfSudo,
    OfStrangers,
}

impl ClaimRank {
    fn of(stranger: Option<Uid>) -> Self {
        match stranger {
            None => ClaimRank::Roots,
            some if some == caller_of_sudo() => ClaimRank::OfCallerOfSudo,
            Some(_) => ClaimRank::OfStrangers,
        }
    }
}

fn owners_where(
    mut owns: impl FnMut(&mut Visit<'_>) -> Result<bool, NetlinkError>,
) -> Result<Owners, MapError> {
    let (mut kept, mut more) = (0, 0);
    let walk = walk(|mut visit| {
        if !owns(&mut visit)? {
            return Ok(None);
        }
        if kept == MOST_KEPT {
            more += 1;
            return Ok(None);
        }
        kept += 1;
        Ok(Some(OwnerNetns::of(visit)))
    })?;
    Ok(Owners { owners: walk.seen, more, unseen: walk.unseen })
}

/// The namespace in which the other end of our veth is; `word` has one of the forms of [`crate::target::Target::Veth`]. More
/// than one
/// only where the word means several interfaces, or the kernel does not say, and several veths could be it.
///
/// # Errors
/// `NoLink`, `OtherPeer` and `NoVeth`; others when we cannot even look at our own network.
pub fn owners_of_peer(word: &LinkName) -> Result<Owners, MapError> {
    let mut socket = Socket::open()?;
    let links = socket.links()?;
    let mut all = Owners::default();
    // Why there may be nothing: what there is of that name is no veth, or has another end.
    let (mut no_veth, mut other_peer) = (None, veth::named_in_front(&links, word.as_str()));
    let mut has_peer_somewhere = false;
    for end in near_ends(&links, word.as_str()) {
        let Some(far) = matching::peer_netns(&links, end.link) else {
            no_veth = Some(end.link.kind.clone().unwrap_or_else(|| "hardware or loopback".to_owned()));
            continue;
        };
        let found = match far {
            PeerNetns::Here => owners_where(|visit| Ok(visit.is_own))?,
            PeerNetns::Numbered(nsid) => numbered(&mut socket, nsid)?,
            PeerNetns::Somewhere => owners_where(|visit| Ok(!visit.is_own && has_peer(visit, end.link)?))?,
        };
        match end.far_name {
            None => has_peer_somewhere = true,
            Some(_) => other_peer = Some(end.link),
        }
        all.add(end.confirmed(found)?);
    }
    if has_peer_somewhere || !all.owners.is_empty() || !all.unseen.is_empty() {
        return Ok(all);
    }
    Err(match (other_peer, no_veth) {
        (Some(link), _) => {
            let name = link.name.to_string_lossy().into_owned();
            MapError::OtherPeer { word: word.clone(), name }
        }
        (None, Some(kind)) => MapError::NoVeth { name: word.clone(), kind },
        (None, None) => MapError::NoLink(word.clone()),
    })
}

impl Owners {
    fn add(&mut self, other: Owners) {
        for owner in other.owners {
            if !self.owners.iter().any(|known| known.entry.identity == owner.entry.identity) {
                self.owners.push(owner);
            }
        }
        self.more += other.more;
        self.unseen.add(other.unseen);
    }
}

impl NearEnd<'_> {
    /// Those of `found` that have the other end under the name that was copied with it.
    fn confirmed(&self, found: Owners) -> Result<Owners, MapError> {
        let Some(name) = self.far_name else { return Ok(found) };
        let home = Home::current()?;
        let mut confirmed = Owners { more: found.more, unseen: found.unseen, ..Owners::default() };
        for owner in found.owners {
            let Ok(socket) = home.inside(&owner.namespace, Socket::open) else {
                confirmed.unseen.not_entered += 1;
                continue;
            };
            match socket.and_then(|mut socket| socket.links()) {
                Ok(links) if veth::has_far_end(&links, self.link, name) => confirmed.owners.push(owner),
                Ok(_) => {}
                Err(error) => confirmed.unseen.not_read(&owner.entry, error),
            }
        }
        Ok(confirmed)
    }
}

fn has_peer(visit: &mut Visit<'_>, near: &Link) -> Result<bool, NetlinkError> {
    Ok(visit.socket.links()?.iter().any(|link| matching::are_a_pair(near, link)))
}

/// The namespace that we know by the number `nsid`. There is one at most, so the search ends there; that
/// others could not be looked at matters only if it was not found.
fn numbered(socket: &mut Socket, nsid: i32) -> Result<Owners, MapError> {
    let home = Home::current()?;
    let NetnsList { entries, mut unseen, .. } = NetnsList::quick()?;
    for entry in entries.values() {
        let Some(namespace) = unseen.opened(entry) else { continue };
        match socket.nsid(&namespace) {
            Ok(number) if number == Some(nsid) => {
                let is_own = entry.identity == home.identity();
                let owners = vec![OwnerNetns::at(entry, namespace, is_own)];
                return Ok(Owners { owners, ..Owners::default() });
            }
            Ok(_) => {}
            Err(error) => unseen.not_read(entry, error),
        }
    }
    Ok(Owners { unseen, ..Owners::default() })
}
