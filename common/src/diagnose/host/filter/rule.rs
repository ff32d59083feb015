//! A rule that was understood, and the packet that it is asked about: what both programs' rules are read into.

use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::target::Transport;

/// The first packet of a connection, as one hook sees it.
#[derive(Debug, Clone)]
pub struct FirstPacket {
    pub transport: Transport,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// The port that it is for; nothing if it may be any.
    pub port: Option<u16>,
    /// The interface that it came in by; none after routing.
    pub from: Option<String>,
    /// The interface that it is to leave by.
    pub out: Option<String>,
    /// Whether it only passes through a bridge.
    pub is_bridged: bool,
    /// Whether it is for the namespace itself.
    pub is_local: bool,
}

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
    /// The source is replaced: the last word of a chain that does NAT.
    Translate,
    Return,
    Jump(String),
    /// The same, but whoever jumped here gets no word any more.
    Goto(String),
    /// It counts, logs, or marks.
    Continue,
    Unknown,
}

/// A rule, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRule {
    pub is_meant: RuleMatch,
    pub target: RuleTarget,
    /// Whether it says for which interface or address it is.
    pub is_specific: bool,
}

impl RuleMatch {
    pub fn of(is_meant: bool) -> Self {
        if is_meant { RuleMatch::Yes } else { RuleMatch::No }
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

/// Whether the port is in `80`, `80:90` or `80-90`.
pub fn is_port(word: &str, separator: char, port: Option<u16>) -> RuleMatch {
    let Some(port) = port else { return RuleMatch::Unknown };
    let (first, last) = word.split_once(separator).unwrap_or((word, word));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => RuleMatch::of((first..=last).contains(&port)),
        _ => RuleMatch::Unknown,
    }
}

/// Whether the address is in `10.1.0.0/24`, or is `10.1.0.2`.
pub fn is_in(word: &str, address: IpAddr) -> RuleMatch {
    let network = word.parse::<Cidr>().ok().or_else(|| word.parse().ok().map(Cidr::host));
    network.map_or(RuleMatch::Unknown, |network| RuleMatch::of(network.network().contains(address)))
}
