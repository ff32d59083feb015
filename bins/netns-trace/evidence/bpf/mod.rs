//! What the kernel itself tells of the probe: programs of our own at three of its tracepoints, in all namespaces at once. They
//! need its types (CONFIG_DEBUG_INFO_BTF), CAP_BPF and CAP_PERFMON; they go with their descriptors.

mod assembler;
mod drop_program;
mod drops;
mod layout;
mod program;
mod types;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use common::packet::IpFamily;
use common::sys::{BpfTracepoint, EventRing, KernelTypes, bpf_ring};
use nix::errno::Errno;

pub(super) use self::drops::{BpfDrops, RawKind};
use self::layout::{KernelFacts, PacketLayout};
use self::program::{ProgramPlace, program, told};
use super::error::NotArmed;
use super::seen::SeenEvent;
use crate::model::{ProbeSignature, SeenPacket, TraceEvent, TraceEventKind};

/// Room for two thousand events, in pages of any size: a flood over a thousand bridge ports and back is less.
const RING_BYTES: u32 = 1 << 18;
/// linux/if_packet.h: PACKET_OTHERHOST.
const FOR_OTHER: u8 = 3;

/// The programs, which run until it is dropped.
#[derive(Debug)]
pub(super) struct BpfEvidence {
    _programs: Vec<BpfTracepoint>,
    ring: EventRing,
    facts: KernelFacts,
    family: IpFamily,
    /// Whether the kernel says why it drops a packet.
    pub(super) has_reason: bool,
}

impl BpfEvidence {
    /// Loads the programs and attaches them: it takes some milliseconds, so before the probe is sent.
    pub(super) fn arm(signature: &ProbeSignature) -> Result<Self, NotArmed> {
        let facts = facts()?;
        let ring = ring(RING_BYTES)?;
        let without_cast = PacketLayout { cast: None, ..facts.layout };
        let armed = BpfEvidence::with(&facts.layout, signature, &ring);
        // A kernel may have the function that casts, and not let such programs call it.
        let (programs, has_reason) =
            armed.or_else(|_| BpfEvidence::with(&without_cast, signature, &ring)).map_err(not_loaded)?;
        Ok(BpfEvidence { _programs: programs, ring, facts, family: signature.family(), has_reason })
    }

    /// The programs, and whether they are told why a packet is dropped.
    fn with(
        layout: &PacketLayout,
        signature: &ProbeSignature,
        ring: &EventRing,
    ) -> nix::Result<(Vec<BpfTracepoint>, bool)> {
        let fd = ring.as_fd().as_raw_fd();
        let attach = |tracepoint, place| {
            let code = program(place, layout, signature, fd).ok_or(Errno::E2BIG)?;
            BpfTracepoint::attach(tracepoint, c"netns_trace", &code)
        };
        let dropped = |has_reason| attach(c"kfree_skb", ProgramPlace::Dropped { has_reason });
        let (dropped, has_reason) = match dropped(true) {
            // Before Linux 5.17 the tracepoint has no reason: the kernel refuses a program that reads one.
            Err(Errno::EINVAL) => (dropped(false)?, false),
            other => (other?, true),
        };
        let sent = attach(c"net_dev_start_xmit", ProgramPlace::Sent)?;
        let received = attach(c"netif_receive_skb", ProgramPlace::Received)?;
        Ok((vec![dropped, sent, received], has_reason))
    }

    /// Hands over what has been seen since.
    pub(super) fn drain(&mut self, mut each: impl FnMut(SeenEvent)) {
        let (facts, family) = (&self.facts, self.family);
        self.ring.drain(|record| each_record(facts, family, record).into_iter().for_each(&mut each));
    }
}

