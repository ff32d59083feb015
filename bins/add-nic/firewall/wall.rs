//! What the host's packet filters have that a NIC would meet. It is only looked at here.

use std::fs;

use common::failure::Failure;
use common::netlink::{Chain, ChainRule, Family, Netfilter};

use super::listing::{FORWARD, Listing};
use super::ports::{Listener, listeners};
use super::program;
use super::rules::TABLE;

/// What is to be looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// Rules that IPv4 packets meet, and that IPv6 packets do.
    pub families: [bool; 2],
    /// The rules of iptables also where it lets through what none of them decides about.
    pub rules: bool,
    /// Who listens on which port.
    pub listeners: bool,
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Wall {
    /// All chains of nf_tables; `None` where the kernel has none, or nobody has looked.
    pub chains: Option<Vec<Chain>>,
    /// The rules of our own table.
    pub rules: Vec<ChainRule>,
    /// The tables `filter` of iptables that have anything in them.
    pub tables: Vec<Table>,
    pub listeners: Vec<Listener>,
    /// Whether there is the program that changes nf_tables.
    pub has_nft: bool,
}

/// Which iptables it is: both can be in use at once, and then a packet has to pass both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rules kept in nf_tables.
    Nft,
    /// Rules of the kernel's old kind.
    Legacy,
}

/// A table `filter` of iptables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub kind: Kind,
    /// Whether it is IPv6's.
    pub six: bool,
    /// The program that owns it; `None` if it is not installed.
    pub program: Option<String>,
    /// What that says.
    pub listing: Result<Listing, String>,
}

impl Kind {
    /// The program's name where it has one for each kind.
    pub fn name(self, six: bool) -> &'static str {
        match (self, six) {
            (Kind::Nft, false) => "iptables-nft",
            (Kind::Nft, true) => "ip6tables-nft",
            (Kind::Legacy, false) => "iptables-legacy",
            (Kind::Legacy, true) => "ip6tables-legacy",
        }
    }

    /// The program as it is installed here. The plain name may be either kind's, and before iptables 1.8 there was one.
    fn program(self, six: bool) -> Option<String> {
        if program::find(self.name(six)).is_some() {
            return Some(self.name(six).to_owned());
        }
        let plain = if six { "ip6tables" } else { "iptables" };
        let version = program::run(&program::find(plain)?, &["-V"], None).ok()?;
        let kind = if version.contains("(nf_tables)") { Kind::Nft } else { Kind::Legacy };
        (kind == self).then(|| plain.to_owned())
    }
}

impl Wall {
    /// Looks, in the network namespace of this process.
    pub fn look(asked: Asked) -> Result<Wall, Failure> {
        let mut netfilter = Netfilter::open()?;
        let chains = netfilter.as_mut().map_or(Ok(None), Netfilter::chains)?;
        let has_ours = chains.iter().flatten().any(|chain| chain.table == TABLE);
        let rules = match &mut netfilter {
            Some(netfilter) if has_ours => netfilter.rules(TABLE)?,
            _ => vec![],
        };
        let mut wall = Wall { chains, rules, has_nft: program::find("nft").is_some(), ..Wall::default() };
        for six in [false, true].into_iter().filter(|six| asked.families[usize::from(*six)]) {
            wall.tables.extend(wall.nft_table(six, asked.rules));
            wall.tables.extend(legacy_table(six));
        }
        if asked.listeners {
            wall.listeners =
                listeners().map_err(|error| Failure::trouble("the host's listening sockets", error))?;
        }
        Ok(wall)
    }

    /// iptables-nft's, unless it lets everything through.
    fn nft_table(&self, six: bool, all_rules: bool) -> Option<Table> {
        let family = if six { Family::Ip6 } else { Family::Ip };
        let is_it =
            |chain: &&Chain| chain.family == family && chain.table == "filter" && chain.name == FORWARD;
        let forward = self.chains.iter().flatten().find(is_it)?;
        (forward.drops || (all_rules && forward.uses > 0)).then(|| Table::read(Kind::Nft, six))
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
            let of_iptables =
                chain.name == FORWARD && chain.table == "filter" && chain.family != Family::Inet;
            chain.is_forward_hook && chain.drops && !of_iptables && chain.table != TABLE
        };
        self.chains.iter().flatten().filter(foreign)
    }
}

impl Table {
    fn read(kind: Kind, six: bool) -> Table {
        let program = kind.program(six);
        let listing = match program.as_deref().and_then(program::find) {
            Some(file) => {
                program::run(&file, &["-w", "5", "-S"], None).map(Listing).map_err(|error| error.to_string())
            }
            None => Err(format!("{} is not installed", kind.name(six))),
        };
        Table { kind, six, program, listing }
    }
}

/// The kernel makes a table of the old kind when somebody first asks for it: so nobody asks for one that is not there.
fn legacy_table(six: bool) -> Option<Table> {
    let names = if six { "/proc/self/net/ip6_tables_names" } else { "/proc/self/net/ip_tables_names" };
    let names = fs::read_to_string(names).ok()?;
    names.lines().any(|name| name == "filter").then(|| Table::read(Kind::Legacy, six))
}
