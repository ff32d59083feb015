//! Echo requests, and what may be the answer to one. Pure; no bytes make it panic.

use std::net::IpAddr;

use pnet_packet::icmp::echo_reply::EchoReplyPacket;
use pnet_packet::icmp::echo_request::MutableEchoRequestPacket as MutableRequestV4;
use pnet_packet::icmp::{IcmpPacket, IcmpTypes};
use pnet_packet::icmpv6::echo_request::MutableEchoRequestPacket as MutableRequestV6;
use pnet_packet::icmpv6::{Icmpv6Packet, Icmpv6Types};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv4::Ipv4Packet;

use super::Family;

/// Type, code, checksum, identifier, sequence number: of both families.
pub const HEADER_BYTES: usize = 8;

/// The first bytes of what is sent along are random: by them an answer proves that its sender has seen a request. Fewer
/// where fewer are sent.
pub const TOKEN_BYTES: usize = 8;

/// An echo reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Whose requests it answers.
    pub ident: u16,
    /// Which of them.
    pub sequence: u16,
    /// What was sent along, and is to be the same.
    pub payload: &'a [u8],
}

/// Why something that came through our filter is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// It breaks off.
    #[error("it is cut short")]
    Short,
    /// Its checksum is wrong. Whose answer it was meant to be cannot be known for sure.
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

impl<'a> Answer<'a> {
    /// Itself, if it begins as the `sent` data did.
    ///
    /// # Errors
    /// [`Oddity::Unproven`].
    pub fn proven(self, sent: &[u8]) -> Result<Self, Oddity> {
        match self.payload.starts_with(token(sent)) {
            true => Ok(self),
            false => Err(Oddity::Unproven { sequence: self.sequence }),
        }
    }
}

/// What of the data an answer must have.
fn token(sent: &[u8]) -> &[u8] {
    &sent[..sent.len().min(TOKEN_BYTES)]
}

/// An echo request; of IPv6 the kernel puts in the checksum, which is of the addresses too.
pub fn request(family: Family, ident: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + payload.len()];
    match family {
        Family::V4 => {
            if let Some(mut request) = MutableRequestV4::new(&mut bytes) {
                request.set_icmp_type(IcmpTypes::EchoRequest);
                request.set_identifier(ident);
                request.set_payload(payload);
            }
            let sum = pnet_packet::util::checksum(&bytes, CHECKSUM_WORD);
            if let Some(mut request) = MutableRequestV4::new(&mut bytes) {
                request.set_checksum(sum);
            }
        }
        Family::V6 => {
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

/// Gives an echo request another number. In a flood most of the time would be spent on sums of all that is the same.
pub(super) fn renumber(bytes: &mut [u8], family: Family, sequence: u16) {
    match family {
        Family::V4 => {
            if let Some(mut request) = MutableRequestV4::new(bytes) {
                // RFC 1624: what was summed up before, without the old number and with the new one.
                let sum = u32::from(!request.get_checksum())
                    + u32::from(!request.get_sequence_number())
                    + u32::from(sequence);
                let folded = (sum & 0xffff) + (sum >> 16);
                request.set_checksum(!((folded & 0xffff) + (folded >> 16)) as u16);
                request.set_sequence_number(sequence);
            }
        }
        Family::V6 => {
            if let Some(mut request) = MutableRequestV6::new(bytes) {
                request.set_sequence_number(sequence);
            }
        }
    }
}

/// Of sixteen bits each, the one that the checksum is.
const CHECKSUM_WORD: usize = 1;

/// The echo reply in what a socket has received: of a raw IPv4 socket (`with_header`) the IP header comes first.
///
/// # Errors
/// [`Oddity`].
pub fn answer(family: Family, with_header: bool, bytes: &[u8]) -> Result<Answer<'_>, Oddity> {
    let message = match (family, with_header) {
        (Family::V4, true) => behind_header(bytes).ok_or(Oddity::Short)?,
        _ => bytes,
    };
    if message.len() < HEADER_BYTES {
        return Err(Oddity::Short);
    }
    match family {
        Family::V4 => {
            let icmp = IcmpPacket::new(message).ok_or(Oddity::Short)?;
            if icmp.get_icmp_type() != IcmpTypes::EchoReply {
                return Err(Oddity::NoReply);
            }
            // Raw sockets are given it before the kernel looks at the checksum (ip_local_deliver, icmp_rcv).
            if !has_right_checksum(message) {
                return Err(Oddity::Checksum);
            }
            let reply = EchoReplyPacket::new(message).ok_or(Oddity::Short)?;
            let (ident, sequence) = (reply.get_identifier(), reply.get_sequence_number());
            Ok(Answer { ident, sequence, payload: &message[HEADER_BYTES..] })
        }
        Family::V6 => {
            let icmp = Icmpv6Packet::new(message).ok_or(Oddity::Short)?;
            if icmp.get_icmpv6_type() != Icmpv6Types::EchoReply {
                return Err(Oddity::NoReply);
            }
            Ok(numbers(message))
        }
    }
}

/// RFC 1071: the sum of all of it is all ones. Four bytes at a time, in whatever order this machine has them; pnet's sum took a
/// flood as long as all else that is done here.
pub(super) fn has_right_checksum(message: &[u8]) -> bool {
    let (words, rest) = message.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let sum: u64 = words.iter().chain([&last]).map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let fold = |sum: u64| (sum & 0xffff) + (sum >> 16);
    fold(fold(fold(fold(sum)))) == 0xffff
}

/// Whom an IPv4 header says that it is from.
pub(super) fn sender(bytes: &[u8]) -> Option<IpAddr> {
    Some(Ipv4Packet::new(bytes)?.get_source().into())
}

/// What stands behind the IP header, as far as the packet says that it goes.
fn behind_header(bytes: &[u8]) -> Option<&[u8]> {
    let packet = Ipv4Packet::new(bytes)?;
    let header = usize::from(packet.get_header_length()) * 4;
    let whole = usize::from(packet.get_total_length()).min(bytes.len());
    let is_icmp = packet.get_next_level_protocol() == IpNextHeaderProtocols::Icmp;
    bytes.get(header..whole).filter(|_| is_icmp && header >= 20)
}

/// Identifier and sequence number of an echo message, of which there is enough.
fn numbers(message: &[u8]) -> Answer<'_> {
    let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    Answer { ident: number(4), sequence: number(6), payload: &message[HEADER_BYTES..] }
}

/// Of which request of ours an ICMP error is about: identifier and sequence number in what it quotes, which the
/// kernel gives us from the ICMP header on; `None` for what is no echo request, or not enough of one.
///
/// What it quotes of the data must be what was `sent`. Routers need not quote any (RFC 792: 64 bits, which is the header).
pub fn quoted(family: Family, bytes: &[u8], sent: &[u8]) -> Option<(u16, u16)> {
    let kind = match family {
        Family::V4 => IcmpTypes::EchoRequest.0,
        Family::V6 => Icmpv6Types::EchoRequest.0,
    };
    let message = bytes.get(..HEADER_BYTES).filter(|message| message[0] == kind)?;
    let Answer { ident, sequence, .. } = numbers(message);
    let mut pairs = bytes[HEADER_BYTES..].iter().zip(token(sent));
    pairs.all(|(quoted, sent)| quoted == sent).then_some((ident, sequence))
}
