//! A rule as nft(8) writes it: whether it is for a packet, and what it does. Only what is plain is understood.

use super::packet::{FilterPacket, PacketProtocol};
use super::rule::{
    PacketTranslation, ReadRule, RuleMatch, RuleTarget, address_and_port, is_in, is_interface, is_port,
    number,
};

/// `iifname "br0" tcp dport 80 counter packets 3 bytes 180 accept`
pub(super) fn read(text: &str, packet: &FilterPacket) -> ReadRule {
    let words = words(text);
    let mut rule = ReadRule { is_meant: RuleMatch::Yes, target: RuleTarget::Continue, is_specific: false };
    let mut rest = words.as_slice();
    while let Some(first) = rest.first() {
        let word = |at: usize| rest.get(at).map(String::as_str).unwrap_or_default();
        let taken = match first.as_str() {
            "counter" if word(1) == "packets" => 5,
            "counter" => 1,
            "comment" => 2,
            "accept" | "drop" | "return" | "masquerade" => {
                rule.target = plain_target(first);
                return rule;
            }
            "reject" => {
                rule.target = RuleTarget::Reject { is_reset: word(2) == "tcp" && word(3) == "reset" };
                return rule;
            }
            "snat" | "dnat" | "redirect" => {
                rule.target = RuleTarget::Translate(translation(rest));
                return rule;
            }
            "meta" if word(1) == "mark" && word(2) == "set" => {
                rule.target = match number(word(3)) {
                    Some(value) if rest.len() == 4 => RuleTarget::Mark(value, u32::MAX),
                    _ => RuleTarget::MarkUnknown,
                };
                return rule;
            }
            "notrack" => {
                rule.target = RuleTarget::Untrack;
                return rule;
            }
            "log" => {
                // Up to the next word that begins something else: what it is logged with is in quotes, or a number.
                1 + log_words(rest)
            }
            "ct" if word(1) == "mark" && word(2) == "set" => {
                rule.target = RuleTarget::MarkUnknown;
                return rule;
            }
            "jump" => {
                rule.target = RuleTarget::Jump(word(1).to_owned());
                return rule;
            }
            "goto" => {
                rule.target = RuleTarget::Goto(word(1).to_owned());
                return rule;
            }
            _ => {
                let Some(taken) = condition(&mut rule, rest, packet) else {
                    rule.is_meant = rule.is_meant.and(RuleMatch::Unknown);
                    rule.target = RuleTarget::Unknown;
                    return rule;
                };
                taken
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    rule
}

fn plain_target(word: &str) -> RuleTarget {
    match word {
        "accept" => RuleTarget::Accept,
        "drop" => RuleTarget::Drop,
        "masquerade" => RuleTarget::Translate(PacketTranslation::Source(None)),
        _ => RuleTarget::Return,
    }
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

/// Reads one condition into the rule: how many words it has, or nothing where it is not understood.
fn condition(rule: &mut ReadRule, words: &[String], packet: &FilterPacket) -> Option<usize> {
    let first = words.first()?.as_str();
    let mut at = match first {
        "iifname" | "oifname" | "iif" | "oif" => 1,
        "ip" | "ip6" | "tcp" | "udp" | "ct" | "meta" | "th" | "fib" | "icmp" | "icmpv6" | "ether" => 2,
        _ => return None,
    };
    let key = words.get(1).map(String::as_str).unwrap_or_default();
    let next = words.get(at).map(String::as_str);
    // What becomes of it is in a map.
    if matches!(next, Some("vmap" | "map")) {
        return None;
    }
    let is_negated = next == Some("!=");
    at += usize::from(is_negated);
    let (values, taken) = values(words.get(at..)?)?;
    let any = |is_it: &dyn Fn(&str) -> RuleMatch| RuleMatch::any(values.iter().map(|value| is_it(value)));
    let own = packet.protocol_words();
    let is_six = packet.is_six();
    let found = match (first, key) {
        ("iifname" | "iif", _) => any(&|value| is_interface(value, '*', packet.from.as_deref())),
        ("oifname" | "oif", _) => any(&|value| is_interface(value, '*', packet.out.as_deref())),
        ("ip", "saddr") | ("ip6", "saddr") if (first == "ip6") == is_six => {
            any(&|value| is_in(value, packet.source))
        }
        ("ip", "daddr") | ("ip6", "daddr") if (first == "ip6") == is_six => {
            any(&|value| is_in(value, packet.destination))
        }
        ("ip" | "ip6", _) if (first == "ip6") != is_six => RuleMatch::No,
        ("ip", "protocol") | ("ip6", "nexthdr") | ("meta", "l4proto") => {
            any(&|value| RuleMatch::of(own.contains(&value)))
        }
        ("tcp" | "udp" | "icmp" | "icmpv6", _) if !own.contains(&first) => RuleMatch::No,
        ("th", _) if matches!(packet.protocol, PacketProtocol::Icmp(_)) => RuleMatch::No,
        ("tcp" | "udp" | "th", "dport") => any(&|value| is_port(value, '-', packet.port)),
        ("tcp" | "udp" | "th", "sport") => any(&|value| is_port(value, '-', packet.source_port)),
        ("icmp" | "icmpv6", "type") => any(&|value| RuleMatch::known(packet.is_icmp_type(value))),
        ("ct", "state") if !packet.is_tracked => RuleMatch::Unknown,
        ("ct", "state") => any(&|value| match value {
            "new" => RuleMatch::of(!packet.is_answer),
            "established" => RuleMatch::of(packet.is_answer),
            "related" | "invalid" => RuleMatch::No,
            _ => RuleMatch::Unknown,
        }),
        ("ct", "status") => any(&|value| match value {
            "dnat" => RuleMatch::of(packet.is_dnat),
            _ => RuleMatch::Unknown,
        }),
        ("meta", "mark") => any(&|value| match (packet.mark, number(value)) {
            (Some(mark), Some(value)) => RuleMatch::of(mark == value),
            _ => RuleMatch::Unknown,
        }),
        ("meta", "nfproto") => any(&|value| RuleMatch::of(value == if is_six { "ipv6" } else { "ipv4" })),
        _ => return None,
    };
    // A packet of another protocol is not meant, whether the rule says "is" or "is not".
    let is_other = matches!(first, "ip" | "ip6") && (first == "ip6") != is_six
        || matches!(first, "tcp" | "udp" | "icmp" | "icmpv6") && !own.contains(&first)
        || first == "th" && matches!(packet.protocol, PacketProtocol::Icmp(_));
    rule.is_meant = rule.is_meant.and(found.negated(is_negated && !is_other));
    rule.is_specific |= !is_negated
        && (matches!(first, "iifname" | "oifname" | "iif" | "oif") || matches!(key, "saddr" | "daddr"));
    Some(at + taken)
}

/// One value, or those of a set that is written out: `{ 80, 443 }`, `established,related`.
fn values(words: &[String]) -> Option<(Vec<&str>, usize)> {
    let first = words.first()?;
    if first.starts_with('@') {
        return None;
    }
    if first != "{" {
        return Some((first.split(',').collect(), 1));
    }
    let end = words.iter().position(|word| word == "}")?;
    let inside = words[1..end].iter().map(|word| word.trim_end_matches(',')).filter(|word| !word.is_empty());
    let inside: Vec<&str> = inside.collect();
    // A map, or intervals with blanks.
    if inside.iter().any(|word| *word == ":" || *word == "-") { None } else { Some((inside, end + 1)) }
}

/// The words of a rule; what is in quotes is one of them, without the quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().filter(|word| *word != ",").map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
