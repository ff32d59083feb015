//! A rule in the words of its program, and the command that deletes it: nf_tables knows rules by handles.

use std::path::PathBuf;

use common::firewall::iptables_words;
use common::hint;
use common::hint::Hint;
use common::namespace::Namespace;
use common::netlink::{Netfilter, TableFamily};
use common::netns::Home;
use common::program;

use crate::model::{FilterDecision, FilterRuleNumber};

/// The tables that iptables has.
const IPTABLES_TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// A rule, or the policy of a chain, as its program writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleWords {
    /// `iptables`, `ip6tables-nft`, `nft`.
    pub program: String,
    /// Its table; nft's with its family.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// Which of the chain's rules it is, from 1 on, and its words; nothing of a policy. Names in it are whatever root of that
    /// network called them.
    pub rule: Option<(usize, String)>,
    /// The command that deletes it, or sets the policy to accept, in its network; nothing if it cannot be pasted.
    pub undo: Option<Hint>,
}

/// The words of the rule or policy that decided, in the network where it did; nothing where they cannot be read.
pub fn rule_words(decision: &FilterDecision, namespace: &Namespace, home: &Home) -> Option<RuleWords> {
    home.inside(namespace, || words_here(decision)).ok().flatten()
}

fn words_here(decision: &FilterDecision) -> Option<RuleWords> {
    let handle = match decision.rule {
        None => return policy(decision),
        Some(FilterRuleNumber::Position(position)) => {
            return by_iptables(decision, position.checked_sub(1)?, None);
        }
        Some(FilterRuleNumber::Handle(handle)) => handle,
    };
    let rules = Netfilter::open().ok().flatten()?.table_rules(decision.family, &decision.table).ok()?;
    let of_chain: Vec<u64> =
        rules.into_iter().filter(|rule| rule.chain == decision.chain).map(|rule| rule.handle).collect();
    let place = of_chain.iter().position(|one| *one == handle)?;
    by_iptables(decision, place, Some(of_chain.len())).or_else(|| by_nft(decision, handle, place))
}

/// Rules in the tables of iptables, if it can read them: the n-th line of a chain is the n-th rule, where it has as many as the chain.
fn by_iptables(decision: &FilterDecision, place: usize, count: Option<usize>) -> Option<RuleWords> {
    let FilterDecision { table, chain, .. } = decision;
    let (name, file) = iptables(decision)?;
    let listed = program::run(&file, &["-w", "-t", table, "-S", chain], None).ok()?;
    let lines: Vec<Vec<String>> = listed
        .lines()
        .map(iptables_words)
        .filter(|words| words.first().is_some_and(|word| word == "-A"))
        .collect();
    let line = lines.get(place).filter(|_| count.is_none_or(|count| lines.len() == count))?;
    let mut delete = command(&name, table);
    delete.push("-D".to_owned());
    delete.extend(line.iter().skip(1).cloned());
    let text = listed.lines().filter(|line| line.starts_with("-A ")).nth(place)?.to_owned();
    Some(RuleWords {
        program: name,
        table: table.clone(),
        chain: chain.clone(),
        rule: Some((place + 1, text)),
        undo: Hint::words(&delete),
    })
}

/// The program that has the table, if that is one of iptables'.
fn iptables(decision: &FilterDecision) -> Option<(String, PathBuf)> {
    let plain = match decision.family {
        TableFamily::Ip => "iptables",
        TableFamily::Ip6 => "ip6tables",
        _ => return None,
    };
    let kind = if decision.is_legacy { "legacy" } else { "nft" };
    IPTABLES_TABLES.contains(&decision.table.as_str()).then(|| variant(plain, kind)).flatten()
}

fn command(name: &str, table: &str) -> Vec<String> {
    let table: &[&str] = if table == "filter" { &[] } else { &["-t", table] };
    std::iter::once(name).chain(table.iter().copied()).map(str::to_owned).collect()
}

/// The policy of a chain: no rule has decided.
fn policy(decision: &FilterDecision) -> Option<RuleWords> {
    let FilterDecision { table, chain, .. } = decision;
    let words = |program: String, table: String, undo| {
        Some(RuleWords { program, table, chain: chain.clone(), rule: None, undo })
    };
    if let Some((name, _)) = iptables(decision) {
        let mut accept = command(&name, table);
        accept.extend(["-P".to_owned(), chain.clone(), "ACCEPT".to_owned()]);
        return words(name, table.clone(), Hint::words(&accept));
    }
    let family = family(decision.family)?;
    let accept = format!("add chain {family} {table} {chain} {{ policy accept; }}");
    words("nft".to_owned(), format!("{family} {table}"), hint!("nft {}", accept))
}

/// As nft calls it.
fn family(family: TableFamily) -> Option<String> {
    match family {
        TableFamily::Other(7) => Some("bridge".to_owned()),
        TableFamily::Other(_) => None,
        known => Some(known.word()),
    }
}

/// The program of that name which keeps its rules in nf_tables, or the one that does not: what it is called, and its file.
fn variant(plain: &str, kind: &str) -> Option<(String, PathBuf)> {
    let is_nft = |version: String| version.contains("nf_tables");
    if let Some(file) = program::find(plain)
        && program::run(&file, &["-V"], None).is_ok_and(|version| is_nft(version) == (kind == "nft"))
    {
        return Some((plain.to_owned(), file));
    }
    let name = format!("{plain}-{kind}");
    program::find(&name).map(|file| (name, file))
}

fn by_nft(decision: &FilterDecision, handle: u64, place: usize) -> Option<RuleWords> {
    let FilterDecision { table, chain, .. } = decision;
    let family = family(decision.family)?;
    let file = program::find("nft")?;
    let listed = program::run(&file, &["-a", "-t", "list", "chain", &family, table, chain], None).ok()?;
    let mark = format!("# handle {handle}");
    let text = listed.lines().find_map(|line| line.trim().strip_suffix(&mark))?.trim().to_owned();
    Some(RuleWords {
        program: "nft".to_owned(),
        table: format!("{family} {table}"),
        chain: chain.clone(),
        rule: Some((place + 1, text)),
        undo: hint!("nft delete rule {} {} {} handle {}", family, table, chain, handle),
    })
}
