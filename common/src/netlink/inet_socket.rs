//! All sockets of TCP and UDP of a namespace, in every state: SOCK_DIAG_BY_FAMILY, linux/inet_diag.h. sock_diag(7)

use std::net::SocketAddr;

use nix::sys::socket::SockProtocol;
use nix::unistd::Uid;

use super::wire::{MalformedMessage, NetlinkRequest, family_number, ip};
use super::{NetlinkError, Socket};
use crate::target::Transport;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const ALL_STATES: u32 = u32::MAX;
/// struct inet_diag_req_v2: family, protocol, extensions, padding, states; then struct inet_diag_sockid, 48 bytes.
const REQUEST_BYTES: usize = 56;
/// struct inet_diag_msg: family, state, timer, retransmissions; struct inet_diag_sockid: two ports, our address, the peer's,
/// the interface; then expires, rqueue, wqueue, uid and inode.
const STATE_AT: usize = 1;
const OWN_PORT_AT: usize = 4;
const PEER_PORT_AT: usize = 6;
const OWN_ADDRESS_AT: usize = 8;
const PEER_ADDRESS_AT: usize = 24;
const INTERFACE_AT: usize = 40;
const RECEIVED_AT: usize = 56;
const SENT_AT: usize = 60;
const UID_AT: usize = 64;
const INODE_AT: usize = 68;

/// A socket of TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InetSocket {
    /// Which of the two.
    pub transport: Transport,
    /// The state, as linux/tcp_states.h numbers them; of UDP it is 1 (connected) or 7.
    pub state: u8,
    /// Its own address and port.
    pub own: SocketAddr,
    /// The peer's; nothing of one that has none.
    pub peer: Option<SocketAddr>,
    /// The only interface that it uses, by its index.
    pub interface: Option<u32>,
    /// Bytes that wait to be read; of a socket that listens, connections that wait to be accepted.
    pub receive_queue: u32,
    /// Bytes that are not acknowledged yet; of a socket that listens, how many connections may wait.
    pub send_queue: u32,
    /// The user that made it.
    pub owner: Uid,
    /// The inode of its file; 0 of one that no process has any more.
    pub inode: u32,
}

impl InetSocket {
    /// The state in a word, as ss(8) has it.
    pub fn state_word(&self) -> &'static str {
        match (self.transport, self.state) {
            (Transport::Udp, 7) => "unconnected",
            (_, 1) => "established",
            (_, 2) => "syn-sent",
            (_, 3 | 12) => "syn-received",
            (_, 4) => "fin-wait-1",
            (_, 5) => "fin-wait-2",
            (_, 6) => "time-wait",
            (_, 7) => "closed",
            (_, 8) => "close-wait",
            (_, 9) => "last-ack",
            (_, 10) => "listening",
            (_, 11) => "closing",
            _ => "unknown",
        }
    }

    /// Reads one message; nothing of an address family that is none of the Internet's.
    fn read(transport: Transport, payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let bytes = |at: usize, count: usize| payload.get(at..at + count).ok_or(MalformedMessage::Short);
        let number = |at: usize| Ok(bytes(at, 4)?.try_into().map_or(0, u32::from_ne_bytes));
        let family = *payload.first().ok_or(MalformedMessage::Short)?;
        let length = if i32::from(family) == libc::AF_INET { 4 } else { 16 };
        let end = |address_at: usize, port_at: usize| {
            let port =
                u16::from_be_bytes(bytes(port_at, 2)?.try_into().map_err(|_| MalformedMessage::Short)?);
            let address = ip(family, bytes(address_at, length)?);
            Ok::<_, MalformedMessage>(address.map(|address| SocketAddr::new(address, port)))
        };
        let Some(own) = end(OWN_ADDRESS_AT, OWN_PORT_AT)? else { return Ok(None) };
        let peer = end(PEER_ADDRESS_AT, PEER_PORT_AT)?;
        Ok(Some(InetSocket {
            transport,
            state: *payload.get(STATE_AT).ok_or(MalformedMessage::Short)?,
            own,
            peer: peer.filter(|peer| peer.port() != 0 || !peer.ip().is_unspecified()),
            interface: Some(number(INTERFACE_AT)?).filter(|index| *index != 0),
            receive_queue: number(RECEIVED_AT)?,
            send_queue: number(SENT_AT)?,
            owner: Uid::from_raw(number(UID_AT)?),
            inode: number(INODE_AT)?,
        }))
    }
}

fn request(protocol: i32, family: i32, flags: u16) -> NetlinkRequest {
    let mut fixed = [0; REQUEST_BYTES];
    fixed[0] = family_number(family);
    fixed[1] = u8::try_from(protocol).unwrap_or_default();
    fixed[4..8].copy_from_slice(&ALL_STATES.to_ne_bytes());
    NetlinkRequest::new("sockets", SOCK_DIAG_BY_FAMILY, flags, &fixed)
}

/// All sockets of TCP and UDP in the network namespace that this thread is in: those that listen first, then by their own
/// address.
///
/// # Errors
/// [`NetlinkError`]: without the kernel's inet_diag, ENOENT.
pub fn inet_sockets() -> Result<Vec<InetSocket>, NetlinkError> {
    let mut socket = Socket::speaking(SockProtocol::NetlinkSockDiag)?;
    let mut found = Vec::new();
    for (transport, protocol) in [(Transport::Tcp, libc::IPPROTO_TCP), (Transport::Udp, libc::IPPROTO_UDP)] {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let read = |payload: &[u8]| InetSocket::read(transport, payload);
            let all = socket.dump(|flags| request(protocol, family, flags), read)?;
            found.extend(all.into_iter().flatten());
        }
    }
    found.sort_by_key(|one| {
        (one.transport == Transport::Udp, one.peer.is_some(), one.own.port(), one.own, one.peer)
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn both_ends_of_a_connection_and_the_listener_are_told_with_their_states() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let client = TcpStream::connect(at).unwrap();
        let (_server, from) = listener.accept().unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let all = inet_sockets().unwrap();
        let of = |own: SocketAddr, peer: Option<SocketAddr>| {
            let mut found = all.iter().filter(|one| one.own == own && one.peer == peer);
            let one = found.next().unwrap_or_else(|| panic!("no {own} to {peer:?}: {all:?}"));
            (one.transport, one.state_word())
        };
        assert_eq!(of(at, None), (Transport::Tcp, "listening"));
        assert_eq!(of(at, Some(from)), (Transport::Tcp, "established"));
        assert_eq!(of(from, Some(at)), (Transport::Tcp, "established"));
        assert_eq!(of(udp.local_addr().unwrap(), None), (Transport::Udp, "unconnected"));
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_panic() {
        let whole = [2; 72];
        assert!(InetSocket::read(Transport::Udp, &whole).unwrap().is_some());
        for length in 0..whole.len() {
            assert!(InetSocket::read(Transport::Tcp, &whole[..length]).is_err(), "{length}");
        }
    }
}
