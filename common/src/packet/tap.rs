//! A packet socket that watches ICMP echo on all links of a network namespace: which requests and answers pass, by which
//! link, and whether they get as far as the kernel's IP layer.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::ipv6::Ipv6Packet;

use super::IpFamily;
use super::bpf::*;
use super::icmp::{IcmpError, quoted};
use super::neighbour::PacketError;
use super::neighbour::error::failed;
use super::neighbour::packet_socket::PacketSocket;
use crate::sys::{self, BATCH, RecvBuffer};

/// The headers of an ICMPv6 error with the packet that it quotes, and the beginning of that one's data.
const SNIPPET_BYTES: usize = 192;
/// linux/filter.h: SKF_AD_OFF + SKF_AD_PROTOCOL, the type of the frame whatever is in front of the packet.
pub(super) const FRAME_TYPE: u32 = 0xffff_f000;
/// linux/if_ether.h.
pub(super) const ETH_P_ALL: u16 = 3;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
/// linux/if_packet.h: PACKET_OUTGOING.
pub(super) const OUTGOING: u8 = 4;
/// How many packets are read before the caller looks at the clock again.
const AT_ONCE: usize = 4096;

/// What frames with packets of that family say that they hold.
pub(super) const fn frame_type(family: IpFamily) -> u16 {
    match family {
        IpFamily::V4 => ETH_P_IP,
        IpFamily::V6 => ETH_P_IPV6,
    }
}

/// How far packets have come when a tap sees them (__netif_receive_skb_core in net/core/dev.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapLayer {
    /// As they come from the link, and as they are given to it: before tc and ingress hooks, after egress hooks.
    Link,
    /// As they are given to the kernel's IP layer: after tc and ingress hooks, before netfilter's prerouting hook.
    Ip,
}

/// A tap on all links.
#[derive(Debug)]
pub struct Tap {
    socket: PacketSocket,
    family: IpFamily,
    buffers: Vec<RecvBuffer>,
}

/// What a tap has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TappedEcho {
    /// The index of the link.
    pub index: u32,
    /// Whether it was on its way out.
    pub is_outgoing: bool,
    /// Its source address.
    pub from: IpAddr,
    /// Its destination address.
    pub to: IpAddr,
    /// What it is.
    pub kind: TappedKind,
}

/// What kind of packet it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TappedKind {
    /// An echo request, and an echo reply, with identifier, sequence number and the beginning of the data.
    Request(u16, u16, Vec<u8>),
    /// An echo reply.
    Reply(u16, u16, Vec<u8>),
    /// An ICMP error about a request of that identifier and sequence number to that address.
    Error(IcmpError, u16, u16, IpAddr),
}

impl Tap {
    /// Opens it in the network that this thread is in.
    ///
    /// # Errors
    /// [`PacketError`]: EPERM without CAP_NET_RAW over the user namespace of the network.
    pub fn open(family: IpFamily, layer: TapLayer) -> Result<Self, PacketError> {
        let of_family = frame_type(family);
        let ethertype = if layer == TapLayer::Link { ETH_P_ALL } else { of_family };
        let socket = PacketSocket::cooked(0, ethertype, |fd| {
            sys::attach_filter(fd, &program(family, of_family)).map_err(failed("attach a filter"))
        })?;
        Ok(Tap { socket, family, buffers: vec![RecvBuffer::new(SNIPPET_BYTES); BATCH] })
    }

    /// Hands over what has been seen since.
    pub fn read(&mut self, mut each: impl FnMut(TappedEcho)) {
        let family = self.family;
        read_waiting(&self.socket, &mut self.buffers, |buffer| {
            let Some((index, kind)) = buffer.from_link() else { return };
            if let Some((from, to, what)) = read(family, buffer.data()) {
                each(TappedEcho { index, is_outgoing: kind == OUTGOING, from, to, kind: what });
            }
        });
    }
}

