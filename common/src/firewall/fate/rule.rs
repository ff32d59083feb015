//! A rule that was understood, and the packet that it is asked about: what both programs' rules are read into.

use std::net::IpAddr;

use super::packet::{FilterPacket, PacketFlow};
use crate::cidr::Cidr;

/// Whether a packet is meant, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleMatch {
    Yes,
    No,
    Unknown,
}

/// What a rule does with a packet that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleTarget {
    Accept,
    Drop,
    /// A drop that is told to the sender; whether by a TCP reset.
    Reject {
        is_reset: bool,
    },
    /// An address or a port is replaced: the last word of a chain that does NAT.
    Translate(PacketTranslation),
    Return,
    Jump(String),
    /// The same, but whoever jumped here gets no word any more.
    Goto(String),
    /// The next rule is asked.
    Continue,
    Unknown,
}

/// What else a rule does with a packet that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleEffect {
    /// Its flow is not tracked.
    Untrack,
    /// What its flow is like from here on is not known.
    FlowUnknown,
    /// The packet gets another mark.
    Mark(MarkChange),
    /// Its flow does.
    FlowMark(MarkChange),
    /// The packet gets another TTL, or hop limit.
    Ttl(TtlChange),
}

/// What becomes of a mark: `(own & keep) ^ (other & take) ^ flip`. The packet's is the other one of its flow's, and its flow's of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkChange {
    pub keep: u32,
    pub take: u32,
    pub flip: u32,
    /// Whether this is all: else it is not known what becomes of it.
    pub is_known: bool,
}

/// What becomes of a TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TtlChange {
    Set(u8),
    Less(u8),
    More(u8),
    Unknown,
}

/// What NAT makes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketTranslation {
    /// Another source; the address of the interface by which it leaves where none is said.
    Source(Option<IpAddr>),
    /// Another destination, and another port where one is said; the namespace's own address where none is said.
    Destination(Option<IpAddr>, Option<u16>),
    /// It is not known what.
    Unknown,
}

/// A rule, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRule {
    pub is_meant: RuleMatch,
    pub effects: Vec<RuleEffect>,
    pub target: RuleTarget,
    /// Whether it says for which interface or address it is.
    pub is_specific: bool,
}

impl ReadRule {
    /// A rule of which nothing was read: for every packet, and without a word about it.
    pub fn everything() -> Self {
        ReadRule {
            is_meant: RuleMatch::Yes,
            effects: Vec::new(),
            target: RuleTarget::Continue,
            is_specific: false,
        }
    }
}

impl RuleEffect {
    /// Does it to the packet, of which it may not be known whether the rule is about it.
    pub fn apply(self, is_certain: bool, packet: &mut FilterPacket) {
        match self {
            RuleEffect::Mark(change) => {
                let other = if packet.has_flow() == Some(true) { packet.flow_mark } else { None };
                packet.mark = either(is_certain, packet.mark, change.of(packet.mark, other));
            }
            // Without a flow there is nothing to mark.
            RuleEffect::FlowMark(_) if packet.has_flow() == Some(false) => {}
            RuleEffect::FlowMark(change) => {
                let changed = change.of(packet.flow_mark, packet.mark);
                packet.flow_mark = either(is_certain, packet.flow_mark, changed);
            }
            RuleEffect::Ttl(change) => {
                packet.ttl = either(is_certain, packet.ttl, change.of(packet.ttl));
            }
            RuleEffect::Untrack if is_certain => packet.flow = PacketFlow::Untracked,
            RuleEffect::Untrack | RuleEffect::FlowUnknown => packet.flow = PacketFlow::Unknown,
        }
    }
}

/// What it is afterwards, where it may not be known whether it was changed.
fn either<T: PartialEq>(is_certain: bool, before: Option<T>, changed: Option<T>) -> Option<T> {
    if is_certain || before == changed { changed } else { None }
}

impl MarkChange {
    /// It is not known what becomes of it.
    pub const UNKNOWN: Self = MarkChange { keep: 0, take: 0, flip: 0, is_known: false };

    /// These bits of it become those of the value, as MARK and CONNMARK have it: the other bits of the value are flipped.
    pub fn set(value: u32, mask: u32) -> Self {
        MarkChange { keep: !mask, take: 0, flip: value, is_known: true }
    }

    /// The other mark is copied: these bits of it replace those of the mark itself.
    pub fn copy(own_mask: u32, other_mask: u32) -> Self {
        MarkChange { keep: !own_mask, take: other_mask, flip: 0, is_known: true }
    }

    fn of(self, own: Option<u32>, other: Option<u32>) -> Option<u32> {
        let bits = |mark: Option<u32>, mask: u32| if mask == 0 { Some(0) } else { Some(mark? & mask) };
        let (kept, taken) = (bits(own, self.keep)?, bits(other, self.take)?);
        self.is_known.then_some(kept ^ taken ^ self.flip)
    }
}

