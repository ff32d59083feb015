//! Sockets that wait for others: SOCK_DIAG_BY_FAMILY and TCPDIAG_GETSOCK, linux/inet_diag.h. sock_diag(7)

use std::net::{IpAddr, SocketAddr};

use nix::sys::socket::SockProtocol;
use nix::unistd::Uid;

use super::wire::{MalformedMessage, NetlinkRequest, attributes, family_number, ip};
use super::{NetlinkError, Socket};
use crate::target::Transport;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// The older request has no protocol in it, and takes "any family": one walk through the kernel's table instead of two.
const TCPDIAG_GETSOCK: u16 = 18;
/// linux/tcp_states.h, as bits. A datagram socket that is not connected is in the state "closed".
const LISTEN: u32 = 1 << 10;
const CLOSE: u32 = 1 << 7;
/// struct inet_diag_req_v2: family, protocol, extensions, padding, states; then struct inet_diag_sockid, 48 bytes.
const REQUEST_BYTES: usize = 56;
/// struct inet_diag_req: family, two lengths, extensions; then struct inet_diag_sockid, states, and a number that is 0.
const OLD_REQUEST_BYTES: usize = 60;
const OLD_STATES_AT: usize = 52;
/// struct inet_diag_msg: family, state, timer, retransmissions; struct inet_diag_sockid, which begins with the ports and
/// has our own address after these, then the peer's and the interface; then expires, rqueue, wqueue, uid and inode.
const PORT_AT: usize = 4;
const ADDRESS_AT: usize = 8;
const INTERFACE_AT: usize = 40;
const QUEUED_AT: usize = 56;
const UID_AT: usize = 64;
const INODE_AT: usize = 68;
const MESSAGE_BYTES: usize = 72;
/// INET_DIAG_SKV6ONLY: one byte, told of IPv6 sockets that wait (Linux 4.8).
const INET_DIAG_SKV6ONLY: u16 = 11;
/// INET_DIAG_SKMEMINFO: what the socket's memory is used for, which is told if it is asked for; SK_MEMINFO_RCVBUF of it.
const INET_DIAG_SKMEMINFO: u16 = 7;
const EXTENSIONS_AT: usize = 2;
const RECEIVE_LIMIT_AT: usize = 4;

/// A socket that waits for connections, or for datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListeningSocket {
    /// Which of the two.
    pub transport: Transport,
    /// Where it waits; unspecified for all addresses of its family (and of an IPv6 one usually of IPv4, too).
    pub address: SocketAddr,
    /// The only interface that it receives from, by its index: SO_BINDTODEVICE in socket(7), or the zone of a link-local
    /// address.
    pub interface: Option<u32>,
    /// Whether an IPv6 socket leaves IPv4 alone (IPV6_V6ONLY in ipv6(7)); nothing of an IPv4 one, and where the kernel does
    /// not tell.
    pub v6only: Option<bool>,
    /// TCP: how many connections wait to be accepted; UDP: how many bytes wait to be read.
    pub queued: u32,
    /// TCP: how many may wait. The kernel lets one more in: net/sock.h, sk_acceptq_is_full. UDP: how many bytes may; 0 where the
    /// kernel does not tell.
    pub most_queued: u32,
    /// The user that made it.
    pub owner: Uid,
    /// The inode of its file, `socket:[123]` among a process's descriptors; 0 of one that no process has any more.
    pub inode: u32,
}

/// Which sockets to ask for: the kernel looks through its whole table at each question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketKinds {
    /// TCP, over IPv4 and IPv6.
    pub tcp: bool,
    /// UDP over IPv4.
    pub udp4: bool,
    /// UDP over IPv6.
    pub udp6: bool,
}

impl SocketKinds {
    /// Every kind.
    pub const ALL: SocketKinds = SocketKinds { tcp: true, udp4: true, udp6: true };
}

