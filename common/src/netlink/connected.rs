//! TCP connections of a namespace, counted by where they lead: SOCK_DIAG_BY_FAMILY, linux/inet_diag.h. sock_diag(7)

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use nix::sys::socket::SockProtocol;

use super::wire::{MalformedMessage, NetlinkRequest, ip};
use super::{NetlinkError, Socket};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// linux/tcp_states.h, as bits: all but those that listen, and those that are closed.
const CONNECTED: u32 = 0xfff & !(1 << 10) & !(1 << 7);
/// struct inet_diag_req_v2: family, protocol, extensions, padding, states; then struct inet_diag_sockid, 48 bytes.
const REQUEST_BYTES: usize = 56;
/// struct inet_diag_msg: family, state, timer, retransmissions; struct inet_diag_sockid: two ports, our address, the peer's.
const OWN_PORT_AT: usize = 4;
const PEER_PORT_AT: usize = 6;
const OWN_ADDRESS_AT: usize = 8;
const PEER_ADDRESS_AT: usize = 24;

/// A connection: our address and port, then the peer's.
type ConnectionEnds = (SocketAddr, SocketAddr);

fn read(payload: &[u8]) -> Result<Option<ConnectionEnds>, MalformedMessage> {
    let family = *payload.first().ok_or(MalformedMessage::Short)?;
    let length = if i32::from(family) == libc::AF_INET { 4 } else { 16 };
    let port = |at: usize| {
        let bytes = payload.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u16::from_be_bytes).ok_or(MalformedMessage::Short)
    };
    let address = |at: usize| {
        let bytes = payload.get(at..at + length).ok_or(MalformedMessage::Short)?;
        Ok::<Option<IpAddr>, MalformedMessage>(ip(family, bytes))
    };
    let (own, peer) = (address(OWN_ADDRESS_AT)?, address(PEER_ADDRESS_AT)?);
    let ports = (port(OWN_PORT_AT)?, port(PEER_PORT_AT)?);
    Ok(own.zip(peer).map(|(own, peer)| {
        (SocketAddr::new(own.to_canonical(), ports.0), SocketAddr::new(peer.to_canonical(), ports.1))
    }))
}

fn request(family: i32, flags: u16) -> NetlinkRequest {
    let mut fixed = [0; REQUEST_BYTES];
    fixed[0] = u8::try_from(family).unwrap_or_default();
    // 6 on every Linux.
    fixed[1] = u8::try_from(libc::IPPROTO_TCP).unwrap_or_default();
    fixed[4..8].copy_from_slice(&CONNECTED.to_ne_bytes());
    NetlinkRequest::new("connections", SOCK_DIAG_BY_FAMILY, flags, &fixed)
}

/// The address and port to which TCP connections of the network namespace of this thread have most local ports of that range
/// in use, from one address; and how many. `None` if there is no connection.
///
/// # Errors
/// [`NetlinkError`]: without the kernel's inet_diag, ENOENT.
pub fn busiest_destination(range: RangeInclusive<u16>) -> Result<Option<(SocketAddr, u64)>, NetlinkError> {
    let mut socket = Socket::speaking(SockProtocol::NetlinkSockDiag)?;
    let mut ports: HashMap<(IpAddr, SocketAddr), HashSet<u16>> = HashMap::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let all = socket.dump(|flags| request(family, flags), read)?;
        for (own, peer) in all.into_iter().flatten().filter(|(own, _)| range.contains(&own.port())) {
            ports.entry((own.ip(), peer)).or_default().insert(own.port());
        }
    }
    let busiest = ports.into_iter().max_by_key(|(_, ports)| ports.len());
    Ok(busiest.map(|((_, peer), ports)| (peer, ports.len() as u64)))
}
