//! A walk through all network namespaces: each is opened once, entered with a socket, and looked at.

use std::io;

use nix::errno::Errno;
use nix::unistd::{Uid, geteuid};

use super::list::NetnsList;
use super::{MapEntry, MapError, UnseenNamespaces};
use crate::namespace::Namespace;
use crate::netlink::{NetlinkError, Socket};
use crate::netns::Home;

/// A namespace while we look at it.
#[derive(Debug)]
pub struct Visit<'a> {
    /// Where it was found.
    pub entry: &'a MapEntry,
    /// Whether it is the one that the tool runs in.
    pub is_own: bool,
    /// The namespace, held open for as long as this is kept.
    pub namespace: Namespace,
    /// A socket that belongs to it.
    pub socket: Socket,
}

/// Whether it belongs to another user than root and us.
pub(super) fn is_strangers(entry: &MapEntry) -> bool {
    entry.open().ok().flatten().is_some_and(|namespace| stranger(&namespace).is_some())
}

/// What a walk through all namespaces brought home.
#[derive(Debug)]
pub struct Walk<T> {
    /// What `look` made of the namespaces, without those of which it made nothing.
    pub seen: Vec<T>,
    /// What could not be looked at.
    pub unseen: UnseenNamespaces,
}

/// Visits every network namespace once. What `look` keeps of a [`Visit`] stays open, and a host may have more
/// namespaces than a process may have descriptors: keep few. A namespace that vanishes meanwhile is no error.
///
/// # Errors
/// [`MapError`], when not even `/proc` and our own network can be read; everything else is in [`Walk::unseen`].
pub fn walk<T>(
    mut look: impl FnMut(Visit<'_>) -> Result<Option<T>, NetlinkError>,
) -> Result<Walk<T>, MapError> {
    let home = Home::current()?;
    let NetnsList { entries, mut unseen, .. } = NetnsList::quick()?;
    let mut seen = Vec::new();
    for entry in entries.values() {
        let Some(namespace) = unseen.opened(entry) else { continue };
        let socket = match home.inside(&namespace, Socket::open) {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => {
                unseen.not_read(entry, error);
                continue;
            }
            Err(Errno::EPERM) => {
                unseen.not_entered += 1;
                continue;
            }
            Err(errno) => {
                unseen.not_read(entry, io::Error::from(errno));
                continue;
            }
        };
        let is_own = entry.identity == home.identity();
        match look(Visit { entry, is_own, namespace, socket }) {
            Ok(found) => seen.extend(found),
            // A user that fills a network until it cannot be read does not make an answer about root's networks uncertain.
            Err(_) if is_strangers(entry) => {}
            Err(error) => unseen.not_read(entry, error),
        }
    }
    Ok(Walk { seen, unseen })
}

/// Which user, other than root and us, the namespace belongs to.
pub(super) fn stranger(namespace: &Namespace) -> Option<Uid> {
    namespace.user().filter(|user| !user.is_root() && *user != geteuid())
}
