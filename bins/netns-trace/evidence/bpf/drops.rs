//! Every packet that the kernel drops, by a program of our own: loaded, read, and what was lost counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use common::sys::{BpfCounters, BpfTracepoint, EventRing};
use nix::errno::Errno;

use super::drop_program::{DropWords, IS_TRACKED, MOST_CALLERS, READ, drop_program, told};
use super::layout::KernelFacts;
use super::{FOR_OTHER, facts, not_loaded, ring};
use crate::evidence::error::NotArmed;
use crate::model::{DroppedContent, DroppedFlow, DroppedPacket};

/// Room for a hundred thousand packets: two seconds of a flood.
const RING_BYTES: u32 = 1 << 25;
/// linux/if_packet.h: PACKET_BROADCAST, PACKET_MULTICAST.
const FOR_MANY: [u8; 2] = [1, 2];
/// linux/if_ether.h.
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const ETHERNET_BYTES: usize = 14;
/// Programs are given ports from here on by chance (net.ipv4.ip_local_port_range).
const BY_CHANCE: u16 = 32768;
/// The first bits of the flags: those of congestion differ from packet to packet.
const PLAIN_FLAGS: u8 = 0x3f;
const PUSH: u8 = 8;

/// The program, which runs until it is dropped.
#[derive(Debug)]
pub(in crate::evidence) struct BpfDrops {
    program: Option<BpfTracepoint>,
    ring: EventRing,
    counters: BpfCounters,
    facts: KernelFacts,
    telling: TellingReasons,
    /// Whether the kernel says why it drops a packet.
    pub(in crate::evidence) has_reason: bool,
}

/// The kernel's numbers of reasons that have to do with what else differs from packet to packet of one flow.
#[derive(Debug, Clone, Copy)]
struct TellingReasons {
    /// PKT_TOO_BIG: with its bytes.
    too_big: Option<u32>,
    /// IP_INHDR: with its TTL.
    header: Option<u32>,
}

/// What the program tells of a packet, as the kernel has it: reasons are numbers, functions addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::evidence) struct RawKind {
    pub(in crate::evidence) netns: Option<u64>,
    pub(in crate::evidence) index: Option<u32>,
    pub(in crate::evidence) out: Option<u32>,
    pub(in crate::evidence) reason: u32,
    pub(in crate::evidence) function: u64,
    /// Who called whom, the innermost first; zeroes behind the last one.
    pub(in crate::evidence) callers: [u64; MOST_CALLERS],
    pub(in crate::evidence) packet: Option<DroppedPacket>,
}

impl BpfDrops {
    /// Loads it and attaches it.
    pub(in crate::evidence) fn arm() -> Result<Self, NotArmed> {
        let facts = facts()?;
        let ring = ring(RING_BYTES)?;
        let counters = BpfCounters::new().map_err(not_loaded)?;
        let (to, count) = (ring.as_fd().as_raw_fd(), counters.as_fd().as_raw_fd());
        let attach = |has_reason, has_socket| {
            let words = DropWords { has_reason, has_socket };
            let code = drop_program(words, &facts.layout, to, count).ok_or(Errno::E2BIG)?;
            BpfTracepoint::attach(c"kfree_skb", c"netns_drops", &code)
        };
        // The kernel refuses a program that reads a word that its tracepoint does not have.
        let (mut attached, mut has_reason) = (attach(true, true), true);
        for with_reason in [true, false] {
            if matches!(attached, Err(Errno::EINVAL)) {
                (attached, has_reason) = (attach(with_reason, false), with_reason);
            }
        }
        let program = Some(attached.map_err(not_loaded)?);
        let telling =
            TellingReasons { too_big: facts.number_of("PKT_TOO_BIG"), header: facts.number_of("IP_INHDR") };
        Ok(BpfDrops { program, ring, counters, facts, telling, has_reason })
    }

    /// Hands over when a packet was dropped, and which, of those since; up to the one that is said to be the last.
    pub(in crate::evidence) fn drain_while(&mut self, mut each: impl FnMut(Duration, RawKind) -> bool) {
        let telling = self.telling;
        self.ring.drain_while(|record| raw(record, telling).is_none_or(|(at, kind)| each(at, kind)));
    }

