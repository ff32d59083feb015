//! What happens to packets, as plain data: shown to people by `lines`, and to programs by `json`.

use std::net::IpAddr;

use common::packet::icmp::Complaint;
use nix::errno::Errno;

use super::flight::Took;

/// What has happened to a packet, or because of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// It was sent.
    Sent {
        /// Its number, from 1.
        seq: u64,
    },
    /// It was answered.
    Answered(Answered),
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
    /// Somebody says that it cannot be delivered.
    Refused {
        /// Its number, from 1.
        seq: u64,
        /// Who says what.
        what: Complaint,
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
    /// Something came that is no answer, for it is spoiled or made up.
    Garbled {
        /// From whom.
        from: IpAddr,
        /// The packet that it claims to answer, without the random bytes of that; `None` where the checksum is wrong.
        seq: Option<u64>,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The packet's number, from 1.
    pub seq: u64,
    /// Who sent it.
    pub from: IpAddr,
    /// How long it is, with ICMP's header.
    pub bytes: usize,
    /// Through how many routers it could still have gone.
    pub ttl: Option<u8>,
    /// How long it took.
    pub took: Took,
    /// Whether there was one already.
    pub is_duplicate: bool,
    /// Whether the packet had been given up as lost.
    pub is_late: bool,
    /// How what came back differs from what was sent.
    pub differs: Option<Differs>,
}

/// How what came back differs from what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differs {
    /// There is less of it, or more.
    Length,
    /// A byte is another one.
    Byte {
        /// Which, of the data.
        at: usize,
        /// What was sent.
        sent: u8,
        /// What came.
        came: u8,
    },
}

/// What is wrong with what is [`Happened::Garbled`].
pub fn garbled_in_words(seq: Option<u64>) -> &'static str {
    match seq {
        Some(_) => "answer without the random bytes of the request: not counted",
        None => "answer with a wrong checksum",
    }
}

impl Differs {
    /// Of an answer's data.
    pub fn of(sent: &[u8], came: &[u8]) -> Option<Self> {
        if is_same(sent, came) {
            return None;
        }
        let byte = sent.iter().zip(came).enumerate().find(|(_, (sent, came))| sent != came);
        Some(match byte {
            Some((at, (sent, came))) => Differs::Byte { at, sent: *sent, came: *came },
            None => Differs::Length,
        })
    }
}

/// A word at a time: slices are compared by memcmp, and musl's takes a byte.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let mut pairs = words.iter().zip(other_words);
    one.len() == other.len()
        && pairs.all(|(one, other)| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other))
        && rest == other_rest
}
