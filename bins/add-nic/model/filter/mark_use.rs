//! What other programs' rules ask of packets' marks where ours are set, right before and after the filter chains of iptables: a bit that
//! is ours must change none of their answers.

use common::netlink::{NftCompare, NftExpression};
use serde::{Deserialize, Serialize};

use super::listing::OUR_COMMENT;
use super::mark::MarkBit;

/// NFT_META_MARK, linux/netfilter/nf_tables.h
const MARK: u32 = 3;
/// A rule that is quoted is no longer than this.
const MOST_QUOTED: usize = 120;

/// Packets whose mark has this value in these bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkValue {
    pub value: u32,
    pub mask: u32,
}

/// What one rule does with the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MarkAction {
    /// It is for packets that have, or do not have, this value.
    Compares(MarkValue),
    /// It changes these bits, or looks at them in another way.
    Uses(u32),
}

/// A rule that looks at the mark or changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkUse {
    /// The rule, for people.
    pub rule: String,
    action: MarkAction,
}

impl MarkUse {
    /// Those of a listing of iptables.
    pub fn of_listing(listing: &str) -> Vec<MarkUse> {
        let rules = listing.lines().filter(|line| line.starts_with("-A ") && !line.contains(OUR_COMMENT));
        rules
            .flat_map(|line| actions(line).into_iter().map(|action| MarkUse { rule: quoted(line), action }))
            .collect()
    }

    /// Those of a rule of nf_tables, which is called `name`.
    pub fn of_rule(name: &str, expressions: &[NftExpression]) -> Vec<MarkUse> {
        let loads = expressions.iter().enumerate().filter_map(|(at, part)| match part {
            NftExpression::Meta { key: MARK, .. } => Some(&expressions[at + 1..]),
            _ => None,
        });
        loads.map(|rest| MarkUse { rule: quoted(name), action: action(rest) }).collect()
    }

    /// Whether the rule would take a packet for another one if it also had this bit. Packets without any mark cannot be told from
    /// others by leaving them alone: they are most.
    pub fn clashes(&self, MarkBit(bit): MarkBit) -> bool {
        match self.action {
            MarkAction::Compares(MarkValue { value, mask }) => {
                mask & bit != 0 && (value & mask == 0 || value & bit != 0)
            }
            MarkAction::Uses(mask) => mask & bit != 0,
        }
    }

    /// The packets that must not get this bit: the rule is about them, and compares the bit too.
    pub fn apart_from(&self, MarkBit(bit): MarkBit) -> Option<MarkValue> {
        match self.action {
            MarkAction::Compares(of) if of.mask & bit != 0 => Some(of),
            _ => None,
        }
    }
}

fn quoted(rule: &str) -> String {
    rule.chars().take(MOST_QUOTED).collect()
}

/// The options of a rule of `iptables -S` that are about the packet's mark.
fn actions(rule: &str) -> Vec<MarkAction> {
    let (mut found, mut of_match) = (Vec::new(), "");
    let mut words = rule.split(' ');
    while let Some(word) = words.next() {
        match word {
            "-m" => of_match = words.next().unwrap_or_default(),
            // That of the connection is compared by the match connmark.
            "--mark" if of_match == "mark" => {
                found.extend(words.next().map(|value| MarkAction::Compares(MarkValue::parse(value))));
            }
            "--set-xmark" | "--nfmask" => {
                let value = words.next().map(MarkValue::parse);
                let mask = |of: MarkValue| if word == "--nfmask" { of.value } else { of.mask };
                found.extend(value.map(|of| MarkAction::Uses(mask(of))));
            }
            _ => {}
        }
    }
    found
}

/// What the expressions after one that loads the mark do with it.
fn action(rest: &[NftExpression]) -> MarkAction {
    let number = |bytes: &[u8]| bytes.try_into().map(u32::from_ne_bytes).ok();
    let (mask, rest) = match rest {
        [NftExpression::Mask { mask, .. }, rest @ ..] => (number(mask), rest),
        _ => (Some(u32::MAX), rest),
    };
    let value = match rest {
        [NftExpression::Compare { how: NftCompare::Equal | NftCompare::NotEqual, value, .. }, ..] => {
            number(value)
        }
        _ => None,
    };
    match (value, mask) {
        (Some(value), Some(mask)) => MarkAction::Compares(MarkValue { value, mask }),
        (_, mask) => MarkAction::Uses(mask.unwrap_or(u32::MAX)),
    }
}

