//! A condition of a rule as nft(8) writes it: what of the packet, compared with a value, a set, or the cases of a map.

use super::nft_selector::NftSelector;
use super::nft_words::{WrittenElement, elements, fields};
use super::packet::FilterPacket;
use super::rule::{RuleMatch, RuleTarget, is_between, number};
use crate::firewall::NamedSet;
use crate::firewall::named_set::SetLookup;
use crate::netlink::{NftElement, NftVerdict};

/// Sets of the table that a rule is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableSets<'a> {
    pub sets: &'a [NamedSet],
    pub table: &'a str,
}

/// A condition, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrittenCondition {
    pub is_meant: RuleMatch,
    /// What the case of a map that is for the packet decides.
    pub case: Option<RuleTarget>,
    pub is_specific: bool,
    /// How many words it has.
    pub words: usize,
}

impl<'a> TableSets<'a> {
    fn named(self, name: &str) -> Option<&'a NamedSet> {
        self.sets.iter().find(|set| set.table == self.table && set.name == name)
    }
}

/// `ip saddr . tcp dport != { 10.1.0.2 . 80 }`; nothing where it is not understood.
pub(super) fn read(words: &[String], packet: &FilterPacket, sets: TableSets<'_>) -> Option<WrittenCondition> {
    let mut selectors = vec![NftSelector::read(words)?];
    let mut at = selectors[0].words;
    while words.get(at).is_some_and(|word| word == ".") {
        let next = NftSelector::read(words.get(at + 1..)?)?;
        at += 1 + next.words;
        selectors.push(next);
    }
    let rest = words.get(at..)?;
    let word = |at: usize| rest.get(at).map_or("", String::as_str);
    let applies = selectors.iter().all(|selector| selector.applies(packet));
    let meant = |found: RuleMatch| if applies { found } else { RuleMatch::No };
    if word(0) == "&" {
        return masked(&selectors, rest, packet).map(|(found, taken)| WrittenCondition {
            is_meant: meant(found),
            case: None,
            is_specific: false,
            words: at + taken,
        });
    }
    if word(0) == "vmap" {
        let (found, case, taken) = cases(&selectors, rest.get(1..)?, packet, sets)?;
        let is_specific = selectors.iter().any(NftSelector::is_specific);
        return Some(WrittenCondition {
            is_meant: meant(found),
            case: Some(case),
            is_specific,
            words: at + 1 + taken,
        });
    }
    let is_negated = word(0) == "!=";
    let operand = rest.get(usize::from(is_negated || word(0) == "==")..)?;
    let (found, taken) = compared(&selectors, operand, packet, sets)?;
    Some(WrittenCondition {
        is_meant: meant(found.negated(is_negated)),
        case: None,
        is_specific: !is_negated && selectors.iter().any(NftSelector::is_specific),
        words: at + rest.len() - operand.len() + taken,
    })
}

