//! Reads the whole host into a [`HostMap`]: every namespace is opened once, and once more only where the host cannot tell
//! where a link of it leads.

use std::path::Path;

use nix::sys::stat::stat;
use nix::unistd::Uid;

use super::ends::{NetnsNumbers, connect, questions};
use super::entries;
use super::far::Answers;
use super::walk::{Visit, walk_through};
use super::{AttachedProgram, HostMap, LookDepth, MapEntry, MapError, MappedLink, MappedNetns, NetnsHolder};
use crate::namespace::{Namespace, NamespaceId};
use crate::netlink::{Link, NetlinkError, Socket};
use crate::netns::{DIRECTORY, Home};

/// All network namespaces of the host, found as `depth` says, with their links and where these lead. Containers are
/// not on it yet: [`crate::find::host`] knows them.
///
/// # Errors
/// [`MapError`], when not even `/proc` and our own network can be read; everything else is in [`HostMap::unseen`].
pub fn read(depth: LookDepth) -> Result<HostMap, MapError> {
    let home = Home::current()?;
    let own_inode = home.identity().inode;
    let (entries, unseen) = entries::all(depth)?;
    let mut own = Socket::open()?;
    // Numbers are given when a link that leads to another namespace is first shown: so this comes before they are asked for.
    let mut own_links = Some(read_links(&mut own)?);
    let mut numbers = NetnsNumbers::default();
    let walk = walk_through(&home, &entries, unseen, |mut visit| {
        let links = match own_links.take_if(|_| visit.is_own) {
            Some(links) => links,
            None => read_links(&mut visit.socket)?,
        };
        let inode = visit.entry.identity.inode;
        if !visit.is_own
            && let Some(number) = own.nsid(&visit.namespace)?
        {
            numbers.say(own_inode, number, inode);
        }
        Ok(Some(mapped(&visit, links)))
    })?;
    let mut map = HostMap { namespaces: walk.seen, unseen: walk.unseen };
    if let Some(links) = own_links {
        // A /proc of another PID namespace does not show us, but we are here.
        map.namespaces.push(MappedNetns { inode: own_inode, is_own: true, links, ..MappedNetns::default() });
    }
    map.namespaces.sort_by_key(|netns| !netns.is_own);
    connect(&mut map.namespaces, &mut numbers);
    let open = questions(&map.namespaces, &numbers);
    if !open.is_empty() {
        let ways = entries.iter().map(|entry| (entry.identity.inode, entry)).collect();
        Answers { home: &home, ways, namespaces: &map.namespaces, numbers: &mut numbers }.ask(&open);
        // A container that has started meanwhile is on a cable whose near end we have not seen.
        refresh_own(&mut map, &mut own)?;
        connect(&mut map.namespaces, &mut numbers);
    }
    Ok(map)
}

fn refresh_own(map: &mut HostMap, own: &mut Socket) -> Result<(), NetlinkError> {
    if let Some(netns) = map.namespaces.iter_mut().find(|netns| netns.is_own) {
        netns.links = read_links(own)?;
    }
    // What was on a cable to one that is gone by now is looked for again.
    map.namespaces.iter_mut().flat_map(|netns| &mut netns.links).for_each(|link| link.end = None);
    Ok(())
}

/// The links that `socket` sees, by ascending index, with their addresses.
fn read_links(socket: &mut Socket) -> Result<Vec<MappedLink>, NetlinkError> {
    let (links, addresses) = (socket.links_with_xdp()?, socket.addresses()?);
    let mut links: Vec<MappedLink> = links.into_iter().map(mapped_link).collect();
    links.sort_unstable_by_key(|link| link.link.index);
    for address in addresses {
        // One of a link that was made after they were listed belongs to none of them.
        if let Ok(at) = links.binary_search_by_key(&address.index, |link| link.link.index) {
            links[at].addresses.push(address);
        }
    }
    Ok(links)
}

fn mapped_link((link, xdp): (Link, Vec<u32>)) -> MappedLink {
    let program = |id| AttachedProgram { hook: "xdp".to_owned(), id: Some(id), name: None };
    MappedLink { link, addresses: Vec::new(), end: None, programs: xdp.into_iter().map(program).collect() }
}

fn mapped(visit: &Visit<'_>, links: Vec<MappedLink>) -> MappedNetns {
    let MapEntry { identity, pids, names, holders, .. } = visit.entry;
    let (mut processes, mut names) = (pids.clone(), names.clone());
    // An inode number is used again at once. What leads there while we hold the namespace leads to this one and no
    // other; our own is held all the time.
    if !visit.is_own && processes.len() + names.len() > 1 {
        processes.retain(|pid| leads_to(format!("/proc/{pid}/ns/net").as_ref(), *identity));
        names.retain(|name| leads_to(name, *identity));
    }
    names.sort_by_key(|name| !name.starts_with(DIRECTORY));
    let mut held_by: Vec<NetnsHolder> = names.iter().cloned().map(NetnsHolder::Mount).collect();
    if !processes.is_empty() {
        held_by.insert(0, NetnsHolder::Processes);
    }
    held_by.extend(holders.iter().cloned());
    let owner = owner(&visit.namespace);
    MappedNetns {
        inode: identity.inode,
        is_own: visit.is_own,
        owner,
        names,
        processes,
        held_by,
        containers: Vec::new(),
        links,
    }
}

fn leads_to(file: &Path, identity: NamespaceId) -> bool {
    stat(file).is_ok_and(|stat| NamespaceId::from(&stat) == identity)
}

fn owner(namespace: &Namespace) -> Option<Uid> {
    namespace.owner().ok()?.owner_uid().ok()
}