impl MarkValue {
    /// `VALUE[/MASK]` as iptables prints it: without a mask, all bits. What is no number is about all bits, too.
    fn parse(text: &str) -> MarkValue {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        };
        let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
        let mask = mask.and_then(number).unwrap_or(u32::MAX);
        MarkValue { value: number(value).unwrap_or_default(), mask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::netlink::NftRegister;

    const BIT: MarkBit = MarkBit(0x1000);

    fn of(rule: &str) -> Vec<MarkUse> {
        MarkUse::of_listing(&format!("-P FORWARD DROP\n-A X {rule}"))
    }

    fn clashes(rule: &str) -> bool {
        of(rule).iter().any(|found| found.clashes(BIT))
    }

    #[test]
    fn a_rule_clashes_if_it_asks_for_the_bit_or_for_packets_without_a_mark() {
        assert!(clashes("-m mark --mark 0x1000/0x1000 -j ACCEPT") && clashes("-m mark --mark 0x0 -j DROP"));
        assert!(clashes("-m mark ! --mark 0 -j DROP") && clashes("-m mark --mark 0x5000 -j ACCEPT"));
        assert!(clashes("-j MARK --set-xmark 0x0/0xffffffff"));
        assert!(clashes("-j CONNMARK --restore-mark --nfmask 0x1000 --ctmask 0xffff"));
        assert!(!clashes("-j CONNMARK --save-mark --nfmask 0xff --ctmask 0xffffffff"));
        assert!(!clashes("-m mark --mark 0x4000/0x4000 -j ACCEPT") && !clashes("-i a -j ACCEPT"));
        assert!(!clashes("-m connmark --mark 0x0 -j ACCEPT"));
        let ours = "-m mark --mark 0x1000/0x1000 -m comment --comment \"netns-toolbox:1:0\" -j ACCEPT";
        assert!(of(ours).is_empty());
    }

    #[test]
    fn packets_that_a_rule_tells_by_their_whole_mark_are_left_alone() {
        let apart = |rule: &str| of(rule)[0].apart_from(BIT);
        let exact = MarkValue { value: 0x64, mask: u32::MAX };
        assert!(!clashes("-m mark --mark 0x64 -j ACCEPT") && !clashes("-m mark ! --mark 100 -j ACCEPT"));
        assert_eq!(apart("-m mark --mark 0x64 -j ACCEPT"), Some(exact));
        assert_eq!(apart("-m mark ! --mark 0x64 -j DROP"), Some(exact));
        let low = MarkValue { value: 0x64, mask: 0xffff };
        assert_eq!(apart("-m mark --mark 0x64/0xffff -j DROP"), Some(low));
        assert_eq!(apart("-m mark --mark 0x4000/0x4000 -j DROP"), None);
    }

    #[test]
    fn a_rule_of_nf_tables_says_the_same() {
        let load = NftExpression::Meta { key: MARK, to: NftRegister(0) };
        let mask = |mask: u32| NftExpression::Mask {
            from: NftRegister(0),
            to: NftRegister(0),
            mask: mask.to_ne_bytes().to_vec(),
        };
        let compare = |how, value: u32| NftExpression::Compare {
            from: NftRegister(0),
            how,
            value: value.to_ne_bytes().to_vec(),
        };
        let of = |parts: &[NftExpression]| MarkUse::of_rule("x", parts).remove(0);
        let whole = of(&[load.clone(), compare(NftCompare::NotEqual, 0x64)]);
        assert!(!whole.clashes(BIT) && whole.apart_from(BIT).is_some());
        let masked = of(&[load.clone(), mask(0xff), compare(NftCompare::Equal, 0)]);
        assert!(!masked.clashes(BIT) && masked.apart_from(BIT).is_none() && masked.clashes(MarkBit(0x80)));
        assert!(of(&[load.clone(), compare(NftCompare::Equal, 0)]).clashes(BIT));
        assert!(of(&[load.clone(), compare(NftCompare::Order(1), 0x64)]).clashes(BIT));
        assert!(of(&[load]).clashes(BIT));
        assert!(MarkUse::of_rule("x", &[compare(NftCompare::Equal, 0)]).is_empty());
    }
}
