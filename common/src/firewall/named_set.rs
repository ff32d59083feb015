//! Sets and maps of nftables that have a name: what is in those that rules look into, for a listing of rules leaves it out.

use std::collections::BTreeSet;

use super::fate::RuleMatch;
use super::{FilterChain, FilterProgram};
use crate::netlink::{Netfilter, NftElement, TableFamily};

/// Fields of a key of several are filled up to words of so many bytes: NFT_REG32_SIZE.
const WORD_BYTES: usize = 4;

/// A set or a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSet {
    /// Its table, with the family: `inet filter`.
    pub table: String,
    /// Its name there.
    pub name: String,
    /// Whether a key can stand for all up to the next one.
    pub has_intervals: bool,
    /// What is in it.
    pub elements: Vec<NftElement>,
}

/// A field of a key: one value, or any of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyField {
    pub least: Vec<u8>,
    pub greatest: Vec<u8>,
}

/// What a set says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SetLookup<'a> {
    /// It has this for it.
    Has(&'a NftElement),
    /// It is not in there.
    HasNot,
    /// Its keys are of another kind.
    Unknown,
}

impl NamedSet {
    /// Those that the rules of these chains look into, in the network namespace that this thread is in. One that cannot be read is
    /// not among them.
    pub fn read_mentioned(chains: &[FilterChain]) -> Vec<Self> {
        let names = mentioned(chains);
        if names.is_empty() {
            return Vec::new();
        }
        let Ok(Some(mut netfilter)) = Netfilter::open() else { return Vec::new() };
        let mut read = |(table, name): (&str, &str)| {
            let (family, table_name) = table.split_once(' ')?;
            let family = family_of(family)?;
            let has_intervals = netfilter.has_intervals(family, table_name, name).ok()?;
            let elements = netfilter.elements(family, table_name, name).ok()?;
            Some(NamedSet { table: table.to_owned(), name: name.to_owned(), has_intervals, elements })
        };
        names.into_iter().filter_map(&mut read).collect()
    }

    /// What it has for a key of these fields.
    pub(super) fn look_up(&self, fields: &[KeyField]) -> SetLookup<'_> {
        let length = fields.iter().map(|field| padded(field.least.len(), fields.len())).sum::<usize>();
        let is_other_kind =
            |element: &NftElement| element.key.as_ref().is_some_and(|own| own.len() != length);
        if self.elements.iter().any(is_other_kind) {
            return SetLookup::Unknown;
        }
        let mut is_known = true;
        if self.has_intervals && fields.len() == 1 {
            match self.interval(&fields[0]) {
                SetLookup::HasNot => {}
                found => return found,
            }
        }
        let plain = self.elements.iter().filter(|_| !self.has_intervals || fields.len() > 1);
        for element in plain.filter(|element| !element.is_end) {
            match is_for(element, fields) {
                RuleMatch::Yes => return SetLookup::Has(element),
                RuleMatch::Unknown => is_known = false,
                RuleMatch::No => {}
            }
        }
        // The one that takes what nothing else does has no key.
        match self.elements.iter().find(|element| element.key.is_none()) {
            _ if !is_known => SetLookup::Unknown,
            Some(rest) => SetLookup::Has(rest),
            None => SetLookup::HasNot,
        }
    }

    /// Which interval a value is in: from the last key that is not behind it up to the next one.
    fn interval(&self, field: &KeyField) -> SetLookup<'_> {
        let keyed = || self.elements.iter().filter(|element| element.key.is_some());
        let is_begun = |element: &&NftElement| element.key.as_deref() <= Some(field.least.as_slice());
        // Where an interval ends as the next one begins, the next one counts.
        let last = keyed().filter(is_begun).max_by_key(|element| (&element.key, !element.is_end));
        let later = keyed().filter(|element| !is_begun(element)).filter_map(|element| element.key.as_deref());
        if later.min().is_some_and(|next| next <= field.greatest.as_slice()) {
            return SetLookup::Unknown;
        }
        last.filter(|element| !element.is_end).map_or(SetLookup::HasNot, SetLookup::Has)
    }
}

/// Whether an element has the key; one of several fields can have an interval in each.
fn is_for(element: &NftElement, fields: &[KeyField]) -> RuleMatch {
    let Some(first) = &element.key else { return RuleMatch::No };
    let last = element.last.as_ref().filter(|last| last.len() == first.len()).unwrap_or(first);
    let mut at = 0;
    let found = fields.iter().map(|field| {
        let end = at + field.least.len();
        let found = field.is_in(&first[at..end], &last[at..end]);
        at += padded(field.least.len(), fields.len());
        found
    });
    found.fold(RuleMatch::Yes, RuleMatch::and)
}

impl KeyField {
    /// One that is known.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        KeyField { greatest: bytes.clone(), least: bytes }
    }

    /// Whether it is one of these, the last included.
    fn is_in(&self, first: &[u8], last: &[u8]) -> RuleMatch {
        match () {
            () if self.greatest.as_slice() < first || last < self.least.as_slice() => RuleMatch::No,
            () if first <= self.least.as_slice() && self.greatest.as_slice() <= last => RuleMatch::Yes,
            () => RuleMatch::Unknown,
        }
    }
}