impl TtlChange {
    fn of(self, ttl: Option<u8>) -> Option<u8> {
        match self {
            TtlChange::Set(ttl) => Some(ttl),
            TtlChange::Less(by) => ttl.map(|ttl| ttl.saturating_sub(by)),
            TtlChange::More(by) => ttl.map(|ttl| ttl.saturating_add(by)),
            TtlChange::Unknown => None,
        }
    }
}

impl RuleMatch {
    pub fn of(is_meant: bool) -> Self {
        if is_meant { RuleMatch::Yes } else { RuleMatch::No }
    }

    /// Of what may not be known.
    pub fn known(is_meant: Option<bool>) -> Self {
        is_meant.map_or(RuleMatch::Unknown, RuleMatch::of)
    }

    pub fn negated(self, is_negated: bool) -> Self {
        match (self, is_negated) {
            (RuleMatch::Yes, true) => RuleMatch::No,
            (RuleMatch::No, true) => RuleMatch::Yes,
            (same, _) => same,
        }
    }

    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (RuleMatch::No, _) | (_, RuleMatch::No) => RuleMatch::No,
            (RuleMatch::Yes, RuleMatch::Yes) => RuleMatch::Yes,
            _ => RuleMatch::Unknown,
        }
    }

    /// Whether any of several is.
    pub fn any(found: impl IntoIterator<Item = RuleMatch>) -> Self {
        let mut is_known = true;
        for one in found {
            match one {
                RuleMatch::Yes => return RuleMatch::Yes,
                RuleMatch::No => {}
                RuleMatch::Unknown => is_known = false,
            }
        }
        if is_known { RuleMatch::No } else { RuleMatch::Unknown }
    }
}

/// Whether `word` is the name of the interface; a name that ends in the given sign is the beginning of one.
pub fn is_interface(word: &str, wildcard: char, interface: Option<&str>) -> RuleMatch {
    match (interface, word.strip_suffix(wildcard)) {
        // A rule for an interface that packets do not have here never is for them.
        (None, _) => RuleMatch::No,
        (Some(interface), Some(begin)) => RuleMatch::of(interface.starts_with(begin)),
        (Some(interface), None) => RuleMatch::of(interface == word),
    }
}

/// Whether the port is in `80`, `80:90` or `80-90`; one that is not known is one of those that `chosen` has.
pub fn is_port(word: &str, separator: char, port: Option<u16>, chosen: [u16; 2]) -> RuleMatch {
    let (first, last) = word.split_once(separator).unwrap_or((word, word));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
        return RuleMatch::Unknown;
    };
    let [least, greatest] = port.map_or(chosen, |port| [port, port]);
    is_between([first, last], [least, greatest])
}

/// Whether a number of which it is known that it is one of these, the first to the last, is between both.
pub fn is_between<T: Ord>([first, last]: [T; 2], [least, greatest]: [T; 2]) -> RuleMatch {
    match () {
        () if last < least || greatest < first => RuleMatch::No,
        () if first <= least && greatest <= last => RuleMatch::Yes,
        () => RuleMatch::Unknown,
    }
}

/// Whether the address is in `10.1.0.0/24`, or is `10.1.0.2`.
pub fn is_in(word: &str, address: IpAddr) -> RuleMatch {
    let network = word.parse::<Cidr>().ok().or_else(|| word.parse().ok().map(Cidr::host));
    network.map_or(RuleMatch::Unknown, |network| RuleMatch::of(network.network().contains(address)))
}

/// Whether the mark is this one, `0x1/0xff` or `1`.
pub fn is_mark(word: &str, mark: Option<u32>) -> RuleMatch {
    let (value, mask) = mark_and_mask(word);
    RuleMatch::known(mark.zip(value).zip(mask).map(|((mark, value), mask)| mark & mask == value))
}

/// The parts of `0x1/0xff`; without a mask all bits count.
pub fn mark_and_mask(word: &str) -> (Option<u32>, Option<u32>) {
    let (value, mask) = word.split_once('/').map_or((word, None), |(value, mask)| (value, Some(mask)));
    (number(value), mask.map_or(Some(u32::MAX), number))
}

/// A number as both programs write it.
pub fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// An address with a port behind it, as in `172.17.0.2:80` and `[fd00::2]:80`, or one of them alone.
pub fn address_and_port(word: &str) -> Option<(Option<IpAddr>, Option<u16>)> {
    if let Ok(address) = word.parse::<IpAddr>() {
        return Some((Some(address), None));
    }
    if let Some(port) = word.strip_prefix(':') {
        return Some((None, Some(port.parse().ok()?)));
    }
    if let Ok(both) = word.parse::<std::net::SocketAddr>() {
        return Some((Some(both.ip()), Some(both.port())));
    }
    let inner = word.strip_prefix('[')?.strip_suffix(']')?;
    Some((Some(inner.parse().ok()?), None))
}