/// Whether all fields of an element are the packet's.
fn is_of(selectors: &[NftSelector<'_>], fields: &[&str], packet: &FilterPacket) -> RuleMatch {
    if fields == ["*"] {
        return RuleMatch::Yes;
    }
    if selectors.len() != fields.len() {
        return RuleMatch::Unknown;
    }
    let both = selectors.iter().zip(fields).map(|(selector, value)| selector.has(value, packet));
    both.fold(RuleMatch::Yes, RuleMatch::and)
}

fn compared(
    selectors: &[NftSelector<'_>],
    operand: &[String],
    packet: &FilterPacket,
    sets: TableSets<'_>,
) -> Option<(RuleMatch, usize)> {
    let first = operand.first()?.as_str();
    if let Some(name) = first.strip_prefix('@') {
        let found = match look_up(selectors, name, packet, sets) {
            SetLookup::Has(_) => RuleMatch::Yes,
            SetLookup::HasNot => RuleMatch::No,
            SetLookup::Unknown => RuleMatch::Unknown,
        };
        return Some((found, 1));
    }
    if first == "{" {
        let (all, taken) = elements(operand)?;
        let is_map = all.iter().any(|element| !element.value.is_empty());
        let found = RuleMatch::any(all.iter().map(|element| is_of(selectors, &element.fields, packet)));
        return (!is_map).then_some((found, taken));
    }
    if let Some(found) = ordered(selectors, operand, packet) {
        return Some((found, 2));
    }
    // What is calculated, and what has no order here.
    if ["<", ">", "<=", ">=", "|", "^", "<<", ">>", "/", "map"].contains(&first)
        || operand.get(1).is_some_and(|next| next == "/")
    {
        return None;
    }
    if let [selector] = selectors {
        let found = RuleMatch::any(first.split(',').map(|value| selector.has(value, packet)));
        return Some((found, 1));
    }
    let taken = 2 * selectors.len() - 1;
    Some((is_of(selectors, &fields(operand.get(..taken)?), packet), taken))
}

/// `< 5`, `>= 1024`: of a number alone.
fn ordered(selectors: &[NftSelector<'_>], operand: &[String], packet: &FilterPacket) -> Option<RuleMatch> {
    let ([selector], [sign, value, ..]) = (selectors, operand) else { return None };
    let own = selector.number(packet)?;
    let value = number(value)?;
    let below = |end: u32| is_between([0, end], own);
    Some(match sign.as_str() {
        "<" => value.checked_sub(1).map_or(RuleMatch::No, below),
        "<=" => below(value),
        ">" => below(value).negated(true),
        ">=" => value.checked_sub(1).map_or(RuleMatch::Yes, |end| below(end).negated(true)),
        _ => return None,
    })
}

/// `& 0x000000ff == 0x00000001`, of a mark alone.
fn masked(
    selectors: &[NftSelector<'_>],
    words: &[String],
    packet: &FilterPacket,
) -> Option<(RuleMatch, usize)> {
    let [_, mask, compared, value, ..] = words else { return None };
    let ([selector], true) = (selectors, ["==", "!="].contains(&compared.as_str())) else { return None };
    let own = selector.mark(packet)?;
    let (mask, value) = (number(mask)?, number(value)?);
    let found = RuleMatch::known(own.map(|mark| mark & mask == value));
    Some((found.negated(compared == "!="), 4))
}

/// The case of a map that is for the packet, and how many words the map takes.
fn cases(
    selectors: &[NftSelector<'_>],
    words: &[String],
    packet: &FilterPacket,
    sets: TableSets<'_>,
) -> Option<(RuleMatch, RuleTarget, usize)> {
    if let Some(name) = words.first()?.strip_prefix('@') {
        let (found, case) = match look_up(selectors, name, packet, sets) {
            SetLookup::Has(NftElement { verdict: Some(verdict), .. }) => (RuleMatch::Yes, decided(verdict)),
            SetLookup::HasNot => (RuleMatch::No, RuleTarget::Continue),
            _ => (RuleMatch::Unknown, RuleTarget::Unknown),
        };
        return Some((found, case, 1));
    }
    let (all, taken) = elements(words)?;
    let mut others = RuleMatch::No;
    // The case for all others is the last one in the kernel's mind, wherever it is written.
    let (rest, own): (Vec<&WrittenElement<'_>>, Vec<_>) =
        all.iter().partition(|element| element.fields == ["*"]);
    for element in own.into_iter().chain(rest) {
        match is_of(selectors, &element.fields, packet) {
            RuleMatch::Yes if others == RuleMatch::No => {
                return Some((RuleMatch::Yes, written(element.value), taken));
            }
            RuleMatch::No => {}
            _ => others = RuleMatch::Unknown,
        }
    }
    Some(match others {
        RuleMatch::No => (RuleMatch::No, RuleTarget::Continue, taken),
        _ => (RuleMatch::Unknown, RuleTarget::Unknown, taken),
    })
}

fn look_up<'a>(
    selectors: &[NftSelector<'_>],
    name: &str,
    packet: &FilterPacket,
    sets: TableSets<'a>,
) -> SetLookup<'a> {
    let Some(set) = sets.named(name) else { return SetLookup::Unknown };
    let fields =
        selectors.iter().map(|selector| selector.key(packet, set.has_intervals)).collect::<Option<Vec<_>>>();
    fields.map_or(SetLookup::Unknown, |fields| set.look_up(&fields))
}

fn decided(verdict: &NftVerdict) -> RuleTarget {
    match verdict {
        NftVerdict::Accept => RuleTarget::Accept,
        NftVerdict::Drop => RuleTarget::Drop,
        NftVerdict::Queue => RuleTarget::Unknown,
        NftVerdict::Return => RuleTarget::Return,
        NftVerdict::Continue => RuleTarget::Continue,
        NftVerdict::Jump(chain) => RuleTarget::Jump(chain.clone()),
        NftVerdict::Goto(chain) => RuleTarget::Goto(chain.clone()),
    }
}

fn written(value: &[String]) -> RuleTarget {
    match value {
        [word] => match word.as_str() {
            "accept" => RuleTarget::Accept,
            "drop" => RuleTarget::Drop,
            "return" => RuleTarget::Return,
            "continue" => RuleTarget::Continue,
            _ => RuleTarget::Unknown,
        },
        [word, chain] if word == "jump" => RuleTarget::Jump(chain.clone()),
        [word, chain] if word == "goto" => RuleTarget::Goto(chain.clone()),
        _ => RuleTarget::Unknown,
    }
}
