//! A walk through all network namespaces with this thread in each of them, for what is asked of another part of the kernel than
//! its routing. What was found once is visited as often as there is something to ask.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::io;

use nix::errno::Errno;

use super::list::NetnsList;
use super::search::{FoundSockets, HolderSearch};
use super::walk::is_strangers;
use super::{MapEntry, MapError, UnseenNamespaces};
use crate::namespace::NamespaceId;
use crate::netns::{Home, NetnsTour};

/// The network namespaces of the host, and which of them have been visited.
#[derive(Debug)]
pub struct HostWalk {
    home: Home,
    list: NetnsList,
    visited: BTreeSet<NamespaceId>,
}

impl HostWalk {
    /// Finds them quickly: [`LookDepth::Quick`](super::LookDepth::Quick).
    ///
    /// # Errors
    /// [`MapError`], when not even `/proc` and our own network can be looked at.
    pub fn begin() -> Result<Self, MapError> {
        Ok(HostWalk { home: Home::current()?, list: NetnsList::quick()?, visited: BTreeSet::new() })
    }

    /// Calls `look` once in each that has not been visited, our own first, with whether it is our own; sockets that it opens are of
    /// that namespace. A namespace that vanishes meanwhile is no error; what `look` says against one that can be entered is in
    /// [`HostWalk::into_unseen`].
    pub fn visit<T, E: Display>(
        &mut self,
        look: impl FnMut(&MapEntry, bool) -> Result<Option<T>, E>,
    ) -> Vec<T> {
        let NetnsList { entries, unseen, .. } = &mut self.list;
        let own = self.home.identity();
        let own = entries.get(&own).into_iter().chain(entries.values().filter(|entry| entry.identity != own));
        let new = own.filter(|entry| !self.visited.contains(&entry.identity));
        let seen = visit(&self.home, new, unseen, look);
        self.visited.extend(entries.keys());
        seen
    }

    /// The same once more, in those with the inodes that are `wanted`.
    pub fn visit_again<T, E: Display>(
        &mut self,
        wanted: impl Fn(u64) -> bool,
        look: impl FnMut(&MapEntry, bool) -> Result<Option<T>, E>,
    ) -> Vec<T> {
        let mut unseen = UnseenNamespaces::default();
        let entries = self.list.entries.values().filter(|entry| wanted(entry.identity.inode));
        let seen = visit(&self.home, entries, &mut unseen, look);
        // What could not be looked at before is told once.
        self.list.unseen.add_new(unseen.not_read);
        seen
    }

    /// Looks for more of them, at everything that may hold one: [`LookDepth::Whole`](super::LookDepth::Whole). Sockets whose network
    /// namespace is `known`, by their inodes, are not asked for it.
    ///
    /// # Errors
    /// When `/proc` can no longer be read.
    pub fn search(&mut self, known: &HashMap<u64, u64>) -> Result<FoundSockets, MapError> {
        self.list.add_processes()?;
        Ok(HolderSearch::new(&mut self.list, known, &self.visited).run())
    }

    /// What could not be looked at.
    pub fn into_unseen(self) -> UnseenNamespaces {
        self.list.unseen
    }
}

fn visit<'a, T, E: Display>(
    home: &Home,
    entries: impl Iterator<Item = &'a MapEntry>,
    unseen: &mut UnseenNamespaces,
    mut look: impl FnMut(&MapEntry, bool) -> Result<Option<T>, E>,
) -> Vec<T> {
    let mut seen = Vec::new();
    let mut tour = NetnsTour::new(home);
    for entry in entries {
        let Some(namespace) = unseen.opened(entry) else { continue };
        let is_own = entry.identity == home.identity();
        match tour.inside(&namespace, || look(entry, is_own)) {
            Ok(Ok(found)) => seen.extend(found),
            // As in `walk`: an ordinary user's network makes nothing uncertain about root's.
            Ok(Err(_)) if is_strangers(entry) => {}
            Ok(Err(error)) => unseen.not_read(entry, error),
            Err(Errno::EPERM) => unseen.not_entered += 1,
            Err(errno) => unseen.not_read(entry, io::Error::from(errno)),
        }
    }
    seen
}
