//! Adds and deletes rules, through the programs that own them.

use std::fs;
use std::path::PathBuf;

use common::failure::{Failure, say};
use common::netlink::{Netfilter, NetlinkError};
use common::output::one_line;
use common::program::{self, ProgramError};

use crate::model::change::PlanStep;
use crate::model::filter::{AcceptRule, FAMILY, IptablesListing, NicRules, TABLE};
use crate::model::plan::Plan;
use crate::tool::TOOL;

/// Why a rule could not be added or deleted.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The program failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// It is not installed.
    #[error("{0}: not installed")]
    Missing(String),
    /// The kernel's rules could not be read.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// Has nft and the kernel check the plan's rules before anything is changed: missing features are found then.
pub fn rehearse(plan: &Plan) -> Result<(), Failure> {
    for (step, _) in &plan.steps {
        if let PlanStep::AddRules(rules) = step {
            rehearse_rules(rules).map_err(|error| {
                Failure::failed(error, "the firewall rules were rejected, nothing was changed").hint(
                    common::sentence!(
                        "update them: NAT in tables of the family inet needs Linux 5.2 and nft 0.9.2"
                    ),
                )
            })?;
        }
    }
    Ok(())
}

/// Creates our table, unless it exists.
pub fn add_table() -> Result<(), FilterError> {
    nft(&[], &add_our_table())
}

/// Deletes it, unless somebody's rules are left in it; returns whether it did.
pub fn delete_table() -> Result<bool, FilterError> {
    // An empty table is no chain, and is not seen here.
    if !chains_of_our_table()?.is_empty() {
        return Ok(false);
    }
    nft(&[], &format!("{}; delete table {FAMILY} {TABLE}", add_our_table())).map(|()| true)
}

fn chains_of_our_table() -> Result<Vec<String>, FilterError> {
    let chains = match Netfilter::open()? {
        Some(mut netfilter) => netfilter.chains()?.unwrap_or_default(),
        None => vec![],
    };
    Ok(chains.into_iter().filter(|chain| chain.table == TABLE).map(|chain| chain.name).collect())
}

/// Adds a NIC's rules, all or none, in the place of those that are left of them.
pub fn add_rules(rules: &NicRules) -> Result<(), FilterError> {
    exchange_rules(rules, rules)
}

/// Deletes those of a NIC's rules that exist, and adds others: all of it or nothing, and no packet meets neither.
pub fn exchange_rules(from: &NicRules, to: &NicRules) -> Result<(), FilterError> {
    let chains = chains_of_our_table()?;
    let deleting = from.deleting(|name| chains.iter().any(|chain| chain == name));
    let all = [add_our_table(), deleting, to.adding()];
    let commands: Vec<String> = all.into_iter().filter(|commands| !commands.is_empty()).collect();
    nft(&[], &commands.join("; "))
}

/// Has nft and the kernel check them, and adds nothing.
fn rehearse_rules(rules: &NicRules) -> Result<(), FilterError> {
    nft(&["-c"], &format!("{}; {}", add_our_table(), rules.on_loopback().adding()))
}

/// The chains of other programs that have rules, and the tables of the old kind, in words.
pub fn chains_of_others() -> Result<Vec<String>, FilterError> {
    let chains = match Netfilter::open()? {
        Some(mut netfilter) => netfilter.chains()?.unwrap_or_default(),
        None => vec![],
    };
    let others = chains.into_iter().filter(|chain| chain.table != TABLE && chain.uses > 0);
    let mut all: Vec<String> =
        others.map(|chain| format!("{:?} {} {}", chain.family, chain.table, chain.name)).collect();
    for names in ["/proc/self/net/ip_tables_names", "/proc/self/net/ip6_tables_names"] {
        // There is no such file without tables of the old kind.
        let names = fs::read_to_string(names).unwrap_or_default();
        all.extend(names.lines().map(|table| format!("legacy {table}")));
    }
    Ok(all)
}

/// Deletes those of a NIC's rules that exist; returns whether there were any.
pub fn delete_rules(rules: &NicRules) -> Result<bool, FilterError> {
    let chains = chains_of_our_table()?;
    match rules.deleting(|name| chains.iter().any(|chain| chain == name)) {
        commands if commands.is_empty() => Ok(false),
        commands => nft(&[], &commands).map(|()| true),
    }
}

/// Whether [`delete_rules`] can be done: there may be no nft any more.
pub fn can_delete_rules(rules: &NicRules) -> Result<(), FilterError> {
    let chains = chains_of_our_table()?;
    match rules.deleting(|name| chains.iter().any(|chain| chain == name)).is_empty() {
        true => Ok(()),
        false => found("nft").map(drop),
    }
}

fn found(program: &str) -> Result<PathBuf, FilterError> {
    program::find(program).ok_or_else(|| FilterError::Missing(program.to_owned()))
}

/// Without effect on a table that exists.
fn add_our_table() -> String {
    format!("add table {FAMILY} {TABLE}")
}

/// One transaction.
fn nft(options: &[&str], commands: &str) -> Result<(), FilterError> {
    let nft = found("nft")?;
    let words = [options, &["-f", "-"]].concat();
    Ok(program::run(&nft, &words, Some(&format!("{commands}\n"))).map(drop)?)
}

impl AcceptRule {
    /// Adds it, unless it is there.
    pub fn add(&self) -> Result<(), FilterError> {
        if self.is_there()? { Ok(()) } else { self.order("-I") }
    }

    /// Deletes it, if it is there; returns whether it was.
    pub fn delete(&self) -> Result<bool, FilterError> {
        if self.is_there()? {
            return self.order("-D").map(|()| true);
        }
        if let Some(edited) = self.edited() {
            let (program, chain, comment) = (&self.program, &self.chain, self.comment());
            let what = format_args!("the rule with the comment {comment} was changed by others and stays");
            say(TOOL, format_args!("{program}: {chain}: {what}; to delete it: {program} -D {edited}"));
        }
        Ok(false)
    }

    /// The chain and the words of a rule that has our comment and is not ours any more.
    fn edited(&self) -> Option<String> {
        let file = found(&self.program).ok()?;
        let listing = program::run(&file, &["-w", "5", "-S", &self.chain], None).ok()?;
        let listing = IptablesListing(listing);
        let line = listing.line(&self.chain, &self.comment())?;
        line.strip_prefix("-A ").map(|words| one_line(words).into_owned())
    }

    /// Whether it can be deleted: its program may be gone.
    pub fn can_delete(&self) -> Result<(), FilterError> {
        found(&self.program).map(drop)
    }

    /// 1 is iptables' word for "no such rule", and for "no such chain" too.
    fn is_there(&self) -> Result<bool, FilterError> {
        match self.order("-C") {
            Ok(()) => Ok(true),
            Err(FilterError::Program(ProgramError::Failed { code: Some(1), .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn order(&self, order: &str) -> Result<(), FilterError> {
        let file = found(&self.program)?;
        let words = self.words(order);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(program::run(&file, &words, None).map(drop)?)
    }
}
