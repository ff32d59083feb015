//! What the kernel lets through to a raw socket: answers to our own requests only.

use std::os::fd::BorrowedFd;

use nix::Result;
use pnet_packet::icmp::IcmpTypes;
use pnet_packet::icmpv6::Icmpv6Types;

use crate::packet::IpFamily;
use crate::packet::bpf::*;
use crate::sys::{self, SocketOption};

const ECHO_REPLY_V4: u32 = IcmpTypes::EchoReply.0 as u32;
const ECHO_REPLY_V6: u32 = Icmpv6Types::EchoReply.0 as u32;

/// Filters a raw socket, which otherwise gets a copy of every ICMP packet of the network.
///
/// A short packet ends the program as if nothing were to pass: loads beyond the end return 0 (bpf(4)).
pub(super) fn attach(socket: BorrowedFd<'_>, family: IpFamily, ident: u16) -> Result<()> {
    sys::attach_filter(socket, &program(family, ident))?;
    match family {
        IpFamily::V4 => {
            // linux/icmp.h: a bit for each type that is not wanted.
            let unwanted = !(1_u32 << ECHO_REPLY_V4);
            sys::set_option(socket, SocketOption::ICMP_FILTER, &unwanted.to_ne_bytes())
        }
        IpFamily::V6 => {
            let mut unwanted = [0xff_u8; 32];
            // As the kernel's ICMPV6 filter has them: words of 32 bits, and 129 is bit 1 of the fifth.
            let (word, bit) = (ECHO_REPLY_V6 / 32, ECHO_REPLY_V6 % 32);
            let at = word as usize * 4;
            unwanted[at..at + 4].copy_from_slice(&(!(1_u32 << bit)).to_ne_bytes());
            sys::set_option(socket, SocketOption::ICMP6_FILTER, &unwanted)
        }
    }
}

fn program(family: IpFamily, ident: u16) -> Vec<Instruction> {
    let ident = u32::from(ident);
    match family {
        // The IP header comes first, and may have options.
        IpFamily::V4 => vec![
            (HEADER_LENGTH, 0, 0, 0),
            (LOAD_BYTE_BEHIND, 0, 0, 0),
            (IF_EQUAL, 0, 3, ECHO_REPLY_V4),
            (LOAD_HALF_BEHIND, 0, 0, 4),
            (IF_EQUAL, 0, 1, ident),
            (RETURN, 0, 0, ALL),
            (RETURN, 0, 0, NOTHING),
        ],
        IpFamily::V6 => vec![
            (LOAD_BYTE, 0, 0, 0),
            (IF_EQUAL, 0, 3, ECHO_REPLY_V6),
            (LOAD_HALF, 0, 0, 4),
            (IF_EQUAL, 0, 1, ident),
            (RETURN, 0, 0, ALL),
            (RETURN, 0, 0, NOTHING),
        ],
    }
}
