//! A rule as iptables-save(8) writes it: whether it is for a packet, and what it does: iptables-extensions(8).

use super::packet::{FilterPacket, PacketProtocol};
use super::rule::{
    MarkChange, PacketTranslation, ReadRule, RuleEffect, RuleMatch, RuleTarget, TtlChange, address_and_port,
    is_in, is_interface, is_mark, is_port, mark_and_mask,
};

/// Targets after which the next rule is asked.
const GO_ON: [&str; 18] = [
    "LOG",
    "NFLOG",
    "CLASSIFY",
    "TCPMSS",
    "TTL",
    "HL",
    "DSCP",
    "TOS",
    "SET",
    "TRACE",
    "AUDIT",
    "SECMARK",
    "CONNSECMARK",
    "CHECKSUM",
    "CT",
    "NOTRACK",
    "MARK",
    "CONNMARK",
];

/// `-A FORWARD -i docker0 ! -o docker0 -j ACCEPT`
pub(super) fn read(text: &str, packet: &FilterPacket) -> ReadRule {
    let words = words(text);
    let mut rule = ReadRule::everything();
    // The first two are `-A CHAIN`.
    let mut at = 2;
    let (mut is_negated, mut is_connmark) = (false, false);
    while let Some(word) = words.get(at).map(String::as_str) {
        let value = words.get(at + 1).map(String::as_str).unwrap_or_default();
        at += 1;
        if word == "!" {
            is_negated = true;
            continue;
        }
        let negated = std::mem::take(&mut is_negated);
        let (found, takes) = match word {
            "-j" | "-g" => {
                // What follows belongs to the target.
                let rest = words.get(at + 1..).unwrap_or_default();
                rule.target = target(value, word == "-g", rest);
                rule.effects.extend(effect(value, rest));
                return rule;
            }
            "-m" => {
                is_connmark = value == "connmark";
                (module(value), 1)
            }
            "--comment" => (RuleMatch::Yes, 1),
            "-i" => (is_interface(value, '+', packet.from.as_deref()), 1),
            "-o" => (is_interface(value, '+', packet.out.as_deref()), 1),
            "-s" => (is_in(value, packet.source), 1),
            "-d" => (is_in(value, packet.destination), 1),
            "-p" => (protocol(value, packet), 1),
            "--dport" => (is_port(value, ':', packet.port, packet.chosen_ports), 1),
            "--dports" => (any_port(value, packet.port, packet), 1),
            "--sport" => (is_port(value, ':', packet.source_port, packet.chosen_ports), 1),
            "--sports" => (any_port(value, packet.source_port, packet), 1),
            "--ports" => (
                RuleMatch::any([packet.port, packet.source_port].map(|port| any_port(value, port, packet))),
                1,
            ),
            "--syn" => (RuleMatch::of(packet.protocol == PacketProtocol::Tcp && !packet.is_answer), 0),
            "--tcp-flags" => (syn_only(value, words.get(at + 1), packet), 2),
            "--ctstate" | "--state" => (state(value, packet), 1),
            "--icmp-type" | "--icmpv6-type" => (icmp_type(value, packet), 1),
            "--mark" if is_connmark => (flow_mark(value, negated, packet), 1),
            "--mark" => (is_mark(value, packet.mark), 1),
            "--ttl-eq" | "--hl-eq" => (ttl(value, packet, |own, asked| own == asked), 1),
            "--ttl-lt" | "--hl-lt" => (ttl(value, packet, |own, asked| own < asked), 1),
            "--ttl-gt" | "--hl-gt" => (ttl(value, packet, |own, asked| own > asked), 1),
            "--dst-type" => (destination_type(value, packet), 1),
            "--src-type" => (source_type(value), 1),
            "--pkt-type" => (RuleMatch::of(value == "unicast"), 1),
            "--physdev-is-bridged" => (RuleMatch::of(packet.is_bridged), 0),
            "--physdev-in" => (is_physical(value, packet, 0), 1),
            "--physdev-out" => (is_physical(value, packet, 1), 1),
            _ => (RuleMatch::Unknown, usize::from(!value.starts_with('-') && value != "!")),
        };
        let everything = matches!(word, "-s" | "-d") && value.ends_with("/0");
        rule.is_specific |= matches!(word, "-i" | "-o" | "-s" | "-d") && !negated && !everything;
        rule.is_meant = rule.is_meant.and(found.negated(negated));
        at += takes;
    }
    rule
}

