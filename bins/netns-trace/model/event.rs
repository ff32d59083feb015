//! What was seen of a probe while it was under way.

use std::net::IpAddr;
use std::time::Duration;

use common::netlink::TableFamily;

use super::HopHook;

/// Which packet it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeenPacket {
    /// The probe itself.
    Request,
    /// What answers it: a reply, a reset, a datagram back.
    Answer,
    /// An ICMP error that quotes it.
    Error,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// When, by CLOCK_MONOTONIC; nothing where the source of the event does not tell.
    pub at: Option<Duration>,
    /// Of which packet.
    pub packet: SeenPacket,
    /// In which network namespace, by its inode; nothing where the source of the event does not tell.
    pub netns: Option<u64>,
    /// At which interface, by its index; nothing where none is known, as of a packet that was dropped before it had one.
    pub index: Option<u32>,
    /// The interface's name, of a source that has names instead of indices. It is whatever a container calls it.
    pub ifname: Option<String>,
    /// The addresses that the packet had there, which NAT changes; nothing where the source of the event does not tell.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Which packet in the kernel's memory: a copy, as a bridge makes of one that it floods, has another number.
    pub packet_id: u64,
    /// What happened.
    pub kind: TraceEventKind,
}

/// What happened to a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceEventKind {
    /// An interface was given it to send.
    Sent,
    /// It came in by an interface.
    Received {
        /// Whether its MAC address is another host's: it passes a bridge, or it is the copy of a flood.
        is_for_other: bool,
    },
    /// The kernel threw it away. Of a copy that is nothing: only the answer says whether the packet arrived.
    Dropped {
        /// The kernel's word for why, without its prefix: `NETFILTER_DROP`. NOT_SPECIFIED before Linux 5.17.
        reason: String,
        /// In which function, where the kernel tells.
        function: Option<String>,
        /// Whether its MAC address is another host's.
        is_for_other: bool,
    },
    /// A rule of a packet filter has decided about it, or the policy of a chain.
    Filtered(FilterDecision),
}

/// What a chain decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterDecision {
    /// The family of the table.
    pub family: TableFamily,
    /// The table.
    pub table: String,
    /// The chain that the rule is in.
    pub chain: String,
    /// The rule; nothing of a policy, and of the end of a chain.
    pub rule: Option<FilterRuleNumber>,
    /// Whether the chain is the older iptables'.
    pub is_legacy: bool,
    /// The hook that the packet was in, if it is known.
    pub hook: Option<HopHook>,
    /// What was decided.
    pub outcome: FilterOutcome,
    /// By which interface it came in, and is to leave, by their indices.
    pub interfaces: (Option<u32>, Option<u32>),
}

/// By which number a program knows a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterRuleNumber {
    /// nf_tables', which no other rule of the table has.
    Handle(u64),
    /// The older iptables': which of its chain's rules it is, from 1 on.
    Position(usize),
}

/// What is decided about a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterOutcome {
    /// It goes no further.
    Drop,
    /// This chain lets it through.
    Accept,
    /// Another rule is asked: the next one, one of another chain, or one of the chain before.
    GoesOn,
    /// A program is given it.
    Queue,
}