    /// The program runs no longer. What it has told can still be read.
    pub(in crate::evidence) fn stop(&mut self) {
        drop(self.program.take());
    }

    /// How many packets there was no room for, and how many there are that nobody has read.
    pub(in crate::evidence) fn lost(&mut self) -> u64 {
        let mut unread = 0;
        self.ring.drain(|_| unread += 1);
        self.counters.read().map_or(0, |[lost, _]| lost) + unread
    }

    /// The kernel's word for a reason.
    pub(in crate::evidence) fn reason(&self, number: u32) -> String {
        self.facts.reason(number)
    }
}

impl AsFd for BpfDrops {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

fn raw(record: &[u8], telling: TellingReasons) -> Option<(Duration, RawKind)> {
    let record: &[u8; told::BYTES] = record.get(..told::BYTES)?.try_into().ok()?;
    let whole = |at: usize| Some(u64::from_ne_bytes(record.get(at..at + 8)?.try_into().ok()?));
    let number = |at: usize| word(record, at).filter(|number| *number != 0);
    let reason = word(record, told::REASON)?;
    let mut callers = [0; MOST_CALLERS];
    for (nth, caller) in callers.iter_mut().enumerate() {
        *caller = whole(told::CALLERS + 8 * nth)?;
    }
    let is = |telling: Option<u32>| telling == Some(reason);
    let packet = packet(record).map(|packet| DroppedPacket {
        bytes: packet.bytes.filter(|_| is(telling.too_big)),
        ttl: packet.ttl.filter(|_| is(telling.header)),
        ..packet
    });
    let kind = RawKind {
        netns: number(told::NETNS).map(u64::from),
        index: number(told::INDEX),
        out: number(told::OUT),
        reason,
        function: whole(told::FUNCTION)?,
        callers,
        packet,
    };
    Some((Duration::from_nanos(whole(told::AT)?), kind))
}

fn word(record: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(record.get(at..at + 4)?.try_into().ok()?))
}

/// The packet, if its headers are there.
fn packet(record: &[u8; told::BYTES]) -> Option<DroppedPacket> {
    let headers = &record[told::HEADERS..told::HEADERS + READ as usize];
    let ethertype = u16::from_be_bytes([record[told::ETHERTYPE], record[told::ETHERTYPE + 1]]);
    let (source, destination, content) = match ethertype {
        ETH_P_IP => ip(headers)?,
        ETH_P_IPV6 => ip6(headers)?,
        _ => arp(headers)?,
    };
    let kind = record[told::KIND];
    let state = record[told::FLOW];
    let is_tracked = state & IS_TRACKED != 0;
    let flow = match state & 7 {
        _ if !is_tracked => DroppedFlow::Unknown,
        0 | 3 => DroppedFlow::Established,
        2 => DroppedFlow::New,
        1 | 4 => DroppedFlow::Related,
        _ => DroppedFlow::Unknown,
    };
    let link = &record[told::LINK_HEADER..told::LINK_HEADER + ETHERNET_BYTES];
    let mac: [u8; 6] = link[..6].try_into().ok()?;
    let is_group = match destination {
        IpAddr::V4(to) => to.is_multicast() || to.is_broadcast(),
        IpAddr::V6(to) => to.is_multicast(),
    };
    Some(DroppedPacket {
        source,
        destination,
        content,
        mac: link.iter().any(|byte| *byte != 0).then_some(mac),
        is_for_many: FOR_MANY.contains(&kind) || is_group,
        is_for_other: kind == FOR_OTHER,
        mark: word(record, told::MARK)?,
        flow,
        bytes: word(record, told::LENGTH),
        ttl: match ethertype {
            ETH_P_IP => Some(headers[8]),
            ETH_P_IPV6 => Some(headers[7]),
            _ => None,
        },
    })
}

fn ip(headers: &[u8]) -> Option<(IpAddr, IpAddr, DroppedContent)> {
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(headers.get(at..at + 4)?).ok()?));
    let first = *headers.first()?;
    let length = usize::from(first & 15) * 4;
    if first >> 4 != 4 || length < 20 {
        return None;
    }
    let protocol = *headers.get(9)?;
    let is_rest = u16::from_be_bytes([*headers.get(6)?, *headers.get(7)?]) & 0x1fff != 0;
    let rest = headers.get(length..).unwrap_or_default();
    let content = if is_rest { DroppedContent::Fragment { protocol } } else { content(protocol, 1, rest) };
    Some((address(12)?.into(), address(16)?.into(), content))
}

