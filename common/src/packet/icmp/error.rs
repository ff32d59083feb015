//! Why there is no socket for echo requests.

use std::net::IpAddr;

use nix::errno::Errno;

use crate::target::IfName;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum EchoSocketError {
    /// Neither kind of socket is permitted.
    #[error(
        "permission denied: requires CAP_NET_RAW over the user namespace that owns the network, or a group in its net.ipv4.ping_group_range"
    )]
    NotPermitted,
    /// Packets cannot be bound to that link.
    #[error("{link}: {}", errno.desc())]
    Link {
        /// Its name.
        link: IfName,
        /// What the kernel said: ENODEV, if it does not exist.
        errno: Errno,
    },
    /// Packets cannot have that mark.
    #[error("mark {mark}: {}", if *.errno == Errno::EPERM { "requires CAP_NET_ADMIN over the network's user namespace" } else { errno.desc() })]
    Mark {
        /// The mark.
        mark: u32,
        /// What the kernel said.
        errno: Errno,
    },
    /// Packets cannot come from that address.
    #[error("{address}: {}", errno.desc())]
    Source {
        /// The address.
        address: IpAddr,
        /// What the kernel said: EADDRNOTAVAIL, if the network does not have it.
        errno: Errno,
    },
    /// Anything else.
    #[error("socket: {action}: {}", errno.desc())]
    Io {
        /// What we tried to do.
        action: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
}

pub(super) fn io(action: &'static str) -> impl Fn(Errno) -> EchoSocketError {
    move |errno| EchoSocketError::Io { action, errno }
}