impl ListeningSocket {
    /// Reads one message.
    fn read(transport: Transport, payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let bytes = |at: usize, count: usize| payload.get(at..at + count).ok_or(MalformedMessage::Short);
        let number = |at: usize| Ok(bytes(at, 4)?.try_into().map_or(0, u32::from_ne_bytes));
        let port = u16::from_be_bytes(bytes(PORT_AT, 2)?.try_into().map_err(|_| MalformedMessage::Short)?);
        let family = *payload.first().ok_or(MalformedMessage::Short)?;
        let length = if i32::from(family) == libc::AF_INET { 4 } else { 16 };
        let Some(address) = ip(family, bytes(ADDRESS_AT, length)?) else { return Ok(None) };
        let mut v6only = None;
        let is_tcp = transport == Transport::Tcp;
        let mut most_queued = if is_tcp { number(QUEUED_AT + 4)? } else { 0 };
        for attribute in attributes(payload.get(MESSAGE_BYTES..).ok_or(MalformedMessage::Short)?) {
            match attribute? {
                (INET_DIAG_SKV6ONLY, value) => {
                    v6only = value.first().map(|only| *only != 0).filter(|_| address.is_ipv6());
                }
                (INET_DIAG_SKMEMINFO, value) if !is_tcp => {
                    let limit = value.get(RECEIVE_LIMIT_AT..RECEIVE_LIMIT_AT + 4);
                    most_queued = limit.and_then(|limit| limit.try_into().ok()).map_or(0, u32::from_ne_bytes);
                }
                _ => {}
            }
        }
        Ok(Some(ListeningSocket {
            transport,
            address: (address, port).into(),
            interface: Some(number(INTERFACE_AT)?).filter(|index| *index != 0),
            v6only,
            queued: number(QUEUED_AT)?,
            most_queued,
            owner: Uid::from_raw(number(UID_AT)?),
            inode: number(INODE_AT)?,
        }))
    }

    /// Whether packets to this address come to it.
    pub fn has(&self, address: IpAddr) -> bool {
        let own = self.address.ip();
        own.to_canonical() == address || (own.is_unspecified() && self.takes_family_of(address))
    }

    /// Whether packets to some addresses of the family of this one can come to it.
    pub fn takes_family_of(&self, address: IpAddr) -> bool {
        let own = self.address.ip();
        let is_of_both = own.is_ipv6() && own.is_unspecified() && self.v6only != Some(true);
        is_of_both || own.to_canonical().is_ipv4() == address.is_ipv4()
    }

    /// Whether more connections wait than it asked for: the kernel drops the next ones. Nothing is known of UDP.
    pub fn is_queue_full(&self) -> bool {
        self.transport == Transport::Tcp && self.queued > self.most_queued
    }

    /// UDP: whether as many bytes wait to be read as may: the kernel drops what comes. Nothing is known of TCP.
    pub fn is_buffer_full(&self) -> bool {
        self.transport == Transport::Udp
            && self.most_queued > 0
            && self.queued.saturating_add(DATAGRAM_BYTES) > self.most_queued
    }
}

/// UDP: so little room that the next datagram is dropped; the smallest takes about as much of it.
const DATAGRAM_BYTES: u32 = 768;

fn request(transport: Transport, family: i32, flags: u16) -> NetlinkRequest {
    let (protocol, states) = match transport {
        Transport::Tcp => (libc::IPPROTO_TCP, LISTEN),
        Transport::Udp => (libc::IPPROTO_UDP, CLOSE),
    };
    let mut fixed = [0; REQUEST_BYTES];
    fixed[0] = family_number(family);
    fixed[1] = protocol as u8;
    if transport == Transport::Udp {
        fixed[EXTENSIONS_AT] = 1 << (INET_DIAG_SKMEMINFO - 1);
    }
    fixed[4..8].copy_from_slice(&states.to_ne_bytes());
    NetlinkRequest::new("listening sockets", SOCK_DIAG_BY_FAMILY, flags, &fixed)
}

fn request_of_tcp(flags: u16) -> NetlinkRequest {
    let mut fixed = [0; OLD_REQUEST_BYTES];
    fixed[OLD_STATES_AT..OLD_STATES_AT + 4].copy_from_slice(&LISTEN.to_ne_bytes());
    NetlinkRequest::new("listening sockets", TCPDIAG_GETSOCK, flags, &fixed)
}

/// The sockets that wait, of those kinds, in the network namespace that this thread is in.
///
/// # Errors
/// [`NetlinkError`]: without the kernel's inet_diag, ENOENT.
pub fn listening_sockets(kinds: SocketKinds) -> Result<Vec<ListeningSocket>, NetlinkError> {
    let mut found = Vec::new();
    if !(kinds.tcp || kinds.udp4 || kinds.udp6) {
        return Ok(found);
    }
    let mut socket = Socket::speaking(SockProtocol::NetlinkSockDiag)?;
    if kinds.tcp {
        let read = |payload: &[u8]| ListeningSocket::read(Transport::Tcp, payload);
        found.extend(socket.dump(request_of_tcp, read)?.into_iter().flatten());
    }
    for (is_wanted, family) in [(kinds.udp4, libc::AF_INET), (kinds.udp6, libc::AF_INET6)] {
        if is_wanted {
            let read = |payload: &[u8]| ListeningSocket::read(Transport::Udp, payload);
            let asked = |flags| request(Transport::Udp, family, flags);
            found.extend(socket.dump(asked, read)?.into_iter().flatten());
        }
    }
    Ok(found)
}

