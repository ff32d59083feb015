//! A rule as nft(8) writes it: whether it is for a packet, and what it does. Only what is plain is understood.

use super::nft_condition::{self, TableSets};
use super::nft_selector::NftSelector;
use super::nft_words::{up_to_keyword, words};
use super::packet::FilterPacket;
use super::rule::{
    MarkChange, PacketTranslation, ReadRule, RuleEffect, RuleMatch, RuleTarget, TtlChange, address_and_port,
    number,
};

/// `iifname "br0" tcp dport 80 counter packets 3 bytes 180 accept`
pub(super) fn read(text: &str, packet: &FilterPacket, sets: TableSets<'_>) -> ReadRule {
    let words = words(text);
    let mut rule = ReadRule::everything();
    let mut rest = words.as_slice();
    while !rest.is_empty() {
        if let Some(target) = target(rest) {
            rule.target = target;
            return rule;
        }
        let Some(taken) =
            statement(&mut rule, rest, packet).or_else(|| condition(&mut rule, rest, packet, sets))
        else {
            rule.is_meant = rule.is_meant.and(RuleMatch::Unknown);
            rule.target = RuleTarget::Unknown;
            return rule;
        };
        rest = rest.get(taken..).unwrap_or_default();
        if rule.target != RuleTarget::Continue {
            return rule;
        }
    }
    rule
}

/// What ends a rule.
fn target(words: &[String]) -> Option<RuleTarget> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    Some(match word(0) {
        "accept" => RuleTarget::Accept,
        "drop" => RuleTarget::Drop,
        "return" => RuleTarget::Return,
        "masquerade" => RuleTarget::Translate(PacketTranslation::Source(None)),
        "reject" => RuleTarget::Reject { is_reset: word(2) == "tcp" && word(3) == "reset" },
        "snat" | "dnat" | "redirect" => RuleTarget::Translate(translation(words)),
        "jump" => RuleTarget::Jump(word(1).to_owned()),
        "goto" => RuleTarget::Goto(word(1).to_owned()),
        _ => return None,
    })
}

/// What only counts, logs, or changes something, and what makes a rule one for some packets only: how many words it has, or nothing
/// where it is none of these.
fn statement(rule: &mut ReadRule, words: &[String], packet: &FilterPacket) -> Option<usize> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    match (word(0), word(1), word(2)) {
        ("counter", "packets", _) => return Some(5),
        ("counter" | "continue", ..) => return Some(1),
        ("comment", ..) => return Some(2),
        ("log", ..) => return Some(1 + log_words(words)),
        ("notrack", ..) => {
            rule.effects.push(RuleEffect::Untrack);
            return Some(1);
        }
        // How much there was so far is not known.
        ("limit" | "quota", ..) | ("ct", "count", _) => rule.is_meant = rule.is_meant.and(RuleMatch::Unknown),
        ("meta" | "ct", "mark", "set") => {
            let (change, is_of_flow) = mark_set(words);
            let found = if change.is_known { RuleMatch::Yes } else { set_to(words, 2) };
            // Of a packet without a flow there is no such mark to copy: the rule ends there.
            let has_it = if is_of_flow { RuleMatch::known(packet.has_flow()) } else { RuleMatch::Yes };
            rule.is_meant = rule.is_meant.and(found).and(has_it);
            rule.effects.push(match word(0) {
                "ct" => RuleEffect::FlowMark(change),
                _ => RuleEffect::Mark(change),
            });
        }
        ("ip", "ttl", "set") | ("ip6", "hoplimit", "set") => {
            let applies = NftSelector::read(words).is_some_and(|selector| selector.applies(packet));
            rule.is_meant = rule.is_meant.and(set_to(words, 2)).and(RuleMatch::of(applies));
            let ttl = word(3).parse().map_or(TtlChange::Unknown, TtlChange::Set);
            rule.effects.push(RuleEffect::Ttl(ttl));
        }
        // In another zone it is another flow.
        ("ct", "zone", "set") => {
            rule.is_meant = rule.is_meant.and(set_to(words, 2));
            rule.effects.push(RuleEffect::FlowUnknown);
        }
        ("flow", "add", _) => return Some(3),
        (_, _, "set") => rule.is_meant = rule.is_meant.and(set_to(words, 2)),
        ("tcp", "option", _) if word(4) == "set" => rule.is_meant = rule.is_meant.and(set_to(words, 4)),
        // What is put into a set can have conditions of its own.
        ("add" | "update" | "delete", ..) => {
            let end = words.iter().position(|word| word == "}")?;
            let has_conditions =
                words[..end].iter().any(|word| ["limit", "count", "quota"].contains(&word.as_str()));
            if has_conditions {
                rule.is_meant = rule.is_meant.and(RuleMatch::Unknown);
            }
            return Some(end + 1);
        }
        _ => return None,
    }
    Some(up_to_keyword(words))
}

