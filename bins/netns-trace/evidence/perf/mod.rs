//! What the kernel's tracepoints tell by perf_event_open(2), where programs of BPF are not allowed or not to be had. They have no
//! bytes of the packet and no namespace: the probe is told by its length and by where it is in the kernel's memory, from the moment
//! that this thread sends it.

mod chains;
mod drops;
mod tracefs;

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use common::packet::IpFamily;
use common::sys::{EventRing, perf_tracepoint};
use nix::unistd::gettid;

use self::chains::{PerfEvent, PerfPlace, recognised};
pub(super) use self::drops::{PerfDrops, PerfKind};
use self::tracefs::{TraceFiles, TracepointFormat};
use super::error::{NO_REASON, NotArmed};
use super::seen::SeenEvent;
use crate::model::{ProbeSignature, SignedContent};

/// Pages of records, of each tracepoint on each processor.
const PAGES: usize = 16;
/// linux/perf_event.h: the types of records.
const PERF_RECORD_LOST: u32 = 2;
const PERF_RECORD_SAMPLE: u32 = 9;
/// Behind the record's header: process and thread, the time, the length of what follows.
const THREAD_AT: usize = 12;
const TIME_AT: usize = 16;
const RAW_AT: usize = 28;
/// linux/if_ether.h: ETH_HLEN.
const ETHERNET_BYTES: u16 = 14;

/// The tracepoints, armed until it is dropped.
#[derive(Debug)]
pub(super) struct PerfEvidence {
    sources: Vec<(PerfPlace, EventRing)>,
    formats: [TracepointFormat; 3],
    events: Vec<PerfEvent>,
    thread: i32,
    has_lost: bool,
}

impl PerfEvidence {
    /// Arms them on every processor, for packets of the probe's length.
    pub(super) fn arm(signature: &ProbeSignature) -> Result<Self, NotArmed> {
        let files = TraceFiles::open()?;
        let format = |name| files.format(name);
        let formats =
            [format("net/net_dev_start_xmit")?, format("net/netif_receive_skb")?, format("skb/kfree_skb")?];
        let lengths = lengths(signature);
        let one_of = |lengths: Vec<u16>| {
            lengths.iter().map(|length| format!("len == {length}")).collect::<Vec<_>>().join(" || ")
        };
        let with_link: Vec<u16> =
            lengths.iter().flat_map(|length| [*length, length + ETHERNET_BYTES]).collect();
        let ethertype = if signature.family() == IpFamily::V4 { 0x0800 } else { 0x86dd };
        let filters = [one_of(with_link), one_of(lengths), format!("protocol == {ethertype}")];
        let places = [PerfPlace::Sent, PerfPlace::Received, PerfPlace::Dropped];
        let mut sources = Vec::new();
        for ((place, format), filter) in places.into_iter().zip(&formats).zip(filters) {
            let filter = CString::new(filter).unwrap_or_default();
            for processor in processors() {
                let ring = perf_tracepoint(format.id, processor, Some(&filter), PAGES);
                let failed = |errno| NotArmed::refused("tracepoints by perf", errno);
                sources.push((place, ring.map_err(failed)?));
            }
        }
        let thread = gettid().as_raw();
        Ok(PerfEvidence { sources, formats, events: Vec::new(), thread, has_lost: false })
    }

    /// What can be waited for.
    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sources.iter().map(|(_, ring)| ring.as_fd())
    }

    /// Takes in what has come since.
    pub(super) fn drain(&mut self) {
        let PerfEvidence { sources, formats, events, has_lost, .. } = self;
        for (place, ring) in sources {
            let format = &formats[*place as usize];
            ring.drain(|record| match word(record, 0) {
                Some(PERF_RECORD_SAMPLE) => events.extend(read(*place, format, record)),
                Some(PERF_RECORD_LOST) => *has_lost = true,
                _ => {}
            });
        }
    }

    /// What of it was the probe or its answer.
    pub(super) fn recognised(&mut self) -> Vec<SeenEvent> {
        self.drain();
        let mut events = std::mem::take(&mut self.events);
        events.sort_by_key(|event| event.at);
        recognised(&events, self.thread)
    }

    /// What could not be seen.
    pub(super) fn not_seen(&self, signature: &ProbeSignature) -> Vec<String> {
        let mut lines = vec![
            "by perf neither namespaces nor addresses of packets are seen, and no ICMP errors: they were told by their length"
                .to_owned(),
        ];
        if matches!(signature.content, SignedContent::Datagram { .. }) {
            lines
                .push("by perf the answers of UDP are not seen: nothing is known of their length".to_owned());
        }
        if !self.formats[2].has("reason") {
            lines.push(NO_REASON.to_owned());
        }
        lines
    }

    /// Whether the kernel had more to tell than there was room for.
    pub(super) fn is_incomplete(&self) -> bool {
        self.has_lost
    }
}

/// How long the probe and its answer are, with the IP header: an echo reply is as long as the request; a SYN, and what accepts it,
/// have the usual options, a reset has none.
fn lengths(signature: &ProbeSignature) -> Vec<u16> {
    let header = if signature.family() == IpFamily::V4 { 20 } else { 40 };
    match signature.content {
        SignedContent::Echo { .. } | SignedContent::Datagram { .. } => vec![signature.packet_bytes],
        SignedContent::Syn { .. } => vec![header + 40, header + 20],
    }
}

/// The processors that are running: `0-3,5`.
fn processors() -> Vec<u32> {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_else(|_| "0".to_owned());
    let ranges = online.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<u32>().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

fn read(place: PerfPlace, format: &TracepointFormat, record: &[u8]) -> Option<PerfEvent> {
    let raw = record.get(RAW_AT..)?;
    let reason = |number: u64| {
        let number = u32::try_from(number).ok()?;
        Some(format.words.get(&number).cloned().unwrap_or_else(|| format!("reason {number}")))
    };
    Some(PerfEvent {
        at: Duration::from_nanos(u64::from_ne_bytes(record.get(TIME_AT..TIME_AT + 8)?.try_into().ok()?)),
        thread: word(record, THREAD_AT)?.cast_signed(),
        place,
        packet_id: format.number(raw, "skbaddr")?,
        ifname: format.text(raw, "name"),
        reason: format.number(raw, "reason").and_then(reason),
        function: format.number(raw, "location"),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
