//! Echo requests and replies. Pure; no bytes make it panic.

use std::net::IpAddr;

use pnet_packet::icmp::echo_request::{EchoRequestPacket, MutableEchoRequestPacket as MutableRequestV4};
use pnet_packet::icmp::{IcmpType, IcmpTypes};
use pnet_packet::icmpv6::Icmpv6Types;
use pnet_packet::icmpv6::echo_request::MutableEchoRequestPacket as MutableRequestV6;
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::util::checksum;

use crate::packet::IpFamily;

/// Type, code, checksum, identifier, sequence number: of both families.
pub const HEADER_BYTES: usize = 8;

/// The first bytes of what is sent along are random: by them an answer proves that its sender has seen a request. Fewer
/// where fewer are sent.
pub const TOKEN_BYTES: usize = 8;

/// An echo reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoReply<'a> {
    /// The identifier of the requests that it answers.
    pub ident: u16,
    /// Which of them it answers.
    pub sequence: u16,
    /// The data, which is to be what was sent.
    pub payload: &'a [u8],
}

/// Why a packet that came through our filter is no echo reply to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReply {
    /// It breaks off.
    #[error("it is cut short")]
    Short,
    /// Its checksum is wrong, so its numbers are not to be trusted.
    #[error("its checksum is wrong")]
    Checksum,
    /// It is something else.
    #[error("it is not an echo reply")]
    NoReply,
    /// It does not begin with the random bytes that were sent: made up by a sender that has seen no request, or cut.
    #[error("the random bytes that were sent are missing")]
    Unproven {
        /// Which request it claims to answer.
        sequence: u16,
    },
}

impl<'a> EchoReply<'a> {
    /// Itself, if it begins as the `sent` data did.
    ///
    /// # Errors
    /// [`InvalidReply::Unproven`].
    pub fn proven(self, sent: &[u8]) -> Result<Self, InvalidReply> {
        match self.payload.starts_with(token(sent)) {
            true => Ok(self),
            false => Err(InvalidReply::Unproven { sequence: self.sequence }),
        }
    }
}

/// What of the data an answer must have.
fn token(sent: &[u8]) -> &[u8] {
    &sent[..sent.len().min(TOKEN_BYTES)]
}

/// An echo request. The kernel puts in the checksum of ICMPv6, which covers the addresses too.
pub fn request(family: IpFamily, ident: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + payload.len()];
    match family {
        IpFamily::V4 => {
            if let Some(mut request) = MutableRequestV4::new(&mut bytes) {
                request.set_icmp_type(IcmpTypes::EchoRequest);
                request.set_identifier(ident);
                request.set_payload(payload);
            }
        }
        IpFamily::V6 => {
            if let Some(mut request) = MutableRequestV6::new(&mut bytes) {
                request.set_icmpv6_type(Icmpv6Types::EchoRequest);
                request.set_identifier(ident);
                request.set_payload(payload);
            }
        }
    }
    renumber(&mut bytes, family, sequence);
    bytes
}

/// Gives an echo request another sequence number.
pub(super) fn renumber(bytes: &mut [u8], family: IpFamily, sequence: u16) {
    match family {
        IpFamily::V4 => {
            if let Some(mut request) = MutableRequestV4::new(bytes) {
                request.set_sequence_number(sequence);
            }
            let sum = checksum(bytes, CHECKSUM_WORD);
            if let Some(mut request) = MutableRequestV4::new(bytes) {
                request.set_checksum(sum);
            }
        }
        IpFamily::V6 => {
            if let Some(mut request) = MutableRequestV6::new(bytes) {
                request.set_sequence_number(sequence);
            }
        }
    }
}

/// Which of a message's words, of sixteen bits each, the checksum is.
const CHECKSUM_WORD: usize = 1;
/// With no word left out the sum of a message is all ones, and its complement 0 (RFC 1071).
const NO_WORD: usize = usize::MAX;

/// The echo reply in what a socket has received: of a raw IPv4 socket (`with_header`) the IP header comes first.
///
/// # Errors
/// [`InvalidReply`].
pub fn answer(family: IpFamily, with_header: bool, bytes: &[u8]) -> Result<EchoReply<'_>, InvalidReply> {
    let message = match (family, with_header) {
        (IpFamily::V4, true) => without_header(bytes).ok_or(InvalidReply::Short)?,
        _ => bytes,
    };
    let (kind, reply) = read(message).ok_or(InvalidReply::Short)?;
    if kind.0 != type_of(family, Echo::Reply) {
        return Err(InvalidReply::NoReply);
    }
    // Raw sockets are given ICMP before the kernel looks at the checksum (ip_local_deliver, icmp_rcv), but not ICMPv6.
    if family == IpFamily::V4 && checksum(message, NO_WORD) != 0 {
        return Err(InvalidReply::Checksum);
    }
    Ok(reply)
}

/// The type and the numbers of an echo message: they are at the same places in ICMP and ICMPv6.
fn read(message: &[u8]) -> Option<(IcmpType, EchoReply<'_>)> {
    let echo = EchoRequestPacket::new(message)?;
    let (ident, sequence) = (echo.get_identifier(), echo.get_sequence_number());
    Some((echo.get_icmp_type(), EchoReply { ident, sequence, payload: message.get(HEADER_BYTES..)? }))
}

enum Echo {
    Request,
    Reply,
}

fn type_of(family: IpFamily, echo: Echo) -> u8 {
    match (family, echo) {
        (IpFamily::V4, Echo::Request) => IcmpTypes::EchoRequest.0,
        (IpFamily::V4, Echo::Reply) => IcmpTypes::EchoReply.0,
        (IpFamily::V6, Echo::Request) => Icmpv6Types::EchoRequest.0,
        (IpFamily::V6, Echo::Reply) => Icmpv6Types::EchoReply.0,
    }
}

/// The source address of an IPv4 header.
pub(super) fn sender(bytes: &[u8]) -> Option<IpAddr> {
    Some(Ipv4Packet::new(bytes)?.get_source().into())
}

/// The ICMP message of an IPv4 packet, as long as the header says that it is.
fn without_header(bytes: &[u8]) -> Option<&[u8]> {
    let packet = Ipv4Packet::new(bytes)?;
    let header = usize::from(packet.get_header_length()) * 4;
    let whole = usize::from(packet.get_total_length()).min(bytes.len());
    let is_icmp = packet.get_next_level_protocol() == IpNextHeaderProtocols::Icmp;
    bytes.get(header..whole).filter(|_| is_icmp && header >= Ipv4Packet::minimum_packet_size())
}

/// Which of our requests an ICMP error is about: identifier and sequence number in what it quotes, which the kernel gives
/// us from the ICMP header on; `None` for what is no echo request, or not enough of one.
///
/// What it quotes of the data must be what was `sent`. Routers need not quote any (RFC 792: 64 bits, which is the header).
pub fn quoted(family: IpFamily, bytes: &[u8], sent: &[u8]) -> Option<(u16, u16)> {
    let (kind, request) = read(bytes)?;
    let mut pairs = request.payload.iter().zip(token(sent));
    let is_ours = kind.0 == type_of(family, Echo::Request) && pairs.all(|(quoted, sent)| quoted == sent);
    is_ours.then_some((request.ident, request.sequence))
}