/// `meta mark set 0x1`, `ct mark set meta mark | 0x00001000`: what becomes of the mark, and whether that of the flow is asked for.
fn mark_set(words: &[String]) -> (MarkChange, bool) {
    let value = words.get(3..up_to_keyword(words)).unwrap_or_default();
    let parts: Vec<&str> = value.iter().map(String::as_str).collect();
    let own = words.first().map_or("", String::as_str);
    let (base, rest) = match parts[..] {
        [base @ ("meta" | "ct"), "mark", ref rest @ ..] => (Some(base), rest),
        ref rest => (None, rest),
    };
    let change = match (base, rest) {
        (None, [word]) => number(word).map(|value| (0, value)),
        (Some(_), []) => Some((u32::MAX, 0)),
        (Some(_), ["|", word]) => number(word).map(|value| (!value, value)),
        (Some(_), ["&", word]) => number(word).map(|value| (value, 0)),
        (Some(_), ["^", word]) => number(word).map(|value| (u32::MAX, value)),
        _ => None,
    };
    let is_of_flow = value.first().is_some_and(|word| word == "ct");
    let Some((mask, flip)) = change else { return (MarkChange::UNKNOWN, is_of_flow) };
    let (keep, take) = if base == Some(own) { (mask, 0) } else { (0, mask) };
    (MarkChange { keep, take, flip, is_known: true }, is_of_flow)
}

/// Whether all words behind `set` up to the next keyword are the value: else there is another condition among them, which is not read.
fn set_to(words: &[String], set: usize) -> RuleMatch {
    let value = words.get(set + 1..up_to_keyword(words)).unwrap_or_default();
    let first = value.first().map(String::as_str).unwrap_or_default();
    let is_calculated = value.iter().any(|word| ["|", "&", "^"].contains(&word.as_str()));
    let is_value =
        value.len() == 1 || value.len() == 2 && ["meta", "ct", "rt"].contains(&first) || is_calculated;
    if is_value { RuleMatch::Yes } else { RuleMatch::Unknown }
}

fn condition(
    rule: &mut ReadRule,
    words: &[String],
    packet: &FilterPacket,
    sets: TableSets<'_>,
) -> Option<usize> {
    let found = nft_condition::read(words, packet, sets)?;
    rule.is_meant = rule.is_meant.and(found.is_meant);
    rule.is_specific |= found.is_specific;
    rule.target = found.case.unwrap_or(RuleTarget::Continue);
    Some(found.words)
}

/// `dnat ip to 172.17.0.2:80 persistent`, `redirect to :8080`
fn translation(words: &[String]) -> PacketTranslation {
    let first = words.first().map(String::as_str).unwrap_or_default();
    let to = words.iter().position(|word| word == "to");
    let end = to.and_then(|to| words.get(to + 1)).map(|word| address_and_port(word));
    match (first, end) {
        ("redirect", None) => PacketTranslation::Destination(None, None),
        ("redirect", Some(Some((None, port)))) => PacketTranslation::Destination(None, port),
        ("dnat", Some(Some((address @ Some(_), port)))) => PacketTranslation::Destination(address, port),
        ("snat", Some(Some((address @ Some(_), _)))) => PacketTranslation::Source(address),
        _ => PacketTranslation::Unknown,
    }
}

/// How many words behind `log` belong to it.
fn log_words(words: &[String]) -> usize {
    const OPTIONS: [&str; 6] = ["prefix", "level", "group", "snaplen", "queue-threshold", "flags"];
    let mut at = 1;
    while words.get(at).is_some_and(|word| OPTIONS.contains(&word.as_str())) {
        at += 2;
    }
    at - 1
}
