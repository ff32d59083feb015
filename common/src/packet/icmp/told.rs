//! What the kernel tells of packets that we sent: how far they are, and why they do not arrive.

use std::ffi::c_int;
use std::net::IpAddr;
use std::time::Duration;

/// What the kernel tells of packets that we sent.
#[derive(Debug, Clone, Copy)]
pub enum Told {
    /// It was so far at that time.
    Stamp {
        /// Which packet.
        sequence: u16,
        /// How far.
        stage: Stage,
        /// By the clock that people have.
        at: Duration,
    },
    /// It could not be delivered.
    Complaint {
        /// Which packet; `None` if that is not told.
        sequence: Option<u16>,
        /// Where that packet went, as the error quotes it.
        to: Option<IpAddr>,
        /// Who says so, and what.
        what: Complaint,
    },
    /// An error about somebody else's packet, or about none that makes sense.
    Foreign,
}

/// How far a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The neighbour's address is known, and the packet given to the link's queue.
    Scheduled,
    /// It is given to the link itself.
    Sent,
}

/// An ICMP error, or one of our own kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Complaint {
    /// Who says so; `None` for our own kernel.
    pub by: Option<IpAddr>,
    /// ICMP's type.
    pub kind: u8,
    /// ICMP's code.
    pub code: u8,
    /// The MTU of the next link, or where a parameter is wrong.
    pub info: u32,
    /// What system calls say of such.
    pub errno: c_int,
}
