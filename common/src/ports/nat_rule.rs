//! A rule that can change where packets to a port go, whichever program made it: what it asks of a packet, and what it does.
//! Pure data, made by `nft` and `ip_tables`, read by `forwards`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::cidr::Cidr;
use crate::target::Transport;

/// What a rule asks of a packet. All conditions of a rule have to be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NatCondition {
    /// It is of TCP, or of UDP.
    Transport(Transport),
    /// It is to one of these ports.
    Ports(Vec<RangeInclusive<u16>>),
    /// It is to an address of this network.
    To(Cidr),
    /// It is to no address of this network.
    NotTo(Cidr),
    /// It is to an address of the host itself.
    ToLocal,
    /// There is a route of type anycast to that address: so add-nic ties a rule to the link that the route goes with.
    Anchored(IpAddr),
    /// It came in through this interface.
    From(String),
    /// It did not come in through this interface.
    NotFrom(String),
    /// It is of IPv4, or of IPv6 (`true`).
    OfFamily(bool),
    /// Never: it is of another protocol than those with ports that we know.
    Never,
    /// Something else, which we do not follow.
    Unknown,
}

/// What a rule does with a packet that meets its conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NatAction {
    /// Goes through another chain, and comes back.
    Jump(String),
    /// Goes on in another chain.
    Goto(String),
    /// Goes back.
    Return,
    /// Ends this hook: the packet keeps its destination.
    End,
    /// Replaces the destination.
    Dnat(NewDestination),
    /// Goes on with the next rule.
    Continue,
    /// Something that we do not follow.
    Unknown,
}

/// Where packets go to. What is not there stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NewDestination {
    /// The address.
    pub address: Option<IpAddr>,
    /// Whether the address is one of the host itself: REDIRECT.
    pub is_redirect: bool,
    /// The port, or the first of several.
    pub port: Option<u16>,
    /// The last of several.
    pub last_port: Option<u16>,
    /// Whether a range of ports goes to a range of the same length, each to its own.
    pub is_shifted: bool,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NatRule {
    pub conditions: Vec<NatCondition>,
    pub action: NatAction,
}

/// Which packets a rule sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NatHook {
    /// What comes from elsewhere.
    Prerouting,
    /// What programs of the same network send.
    Output,
}

/// The chains of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct NatTable {
    /// Whether it sees IPv4, and whether it sees IPv6.
    pub families: [bool; 2],
    /// Addresses with a route of type anycast, where a rule asks for one.
    pub anchors: Vec<IpAddr>,
    /// What people call it: `inet netavark`, `ip nat (iptables-legacy)`.
    pub title: String,
    /// Which chains packets enter by themselves, with their priority at the hook.
    pub entries: Vec<(NatHook, i32, String)>,
    /// The rules of each chain, in their order.
    pub chains: HashMap<String, Vec<NatRule>>,
}
