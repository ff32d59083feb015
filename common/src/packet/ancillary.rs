//! What the kernel tells along with a datagram: when it came or went, its TTL, and what went wrong. cmsg(3).

use std::ffi::c_int;
use std::net::IpAddr;
use std::time::Duration;

use super::icmp::IcmpError;
use super::stamp_log::TxStage;
use crate::sys::{RecvBuffer, address_in};

/// linux/errqueue.h: struct sock_extended_err is this long; the address of the sender of the error follows.
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

/// SO_TIMESTAMPING: time stamps of received packets, and of sent ones, by their number alone, where each may have waited.
pub(super) const STAMPS: u32 = libc::SOF_TIMESTAMPING_RX_SOFTWARE
    | libc::SOF_TIMESTAMPING_TX_SCHED
    | libc::SOF_TIMESTAMPING_TX_SOFTWARE
    | libc::SOF_TIMESTAMPING_SOFTWARE
    | libc::SOF_TIMESTAMPING_OPT_ID
    | libc::SOF_TIMESTAMPING_OPT_TSONLY;

/// All that is told along with one datagram.
#[derive(Debug, Default)]
pub(super) struct Ancillary {
    /// When it came or went, by CLOCK_REALTIME.
    pub(super) at: Option<Duration>,
    pub(super) ttl: Option<u8>,
    pub(super) error: Option<ExtendedError>,
}

/// struct sock_extended_err.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExtendedError {
    errno: u32,
    origin: u8,
    kind: u8,
    code: u8,
    info: u32,
    data: u32,
    by: Option<IpAddr>,
}

impl Ancillary {
    pub(super) fn of(buffer: &RecvBuffer) -> Self {
        let mut ancillary = Ancillary::default();
        for (level, kind, value) in buffer.ancillary() {
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => ancillary.at = stamp(value),
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    ancillary.ttl = number(value, 0).and_then(|ttl| u8::try_from(ttl).ok());
                }
                (libc::IPPROTO_IP, libc::IP_RECVERR)
                | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
                | (libc::SOL_PACKET, PACKET_TX_TIMESTAMP) => {
                    ancillary.error = ExtendedError::read(value);
                }
                // Where IP_RECVERR is off, time stamps come with the error of the packet that they are of.
                _ => {}
            }
        }
        ancillary
    }
}

/// struct scm_timestamping: three structs timespec, of which software fills the first.
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

impl ExtendedError {
    fn read(value: &[u8]) -> Option<Self> {
        let [origin, kind, code, _] = value.get(4..8)?.try_into().ok()?;
        let by = value.get(EXTENDED_ERROR_BYTES..).and_then(address_in);
        let by = by.filter(|by| !by.is_unspecified());
        Some(ExtendedError {
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
    pub(super) fn stamp(&self) -> Option<(u32, TxStage)> {
        let stage = match self.info {
            STAMP_SENT => TxStage::Sent,
            STAMP_SCHEDULED => TxStage::Scheduled,
            _ => return None,
        };
        (self.origin == ORIGIN_TIMESTAMPING).then_some((self.data, stage))
    }

    pub(super) fn icmp_error(&self) -> Option<IcmpError> {
        let &ExtendedError { kind, code, info, by, .. } = self;
        let errno = c_int::try_from(self.errno).ok()?;
        match self.origin {
            ORIGIN_ICMP | ORIGIN_ICMP6 => Some(IcmpError { by, kind, code, info, errno }),
            ORIGIN_LOCAL => Some(IcmpError { by: None, kind, code, info, errno }),
            _ => None,
        }
    }
}
