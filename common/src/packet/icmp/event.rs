//! What the kernel tells of packets that were sent: how far they are, and why they do not arrive.

use std::ffi::c_int;
use std::net::IpAddr;
use std::time::Duration;

use crate::packet::TxStage;

/// What the kernel tells of packets that were sent.
#[derive(Debug, Clone, Copy)]
pub enum TxEvent {
    /// It was so far at that time.
    Stamp {
        /// Which packet.
        sequence: u16,
        /// How far.
        stage: TxStage,
        /// By CLOCK_REALTIME.
        at: Duration,
    },
    /// It could not be delivered.
    Error {
        /// Which packet; `None` if unknown.
        sequence: Option<u16>,
        /// Where that packet went, as the error quotes it.
        to: Option<IpAddr>,
        /// The error itself.
        error: IcmpError,
    },
    /// An error about a packet that is not ours, or that makes no sense.
    Foreign,
}

/// An ICMP error, or one of our own kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// The address that sent it; `None` for our own kernel.
    pub by: Option<IpAddr>,
    /// ICMP's type.
    pub kind: u8,
    /// ICMP's code.
    pub code: u8,
    /// The MTU of the next link, or where a parameter is wrong.
    pub info: u32,
    /// The errno that system calls fail with for it.
    pub errno: c_int,
}
