//! All network namespaces of the host, and which of them owns an address or the far end of a veth.
//!
//! A namespace is on the map if a process that we may look at is in it, or if its file is mounted where we can see
//! it (`/run/netns`, `/run/docker/netns`). One that only a descriptor, a socket or a single thread holds is not.
//!
//! An address is looked for everywhere, for several namespaces can own the same private one: [`Owners`] has them
//! all. Our own namespace, in which the tool runs, counts only where no other one does: `ip:172.17.0.1` is the
//! container whose inner Docker has it, although the host's docker0 has it too.

mod matching;
mod mounts;
mod owners;
mod spots;
mod unseen;

pub use owners::{Owner, Owners, far_end, owners_of_ip, owners_of_mac};
pub use spots::Spot;
pub use unseen::Unseen;

use std::io;

use nix::errno::Errno;

use crate::failure::{Failure, Status};
use crate::namespace::{Namespace, NamespaceError};
use crate::netlink::{NetlinkError, Socket};
use crate::netns::Home;
use crate::target::{LinkName, Mac};

/// Why the map cannot be read, or a question to it has no answer anywhere.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// `/proc` is not there, or not ours to read.
    #[error("{file}: {source}")]
    Proc {
        /// Which file.
        file: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Every namespace has this address, or no namespace can.
    #[error("ip:{address}: {why}")]
    NobodysIp {
        /// The address.
        address: std::net::IpAddr,
        /// Why not.
        why: &'static str,
    },
    /// The same of a MAC.
    #[error("mac:{mac}: {why}")]
    NobodysMac {
        /// The address.
        mac: Mac,
        /// Why not.
        why: &'static str,
    },
    /// No link has this name here.
    #[error("veth:{0}: no link has this name here")]
    NoLink(LinkName),
    /// A link that has no far end.
    #[error("veth:{name}: is no veth, but {kind}")]
    NoVeth {
        /// Its name.
        name: LinkName,
        /// What it is.
        kind: String,
    },
    /// Our own namespace cannot be opened.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// Our own network cannot be read.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

impl From<MapError> for Failure {
    fn from(error: MapError) -> Self {
        let message = error.to_string();
        match error {
            MapError::NoLink(_) => Failure::said(Status::No, message),
            MapError::Namespace(error) => error.into(),
            MapError::Netlink(error) => error.into(),
            _ => Failure::said(Status::Trouble, message),
        }
    }
}

/// A namespace while we look at it.
#[derive(Debug)]
pub struct Visit<'a> {
    /// Where it was found.
    pub spot: &'a Spot,
    /// Whether it is the one that the tool runs in.
    pub is_own: bool,
    /// The namespace, held open for as long as this is kept.
    pub namespace: Namespace,
    /// A socket that belongs to it.
    pub socket: Socket,
}

fn is_strangers(spot: &Spot) -> bool {
    spot.open().ok().flatten().is_some_and(|namespace| owners::stranger(&namespace).is_some())
}

/// What a walk through all namespaces brought home.
#[derive(Debug)]
pub struct Walk<T> {
    /// What `look` made of the namespaces, without those of which it made nothing.
    pub seen: Vec<T>,
    /// What could not be looked at.
    pub unseen: Unseen,
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
    let (spots, mut unseen) = spots::all()?;
    let mut seen = Vec::new();
    for spot in &spots {
        let namespace = match spot.open() {
            Ok(Some(namespace)) => namespace,
            Ok(None) => continue,
            Err(error) => {
                unseen.not_opened(spot, &error);
                continue;
            }
        };
        let socket = match home.inside(&namespace, Socket::open) {
            Ok(socket) => socket?,
            Err(Errno::EPERM) => {
                unseen.not_entered += 1;
                continue;
            }
            Err(errno) => {
                unseen.not_read(spot, io::Error::from(errno));
                continue;
            }
        };
        let is_own = spot.identity == home.identity();
        match look(Visit { spot, is_own, namespace, socket }) {
            Ok(found) => seen.extend(found),
            // Another user who fills a network until nobody can read it makes no answer of root's uncertain.
            Err(_) if is_strangers(spot) => {}
            Err(error) => unseen.not_read(spot, error),
        }
    }
    Ok(Walk { seen, unseen })
}