/// The bytes of a field in a key of so many.
fn padded(bytes: usize, fields: usize) -> usize {
    if fields == 1 { bytes } else { bytes.next_multiple_of(WORD_BYTES) }
}

/// `@name`, as nft writes it, with the table of the rule.
fn mentioned(chains: &[FilterChain]) -> BTreeSet<(&str, &str)> {
    let of_nft = chains.iter().filter(|chain| chain.program == FilterProgram::Nft);
    of_nft
        .flat_map(|chain| {
            chain.rules.iter().flat_map(move |rule| {
                let parts = rule.text.split('"').step_by(2).flat_map(str::split_whitespace);
                parts.filter_map(|word| word.strip_prefix('@')).map(|name| (chain.table.as_str(), name))
            })
        })
        .filter(|(_, name)| !name.contains(','))
        .collect()
}

fn family_of(word: &str) -> Option<TableFamily> {
    Some(match word {
        "inet" => TableFamily::Inet,
        "ip" => TableFamily::Ip,
        "ip6" => TableFamily::Ip6,
        "arp" => TableFamily::Other(3),
        "netdev" => TableFamily::Other(5),
        "bridge" => TableFamily::BRIDGE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(key: &[u8]) -> NftElement {
        NftElement { key: Some(key.to_vec()), last: None, is_end: false, value: None, verdict: None }
    }

    fn set(has_intervals: bool, elements: Vec<NftElement>) -> NamedSet {
        NamedSet { table: "inet w".to_owned(), name: "s".to_owned(), has_intervals, elements }
    }

    fn has(set: &NamedSet, fields: &[&[u8]]) -> Option<bool> {
        let fields: Vec<KeyField> = fields.iter().map(|field| KeyField::of(field.to_vec())).collect();
        match set.look_up(&fields) {
            SetLookup::Has(_) => Some(true),
            SetLookup::HasNot => Some(false),
            SetLookup::Unknown => None,
        }
    }

    #[test]
    fn a_key_is_in_a_set_or_in_one_of_its_intervals() {
        let plain = set(false, vec![element(&[10, 0, 0, 1]), element(&[10, 0, 0, 9])]);
        assert_eq!(has(&plain, &[&[10, 0, 0, 1]]), Some(true));
        assert_eq!(has(&plain, &[&[10, 0, 0, 2]]), Some(false));
        assert_eq!(has(&plain, &[&[10, 0]]), None, "a key of another kind");
        let end = |key: &[u8]| NftElement { is_end: true, ..element(key) };
        // 10.0.0.0/8, and what comes directly behind it.
        let intervals = set(
            true,
            vec![
                end(&[0; 4]),
                end(&[12, 0, 0, 0]),
                element(&[11, 0, 0, 0]),
                end(&[11, 0, 0, 0]),
                element(&[10, 0, 0, 0]),
            ],
        );
        for (address, expected) in [
            ([10, 0, 0, 0], true),
            ([10, 255, 255, 255], true),
            ([11, 0, 0, 0], true),
            ([12, 0, 0, 0], false),
            ([9, 9, 9, 9], false),
        ] {
            assert_eq!(has(&intervals, &[&address]), Some(expected), "{address:?}");
        }
        let everything = set(true, vec![element(&[0; 4])]);
        assert_eq!(has(&everything, &[&[1, 2, 3, 4]]), Some(true));
    }

    #[test]
    fn each_field_of_a_key_of_several_is_compared_by_itself() {
        let range = NftElement {
            last: Some(vec![10, 0, 0, 255, 0, 90, 0, 0]),
            ..element(&[10, 0, 0, 0, 0, 80, 0, 0])
        };
        let several = set(true, vec![range]);
        assert_eq!(has(&several, &[&[10, 0, 0, 7], &[0, 85]]), Some(true));
        assert_eq!(has(&several, &[&[10, 0, 0, 7], &[0, 91]]), Some(false));
        assert_eq!(has(&several, &[&[10, 0, 1, 0], &[0, 85]]), Some(false));
        let address = |last| KeyField::of(vec![10, 0, 0, last]);
        let port = |least: u16, greatest: u16| KeyField {
            least: least.to_be_bytes().to_vec(),
            greatest: greatest.to_be_bytes().to_vec(),
        };
        assert_eq!(several.look_up(&[address(7), port(1024, 65535)]), SetLookup::HasNot);
        assert_eq!(several.look_up(&[address(7), port(85, 65535)]), SetLookup::Unknown);
        assert!(matches!(several.look_up(&[address(7), port(82, 85)]), SetLookup::Has(_)));
        let exact = set(false, vec![element(&[10, 0, 0, 1, 0, 80, 0, 0])]);
        assert_eq!(has(&exact, &[&[10, 0, 0, 1], &[0, 80]]), Some(true));
        let mut all = exact;
        all.elements.push(NftElement { key: None, ..element(&[]) });
        assert_eq!(has(&all, &[&[9, 9, 9, 9], &[0, 80]]), Some(true), "the one for all others");
    }
}
