//! A packet that the kernel dropped, whoever sent it.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::HopHook;

/// Dropped packets that are the same in what is told of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDrops {
    /// When the first of them was, by CLOCK_MONOTONIC.
    pub at: Duration,
    /// How many.
    pub packets: u64,
    /// Which packets, where and why.
    pub kind: DropKind,
}

/// Everything about a dropped packet but the time, and what differs from packet to packet of one flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DropKind {
    /// In which network namespace, by its inode; nothing where that could not be seen.
    pub netns: Option<u64>,
    /// The interface that the packet was at.
    pub index: Option<u32>,
    /// The interface of its route.
    pub out: Option<u32>,
    /// The kernel's word for why, without its prefix: `NETFILTER_DROP`.
    pub reason: String,
    /// In which function, where the kernel tells.
    pub function: Option<String>,
    /// Of a drop of netfilter, in which hook, where the kernel tells who called it.
    pub hook: Option<DropHook>,
    /// The packet; nothing where it could not be seen.
    pub packet: Option<DroppedPacket>,
}

/// The hook of netfilter that a packet was dropped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropHook {
    /// Of IP.
    Ip(HopHook),
    /// Of IP, asked by br_netfilter about what is bridged.
    BridgedIp(HopHook),
    /// Of the family `bridge`.
    Bridge(HopHook),
}

/// The packet, as it was when it was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DroppedPacket {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// What it is.
    pub content: DroppedContent,
    /// The MAC address that it is for, where it had one.
    pub mac: Option<[u8; 6]>,
    /// Whether it is a broadcast or multicast for its interface, or its destination is such an address.
    pub is_for_many: bool,
    /// Whether its MAC address is another host's.
    pub is_for_other: bool,
    /// Its mark.
    pub mark: u32,
    /// What connection tracking knows of it.
    pub flow: DroppedFlow,
    /// Its bytes, of one that was dropped for them.
    pub bytes: Option<u32>,
    /// Its TTL, or hop limit, of one that was dropped for what its header says.
    pub ttl: Option<u8>,
}

/// What a packet is. A port that a program was given by chance is left out where the other one says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DroppedContent {
    /// A segment of TCP with its flags (RFC 9293, without those of congestion).
    Tcp { ports: [Option<u16>; 2], flags: u8 },
    /// A datagram.
    Udp { ports: [Option<u16>; 2] },
    /// An ICMP message of that type and code.
    Icmp { kind: u8, code: u8 },
    /// ARP: 1 asks, 2 answers.
    Arp { operation: u16 },
    /// The rest of a packet that was split: what is in it cannot be seen.
    Fragment { protocol: u8 },
    /// Another protocol of IP.
    Other { protocol: u8 },
}

/// What connection tracking knows of a packet: enum ip_conntrack_info.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DroppedFlow {
    /// Nothing: it was not asked yet, or has not taken the packet.
    Unknown,
    /// The first packet of a flow.
    New,
    /// One of a flow that was answered, or an answer.
    Established,
    /// One that belongs to another flow, as an ICMP error does.
    Related,
}

/// Flags of TCP: RFC 9293.
pub const TCP_FIN: u8 = 1;
/// The same.
pub const TCP_SYN: u8 = 2;
/// The same.
pub const TCP_RST: u8 = 4;
/// The same.
pub const TCP_ACK: u8 = 16;

impl DroppedContent {
    /// The port that the packet comes from, and the one that it goes to.
    pub fn ports(self) -> [Option<u16>; 2] {
        match self {
            DroppedContent::Tcp { ports, .. } | DroppedContent::Udp { ports } => ports,
            _ => [None, None],
        }
    }

    /// Whether it begins a connection.
    pub fn is_syn(self) -> bool {
        matches!(self, DroppedContent::Tcp { flags, .. } if flags & (TCP_SYN | TCP_ACK | TCP_RST) == TCP_SYN)
    }
}

/// An end of a dropped packet's flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropEnd {
    /// The container that has the address, as it came; nothing where that is not certain.
    pub container: Option<String>,
    /// Its namespace.
    pub netns: Option<u64>,
    /// The address.
    pub address: IpAddr,
    /// The port, where it says something.
    pub port: Option<u16>,
}

/// Why a packet was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropCause {
    /// The word for it; nothing where it is not known.
    pub cause: Option<common::diagnose::Cause>,
    /// The same in a few words: `DOCKER-USER "policy 42"`. Nothing in it drives a terminal.
    pub short: String,
    /// The same in a sentence.
    pub text: String,
    /// The rule that dropped it, as its program writes it.
    pub rule: Option<String>,
    /// Commands that undo the cause, in their order.
    pub fix: Vec<common::hint::Hint>,
    /// What else helps.
    pub advice: Option<String>,
}
