//! A packet socket that watches probes of a port on all links of a network namespace: where they arrive, whether they leave
//! again, and whether they are answered. What firewalls do comes after it.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use pnet_packet::ip::IpNextHeaderProtocols;

use super::IpFamily;
use super::bpf::*;
use super::neighbour::PacketError;
use super::neighbour::error::failed;
use super::neighbour::packet_socket::PacketSocket;
use super::tap::{ETH_P_ALL, FRAME_TYPE, OUTGOING, TapLayer, frame_type, read_waiting, split};
use crate::sys::{self, BATCH, RecvBuffer};
use crate::target::{DestPort, Transport};

/// The longest IPv4 header and a TCP header without options.
const SNIPPET_BYTES: usize = 80;
/// linux/if_packet.h: PACKET_HOST.
const FOR_US: u8 = 0;
/// RFC 9293: the flags of a TCP header, their place in it, and those of sequence and acknowledgment number.
const FLAGS_AT: usize = 13;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const SEQUENCE_AT: usize = 4;
const ACKNOWLEDGED_AT: usize = 8;

/// A tap on all links for what begins, answers or refuses a TCP connection, or for datagrams of a port.
#[derive(Debug)]
pub struct PortTap {
    socket: PacketSocket,
    family: IpFamily,
    transport: Transport,
    buffers: Vec<RecvBuffer>,
}

/// What a tap has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TappedSegment {
    /// The index of the link.
    pub index: u32,
    /// Whether it was on its way out.
    pub is_outgoing: bool,
    /// Whether the link took it as one for this host: not one that only passes a port of a bridge.
    pub is_for_us: bool,
    /// Source address and port.
    pub from: SocketAddr,
    /// Destination address and port.
    pub to: SocketAddr,
    /// What it is.
    pub kind: SegmentKind,
}

/// What kind of packet it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKind {
    /// TCP: a SYN with this sequence number, which NAT does not change.
    Syn(u32),
    /// TCP: a SYN and ACK, or a reset, which acknowledges this number: that of the SYN and one.
    Answer(u32),
    /// UDP: a datagram.
    Datagram,
}

impl PortTap {
    /// Opens it in the network that this thread is in.
    ///
    /// # Errors
    /// [`PacketError`]: EPERM without CAP_NET_RAW over the user namespace of the network.
    pub fn open(family: IpFamily, port: DestPort, layer: TapLayer) -> Result<Self, PacketError> {
        let ethertype = if layer == TapLayer::Link { ETH_P_ALL } else { frame_type(family) };
        let socket = PacketSocket::cooked(0, ethertype, |fd| {
            sys::attach_filter(fd, &program(family, port)).map_err(failed("attach a filter"))
        })?;
        let buffers = vec![RecvBuffer::new(SNIPPET_BYTES); BATCH];
        Ok(PortTap { socket, family, transport: port.transport, buffers })
    }

    /// Hands over what has been seen since.
    pub fn read(&mut self, mut each: impl FnMut(TappedSegment)) {
        let (family, transport) = (self.family, self.transport);
        read_waiting(&self.socket, &mut self.buffers, |buffer| {
            let Some((index, way)) = buffer.from_link() else { return };
            if let Some((from, to, kind)) = read(family, transport, buffer.data()) {
                let (is_outgoing, is_for_us) = (way == OUTGOING, way == FOR_US);
                each(TappedSegment { index, is_outgoing, is_for_us, from, to, kind });
            }
        });
    }
}

