//! The whole host: all network namespaces, and in each the containers whose first process is in it.

use std::collections::HashMap;

use super::FindError;
use super::known::{ContainerList, ProcessInodes, VerifiedContainer, list};
use crate::engine::{Container, EngineSession};
use crate::map::{self, HostMap, LookDepth, MapError, MappedNetns};

/// The host with its containers.
#[derive(Debug, Default)]
pub struct KnownHost {
    /// All namespaces, with their containers: root's in the order of their engines, then of their names; after them those of
    /// other users.
    pub map: HostMap,
    /// Containers that run, in a namespace that we may not look at or did not see.
    pub unplaced: Vec<Container>,
    /// Engines that could not be asked, and containers that were not believed: more containers may be there.
    pub errors: Vec<FindError>,
    /// Why the APIs of some did not answer, so that their state on disk was read; and all that went wrong with engines
    /// of other users.
    pub api_errors: Vec<FindError>,
}

/// Reads all namespaces, found as `depth` says, and asks every engine once. That a host has no engine is no error.
///
/// # Errors
/// As [`map::read`].
pub fn host(depth: LookDepth, session: &EngineSession) -> Result<KnownHost, MapError> {
    let listing = match list(None, session) {
        Ok(listing) => listing,
        Err(FindError::NoEngine { .. }) => ContainerList::default(),
        Err(why) => ContainerList { errors: vec![why], ..ContainerList::default() },
    };
    let mut host = KnownHost {
        map: map::read(depth)?,
        errors: listing.errors,
        api_errors: listing.api_errors,
        ..KnownHost::default()
    };
    host.place(listing.containers);
    host.map.namespaces.sort_by(|one, other| order(one).cmp(&order(other)));
    Ok(host)
}

impl KnownHost {
    /// Puts those that run where they are. The inode number of a namespace is used again as soon as that is gone: one that
    /// a process has had since before the map was read is the one on the map.
    fn place(&mut self, containers: Vec<VerifiedContainer>) {
        let at = self.map.namespaces.iter().enumerate();
        let at: HashMap<u64, usize> = at.map(|(at, netns)| (netns.inode, at)).collect();
        for known in containers {
            let process = match known.hold() {
                Ok(process) => process,
                Err(FindError::Exited(_) | FindError::NotRunning(_)) => continue,
                Err(error) => {
                    self.errors.push(error);
                    continue;
                }
            };
            let now = ProcessInodes::of(&process).netns_inode;
            match now.filter(|_| now == known.process.netns_inode).and_then(|inode| at.get(&inode)) {
                Some(at) => self.map.namespaces[*at].containers.push(known.container),
                None => self.unplaced.push(known.container),
            }
        }
    }
}

/// Our own namespace, then those with containers, then those with names.
fn order(netns: &MappedNetns) -> impl Ord {
    let first = netns.containers.first();
    let first = first.map(|first| (first.stranger().is_some(), first.engine, &first.name));
    (!netns.is_own, first.is_none(), first, netns.names.is_empty(), netns.names.first(), netns.inode)
}
