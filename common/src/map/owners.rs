//! The network namespaces that own an address, or the other end of a veth: reads all, holds open what it finds.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nix::unistd::Uid;

use super::matching::{self, PeerNetns};
use super::walk::{Visit, stranger, walk};
use super::{MapEntry, MapError, Unseen, entries};
use crate::engine::caller_of_sudo;
use crate::namespace::Namespace;
use crate::netlink::{Link, NetlinkError, Socket};
use crate::netns::Home;
use crate::process::Process;
use crate::target::{LinkName, Mac};

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
    /// Root's, and our own namespace only if there is no other; those of other users only if root has none, of whoever
    /// called sudo before all others. `MOST_KEPT` at most.
    pub owners: Vec<OwnerNetns>,
    /// How many there are beside those.
    pub more: usize,
    /// As long as this is not empty, there may be more.
    pub unseen: Unseen,
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

/// The namespaces that have `address` on one of their links.
///
/// # Errors
/// `UnownedIp` for loopback, multicast and the like; others when we cannot even look at our own network.
pub fn owners_of_ip(address: IpAddr) -> Result<Owners, MapError> {
    let address = matching::canonical(address);
    if let Some(why) = matching::nobodys_ip(address) {
        return Err(MapError::UnownedIp { address, why });
    }
    owners(|socket| Ok(matching::link_with_ip(&socket.addresses()?, address).is_some()))
}

/// The namespaces that have a link with this MAC.
///
/// # Errors
/// `UnownedMac` for multicast and the like; others when we cannot even look at our own network.
pub fn owners_of_mac(mac: Mac) -> Result<Owners, MapError> {
    if let Some(why) = matching::nobodys_mac(mac) {
        return Err(MapError::UnownedMac { mac, why });
    }
    owners(|socket| Ok(matching::link_with_mac(&socket.links()?, mac).is_some()))
}

fn owners(owns: impl Fn(&mut Socket) -> Result<bool, NetlinkError>) -> Result<Owners, MapError> {
    // For each rank those that were kept, and how many more there are.
    let mut ranks: BTreeMap<ClaimRank, (usize, usize)> = BTreeMap::new();
    let walk = walk(|mut visit| {
        if !owns(&mut visit.socket)? {
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
    let owners = walk.seen.into_iter().filter(|(rank, _)| *rank == first).map(|(_, owner)| owner).collect();
    let owners = matching::others_first(owners, |owner: &OwnerNetns| owner.is_own);
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

/// The namespace in which the other end of our veth `name` is. More than one only where the kernel does
/// not say, and several veths could be it.
///
/// # Errors
/// `NoLink` and `NoVeth`; others when we cannot even look at our own network.
pub fn owners_of_peer(name: &LinkName) -> Result<Owners, MapError> {
    let mut socket = Socket::open()?;
    let links = socket.links()?;
    let near = matching::link_named(&links, name.as_str()).ok_or_else(|| MapError::NoLink(name.clone()))?;
    let Some(far) = matching::peer_netns(&links, near) else {
        let kind = near.kind.clone().unwrap_or_else(|| "hardware or loopback".to_owned());
        return Err(MapError::NoVeth { name: name.clone(), kind });
    };
    match far {
        PeerNetns::Here => owners_where(|visit| Ok(visit.is_own)),
        PeerNetns::Numbered(nsid) => numbered(&mut socket, nsid),
        PeerNetns::Somewhere => owners_where(|visit| Ok(!visit.is_own && has_peer(visit, near)?)),
    }
}

fn has_peer(visit: &mut Visit<'_>, near: &Link) -> Result<bool, NetlinkError> {
    Ok(visit.socket.links()?.iter().any(|link| matching::are_a_pair(near, link)))
}

/// The namespace that we know by the number `nsid`. There is one at most, so the search ends there; that
/// others could not be looked at matters only if it was not found.
fn numbered(socket: &mut Socket, nsid: i32) -> Result<Owners, MapError> {
    let home = Home::current()?;
    let (entries, mut unseen) = entries::all()?;
    for entry in &entries {
        match entry.open() {
            Ok(Some(namespace)) => {
                if socket.nsid(&namespace)? != Some(nsid) {
                    continue;
                }
                let is_own = entry.identity == home.identity();
                let owners = vec![OwnerNetns::at(entry, namespace, is_own)];
                return Ok(Owners { owners, ..Owners::default() });
            }
            Ok(None) => {}
            Err(error) => unseen.not_opened(entry, &error),
        }
    }
    Ok(Owners { unseen, ..Owners::default() })
}
