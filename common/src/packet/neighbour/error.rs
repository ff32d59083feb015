//! Why a link cannot be asked.

use std::io;

use nix::errno::Errno;

use crate::failure::{Failure, Status};

/// Why a packet socket does not work.
#[derive(Debug, thiserror::Error)]
#[error("packet socket: {action}: {source}")]
pub struct PacketError {
    /// What we tried to do.
    action: &'static str,
    /// What the kernel said.
    source: io::Error,
}

impl PacketError {
    /// Whether CAP_NET_RAW over the user namespace of the network is missing.
    pub fn is_not_permitted(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }
}

impl From<PacketError> for Failure {
    fn from(error: PacketError) -> Self {
        Failure::said(Status::Failed, &error)
    }
}

pub(in crate::packet) fn failed(action: &'static str) -> impl Fn(Errno) -> PacketError {
    move |errno| PacketError { action, source: errno.into() }
}
