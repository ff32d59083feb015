//! Reads the packet filters of the network namespace that this thread is in, by the programs that they belong to.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::{FilterChain, FilterProgram, UnreadFilter, iptables_save, nft_ruleset};
use crate::netlink::{Chain, Netfilter, TableFamily};
use crate::program;

/// What was read of the packet filters of a namespace.
#[derive(Debug, Default)]
pub struct FilterListing {
    /// Chains, those without a rule too, for others jump to them: iptables' first, then nftables'.
    pub chains: Vec<FilterChain>,
    /// What could not be read, and why: with it, there may be more chains.
    pub not_read: Vec<String>,
    /// Programs of which nothing reads the rules.
    pub unread: Vec<UnreadFilter>,
    /// Tables of nf_tables that iptables has and cannot show, for another program has put rules into them.
    incompatible: BTreeSet<String>,
}

/// The tables that iptables has, and the chains there to which packets come by themselves.
const IPTABLES_TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];
const BUILT_IN: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

impl FilterListing {
    /// Those of the network namespace that this thread is in.
    pub fn read() -> Self {
        let mut listing = FilterListing { unread: UnreadFilter::here(), ..FilterListing::default() };
        let asked = Netfilter::open().and_then(|open| match open {
            Some(mut netfilter) => netfilter.chains(),
            None => Ok(None),
        });
        let chains = match asked {
            Ok(chains) => chains.unwrap_or_default(),
            Err(error) => {
                listing.not_read.push(format!("nftables: {error}"));
                Vec::new()
            }
        };
        for six in [false, true] {
            listing.read_iptables(six, &chains);
        }
        let is_read = |table: &str| {
            let of_it = |chain: &FilterChain| chain.nft_table().as_deref() == Some(table);
            listing.chains.iter().any(of_it)
        };
        let mut others: BTreeSet<String> = chains.iter().filter_map(nft_table).collect();
        others.retain(|table| !is_read(table));
        if !others.is_empty() {
            listing.read_nft(&others);
        }
        // nft shows the rules of iptables that are in between, and says of matches that it does not know that there are some.
        for table in std::mem::take(&mut listing.incompatible) {
            if !listing.chains.iter().any(|chain| chain.table == table) {
                listing.not_read.push(format!("iptables: table {table}: has rules that only nft can show"));
            }
        }
        listing
    }

    fn read_iptables(&mut self, six: bool, chains: &[Chain]) {
        let has_nft = chains.iter().filter_map(as_iptables).any(|(of_six, _)| of_six == six);
        if has_nft {
            self.save(FilterProgram::Iptables { six });
        }
        if is_legacy_there(if six { "ip6_tables_names" } else { "ip_tables_names" }) {
            self.save(FilterProgram::IptablesLegacy { six });
        }
    }

    fn save(&mut self, owner: FilterProgram) {
        let Some(file) = owner.saving_program() else {
            self.not_read.push(format!("{owner}: is not installed, and the kernel has rules of its"));
            return;
        };
        match program::run(&file, &["-c"], None) {
            Ok(text) => {
                let (chains, incompatible) = iptables_save::read(&text, owner);
                self.chains.extend(chains);
                let family =
                    if matches!(owner, FilterProgram::Iptables { six: true }) { "ip6" } else { "ip" };
                self.incompatible.extend(incompatible.into_iter().map(|table| format!("{family} {table}")));
            }
            Err(error) => self.not_read.push(error.to_string()),
        }
    }

    fn read_nft(&mut self, tables: &BTreeSet<String>) {
        let Some(file) = program::find("nft") else {
            let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
            self.not_read.push(format!("nft: is not installed, and there is {}", tables.join(", ")));
            return;
        };
        // Sets of thousands of addresses are left out.
        match program::run(&file, &["-a", "-t", "list", "ruleset"], None) {
            Ok(text) => {
                let chains = nft_ruleset::read(&text).into_iter();
                self.chains.extend(chains.filter(|chain| tables.contains(&chain.table)));
            }
            Err(error) => self.not_read.push(error.to_string()),
        }
    }
}

/// The kernel makes a legacy table when it is asked for first; this file of it has those that are there.
fn is_legacy_there(file: &str) -> bool {
    let names = fs::read_to_string(format!("/proc/thread-self/net/{file}"));
    names.is_ok_and(|names| !names.trim().is_empty())
}

impl FilterChain {
    /// The table of nf_tables that one of iptables is in.
    fn nft_table(&self) -> Option<String> {
        match self.program {
            FilterProgram::Iptables { six: false } => Some(format!("ip {}", self.table)),
            FilterProgram::Iptables { six: true } => Some(format!("ip6 {}", self.table)),
            FilterProgram::Nft | FilterProgram::IptablesLegacy { .. } => None,
        }
    }
}

impl FilterProgram {
    /// The plain name may be either kind's, and before iptables 1.8 there was one.
    fn saving_program(self) -> Option<PathBuf> {
        let (six, kind) = match self {
            FilterProgram::Nft => return None,
            FilterProgram::Iptables { six } => (six, "nft"),
            FilterProgram::IptablesLegacy { six } => (six, "legacy"),
        };
        let ip = if six { "ip6tables" } else { "iptables" };
        if let Some(file) = program::find(&format!("{ip}-{kind}-save")) {
            return Some(file);
        }
        let file = program::find(&format!("{ip}-save"))?;
        let version = program::run(&file, &["-V"], None).ok()?;
        let found = if version.contains("(nf_tables)") { "nft" } else { "legacy" };
        (found == kind).then_some(file)
    }
}

/// Which of iptables' tables a chain of nf_tables is in, if it is one that iptables made.
fn as_iptables(chain: &Chain) -> Option<(bool, &str)> {
    let six = match chain.family {
        TableFamily::Ip => false,
        TableFamily::Ip6 => true,
        _ => return None,
    };
    let is_one = IPTABLES_TABLES.contains(&chain.table.as_str())
        && BUILT_IN.contains(&chain.name.as_str())
        && chain.hook.is_some();
    is_one.then_some((six, chain.table.as_str()))
}

/// A chain's table as `nft` writes it; nothing of a family that it does not know.
fn nft_table(chain: &Chain) -> Option<String> {
    let family = match chain.family {
        TableFamily::Inet => "inet",
        TableFamily::Ip => "ip",
        TableFamily::Ip6 => "ip6",
        TableFamily::Other(3) => "arp",
        TableFamily::Other(5) => "netdev",
        TableFamily::Other(7) => "bridge",
        TableFamily::Other(_) => return None,
    };
    Some(format!("{family} {}", chain.table))
}
