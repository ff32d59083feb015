//! Why the map cannot be read, or a request to it has no answer.

use std::io;

use crate::failure::{Failure, Status};
use crate::namespace::NamespaceError;
use crate::netlink::NetlinkError;
use crate::target::{LinkName, Mac};

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
    /// No link has this name here.
    #[error("veth:{0}: no interface has this name here")]
    NoLink(LinkName),
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
    /// Our own network cannot be read.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

impl From<MapError> for Failure {
    fn from(error: MapError) -> Self {
        match error {
            MapError::NoLink(_) => Failure::from_error(Status::No, error),
            MapError::Namespace(error) => error.into(),
            MapError::Netlink(error) => error.into(),
            _ => Failure::from_error(Status::Failed, error),
        }
    }
}