/// Hands over the packets that wait in a tap's socket.
pub(super) fn read_waiting(
    socket: &PacketSocket,
    buffers: &mut [RecvBuffer],
    mut each: impl FnMut(&RecvBuffer),
) {
    let mut total = 0;
    while total < AT_ONCE {
        let count = match sys::receive_many(socket.as_fd(), buffers, 0) {
            Ok(count) => count,
            Err(Errno::EINTR) => continue,
            // Nothing more, or a link that went down.
            Err(_) => return,
        };
        buffers[..count].iter().for_each(&mut each);
        total += count;
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// ICMP of that family.
fn program(family: IpFamily, ethertype: u16) -> Vec<Instruction> {
    let (at, protocol) = match family {
        IpFamily::V4 => (9, IpNextHeaderProtocols::Icmp.0),
        IpFamily::V6 => (6, IpNextHeaderProtocols::Icmpv6.0),
    };
    vec![
        (LOAD_HALF, 0, 0, FRAME_TYPE),
        (IF_EQUAL, 0, 3, ethertype.into()),
        (LOAD_BYTE, 0, 0, at),
        (IF_EQUAL, 0, 1, protocol.into()),
        (RETURN, 0, 0, ALL),
        (RETURN, 0, 0, NOTHING),
    ]
}

/// What a packet is, from the IP header on. Pure; no bytes make it panic.
fn read(family: IpFamily, packet: &[u8]) -> Option<(IpAddr, IpAddr, TappedKind)> {
    let icmp = match family {
        IpFamily::V4 => IpNextHeaderProtocols::Icmp,
        IpFamily::V6 => IpNextHeaderProtocols::Icmpv6,
    };
    let (from, to, message) = split(family, packet, icmp)?;
    let &[kind, code, _, _, a, b, c, d, ..] = message else { return None };
    let (ident, sequence) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let data =
        || message.get(8..).unwrap_or_default().iter().take(super::icmp::TOKEN_BYTES).copied().collect();
    let what = match (family, kind) {
        (IpFamily::V4, 8) | (IpFamily::V6, 128) => TappedKind::Request(ident, sequence, data()),
        (IpFamily::V4, 0) | (IpFamily::V6, 129) => TappedKind::Reply(ident, sequence, data()),
        (IpFamily::V4, 3 | 11 | 12) | (IpFamily::V6, 1..=4) => {
            let (_, about, inner) = split(family, message.get(8..)?, icmp)?;
            let (ident, sequence) = quoted(family, inner, &[])?;
            let info = match (family, kind) {
                // RFC 1191: the MTU is in the second half; a pointer in the first byte.
                (IpFamily::V4, 3) => u32::from(sequence_field(c, d)),
                _ => u32::from_be_bytes([a, b, c, d]),
            };
            TappedKind::Error(
                IcmpError { by: Some(from), kind, code, info, errno: 0 },
                ident,
                sequence,
                about,
            )
        }
        _ => return None,
    };
    Some((from, to, what))
}

fn sequence_field(c: u8, d: u8) -> u16 {
    u16::from_be_bytes([c, d])
}

/// Source, destination, and what follows the header of a packet of that protocol; of a fragment only the first.
pub(super) fn split(
    family: IpFamily,
    packet: &[u8],
    protocol: IpNextHeaderProtocol,
) -> Option<(IpAddr, IpAddr, &[u8])> {
    match family {
        IpFamily::V4 => {
            let header = Ipv4Packet::new(packet)?;
            let length = usize::from(header.get_header_length()) * 4;
            let is_it = header.get_next_level_protocol() == protocol;
            let is_first = header.get_fragment_offset() == 0 && length >= Ipv4Packet::minimum_packet_size();
            let message = packet.get(length..).filter(|_| is_it && is_first)?;
            Some((header.get_source().into(), header.get_destination().into(), message))
        }
        IpFamily::V6 => {
            let header = Ipv6Packet::new(packet)?;
            let is_it = header.get_next_header() == protocol;
            let message = packet.get(Ipv6Packet::minimum_packet_size()..).filter(|_| is_it)?;
            Some((header.get_source().into(), header.get_destination().into(), message))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet_v4(protocol: u8, message: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 1, 0, 9, 10, 1, 0, 2];
        packet.extend_from_slice(message);
        packet
    }

    #[test]
    fn an_answer_and_an_error_are_told_apart() {
        let reply = [0, 0, 0, 0, 1, 2, 0, 7, b't', b'o', b'k'];
        let (from, to, kind) = read(IpFamily::V4, &packet_v4(1, &reply)).unwrap();
        assert_eq!((from.to_string(), to.to_string()), ("10.1.0.9".to_owned(), "10.1.0.2".to_owned()));
        assert_eq!(kind, TappedKind::Reply(0x0102, 7, b"tok".to_vec()));
        let request = packet_v4(1, &[8, 0, 0, 0, 1, 2, 0, 7]);
        let error = [&[3, 4, 0, 0, 0, 0, 5, 20][..], &request].concat();
        let (.., kind) = read(IpFamily::V4, &packet_v4(1, &error)).unwrap();
        let TappedKind::Error(error, 0x0102, 7, about) = kind else { panic!("{kind:?}") };
        assert_eq!((error.kind, error.code, error.info), (3, 4, 1300));
        assert_eq!(about.to_string(), "10.1.0.2");
        assert_eq!(read(IpFamily::V4, &packet_v4(6, &reply)), None);
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(IpFamily::V4, &packet);
            let _ = read(IpFamily::V6, &packet);
        }
    }
}
