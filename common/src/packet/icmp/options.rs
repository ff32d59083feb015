//! What is asked of a socket for echo requests, and why there is none.

use std::ffi::c_int;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use super::Family;
use super::socket::with_scope;
use crate::sys::{self, SocketOption};
use crate::target::IfName;

/// What is asked of a socket, for as long as it lives.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Through how many routers packets go at most.
    pub ttl: Option<u8>,
    /// What is done about packets that are larger than the path's MTU; if `None`, what the system does.
    pub path_mtu: Option<PathMtu>,
    /// The link that they leave through.
    pub link: Option<IfName>,
    /// The address that they come from, and of a link-local one the index of its link.
    pub source: Option<(IpAddr, u32)>,
    /// Of which packets the kernel is to say when they leave, and when the answers come.
    pub stamps: Stamps,
    /// Whether nobody wants to know the TTL of answers. It takes the kernel as long to tell as anything else.
    pub no_ttl: bool,
    /// How many packets are sent and received at once.
    pub batch: usize,
}

/// Of which packets the kernel is to say when they leave, and when the answers come. To have it say the first takes half as
/// long again as sending one, and the second a twentieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stamps {
    /// Of each.
    #[default]
    Each,
    /// Of the first 250 in 25,000.
    Some,
}

/// IP_MTU_DISCOVER in ip(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathMtu {
    /// Nobody is told not to fragment.
    Dont = 0,
    /// Fragmented here where the path needs it.
    Want = 1,
    /// Never fragmented.
    Do = 2,
    /// Never fragmented, and sent whatever is known of the path.
    Probe = 3,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum IcmpError {
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
        /// What the kernel said: ENODEV, if there is none such.
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

impl Options {
    /// Has a socket keep to them.
    pub(super) fn set(&self, socket: BorrowedFd<'_>, family: Family) -> Result<(), IcmpError> {
        let number = |option, number: c_int| {
            sys::set_option(socket, option, &number.to_ne_bytes()).map_err(io("set an option of a socket"))
        };
        let path_mtu = self.path_mtu.map(|how| how as c_int);
        let ttl = self.ttl.map(c_int::from);
        match family {
            Family::V4 => {
                number(SocketOption::IP_RECVERR, 1)?;
                number(SocketOption::IP_RECVTTL, c_int::from(!self.no_ttl))?;
                ttl.map_or(Ok(()), |ttl| number(SocketOption::IP_TTL, ttl))?;
                ttl.map_or(Ok(()), |ttl| number(SocketOption::IP_MULTICAST_TTL, ttl))?;
                path_mtu.map_or(Ok(()), |how| number(SocketOption::IP_MTU_DISCOVER, how))?;
            }
            Family::V6 => {
                number(SocketOption::IPV6_RECVERR, 1)?;
                number(SocketOption::IPV6_RECVHOPLIMIT, c_int::from(!self.no_ttl))?;
                ttl.map_or(Ok(()), |ttl| number(SocketOption::IPV6_UNICAST_HOPS, ttl))?;
                ttl.map_or(Ok(()), |ttl| number(SocketOption::IPV6_MULTICAST_HOPS, ttl))?;
                path_mtu.map_or(Ok(()), |how| number(SocketOption::IPV6_MTU_DISCOVER, how))?;
            }
        }
        // Of IPv4, broadcasts are refused otherwise; who types one means it.
        number(SocketOption::BROADCAST, 1)?;
        if let Some(link) = &self.link {
            let bound = sys::set_option(socket, SocketOption::BINDTODEVICE, link.as_str().as_bytes());
            bound.map_err(|errno| IcmpError::Link { link: link.clone(), errno })?;
        }
        if let Some((address, scope)) = self.source {
            let bound = sys::bind_to(socket, with_scope(address, scope));
            bound.map_err(|errno| IcmpError::Source { address, errno })?;
        }
        Ok(())
    }
}

pub(super) fn io(action: &'static str) -> impl Fn(Errno) -> IcmpError {
    move |errno| IcmpError::Io { action, errno }
}