impl AsFd for BpfEvidence {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

fn facts() -> Result<KernelFacts, NotArmed> {
    let lacking = |what| NotArmed::NoTypes { what };
    match KernelTypes::map() {
        Ok(types) => KernelFacts::read(&types).map_err(lacking),
        Err(Errno::ENOENT) => Err(NotArmed::TooOld {
            what: "description of its own types",
            since: "5.4, built with CONFIG_DEBUG_INFO_BTF",
        }),
        // Below Linux 6.16 they can only be read.
        Err(_) => {
            let types = fs::read("/sys/kernel/btf/vmlinux").map_err(|_| lacking("types that can be read"))?;
            KernelFacts::read(&types).map_err(lacking)
        }
    }
}

/// Where programs tell what they have seen.
fn ring(bytes: u32) -> Result<EventRing, NotArmed> {
    bpf_ring(bytes).map_err(|errno| match errno {
        // No such kind of map.
        Errno::EINVAL => NotArmed::TooOld { what: "ring buffers of BPF", since: "5.8" },
        errno => not_loaded(errno),
    })
}

fn not_loaded(errno: Errno) -> NotArmed {
    NotArmed::refused("programs of BPF", errno)
}

fn each_record(facts: &KernelFacts, family: IpFamily, record: &[u8]) -> Option<SeenEvent> {
    let half = |at: usize| Some(u32::from_ne_bytes(record.get(at..at + 4)?.try_into().ok()?));
    let whole = |at: usize| Some(u64::from_ne_bytes(record.get(at..at + 8)?.try_into().ok()?));
    let headers = record.get(told::HEADERS..told::BYTES)?;
    let address_v4 = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(headers.get(at..at + 4)?).ok()?));
    let address_v6 = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(headers.get(at..at + 16)?).ok()?));
    let addresses = match family {
        IpFamily::V4 => (address_v4(12)?.into(), address_v4(16)?.into()),
        IpFamily::V6 => (address_v6(8)?.into(), address_v6(24)?.into()),
    };
    let is_for_other = *record.get(told::KIND)? == FOR_OTHER;
    let mut function = None;
    let kind = match record.get(told::PLACE)? {
        0 => {
            function = Some(whole(told::FUNCTION)?).filter(|function| *function != 0);
            let reason = facts.reason(half(told::REASON)?);
            TraceEventKind::Dropped { reason, function: None, is_for_other }
        }
        1 => TraceEventKind::Sent,
        _ => TraceEventKind::Received { is_for_other },
    };
    let packet = match record.get(told::PACKET)? {
        0 => SeenPacket::Request,
        1 => SeenPacket::Answer,
        _ => SeenPacket::Error,
    };
    let event = TraceEvent {
        at: Some(Duration::from_nanos(whole(told::AT)?)),
        packet,
        netns: Some(half(told::NETNS)?.into()).filter(|netns| *netns != 0),
        index: Some(half(told::INDEX)?).filter(|index| *index != 0),
        ifname: None,
        addresses: Some(addresses),
        packet_id: whole(told::PACKET_ID)?,
        kind,
    };
    Some(SeenEvent { event, function })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use common::sys::count_bpf_run_time;
    use support::skip::{Missing, need};

    use super::*;
    use crate::model::SignedContent;

    fn root() -> Result<(), Missing> {
        let is_root = nix::unistd::geteuid().is_root();
        is_root.then_some(()).ok_or_else(|| Missing::Fixable("needs root".into()))
    }

    /// The kernel counts how long the programs run for packets that are not the probe: as many as a loop sends.
    #[test]
    fn a_packet_that_is_not_the_probe_costs_a_hundred_nanoseconds_at_most() {
        need!(root());
        let contents = [
            SignedContent::Echo { ident: 1, sequence: 2, token: [7; 8] },
            SignedContent::Syn { sequence: 1 },
            SignedContent::Datagram { source_port: 0, token: [7; 8] },
        ];
        let counted = count_bpf_run_time().unwrap();
        let to = UdpSocket::bind("127.0.0.1:0").unwrap();
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut buffer = [0; 64];
        for content in contents {
            let destination = Ipv4Addr::LOCALHOST.into();
            let mut armed =
                BpfEvidence::arm(&ProbeSignature { destination, packet_bytes: 84, content }).unwrap();
            let mut best = f64::INFINITY;
            let time = |armed: &BpfEvidence| {
                let times = armed._programs.iter().map(|program| program.run_time().unwrap());
                times.fold((0, 0), |all, one| (all.0 + one.nanoseconds, all.1 + one.runs))
            };
            for _ in 0..5 {
                let before = time(&armed);
                for _ in 0..4000 {
                    from.send_to(&[1; 40], to.local_addr().unwrap()).unwrap();
                    to.recv(&mut buffer).unwrap();
                }
                let after = time(&armed);
                assert!(after.1 - before.1 >= 8000, "{before:?} {after:?}");
                best = ((after.0 - before.0) as f64 / (after.1 - before.1) as f64).min(best);
            }
            eprintln!("{content:?}: {best:.0} ns a packet at each tracepoint");
            assert!(best <= 100.0, "{content:?}: {best} ns");
            armed.drain(|event| panic!("{event:?}"));
        }
        drop(counted);
    }
    /// As a kernel from 6.2 on does it, and one before.
    #[test]
    fn a_datagram_and_the_error_about_it_are_recognised_with_casts_and_without() {
        need!(root());
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        let facts = facts().unwrap();
        let casts = [facts.layout.cast, None];
        for cast in casts {
            let layout = PacketLayout { cast, ..facts.layout };
            let content = SignedContent::Datagram { source_port: 9, token: *b"it is me" };
            let destination = closed.ip();
            let signature = ProbeSignature { destination, packet_bytes: 40, content };
            let mut ring = ring(RING_BYTES).unwrap();
            let (_programs, _) = BpfEvidence::with(&layout, &signature, &ring).unwrap();
            let _ = from.send_to(b"it is not", closed);
            let _ = from.send_to(b"not at all", closed);
            let _ = from.send_to(b"it is me, closed", closed);
            let mut seen = Vec::new();
            ring.drain(|record| {
                let event = each_record(&facts, IpFamily::V4, record).unwrap().event;
                seen.push((event.packet, std::mem::discriminant(&event.kind)));
            });
            let sent = std::mem::discriminant(&TraceEventKind::Sent);
            let received = std::mem::discriminant(&TraceEventKind::Received { is_for_other: false });
            for packet in [SeenPacket::Request, SeenPacket::Error] {
                for kind in [sent, received] {
                    let times = seen.iter().filter(|one| **one == (packet, kind)).count();
                    assert_eq!(times, 1, "{cast:?} {packet:?}: {seen:?}");
                }
            }
        }
    }
}
