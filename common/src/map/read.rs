//! Reads the whole host into a [`HostMap`]: every namespace is opened once, and once more only where the host cannot tell
//! where a link of it leads.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::stat;

use super::ends::{NetnsNumbers, connect, questions};
use super::far::NumberAnswers;
use super::list::NetnsList;
use super::search::find;
use super::{AttachedProgram, HostMap, LookDepth, MapEntry, MapError, MappedLink, MappedNetns, NetnsHolder};
use crate::namespace::{Namespace, NamespaceId};
use crate::netlink::{Link, NetlinkError, Socket};
use crate::netns::{DIRECTORY, Home, NetnsTour};

/// All network namespaces of the host, found as `depth` says, with their links and where these lead. Containers are
/// not on it yet: [`crate::find::host`] knows them.
///
/// # Errors
/// [`MapError`], when not even `/proc` and our own network can be read; everything else is in [`HostMap::unseen`].
pub fn read(depth: LookDepth) -> Result<HostMap, MapError> {
    let home = Home::current()?;
    let NetnsList { entries, unseen, .. } = find(depth)?;
    let mut own = Socket::open()?;
    // Numbers are given when a link that leads to another namespace is first shown: so this comes before they are asked for.
    let own_links = read_links(&mut own).map_err(MapError::Own)?;
    let mut reading = HostReading {
        home: &home,
        own,
        own_links,
        map: HostMap::default(),
        numbers: NetnsNumbers::default(),
    };
    reading.map.unseen = unseen;
    let mut tour = NetnsTour::new(&home);
    for entry in entries.values() {
        reading.visit(entry, &mut tour);
    }
    drop(tour);
    reading.finish(&entries)
}

/// What was read so far.
struct HostReading<'a> {
    home: &'a Home,
    /// Our own namespace's socket and links.
    own: Socket,
    own_links: Vec<MappedLink>,
    map: HostMap,
    numbers: NetnsNumbers,
}

impl HostReading<'_> {
    /// Adds the namespace, unless it has vanished. One that cannot be read is on the map without links, and said to be unseen.
    fn visit(&mut self, entry: &MapEntry, tour: &mut NetnsTour<'_>) {
        let Some(namespace) = self.map.unseen.opened(entry) else { return };
        let is_own = entry.identity == self.home.identity();
        let mut netns = mapped(entry, &namespace, is_own);
        if is_own {
            netns.links = std::mem::take(&mut self.own_links);
            return self.map.namespaces.insert(0, netns);
        }
        match tour.inside(&namespace, Socket::open) {
            Err(Errno::EPERM) => self.map.unseen.not_entered += 1,
            Err(errno) => self.map.unseen.not_read(entry, io::Error::from(errno)),
            Ok(Err(error)) => self.map.unseen.not_read(entry, error),
            Ok(Ok(mut socket)) => match read_links(&mut socket) {
                Ok(links) => netns.links = links,
                Err(error) => self.map.unseen.not_read(entry, error),
            },
        }
        // By its number alone it is known that a cable leads there, whatever is there.
        if let Ok(Some(number)) = self.own.nsid(&namespace) {
            self.numbers.say(self.home.identity().inode, number, netns.inode);
        }
        self.map.namespaces.push(netns);
    }

    /// Finds where links lead.
    fn finish(mut self, entries: &BTreeMap<NamespaceId, MapEntry>) -> Result<HostMap, MapError> {
        if !self.map.namespaces.first().is_some_and(|first| first.is_own) {
            // A /proc of another PID namespace does not show us, but we are here.
            let (inode, links) = (self.home.identity().inode, self.own_links);
            let own = MappedNetns { inode, is_own: true, links, ..MappedNetns::default() };
            self.map.namespaces.insert(0, own);
        }
        let namespaces = &mut self.map.namespaces;
        connect(namespaces, &mut self.numbers);
        let open = questions(namespaces, &self.numbers);
        if !open.is_empty() {
            let ways = entries.values().map(|entry| (entry.identity.inode, entry)).collect();
            let unseen = &mut self.map.unseen;
            NumberAnswers { home: self.home, ways, namespaces, numbers: &mut self.numbers, unseen }
                .ask(&open);
            // A container that has started meanwhile is on a cable whose near end we have not seen.
            match read_links(&mut self.own) {
                Ok(links) => namespaces[0].links = links,
                Err(error) => self.map.unseen.not_read_again(namespaces[0].inode, error),
            }
            // What was on a cable to one that is gone by now is looked for again.
            namespaces.iter_mut().flat_map(|netns| &mut netns.links).for_each(|link| link.end = None);
            connect(namespaces, &mut self.numbers);
        }
        Ok(self.map)
    }
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

fn mapped(entry: &MapEntry, namespace: &Namespace, is_own: bool) -> MappedNetns {
    let MapEntry { identity, pids, names, holders, .. } = entry;
    let (mut processes, mut names) = (pids.clone(), names.clone());
    // An inode number is used again at once. What leads there while we hold the namespace leads to this one and no
    // other; our own is held all the time.
    if !is_own && processes.len() + names.len() > 1 {
        processes.retain(|pid| leads_to(format!("/proc/{pid}/ns/net").as_ref(), *identity));
        names.retain(|name| leads_to(name, *identity));
    }
    names.sort_by_key(|name| !name.starts_with(DIRECTORY));
    let mut held_by: Vec<NetnsHolder> = names.iter().cloned().map(NetnsHolder::Mount).collect();
    if !processes.is_empty() {
        held_by.insert(0, NetnsHolder::Processes);
    }
    held_by.extend(holders.iter().cloned());
    MappedNetns {
        inode: identity.inode,
        is_own,
        owner: namespace.owners_uid(),
        names,
        processes,
        held_by,
        containers: Vec::new(),
        links: Vec::new(),
    }
}

fn leads_to(file: &Path, identity: NamespaceId) -> bool {
    stat(file).is_ok_and(|stat| NamespaceId::from(&stat) == identity)
}
