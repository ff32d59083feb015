//! A chain of a packet filter, its rules, and which program they belong to: pure.

use std::fmt;

/// A chain of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterChain {
    /// Whose it is.
    pub program: FilterProgram,
    /// Its table: `filter`; nftables' with its family, `inet filter`.
    pub table: String,
    /// Its name there: whatever root called it, or root of a container.
    pub name: String,
    /// Where packets come to it by themselves, in nftables' words: `hook forward priority filter`. One of iptables that has no
    /// policy is only jumped to.
    pub hook: Option<String>,
    /// What becomes of packets that no rule has decided about: `accept`, `drop`.
    pub policy: Option<String>,
    /// How many that were.
    pub counter: Option<PacketCount>,
    /// Whether it is asked for the first packet of each flow only: those that do NAT.
    pub is_nat: bool,
    /// Its rules, in their order.
    pub rules: Vec<WrittenRule>,
}

impl FilterChain {
    /// Whether nothing comes of it for any packet: it has no rule, and none comes to it by itself.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.hook.is_none() && self.policy.is_none()
    }
}

/// A rule as its program writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenRule {
    /// Its words, on one line; names in it are whatever root called them.
    pub text: String,
    /// How many packets it was about, where it counts.
    pub counter: Option<PacketCount>,
    /// The number by which nft(8) knows it; iptables(8) has none.
    pub handle: Option<u64>,
}

/// A counter of a rule or a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketCount {
    /// How many packets.
    pub packets: u64,
    /// How many bytes these had.
    pub bytes: u64,
}

/// Which program a chain belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FilterProgram {
    /// nft(8).
    Nft,
    /// iptables(8), or ip6tables, that keeps its rules in nf_tables.
    Iptables {
        /// Whether it is IPv6's.
        six: bool,
    },
    /// The same of the older kind.
    IptablesLegacy {
        /// Whether it is IPv6's.
        six: bool,
    },
}

impl fmt::Display for FilterProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FilterProgram::Nft => "nft",
            FilterProgram::Iptables { six: false } => "iptables-nft",
            FilterProgram::Iptables { six: true } => "ip6tables-nft",
            FilterProgram::IptablesLegacy { six: false } => "iptables-legacy",
            FilterProgram::IptablesLegacy { six: true } => "ip6tables-legacy",
        })
    }
}
