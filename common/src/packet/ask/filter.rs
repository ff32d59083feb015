//! What the kernel lets through to us: answers to questions of ours, and nothing else that is under way on the link.

use super::super::bpf::*;
use crate::target::Mac;

const ARP_REPLY: u32 = 2;
const ICMPV6: u32 = 58;
const ECHO_REPLY: u32 = 129;
const NEIGHBOUR_ADVERTISEMENT: u32 = 136;

/// ARP replies to `mac`. They may be broadcast (RFC 3927, 2.5), so it is ARP's own word for whom they are meant that
/// counts. Loads behind the end of a frame end the program as if nothing were to pass.
pub(super) fn arp_replies(mac: Mac) -> Vec<Instruction> {
    let [a, b, c, d, e, f] = mac.0;
    vec![
        (LOAD_HALF, 0, 0, 20),
        (IF_EQUAL, 0, 5, ARP_REPLY),
        (LOAD_WORD, 0, 0, 32),
        (IF_EQUAL, 0, 3, u32::from_be_bytes([a, b, c, d])),
        (LOAD_HALF, 0, 0, 36),
        (IF_EQUAL, 0, 1, u32::from(u16::from_be_bytes([e, f]))),
        (RETURN, 0, 0, ALL),
        (RETURN, 0, 0, NOTHING),
    ]
}

/// Neighbour advertisements, which may be for all nodes where nobody asked, and echo replies to `ident`.
pub(super) fn ipv6_answers(ident: u16) -> Vec<Instruction> {
    vec![
        (LOAD_BYTE, 0, 0, 20),
        (IF_EQUAL, 0, 6, ICMPV6),
        (LOAD_BYTE, 0, 0, 54),
        (IF_EQUAL, 3, 0, NEIGHBOUR_ADVERTISEMENT),
        (IF_EQUAL, 0, 3, ECHO_REPLY),
        (LOAD_HALF, 0, 0, 58),
        (IF_EQUAL, 0, 1, u32::from(ident)),
        (RETURN, 0, 0, ALL),
        (RETURN, 0, 0, NOTHING),
    ]
}