fn ip6(headers: &[u8]) -> Option<(IpAddr, IpAddr, DroppedContent)> {
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(headers.get(at..at + 16)?).ok()?));
    if *headers.first()? >> 4 != 6 {
        return None;
    }
    let (mut protocol, mut rest) = (*headers.get(6)?, headers.get(40..)?);
    // Hop-by-hop options, as MLD has them: RFC 8200.
    if protocol == 0 {
        let bytes = 8 * (1 + usize::from(*rest.get(1)?));
        (protocol, rest) = (*rest.first()?, rest.get(bytes..).unwrap_or_default());
    }
    let content =
        if protocol == 44 { DroppedContent::Fragment { protocol } } else { content(protocol, 58, rest) };
    Some((address(8)?.into(), address(24)?.into(), content))
}

/// ARP for IPv4 on Ethernet: RFC 826.
fn arp(headers: &[u8]) -> Option<(IpAddr, IpAddr, DroppedContent)> {
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(headers.get(at..at + 4)?).ok()?));
    if headers.get(..6)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let operation = u16::from_be_bytes([*headers.get(6)?, *headers.get(7)?]);
    Some((address(14)?.into(), address(24)?.into(), DroppedContent::Arp { operation }))
}

fn content(protocol: u8, icmp: u8, rest: &[u8]) -> DroppedContent {
    let half = |at: usize| Some(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?));
    let ports = half(0).zip(half(2)).map(|(from, to)| telling(from, to));
    match (protocol, ports, rest.get(13)) {
        (6, Some(ports), Some(flags)) => DroppedContent::Tcp { ports, flags: flags & PLAIN_FLAGS & !PUSH },
        (17, Some(ports), _) => DroppedContent::Udp { ports },
        _ if protocol == icmp && rest.len() >= 2 => DroppedContent::Icmp { kind: rest[0], code: rest[1] },
        _ => DroppedContent::Other { protocol },
    }
}

/// Both ports, less the one that a program was given by chance.
fn telling(from: u16, to: u16) -> [Option<u16>; 2] {
    match (from >= BY_CHANCE, to >= BY_CHANCE) {
        (true, _) => [None, Some(to)],
        (false, true) => [Some(from), None],
        (false, false) => [Some(from), Some(to)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_by_chance_is_left_out_where_the_other_one_says_more() {
        assert_eq!(telling(40000, 53), [None, Some(53)]);
        assert_eq!(telling(5432, 40000), [Some(5432), None]);
        assert_eq!(telling(68, 67), [Some(68), Some(67)]);
        assert_eq!(telling(40000, 50000), [None, Some(50000)]);
    }

    #[test]
    fn headers_are_read_as_far_as_they_go() {
        let mut syn = vec![0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2];
        syn.extend([0xc0, 0, 0x15, 0x38, 0, 0, 0, 1, 0, 0, 0, 0, 0xa0, 0xc2, 0, 0]);
        let (source, destination, content) = ip(&syn).unwrap();
        assert_eq!((source.to_string(), destination.to_string()), ("10.1.0.2".into(), "10.2.0.2".into()));
        assert_eq!(content, DroppedContent::Tcp { ports: [None, Some(5432)], flags: 2 });
        for length in 0..syn.len() {
            let _ = (ip(&syn[..length]), ip6(&syn[..length]), arp(&syn[..length]));
        }
        syn[7] = 9;
        assert_eq!(ip(&syn).unwrap().2, DroppedContent::Fragment { protocol: 6 });
        assert!(ip(&[0; 64]).is_none() && ip6(&[0; 64]).is_none() && arp(&[0; 64]).is_none());
    }

    #[test]
    fn a_report_of_multicast_is_read_behind_its_options() {
        let mut report = [0; 64];
        report[0] = 0x60;
        report[40] = 58;
        report[48] = 143;
        assert_eq!(ip6(&report).unwrap().2, DroppedContent::Icmp { kind: 143, code: 0 });
        report[41] = 255;
        assert_eq!(ip6(&report).unwrap().2, DroppedContent::Other { protocol: 58 });
    }
}
