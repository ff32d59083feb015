//! Every packet of IP or ARP that the kernel drops, as its tracepoint tells by perf: why, and in which function.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use common::sys::{EventRing, perf_stop, perf_tracepoint};

use super::tracefs::{TraceFiles, TracepointFormat};
use super::{PERF_RECORD_LOST, PERF_RECORD_SAMPLE, RAW_AT, TIME_AT, processors, word};
use crate::evidence::error::NotArmed;

/// Pages of records on each processor: room for thirty thousand packets.
const PAGES: usize = 512;
/// ETH_P_IP, ETH_P_IPV6, ETH_P_ARP, as the tracepoint has them.
const FILTER: &std::ffi::CStr = c"protocol == 0x0800 || protocol == 0x86dd || protocol == 0x0806";
/// Behind a record's header and an ID: how many were lost.
const LOST_AT: usize = 16;

/// The tracepoint, armed until it is dropped.
#[derive(Debug)]
pub(in crate::evidence) struct PerfDrops {
    rings: Vec<EventRing>,
    format: TracepointFormat,
    /// How many there was no room for.
    lost: u64,
}

/// What it tells of a packet, as the kernel has it: the number of the reason, where it tells it, and the function's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::evidence) struct PerfKind {
    pub(in crate::evidence) reason: Option<u32>,
    pub(in crate::evidence) function: u64,
}

impl PerfDrops {
    /// Arms it on every processor.
    pub(in crate::evidence) fn arm() -> Result<Self, NotArmed> {
        let format = TraceFiles::open()?.format("skb/kfree_skb")?;
        let ring = |processor| {
            let failed = |errno| NotArmed::refused("tracepoints by perf", errno);
            perf_tracepoint(format.id, processor, Some(FILTER), PAGES).map_err(failed)
        };
        let rings = processors().into_iter().map(ring).collect::<Result<_, _>>()?;
        Ok(PerfDrops { rings, format, lost: 0 })
    }

    /// Whether the kernel says why it drops a packet.
    pub(in crate::evidence) fn has_reason(&self) -> bool {
        self.format.has("reason")
    }

    /// What can be waited for.
    pub(in crate::evidence) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.rings.iter().map(AsFd::as_fd)
    }

    /// Hands over when a packet was dropped, and why, of those since; of each processor up to the one that is said to be the last.
    pub(in crate::evidence) fn drain_while(&mut self, mut each: impl FnMut(Duration, PerfKind) -> bool) {
        let PerfDrops { rings, format, lost } = self;
        for ring in rings {
            ring.drain_while(|record| match word(record, 0) {
                Some(PERF_RECORD_SAMPLE) => read(format, record).is_none_or(|(at, kind)| each(at, kind)),
                Some(PERF_RECORD_LOST) => {
                    *lost += long(record, LOST_AT).unwrap_or(1);
                    true
                }
                _ => true,
            });
        }
    }

    /// It tells nothing any more. What it has told can still be read.
    pub(in crate::evidence) fn stop(&self) {
        // One that goes on tells of packets that nobody counts.
        for ring in &self.rings {
            let _ = perf_stop(ring.as_fd());
        }
    }

    /// How many packets there was no room for, and how many there are that nobody has read.
    pub(in crate::evidence) fn lost(&mut self) -> u64 {
        let mut unread = 0;
        self.drain_while(|_, _| {
            unread += 1;
            true
        });
        self.lost += unread;
        self.lost
    }

    /// The kernel's word for a reason.
    pub(in crate::evidence) fn reason(&self, number: Option<u32>) -> String {
        let Some(number) = number else { return "NOT_SPECIFIED".to_owned() };
        self.format.words.get(&number).cloned().unwrap_or_else(|| format!("reason {number}"))
    }
}

fn read(format: &TracepointFormat, record: &[u8]) -> Option<(Duration, PerfKind)> {
    let raw = record.get(RAW_AT..)?;
    let reason = format.number(raw, "reason").and_then(|number| u32::try_from(number).ok());
    let function = format.number(raw, "location").unwrap_or(0);
    Some((Duration::from_nanos(long(record, TIME_AT)?), PerfKind { reason, function }))
}

fn long(record: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(record.get(at..at + 8)?.try_into().ok()?))
}
