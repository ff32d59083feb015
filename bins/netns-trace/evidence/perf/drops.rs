//! Every packet of IP or ARP that the kernel drops, as its tracepoint tells by perf: why, and in which function.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use common::sys::{EventRing, perf_tracepoint};

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
    pub(in crate::evidence) lost: u64,
}

impl PerfDrops {
    /// Arms it on every processor.
    pub(in crate::evidence) fn arm() -> Result<Self, NotArmed> {
        let lacking = |what| move || NotArmed::NoTypes { what };
        let files = TraceFiles::open().ok_or_else(lacking("tracefs that may be read"))?;
        let format = files.format("skb/kfree_skb").ok_or_else(lacking("tracepoints of packets"))?;
        let ring = |processor| {
            let failed = |errno| NotArmed::Kernel { what: "tracepoints by perf", errno };
            perf_tracepoint(format.id, processor, Some(FILTER), PAGES).map_err(failed)
        };
        let rings = processors().into_iter().map(ring).collect::<Result<_, _>>()?;
        Ok(PerfDrops { rings, format, lost: 0 })
    }

    /// What can be waited for.
    pub(in crate::evidence) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.rings.iter().map(AsFd::as_fd)
    }

    /// Hands over the time, the reason and the function's address of what was dropped since.
    pub(in crate::evidence) fn drain(&mut self, mut each: impl FnMut(Duration, String, u64)) {
        let PerfDrops { rings, format, lost } = self;
        let long =
            |record: &[u8], at: usize| Some(u64::from_ne_bytes(record.get(at..at + 8)?.try_into().ok()?));
        for ring in rings {
            ring.drain(|record| match word(record, 0) {
                Some(PERF_RECORD_SAMPLE) => {
                    let Some((raw, at)) = record.get(RAW_AT..).zip(long(record, TIME_AT)) else { return };
                    let reason = match format
                        .number(raw, "reason")
                        .and_then(|number| u32::try_from(number).ok())
                    {
                        Some(number) => {
                            format.words.get(&number).cloned().unwrap_or_else(|| format!("reason {number}"))
                        }
                        None => "NOT_SPECIFIED".to_owned(),
                    };
                    each(Duration::from_nanos(at), reason, format.number(raw, "location").unwrap_or(0));
                }
                Some(PERF_RECORD_LOST) => *lost += long(record, LOST_AT).unwrap_or(1),
                _ => {}
            });
        }
    }
}
