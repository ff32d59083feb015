//! What the kernel lets through to a packet socket, as programs of bpf(4). A load beyond the end of a frame ends a program as
//! if nothing were to pass.

use pnet_packet::arp::ArpOperations;
use pnet_packet::icmpv6::Icmpv6Types;
use pnet_packet::ip::IpNextHeaderProtocols;

use crate::packet::bpf::*;
use crate::target::Mac;

const ICMPV6: u32 = IpNextHeaderProtocols::Icmpv6.0 as u32;
const ECHO_REPLY: u32 = Icmpv6Types::EchoReply.0 as u32;
const SOLICITATION: u32 = Icmpv6Types::NeighborSolicit.0 as u32;
const ADVERTISEMENT: u32 = Icmpv6Types::NeighborAdvert.0 as u32;

/// ARP replies to `mac`. They may be broadcast (RFC 3927, 2.5), so it is the target in the ARP packet that counts.
pub(super) fn arp_replies(mac: Mac) -> Vec<Instruction> {
    let [a, b, c, d, e, f] = mac.0;
    vec![
        (LOAD_HALF, 0, 0, 20),
        (IF_EQUAL, 0, 5, ArpOperations::Reply.0.into()),
        (LOAD_WORD, 0, 0, 32),
        (IF_EQUAL, 0, 3, u32::from_be_bytes([a, b, c, d])),
        (LOAD_HALF, 0, 0, 36),
        (IF_EQUAL, 0, 1, u32::from(u16::from_be_bytes([e, f]))),
        (RETURN, 0, 0, ALL),
        (RETURN, 0, 0, NOTHING),
    ]
}

/// Neighbour advertisements, which may be to all nodes though we did not ask, and echo replies to `ident`.
pub(super) fn ipv6_answers(ident: u16) -> Vec<Instruction> {
    vec![
        (LOAD_BYTE, 0, 0, 20),
        (IF_EQUAL, 0, 6, ICMPV6),
        (LOAD_BYTE, 0, 0, 54),
        (IF_EQUAL, 3, 0, ADVERTISEMENT),
        (IF_EQUAL, 0, 3, ECHO_REPLY),
        (LOAD_HALF, 0, 0, 58),
        (IF_EQUAL, 0, 1, u32::from(ident)),
        (RETURN, 0, 0, ALL),
        (RETURN, 0, 0, NOTHING),
    ]
}

/// All of neighbour discovery that can claim an address.
pub(super) fn ipv6_claims() -> Vec<Instruction> {
    vec![
        (LOAD_BYTE, 0, 0, 20),
        (IF_EQUAL, 0, 4, ICMPV6),
        (LOAD_BYTE, 0, 0, 54),
        (IF_EQUAL, 1, 0, ADVERTISEMENT),
        (IF_EQUAL, 0, 1, SOLICITATION),
        (RETURN, 0, 0, ALL),
        (RETURN, 0, 0, NOTHING),
    ]
}
