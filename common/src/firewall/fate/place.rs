//! Where a packet is dropped.

use crate::firewall::{FilterProgram, PacketCount};

/// Where a packet is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropPlace {
    /// Whose rule it is.
    pub program: FilterProgram,
    /// Its table.
    pub table: String,
    /// The chain that the hook calls.
    pub chain: String,
    /// The rule, as its program writes it; the chain's policy if there is none.
    pub rule: Option<String>,
    /// The chain that the rule is in, and its position there, from 1.
    pub position: Option<(String, usize)>,
    /// The number by which nft knows the rule.
    pub handle: Option<u64>,
    /// How many packets it had dropped when it was read, where it counts.
    pub counter: Option<PacketCount>,
    /// Whether that rule, or one that leads to it, is for some interface or address.
    pub is_specific: bool,
    /// Of a rule that tells the sender: whether by a TCP reset.
    pub reset: Option<bool>,
    /// Other rules of its chain, and of those that are called there, that may drop the packet in its place.
    pub others: Vec<DropPlace>,
}