/// The sockets of the network namespace that this thread is in which wait at that port, whatever address they wait at.
///
/// # Errors
/// As [`listening_sockets`].
pub fn listening(transport: Transport, port: u16) -> Result<Vec<ListeningSocket>, NetlinkError> {
    let is_tcp = transport == Transport::Tcp;
    let mut found = listening_sockets(SocketKinds { tcp: is_tcp, udp4: !is_tcp, udp6: !is_tcp })?;
    found.retain(|one| one.address.port() == port);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;

    use super::*;

    fn of_port(transport: Transport, port: u16) -> Vec<ListeningSocket> {
        listening(transport, port).unwrap()
    }

    fn inode(socket: &impl AsRawFd) -> u64 {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino()
    }

    #[test]
    fn sockets_of_both_families_and_protocols_are_told_with_their_inodes() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = of_port(Transport::Tcp, four.local_addr().unwrap().port());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].address, u64::from(found[0].inode)), (four.local_addr().unwrap(), inode(&four)));
        assert_eq!((found[0].v6only, found[0].interface), (None, None));
        assert!(found[0].most_queued > 0 && found[0].owner == nix::unistd::geteuid());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = of_port(Transport::Udp, udp.local_addr().unwrap().port());
        assert_eq!((found.len(), u64::from(found[0].inode)), (1, inode(&udp)));
        // Where IPv6 is on.
        if let Ok(six) = TcpListener::bind("[::1]:0") {
            let found = of_port(Transport::Tcp, six.local_addr().unwrap().port());
            assert_eq!(
                (found[0].address, u64::from(found[0].inode)),
                (six.local_addr().unwrap(), inode(&six))
            );
            // A socket that is bound to one address of IPv6 has no use for IPv4: inet6_bind in net/ipv6/af_inet6.c.
            assert_eq!(found[0].v6only, Some(true));
            let both = TcpListener::bind("[::]:0").unwrap();
            let found = of_port(Transport::Tcp, both.local_addr().unwrap().port());
            assert_eq!((found.len(), found[0].v6only), (1, Some(false)));
        }
    }

    #[test]
    fn an_address_is_had_by_a_socket_of_its_family_unless_that_takes_both() {
        let socket = |address: &str, v6only| ListeningSocket {
            transport: Transport::Tcp,
            address: address.parse().unwrap(),
            interface: None,
            v6only,
            queued: 0,
            most_queued: 1,
            owner: Uid::from_raw(0),
            inode: 1,
        };
        let has = |own: &str, v6only, address: &str| socket(own, v6only).has(address.parse().unwrap());
        assert!(has("0.0.0.0:1", None, "10.1.0.2") && !has("0.0.0.0:1", None, "::1"));
        assert!(has("[::]:1", Some(false), "10.1.0.2") && has("[::]:1", None, "10.1.0.2"));
        assert!(!has("[::]:1", Some(true), "10.1.0.2") && has("[::]:1", Some(true), "::1"));
        assert!(has("127.0.0.1:1", None, "127.0.0.1") && !has("127.0.0.1:1", None, "127.0.0.2"));
        assert!(has("[::ffff:10.1.0.2]:1", Some(false), "10.1.0.2"));
        let takes = |own: &str, v6only| socket(own, v6only).takes_family_of("10.1.0.2".parse().unwrap());
        assert!(
            takes("127.0.0.1:1", None) && takes("[::]:1", Some(false)) && takes("[::ffff:10.1.0.3]:1", None)
        );
        assert!(!takes("[::]:1", Some(true)) && !takes("[fd00::1]:1", Some(false)));
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_panic() {
        let mut whole = vec![0; MESSAGE_BYTES];
        whole[0] = 10;
        whole.extend([5, 0, 11, 0, 1, 0, 0, 0]);
        assert_eq!(ListeningSocket::read(Transport::Tcp, &whole).unwrap().unwrap().v6only, Some(true));
        for length in 0..whole.len() {
            let _ = ListeningSocket::read(Transport::Tcp, &whole[..length]);
        }
    }
}
