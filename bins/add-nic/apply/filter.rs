//! Adds and deletes rules, through the programs that own them.

use common::failure::Failure;
use common::netlink::{Netfilter, NetlinkError};
use serde_json::{Value, json};

use crate::model::change::Step;
use crate::model::filter::{Accept, FAMILY, Rules, TABLE};
use crate::model::plan::Plan;
use crate::read::program::{self, ProgramError};

/// Why a rule could not be added or deleted.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The program said no.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// It is not where programs are.
    #[error("{0}: not installed")]
    Missing(String),
    /// The kernel did not say what there is.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// Has nft and the kernel look at the plan's rules before anything is touched: what one of them lacks is known then.
pub fn rehearse(plan: &Plan) -> Result<(), Failure> {
    for (step, _) in &plan.steps {
        if let Step::AddRules(rules) = step {
            rehearse_rules(rules).map_err(|error| {
                Failure::trouble(error, "the firewall rules were rejected, nothing was changed")
                    .hint("NAT in tables of the family inet needs Linux 5.2 and nft 0.9.2")
            })?;
        }
    }
    Ok(())
}

/// Makes our table, unless it is there.
pub fn add_table() -> Result<(), FilterError> {
    nft(&["-j", "-f", "-"], vec![json!({"add": {"table": table()}})])
}

/// Deletes it, whether it is there or not.
pub fn delete_table() -> Result<(), FilterError> {
    nft(&["-j", "-f", "-"], vec![json!({"add": {"table": table()}}), json!({"delete": {"table": table()}})])
}

/// Adds a NIC's rules, all or none.
pub fn add_rules(rules: &Rules) -> Result<(), FilterError> {
    nft(&["-j", "-f", "-"], rules.adding_as_json())
}

/// Has nft and the kernel look at them, and adds nothing.
fn rehearse_rules(rules: &Rules) -> Result<(), FilterError> {
    let mut orders = vec![json!({"add": {"table": table()}})];
    orders.extend(rules.adding_as_json());
    nft(&["-j", "-c", "-f", "-"], orders)
}

/// Deletes those of a NIC's rules that are there.
pub fn delete_rules(rules: &Rules) -> Result<(), FilterError> {
    let chains = match Netfilter::open()? {
        Some(mut netfilter) => netfilter.chains()?.unwrap_or_default(),
        None => vec![],
    };
    let is_there = |name: &str| chains.iter().any(|chain| chain.table == TABLE && chain.name == name);
    match rules.deleting_as_json(is_there) {
        orders if orders.is_empty() => Ok(()),
        orders => nft(&["-j", "-f", "-"], orders),
    }
}

fn table() -> Value {
    json!({"family": FAMILY, "name": TABLE})
}

/// One transaction.
fn nft(words: &[&str], orders: Vec<Value>) -> Result<(), FilterError> {
    let nft = program::find("nft").ok_or_else(|| FilterError::Missing("nft".to_owned()))?;
    Ok(program::run(&nft, words, Some(&json!({"nftables": orders}).to_string())).map(drop)?)
}

impl Accept {
    /// Adds it, unless it is there.
    pub fn add(&self) -> Result<(), FilterError> {
        if self.is_there()? { Ok(()) } else { self.order("-I") }
    }

    /// Deletes it, if it is there.
    pub fn delete(&self) -> Result<(), FilterError> {
        if self.is_there()? { self.order("-D") } else { Ok(()) }
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
        let file = program::find(&self.program).ok_or_else(|| FilterError::Missing(self.program.clone()))?;
        let words = self.words(order);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(program::run(&file, &words, None).map(drop)?)
    }
}