/// A module's name alone says nothing where its conditions are known ones.
fn module(name: &str) -> RuleMatch {
    let known = [
        "tcp",
        "udp",
        "multiport",
        "conntrack",
        "state",
        "comment",
        "addrtype",
        "physdev",
        "pkttype",
        "icmp",
        "icmp6",
        "mark",
        "connmark",
        "ttl",
        "hl",
        "set",
        "limit",
    ];
    if known.contains(&name) { RuleMatch::Yes } else { RuleMatch::Unknown }
}

fn protocol(name: &str, packet: &FilterPacket) -> RuleMatch {
    RuleMatch::of(packet.protocol_words().contains(&name) || name == "all" || name == "0")
}

fn any_port(list: &str, port: Option<u16>, packet: &FilterPacket) -> RuleMatch {
    RuleMatch::any(list.split(',').map(|word| is_port(word, ':', port, packet.chosen_ports)))
}

/// What the first packet of a connection has: SYN, and none of the others.
fn syn_only(mask: &str, set: Option<&String>, packet: &FilterPacket) -> RuleMatch {
    if packet.protocol != PacketProtocol::Tcp {
        return RuleMatch::No;
    }
    // Whether it is a SYN and ACK, or a reset, depends on who answers.
    if packet.is_answer {
        return RuleMatch::Unknown;
    }
    let set = set.map(String::as_str).unwrap_or_default();
    let asks_for = mask.split(',').any(|flag| flag == "SYN" || flag == "ALL");
    match (asks_for, set) {
        (true, "SYN") => RuleMatch::Yes,
        (true, _) => RuleMatch::No,
        (false, "NONE") => RuleMatch::Yes,
        _ => RuleMatch::Unknown,
    }
}

/// States of connection tracking, in capitals here.
fn state(list: &str, packet: &FilterPacket) -> RuleMatch {
    let Some(known) = packet.flow_state() else { return RuleMatch::Unknown };
    let known = known.to_ascii_uppercase();
    RuleMatch::any(list.split(',').map(|state| match state {
        "NEW" | "ESTABLISHED" | "RELATED" | "INVALID" | "UNTRACKED" => RuleMatch::of(state == known),
        "DNAT" => RuleMatch::of(packet.is_dnat),
        _ => RuleMatch::Unknown,
    }))
}

/// The mark of its flow. What belongs to none has none, and no such rule is for it, whether it says "is" or "is not".
fn flow_mark(word: &str, is_negated: bool, packet: &FilterPacket) -> RuleMatch {
    match packet.has_flow() {
        Some(true) => is_mark(word, packet.flow_mark),
        Some(false) => RuleMatch::of(is_negated),
        None => RuleMatch::Unknown,
    }
}

fn ttl(word: &str, packet: &FilterPacket, is_it: fn(u8, u8) -> bool) -> RuleMatch {
    RuleMatch::known(packet.ttl.zip(word.parse().ok()).map(|(own, asked)| is_it(own, asked)))
}

fn icmp_type(word: &str, packet: &FilterPacket) -> RuleMatch {
    if word == "any" { RuleMatch::Yes } else { RuleMatch::known(packet.is_icmp_type(word)) }
}

/// The port of the bridge that it came in by, or leaves by: only what is bridged has one.
fn is_physical(word: &str, packet: &FilterPacket, end: usize) -> RuleMatch {
    match (&packet.ports[end], packet.is_bridged) {
        (Some(port), _) => is_interface(word, '+', Some(port)),
        (None, true) => RuleMatch::Unknown,
        (None, false) => RuleMatch::No,
    }
}

fn destination_type(list: &str, packet: &FilterPacket) -> RuleMatch {
    match list {
        "LOCAL" => RuleMatch::of(packet.is_local),
        "BROADCAST" | "MULTICAST" | "ANYCAST" => RuleMatch::No,
        "UNICAST" => RuleMatch::of(!packet.is_local),
        _ => RuleMatch::Unknown,
    }
}

fn source_type(list: &str) -> RuleMatch {
    match list {
        "LOCAL" | "BROADCAST" | "MULTICAST" => RuleMatch::No,
        "UNICAST" => RuleMatch::Yes,
        _ => RuleMatch::Unknown,
    }
}

