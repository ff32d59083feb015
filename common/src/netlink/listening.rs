//! Sockets that wait for others: SOCK_DIAG_BY_FAMILY, linux/inet_diag.h. sock_diag(7)

use std::net::{IpAddr, SocketAddr};

use nix::sys::socket::SockProtocol;

use super::wire::{Malformed, NetlinkRequest};
use super::{NetlinkError, Socket};
use crate::target::Transport;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// linux/tcp_states.h, as bits. A datagram socket that is not connected is in the state "closed".
const LISTEN: u32 = 1 << 10;
const CLOSE: u32 = 1 << 7;
/// struct inet_diag_req_v2: family, protocol, extensions, padding, states; then struct inet_diag_sockid, 48 bytes.
const REQUEST_BYTES: usize = 56;
/// struct inet_diag_msg: family, state, timer, retransmissions; struct inet_diag_sockid, which begins with the ports and
/// has our own address after these.
const PORT_AT: usize = 4;
const ADDRESS_AT: usize = 8;
const QUEUED_AT: usize = 56;

/// A socket that waits for connections, or for datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListeningSocket {
    /// Where it waits; unspecified for all addresses of its family (and of an IPv6 one usually of IPv4, too).
    pub address: SocketAddr,
    /// TCP: how many connections wait to be accepted; UDP: how many bytes wait to be read.
    pub queued: u32,
    /// TCP: how many may wait.
    pub most_queued: u32,
}

impl ListeningSocket {
    /// Reads one message.
    fn read(payload: &[u8]) -> Result<Option<Self>, Malformed> {
        let bytes = |at: usize, count: usize| payload.get(at..at + count).ok_or(Malformed::Short);
        let number = |at: usize| Ok(bytes(at, 4)?.try_into().map_or(0, u32::from_ne_bytes));
        let port = u16::from_be_bytes(bytes(PORT_AT, 2)?.try_into().map_err(|_| Malformed::Short)?);
        let family = i32::from(*payload.first().ok_or(Malformed::Short)?);
        let address: IpAddr = match family {
            libc::AF_INET => <[u8; 4]>::try_from(bytes(ADDRESS_AT, 4)?).map_err(|_| Malformed::Short)?.into(),
            libc::AF_INET6 => {
                <[u8; 16]>::try_from(bytes(ADDRESS_AT, 16)?).map_err(|_| Malformed::Short)?.into()
            }
            _ => return Ok(None),
        };
        // inet_diag_msg: expires, then rqueue and wqueue.
        let (queued, most_queued) = (number(QUEUED_AT)?, number(QUEUED_AT + 4)?);
        Ok(Some(ListeningSocket { address: (address, port).into(), queued, most_queued }))
    }

    /// Whether packets to this address come to it.
    pub fn has(&self, address: IpAddr) -> bool {
        let own = self.address.ip();
        own == address || (own.is_unspecified() && (own.is_ipv6() || address.is_ipv4()))
    }
}

fn request(transport: Transport, family: i32, flags: u16) -> NetlinkRequest {
    let (protocol, states) = match transport {
        Transport::Tcp => (libc::IPPROTO_TCP, LISTEN),
        Transport::Udp => (libc::IPPROTO_UDP, CLOSE),
    };
    let mut fixed = [0; REQUEST_BYTES];
    fixed[0] = family as u8;
    fixed[1] = protocol as u8;
    fixed[4..8].copy_from_slice(&states.to_ne_bytes());
    NetlinkRequest::new("listening sockets", SOCK_DIAG_BY_FAMILY, flags, &fixed)
}

/// The sockets of the network namespace that this thread is in which wait at that port, whatever address they wait at.
///
/// # Errors
/// [`NetlinkError`]: without the kernel's inet_diag, ENOENT.
pub fn listening(transport: Transport, port: u16) -> Result<Vec<ListeningSocket>, NetlinkError> {
    let mut socket = Socket::speaking(SockProtocol::NetlinkSockDiag)?;
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let all = socket.dump(|flags| request(transport, family, flags), ListeningSocket::read)?;
        found.extend(all.into_iter().flatten().filter(|one| one.address.port() == port));
    }
    Ok(found)
}
