//! Why the map cannot be read, or a request to it has no answer.

use std::io;

use crate::failure::{Failure, Status};
use crate::namespace::NamespaceError;
use crate::netlink::NetlinkError;
use crate::output::one_line;
use crate::target::{LinkName, Mac, WireAddress};

/// Why the map cannot be read, or a request to it has no answer anywhere.
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
    UnownedIp {
        /// The address.
        address: std::net::IpAddr,
        /// Why not.
        why: &'static str,
    },
    /// The same of a MAC.
    #[error("mac:{mac}: {why}")]
    UnownedMac {
        /// The address.
        mac: Mac,
        /// Why not.
        why: &'static str,
    },
    /// No link has this name here, nor this index.
    #[error("veth:{0}: no interface has this {what} here", what = if is_index(.0) { "index" } else { "name" })]
    NoLink(LinkName),
    /// A link that is there, but whose other end is another than the one that was copied with it.
    #[error("veth:{word}: {} is here, but has another peer", one_line(name))]
    OtherPeer {
        /// What was typed.
        word: LinkName,
        /// The link that is there.
        name: String,
    },
    /// No link that leads to the address has this name here.
    #[error("ip:{0}: no interface has the name after the % here")]
    NoZone(WireAddress),
    /// A link that has no other end.
    #[error("veth:{name}: is not a veth, but {kind}")]
    NoVeth {
        /// Its name.
        name: LinkName,
        /// What it is.
        kind: String,
    },
    /// Our own namespace cannot be opened.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// Our own links cannot be read.
    #[error("the network namespace of this process: {0}")]
    Own(#[source] NetlinkError),
    /// A network cannot be read; who asked knows which.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

impl From<MapError> for Failure {
    fn from(error: MapError) -> Self {
        match error {
            MapError::NoLink(_) | MapError::OtherPeer { .. } => Failure::from_error(Status::No, error),
            MapError::NoZone(ref zoned) => {
                let hint = crate::sentence!("use ip:{}, which looks behind every interface", zoned.address);
                Failure::from_error(Status::No, error).hint(hint)
            }
            MapError::Namespace(error) => error.into(),
            MapError::Netlink(error) => error.into(),
            _ => Failure::from_error(Status::Failed, error),
        }
    }
}

/// Whether nothing but an index can be meant.
fn is_index(word: &LinkName) -> bool {
    let word = word.as_str();
    let digits = word.strip_prefix("if").unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}