fn target(name: &str, is_goto: bool, rest: &[String]) -> RuleTarget {
    let value = |option: &str| {
        let at = rest.iter().position(|word| word == option)?;
        rest.get(at + 1).map(String::as_str)
    };
    match name {
        "ACCEPT" => RuleTarget::Accept,
        "DROP" => RuleTarget::Drop,
        "REJECT" => RuleTarget::Reject { is_reset: value("--reject-with") == Some("tcp-reset") },
        "RETURN" => RuleTarget::Return,
        "MASQUERADE" => RuleTarget::Translate(PacketTranslation::Source(None)),
        "SNAT" => RuleTarget::Translate(match value("--to-source").and_then(address_and_port) {
            Some((Some(address), _)) => PacketTranslation::Source(Some(address)),
            _ => PacketTranslation::Unknown,
        }),
        "DNAT" => RuleTarget::Translate(match value("--to-destination").and_then(address_and_port) {
            Some((address @ Some(_), port)) => PacketTranslation::Destination(address, port),
            _ => PacketTranslation::Unknown,
        }),
        "REDIRECT" => RuleTarget::Translate(match value("--to-ports").map(str::parse) {
            Some(Ok(port)) => PacketTranslation::Destination(None, Some(port)),
            None => PacketTranslation::Destination(None, None),
            Some(Err(_)) => PacketTranslation::Unknown,
        }),
        "NETMAP" => RuleTarget::Translate(PacketTranslation::Unknown),
        "TPROXY" => RuleTarget::Accept,
        "NFQUEUE" | "QUEUE" | "" => RuleTarget::Unknown,
        name if GO_ON.contains(&name) => RuleTarget::Continue,
        name if is_goto => RuleTarget::Goto(name.to_owned()),
        name => RuleTarget::Jump(name.to_owned()),
    }
}

/// What else the target does.
fn effect(name: &str, rest: &[String]) -> Option<RuleEffect> {
    let has = |option: &str| rest.iter().any(|word| word == option);
    let value = |option: &str| {
        let at = rest.iter().position(|word| word == option)?;
        rest.get(at + 1).map(String::as_str)
    };
    let set = || {
        let set = value("--set-xmark").or(value("--set-mark")).map(mark_and_mask)?;
        set.0.zip(set.1).map(|(value, mask)| MarkChange::set(value, mask))
    };
    let mask = |option: &str| value(option).map_or(Some(u32::MAX), |word| mark_and_mask(word).0);
    match name {
        "MARK" => Some(RuleEffect::Mark(set().unwrap_or(MarkChange::UNKNOWN))),
        "CONNMARK" => {
            let masks = mask("--nfmask").zip(mask("--ctmask"));
            let restored = masks.map(|(packet, flow)| RuleEffect::Mark(MarkChange::copy(packet, flow)));
            let saved = masks.map(|(packet, flow)| RuleEffect::FlowMark(MarkChange::copy(flow, packet)));
            Some(match () {
                () if has("--restore-mark") => restored.unwrap_or(RuleEffect::Mark(MarkChange::UNKNOWN)),
                () if has("--save-mark") => saved.unwrap_or(RuleEffect::FlowMark(MarkChange::UNKNOWN)),
                () => RuleEffect::FlowMark(set().unwrap_or(MarkChange::UNKNOWN)),
            })
        }
        "TTL" | "HL" => {
            let by = |option: &str| value(&format!("--{}-{option}", name.to_lowercase()))?.parse().ok();
            let change = by("set").map(TtlChange::Set).or(by("dec").map(TtlChange::Less));
            let change = change.or(by("inc").map(TtlChange::More));
            Some(RuleEffect::Ttl(change.unwrap_or(TtlChange::Unknown)))
        }
        "NOTRACK" => Some(RuleEffect::Untrack),
        "CT" if has("--notrack") => Some(RuleEffect::Untrack),
        "CT" => {
            (has("--zone") || has("--zone-orig") || has("--zone-reply")).then_some(RuleEffect::FlowUnknown)
        }
        _ => None,
    }
}

/// The words of a line; those with blanks are in quotes, in which a backslash takes the next sign as it is.
pub fn words(text: &str) -> Vec<String> {
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
