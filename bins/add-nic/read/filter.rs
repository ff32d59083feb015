//! Reads the state of the host's packet filters.

use std::fs;

use common::failure::Failure;
use common::netlink::{Chain, Netfilter, NftRule, TableFamily};
use common::program;

use crate::model::change::PlanStep;
use crate::model::filter::{
    FORWARD, FilterQuery, FilterState, IptablesKind, IptablesListing, IptablesTable, ListingError, MarkUse,
    TABLE,
};
use crate::model::record::NicRecord;
use crate::model::wanted::Wanted;
use crate::read::ports::listeners;

/// What there is that `wanted` needs, and what became of what `records` have; nothing where neither is about filters.
pub fn read<'a>(
    wanted: Option<&Wanted>,
    records: impl Iterator<Item = &'a NicRecord>,
) -> Result<FilterState, Failure> {
    let wants = wanted.filter(|wanted| !wanted.firewall.is_empty());
    let mut asked = FilterQuery {
        rules: true,
        listeners: wants.is_some_and(|wanted| !wanted.firewall.publish.is_empty()),
        ..FilterQuery::default()
    };
    let has_rules = |record: &&NicRecord| {
        let is_rule = |step: &PlanStep| matches!(step, PlanStep::AddRules(_) | PlanStep::AddAccept(_));
        !record.wanted.firewall.is_empty() || record.plan.steps.iter().any(|(step, _)| is_rule(step))
    };
    let theirs = records.filter(has_rules).map(|record| &record.wanted);
    for wanted in theirs.chain(wants) {
        for cidr in &wanted.addresses {
            asked.families[usize::from(cidr.address().is_ipv6())] = true;
        }
    }
    if asked.families == [false; 2] { Ok(FilterState::default()) } else { FilterState::read(asked) }
}

impl IptablesKind {
    /// The program as it is installed here. The plain name may be either kind's, and before iptables 1.8 there was one.
    fn program(self, six: bool) -> Option<String> {
        if program::find(self.name(six)).is_some() {
            return Some(self.name(six).to_owned());
        }
        let plain = if six { "ip6tables" } else { "iptables" };
        let version = program::run(&program::find(plain)?, &["-V"], None).ok()?;
        let kind = if version.contains("(nf_tables)") { IptablesKind::Nft } else { IptablesKind::Legacy };
        (kind == self).then(|| plain.to_owned())
    }
}

impl FilterState {
    /// Looks, in the network namespace of this process.
    pub fn read(asked: FilterQuery) -> Result<FilterState, Failure> {
        let mut netfilter = Netfilter::open()?;
        let chains = netfilter.as_mut().map_or(Ok(None), Netfilter::chains)?;
        let has_ours = chains.iter().flatten().any(|chain| chain.table == TABLE);
        let rules = match &mut netfilter {
            Some(netfilter) if has_ours => netfilter.rules(TABLE)?,
            _ => vec![],
        };
        let mut filters =
            FilterState { chains, rules, has_nft: program::find("nft").is_some(), ..FilterState::default() };
        for (family, table) in filters.tables_that_see_the_mark() {
            let rules = netfilter.as_mut().map_or(Ok(vec![]), |all| all.table_rules(family, &table))?;
            for NftRule { chain, handle, expressions, .. } in rules {
                let name = format!("nft {} {table} {chain} handle {handle}", family.word());
                filters.mark_uses.extend(MarkUse::of_rule(&name, &expressions));
            }
        }
        for six in [false, true].into_iter().filter(|six| asked.families[usize::from(*six)]) {
            filters.tables.extend(filters.nft_table(six, asked.rules));
            filters.tables.extend(legacy_table(six));
        }
        if asked.listeners {
            filters.listeners =
                listeners().map_err(|error| Failure::failed("the host's listening sockets", error))?;
        }
        Ok(filters)
    }

    /// iptables-nft's, unless it lets everything through.
    fn nft_table(&self, six: bool, all_rules: bool) -> Option<IptablesTable> {
        let family = if six { TableFamily::Ip6 } else { TableFamily::Ip };
        let is_it =
            |chain: &&Chain| chain.family == family && chain.table == "filter" && chain.name == FORWARD;
        let forward = self.chains.iter().flatten().find(is_it)?;
        (forward.drops || (all_rules && forward.uses > 0))
            .then(|| IptablesTable::read(IptablesKind::Nft, six))
    }
}

impl IptablesTable {
    fn read(kind: IptablesKind, six: bool) -> IptablesTable {
        let program = kind.program(six);
        let listing = match program.as_deref().and_then(program::find) {
            Some(file) => program::run(&file, &["-w", "5", "-S"], None)
                .map(IptablesListing)
                .map_err(|error| ListingError::Failed(error.to_string())),
            None => Err(ListingError::NotInstalled(kind.name(six))),
        };
        IptablesTable { kind, six, program, listing }
    }
}

/// The kernel creates a legacy table when it is first queried: so one that does not exist is not queried.
fn legacy_table(six: bool) -> Option<IptablesTable> {
    let names = if six { "/proc/self/net/ip6_tables_names" } else { "/proc/self/net/ip_tables_names" };
    let names = fs::read_to_string(names).ok()?;
    names.lines().any(|name| name == "filter").then(|| IptablesTable::read(IptablesKind::Legacy, six))
}
