//! The state of the host's packet filters, as far as a NIC's traffic passes them.

use common::netlink::{Chain, ChainRule, TableFamily};

use super::listener::Listener;
use super::listing::{FORWARD, IptablesListing};
use super::mark_use::MarkUse;
use super::rules::TABLE;

/// What is to be looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilterQuery {
    /// Rules that IPv4 packets meet, and that IPv6 packets do.
    pub families: [bool; 2],
    /// The rules of iptables also where it lets through what none of them decides about.
    pub rules: bool,
    /// Which ports have listeners.
    pub listeners: bool,
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct FilterState {
    /// All chains of nf_tables; `None` if the kernel has none or they were not read.
    pub chains: Option<Vec<Chain>>,
    /// The rules of our own table.
    pub rules: Vec<ChainRule>,
    /// What rules of nf_tables other than iptables' do with packets' marks where ours are set.
    pub mark_uses: Vec<MarkUse>,
    /// The tables `filter` of iptables that have anything in them.
    pub tables: Vec<IptablesTable>,
    pub listeners: Vec<Listener>,
    /// Whether there is the program that changes nf_tables.
    pub has_nft: bool,
}

/// Which iptables it is: both can be in use at once, and then a packet has to pass both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IptablesKind {
    /// Rules kept in nf_tables.
    Nft,
    /// Rules of the kernel's old kind.
    Legacy,
}

/// A table `filter` of iptables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IptablesTable {
    pub kind: IptablesKind,
    /// Whether it is IPv6's.
    pub six: bool,
    /// The program that owns it; `None` if it is not installed.
    pub program: Option<String>,
    /// What that prints.
    pub listing: Result<IptablesListing, ListingError>,
}

/// Why a table could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// The program that owns it does not exist here.
    #[error("{0} is not installed")]
    NotInstalled(&'static str),
    /// The program failed; in its words.
    #[error("{0}")]
    Failed(String),
}

impl IptablesKind {
    /// The program's name where it has one for each kind.
    pub fn name(self, six: bool) -> &'static str {
        match (self, six) {
            (IptablesKind::Nft, false) => "iptables-nft",
            (IptablesKind::Nft, true) => "ip6tables-nft",
            (IptablesKind::Legacy, false) => "iptables-legacy",
            (IptablesKind::Legacy, true) => "ip6tables-legacy",
        }
    }
}

impl FilterState {
    /// The tables that packets meet between the chains that set our mark and clear it, iptables' left out.
    pub fn tables_that_see_the_mark(&self) -> Vec<(TableFamily, String)> {
        let sees = |chain: &&Chain| {
            let is_between = chain.is_forward_hook && (-1..=1).contains(&chain.priority);
            is_between && !is_of_iptables(chain) && chain.table != TABLE
        };
        let mut tables: Vec<(TableFamily, String)> = Vec::new();
        for chain in self.chains.iter().flatten().filter(sees) {
            if !tables.iter().any(|(family, name)| (*family, name) == (chain.family, &chain.table)) {
                tables.push((chain.family, chain.table.clone()));
            }
        }
        tables
    }

    /// All that other programs do with marks there.
    pub fn uses_of_marks(&self) -> Vec<MarkUse> {
        let listings = self.tables.iter().filter_map(|table| table.listing.as_ref().ok());
        let of_iptables = listings.flat_map(|listing| MarkUse::of_listing(&listing.0));
        of_iptables.chain(self.mark_uses.iter().cloned()).collect()
    }

    /// Whether there is a table of that name.
    pub fn has_table(&self, name: &str) -> bool {
        self.chains.iter().flatten().any(|chain| chain.table == name)
    }

    /// Whether our table has that chain.
    pub fn has_chain(&self, name: &str) -> bool {
        self.chains.iter().flatten().any(|chain| chain.table == TABLE && chain.name == name)
    }

    /// Chains through which forwarded packets go that neither iptables nor we have made, and that drop what none of their
    /// rules has let through.
    pub fn foreign_drops(&self) -> impl Iterator<Item = &Chain> {
        let foreign = |chain: &&Chain| {
            chain.is_forward_hook && chain.drops && !is_of_iptables(chain) && chain.table != TABLE
        };
        self.chains.iter().flatten().filter(foreign)
    }
}

fn is_of_iptables(chain: &Chain) -> bool {
    chain.name == FORWARD && chain.table == "filter" && chain.family != TableFamily::Inet
}
