//! Where a packet is dropped.

use crate::firewall::FilterProgram;

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
    /// Whether that rule, or one that leads to it, is for some interface or address.
    pub is_specific: bool,
    /// Of a rule that tells the sender: whether by a TCP reset.
    pub reset: Option<bool>,
    /// How many other rules of its chain, and of those that are called there, may have dropped the packet in its place.
    pub others: usize,
}
