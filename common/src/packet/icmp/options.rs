//! Options of a socket for echo requests.

use std::ffi::c_int;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::BorrowedFd;

use super::error::{EchoSocketError, io};
use crate::packet::IpFamily;
use crate::sys::{self, SocketOption};
use crate::target::IfName;

/// Options of a socket, for as long as it lives.
#[derive(Debug, Clone, Default)]
pub struct EchoOptions {
    /// How many routers a packet may pass.
    pub ttl: Option<u8>,
    /// What is done with packets that are larger than the path's MTU; if `None`, what the system does.
    pub path_mtu: Option<PathMtu>,
    /// The type of service, or traffic class.
    pub tos: Option<u8>,
    /// The firewall mark.
    pub mark: Option<u32>,
    /// Whether no router may be used.
    pub is_on_link_only: bool,
    /// The link that they leave through.
    pub link: Option<IfName>,
    /// The address that they come from, and of a link-local one the index of its link.
    pub source: Option<(IpAddr, u32)>,
    /// How many packets are sent and received at once.
    pub batch: usize,
}

/// IP_MTU_DISCOVER in ip(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathMtu {
    /// Fragmented by any router.
    Dont = 0,
    /// Fragmented here where the path needs it.
    Want = 1,
    /// Never fragmented.
    Do = 2,
    /// Never fragmented, and sent whatever is known of the path.
    Probe = 3,
}

impl EchoOptions {
    /// Sets them on a socket.
    pub(super) fn set(&self, socket: BorrowedFd<'_>, family: IpFamily) -> Result<(), EchoSocketError> {
        let number = |option, number: c_int| {
            sys::set_option(socket, option, &number.to_ne_bytes()).map_err(io("set an option of a socket"))
        };
        let path_mtu = self.path_mtu.map(|how| how as c_int);
        let ttl = self.ttl.map(c_int::from);
        let tos = self.tos.map(c_int::from);
        match family {
            IpFamily::V4 => {
                tos.map_or(Ok(()), |tos| number(SocketOption::IP_TOS, tos))?;
                number(SocketOption::IP_RECVERR, 1)?;
                number(SocketOption::IP_RECVTTL, 1)?;
                ttl.map_or(Ok(()), |ttl| number(SocketOption::IP_TTL, ttl))?;
                ttl.map_or(Ok(()), |ttl| number(SocketOption::IP_MULTICAST_TTL, ttl))?;
                path_mtu.map_or(Ok(()), |how| number(SocketOption::IP_MTU_DISCOVER, how))?;
            }
            IpFamily::V6 => {
                tos.map_or(Ok(()), |tos| number(SocketOption::IPV6_TCLASS, tos))?;
                number(SocketOption::IPV6_RECVERR, 1)?;
                number(SocketOption::IPV6_RECVHOPLIMIT, 1)?;
                ttl.map_or(Ok(()), |ttl| number(SocketOption::IPV6_UNICAST_HOPS, ttl))?;
                ttl.map_or(Ok(()), |ttl| number(SocketOption::IPV6_MULTICAST_HOPS, ttl))?;
                path_mtu.map_or(Ok(()), |how| number(SocketOption::IPV6_MTU_DISCOVER, how))?;
            }
        }
        // IPv4 refuses broadcasts otherwise; a user who types one means it.
        number(SocketOption::BROADCAST, 1)?;
        if self.is_on_link_only {
            number(SocketOption::DONTROUTE, 1)?;
        }
        if let Some(mark) = self.mark {
            let marked = sys::set_option(socket, SocketOption::MARK, &mark.to_ne_bytes());
            marked.map_err(|errno| EchoSocketError::Mark { mark, errno })?;
        }
        if let Some(link) = &self.link {
            let bound = sys::set_option(socket, SocketOption::BINDTODEVICE, link.as_str().as_bytes());
            bound.map_err(|errno| EchoSocketError::Link { link: link.clone(), errno })?;
        }
        if let Some((address, scope)) = self.source {
            let bound = sys::bind_to(socket, with_scope(address, scope));
            bound.map_err(|errno| EchoSocketError::Source { address, errno })?;
        }
        Ok(())
    }
}

/// An address as a destination or source of packets; a link-local one takes the index of its link.
pub(in crate::packet) fn with_scope(address: IpAddr, scope: u32) -> SocketAddr {
    match address {
        IpAddr::V4(address) => SocketAddr::from((address, 0)),
        IpAddr::V6(address) => SocketAddrV6::new(address, 0, 0, scope).into(),
    }
}
