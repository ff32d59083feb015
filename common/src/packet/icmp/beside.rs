//! What the kernel says beside a datagram: when it came or went, through how many routers, and what went wrong.

use std::ffi::c_int;
use std::net::IpAddr;
use std::time::Duration;

use super::told::{Complaint, Stage};
use crate::sys::{RecvBuffer, address_in};

/// linux/errqueue.h: struct sock_extended_err is this long, and who sent the error stands behind it.
const EXTENDED_ERROR_BYTES: usize = 16;
const ORIGIN_LOCAL: u8 = 1;
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;
const ORIGIN_TIMESTAMPING: u8 = 4;
/// linux/if_packet.h: what goes with the time stamps of a packet socket.
const PACKET_TX_TIMESTAMP: c_int = 16;
/// linux/errqueue.h, SCM_TSTAMP_*.
const STAMP_SENT: u32 = 0;
const STAMP_SCHEDULED: u32 = 1;

/// All that is said beside one datagram.
#[derive(Debug, Default)]
pub(in crate::packet) struct Beside {
    /// By the clock that people have, since 1970.
    pub(in crate::packet) at: Option<Duration>,
    pub(in crate::packet) ttl: Option<u8>,
    pub(in crate::packet) error: Option<Extended>,
}

/// struct sock_extended_err.
#[derive(Debug, Clone, Copy)]
pub(in crate::packet) struct Extended {
    errno: u32,
    origin: u8,
    kind: u8,
    code: u8,
    info: u32,
    data: u32,
    by: Option<IpAddr>,
}

impl Beside {
    pub(in crate::packet) fn of(room: &RecvBuffer) -> Self {
        let mut beside = Beside::default();
        for (level, kind, value) in room.beside() {
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING | libc::SO_TIMESTAMPNS) => beside.at = stamp(value),
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    beside.ttl = number(value, 0).and_then(|ttl| u8::try_from(ttl).ok());
                }
                (libc::IPPROTO_IP, libc::IP_RECVERR)
                | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
                | (libc::SOL_PACKET, PACKET_TX_TIMESTAMP) => {
                    beside.error = Extended::read(value);
                }
                // Where IP_RECVERR is off, time stamps come with the error of the packet that they are of.
                _ => {}
            }
        }
        beside
    }
}

/// struct timespec, or struct scm_timestamping: three of those, of which software fills the first.
fn stamp(value: &[u8]) -> Option<Duration> {
    const WORD: usize = size_of::<libc::c_long>();
    let word = |at: usize| Some(libc::c_long::from_ne_bytes(value.get(at..at + WORD)?.try_into().ok()?));
    let (seconds, nanoseconds) = (word(0)?, word(WORD)?);
    let (seconds, nanoseconds) = (u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
    (seconds > 0 && nanoseconds < 1_000_000_000).then(|| Duration::new(seconds, nanoseconds))
}

fn number(value: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(value.get(at..at + 4)?.try_into().ok()?))
}

impl Extended {
    fn read(value: &[u8]) -> Option<Self> {
        let [origin, kind, code, _] = value.get(4..8)?.try_into().ok()?;
        let by = value.get(EXTENDED_ERROR_BYTES..).and_then(address_in);
        let by = by.filter(|by| !by.is_unspecified());
        Some(Extended {
            errno: number(value, 0)?,
            origin,
            kind,
            code,
            info: number(value, 8)?,
            data: number(value, 12)?,
            by,
        })
    }

    /// Of which packet it is a time stamp, counted from when stamps were asked for, and of what.
    pub(in crate::packet) fn stamp(&self) -> Option<(u32, Stage)> {
        let stage = match self.info {
            STAMP_SENT => Stage::Sent,
            STAMP_SCHEDULED => Stage::Scheduled,
            _ => return None,
        };
        (self.origin == ORIGIN_TIMESTAMPING).then_some((self.data, stage))
    }

    pub(in crate::packet) fn complaint(&self) -> Option<Complaint> {
        let &Extended { kind, code, info, by, .. } = self;
        let errno = c_int::try_from(self.errno).ok()?;
        match self.origin {
            ORIGIN_ICMP | ORIGIN_ICMP6 => Some(Complaint { by, kind, code, info, errno }),
            ORIGIN_LOCAL => Some(Complaint { by: None, kind, code, info, errno }),
            _ => None,
        }
    }
}
