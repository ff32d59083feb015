//! What happens to packets, as plain data: shown to people by `lines`, and to programs by `json`.

use std::net::IpAddr;

use common::packet::icmp::IcmpError;
use common::probe::Timing;
use nix::errno::Errno;

/// What has happened to a packet, or because of one.
#[derive(Debug, Clone, PartialEq)]
pub enum EchoEvent {
    /// It was sent.
    Sent {
        /// Its number, from 1.
        seq: u64,
    },
    /// It was answered.
    Answered(EchoAnswer),
    /// The next one is sent, and it has not been answered.
    Outstanding {
        /// Its number, from 1.
        seq: u64,
    },
    /// It was not answered in time.
    Lost {
        /// Its number, from 1.
        seq: u64,
    },
    /// An ICMP error says that it cannot be delivered.
    Refused {
        /// Its number, from 1.
        seq: u64,
        /// What it says.
        error: IcmpError,
    },
    /// Our kernel would not send it.
    NotSent {
        /// Its number, from 1.
        seq: u64,
        /// Why.
        errno: Errno,
        /// The MTU that it is too large for.
        mtu_bytes: Option<u32>,
    },
    /// A reply came that is spoiled or forged.
    Garbled {
        /// Its source address.
        from: IpAddr,
        /// The packet that it claims to answer, without the random bytes of that; `None` where the checksum is wrong.
        seq: Option<u64>,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct EchoAnswer {
    /// The packet's number, from 1.
    pub seq: u64,
    /// Its source address.
    pub from: IpAddr,
    /// How long it is, with ICMP's header.
    pub bytes: usize,
    /// Its TTL when it came.
    pub ttl: Option<u8>,
    /// How long it took.
    pub took: Timing,
    /// Whether there was one already.
    pub is_duplicate: bool,
    /// Whether the packet had been given up as lost.
    pub is_late: bool,
    /// How what came back differs from what was sent.
    pub differs: Option<PayloadDifference>,
}

/// How what came back differs from what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadDifference {
    /// There is less of it.
    Shorter,
    /// There is more of it.
    Longer,
    /// A byte is different.
    Byte {
        /// Which, of the data.
        at: usize,
        /// What was sent.
        sent: u8,
        /// What came.
        came: u8,
    },
}

/// What is wrong with what is [`EchoEvent::Garbled`].
pub fn garbled_in_words(seq: Option<u64>) -> &'static str {
    match seq {
        Some(_) => "answer without the random bytes of the request: not counted",
        None => "answer with a wrong checksum",
    }
}

impl PayloadDifference {
    /// Of an answer's data.
    pub fn of(sent: &[u8], came: &[u8]) -> Option<Self> {
        if sent == came {
            return None;
        }
        let byte = sent.iter().zip(came).enumerate().find(|(_, (sent, came))| sent != came);
        Some(match byte {
            Some((at, (sent, came))) => PayloadDifference::Byte { at, sent: *sent, came: *came },
            None if came.len() < sent.len() => PayloadDifference::Shorter,
            None => PayloadDifference::Longer,
        })
    }
}
