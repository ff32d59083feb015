//! Numbers of other namespaces: RTM_GETNSID, linux/net_namespace.h.

use std::os::fd::{AsFd, AsRawFd};

use super::wire::{MalformedMessage, NetlinkRequest, attributes, number};
use super::{NetlinkError, Socket};
use crate::namespace::Namespace;

const RTM_GETNSID: u16 = 90;
/// struct rtgenmsg, one byte, and its padding.
const FIXED_BYTES: usize = 4;

const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

impl Socket {
    /// The number by which this socket's namespace knows `other` in [`Link::link_netnsid`]; `None` if it knows it
    /// by none. Numbers are given when a link to another namespace is first shown, so dump the links first.
    ///
    /// [`Link::link_netnsid`]: super::Link::link_netnsid
    ///
    /// # Errors
    /// [`NetlinkError`]; below Linux 4.0 it is `Refused` with EOPNOTSUPP.
    pub fn nsid(&mut self, other: &Namespace) -> Result<Option<i32>, NetlinkError> {
        let fd = other.as_fd().as_raw_fd().cast_unsigned();
        self.one(
            |flags| {
                NetlinkRequest::new("namespace number", RTM_GETNSID, flags, &[0; FIXED_BYTES])
                    .with_u32(NETNSA_FD, fd)
            },
            read,
        )
    }
}

/// Reads the payload of an RTM_NEWNSID.
pub(super) fn read(payload: &[u8]) -> Result<Option<i32>, MalformedMessage> {
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        if let (NETNSA_NSID, value) = attribute? {
            // NETNSA_NSID_NOT_ASSIGNED is -1.
            return Ok(Some(number(value)?.cast_signed()).filter(|nsid| *nsid >= 0));
        }
    }
    Err(MalformedMessage::Missing("number"))
}
