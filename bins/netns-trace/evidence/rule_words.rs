//! A rule in the words of its program, and the command that deletes it: nf_tables knows rules by handles.

use common::hint;
use common::hint::Hint;
use common::namespace::Namespace;
use common::netlink::{Netfilter, TableFamily};
use common::netns::Home;
use common::program;

use crate::model::FilterDecision;

/// The tables that iptables has.
const IPTABLES_TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// A rule as its program writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleWords {
    /// `iptables`, `ip6tables-nft`, `nft`.
    pub program: String,
    /// Its table; nft's with its family.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// Which of the chain's rules it is, from 1 on.
    pub number: usize,
    /// Its words. Names in it are whatever root of that network called them.
    pub text: String,
    /// The command that deletes it, in its network; nothing if it cannot be pasted.
    pub delete: Option<Hint>,
}

/// The words of the rule that decided, in the network where it did; nothing of a policy, and where they cannot be read.
pub fn rule_words(decision: &FilterDecision, namespace: &Namespace, home: &Home) -> Option<RuleWords> {
    home.inside(namespace, || words_here(decision)).ok().flatten()
}

fn words_here(decision: &FilterDecision) -> Option<RuleWords> {
    let handle = decision.handle?;
    let rules = Netfilter::open().ok().flatten()?.table_rules(decision.family, &decision.table).ok()?;
    let of_chain: Vec<u64> =
        rules.into_iter().filter(|rule| rule.chain == decision.chain).map(|rule| rule.handle).collect();
    let place = of_chain.iter().position(|one| *one == handle)?;
    by_iptables(decision, place, of_chain.len()).or_else(|| by_nft(decision, handle, place))
}

/// Rules in the tables of iptables, if it can read them: the n-th line of a chain is the n-th rule.
fn by_iptables(decision: &FilterDecision, place: usize, count: usize) -> Option<RuleWords> {
    let FilterDecision { table, chain, .. } = decision;
    let plain = match decision.family {
        TableFamily::Ip => "iptables",
        TableFamily::Ip6 => "ip6tables",
        _ => return None,
    };
    if !IPTABLES_TABLES.contains(&table.as_str()) {
        return None;
    }
    let (name, file) = nft_variant(plain)?;
    let listed = program::run(&file, &["-w", "-t", table, "-S", chain], None).ok()?;
    let lines: Vec<Vec<String>> = listed
        .lines()
        .map(iptables_words)
        .filter(|words| words.first().is_some_and(|word| word == "-A"))
        .collect();
    let line = lines.get(place).filter(|_| lines.len() == count)?;
    let mut delete = vec![name.clone()];
    if table != "filter" {
        delete.extend(["-t".to_owned(), table.clone()]);
    }
    delete.push("-D".to_owned());
    delete.extend(line.iter().skip(1).cloned());
    let text = listed.lines().filter(|line| line.starts_with("-A ")).nth(place)?.to_owned();
    Some(RuleWords {
        program: name,
        table: table.clone(),
        chain: chain.clone(),
        number: place + 1,
        text,
        delete: Hint::words(&delete),
    })
}

/// The program of that name that keeps its rules in nf_tables: what it is called, and its file.
fn nft_variant(plain: &str) -> Option<(String, std::path::PathBuf)> {
    if let Some(file) = program::find(plain)
        && program::run(&file, &["-V"], None).is_ok_and(|version| version.contains("nf_tables"))
    {
        return Some((plain.to_owned(), file));
    }
    let name = format!("{plain}-nft");
    program::find(&name).map(|file| (name, file))
}

fn by_nft(decision: &FilterDecision, handle: u64, place: usize) -> Option<RuleWords> {
    let FilterDecision { table, chain, .. } = decision;
    let family = match decision.family {
        TableFamily::Other(7) => "bridge".to_owned(),
        TableFamily::Other(_) => return None,
        known => known.word(),
    };
    let file = program::find("nft")?;
    let listed = program::run(&file, &["-a", "-t", "list", "chain", &family, table, chain], None).ok()?;
    let mark = format!("# handle {handle}");
    let text = listed.lines().find_map(|line| line.trim().strip_suffix(&mark))?.trim().to_owned();
    Some(RuleWords {
        program: "nft".to_owned(),
        table: format!("{family} {table}"),
        chain: chain.clone(),
        number: place + 1,
        text,
        delete: hint!("nft delete rule {} {} {} handle {}", family, table, chain, handle),
    })
}

/// The words of a line; those with blanks are in quotes, in which a backslash takes the next sign as it is.
fn iptables_words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted, mut is_word) = (Vec::new(), String::new(), false, false);
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '"' => (is_quoted, is_word) = (!is_quoted, true),
            '\\' if is_quoted => word.extend(signs.next()),
            ' ' if !is_quoted => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            sign => {
                word.push(sign);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}