impl AsFd for PortTap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Of TCP all with SYN or RST: a port can be changed on the way. Of UDP all from and to the port.
fn program(family: IpFamily, port: DestPort) -> Vec<Instruction> {
    let protocol = match port.transport {
        Transport::Tcp => IpNextHeaderProtocols::Tcp.0,
        Transport::Udp => IpNextHeaderProtocols::Udp.0,
    };
    // The length of IPv4's header is in it; that of IPv6's is 40.
    let (at, header) = match family {
        IpFamily::V4 => (9, 0),
        IpFamily::V6 => (6, 40),
    };
    let mut program = vec![
        (LOAD_HALF, 0, 0, FRAME_TYPE),
        (IF_EQUAL, 1, 0, frame_type(family).into()),
        (RETURN, 0, 0, NOTHING),
        (LOAD_BYTE, 0, 0, at),
        (IF_EQUAL, 1, 0, protocol.into()),
        (RETURN, 0, 0, NOTHING),
    ];
    let (byte, half) = match family {
        IpFamily::V4 => {
            program.push((HEADER_LENGTH, 0, 0, 0));
            (LOAD_BYTE_BEHIND, LOAD_HALF_BEHIND)
        }
        IpFamily::V6 => (LOAD_BYTE, LOAD_HALF),
    };
    match port.transport {
        Transport::Tcp => {
            program.extend([(byte, 0, 0, header + FLAGS_AT as u32), (IF_ANY_BIT, 0, 1, (SYN | RST).into())])
        }
        Transport::Udp => program.extend([
            (half, 0, 0, header),
            (IF_EQUAL, 2, 0, port.number.into()),
            (half, 0, 0, header + 2),
            (IF_EQUAL, 0, 1, port.number.into()),
        ]),
    }
    program.extend([(RETURN, 0, 0, ALL), (RETURN, 0, 0, NOTHING)]);
    program
}

/// What a packet is, from the IP header on. Pure; no bytes make it panic.
fn read(
    family: IpFamily,
    transport: Transport,
    packet: &[u8],
) -> Option<(SocketAddr, SocketAddr, SegmentKind)> {
    let protocol = match transport {
        Transport::Tcp => IpNextHeaderProtocols::Tcp,
        Transport::Udp => IpNextHeaderProtocols::Udp,
    };
    let (from, to, segment) = split(family, packet, protocol)?;
    let half = |at: usize| Some(u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_be_bytes(segment.get(at..at + 4)?.try_into().ok()?));
    let (from, to) = (SocketAddr::new(from, half(0)?), SocketAddr::new(to, half(2)?));
    let kind = match transport {
        Transport::Udp => SegmentKind::Datagram,
        Transport::Tcp => match segment.get(FLAGS_AT)? & (SYN | RST | ACK) {
            SYN => SegmentKind::Syn(word(SEQUENCE_AT)?),
            flags if flags & ACK != 0 => SegmentKind::Answer(word(ACKNOWLEDGED_AT)?),
            _ => return None,
        },
    };
    Some((from, to, kind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 1, 0, 2, 10, 1, 0, 9];
        packet.extend_from_slice(segment);
        packet
    }

    fn segment(flags: u8) -> Vec<u8> {
        let ports = [0x9c, 0x40, 0, 80];
        [&ports[..], &7_u32.to_be_bytes(), &9_u32.to_be_bytes(), &[0x50, flags, 0, 0, 0, 0, 0, 0]].concat()
    }

    #[test]
    fn a_connection_that_begins_is_told_from_its_answers() {
        let kind = |flags| read(IpFamily::V4, Transport::Tcp, &packet(6, &segment(flags))).map(|read| read.2);
        assert_eq!(kind(SYN), Some(SegmentKind::Syn(7)));
        assert_eq!(kind(SYN | ACK), Some(SegmentKind::Answer(9)));
        assert_eq!(kind(RST | ACK), Some(SegmentKind::Answer(9)));
        assert_eq!(kind(RST), None, "a reset without a number answers no SYN");
        let (from, to, _) = read(IpFamily::V4, Transport::Udp, &packet(17, &segment(0))).unwrap();
        assert_eq!((from.to_string(), to.to_string()), ("10.1.0.2:40000".into(), "10.1.0.9:80".into()));
        assert_eq!(read(IpFamily::V4, Transport::Tcp, &packet(17, &segment(SYN))), None);
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(packet in proptest::collection::vec(any::<u8>(), 0..120)) {
            for transport in [Transport::Tcp, Transport::Udp] {
                let _ = read(IpFamily::V4, transport, &packet);
                let _ = read(IpFamily::V6, transport, &packet);
            }
        }
    }
}
