//! A rule as iptables-save(8) writes it: whether it is for a packet, and what it does: iptables-extensions(8).

use super::rule::{FirstPacket, ReadRule, RuleMatch, RuleTarget, is_in, is_interface, is_port};
use crate::target::Transport;

/// Targets after which the next rule is asked.
const GO_ON: [&str; 17] = [
    "LOG",
    "NFLOG",
    "MARK",
    "CONNMARK",
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
];

/// `-A FORWARD -i docker0 ! -o docker0 -j ACCEPT`
pub(super) fn read(text: &str, packet: &FirstPacket) -> ReadRule {
    let words = words(text);
    let mut rule = ReadRule { is_meant: RuleMatch::Yes, target: RuleTarget::Continue, is_specific: false };
    // The first two are `-A CHAIN`.
    let mut at = 2;
    let mut is_negated = false;
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
                rule.target = target(value, word == "-g");
                // What follows belongs to the target.
                return rule;
            }
            "-m" => (module(value), 1),
            "--comment" => (RuleMatch::Yes, 1),
            "-i" => (is_interface(value, '+', packet.from.as_deref()), 1),
            "-o" => (is_interface(value, '+', packet.out.as_deref()), 1),
            "-s" => (is_in(value, packet.source), 1),
            "-d" => (is_in(value, packet.destination), 1),
            "-p" => (protocol(value, packet), 1),
            "--dport" => (is_port(value, ':', packet.port), 1),
            "--dports" => (any_port(value, packet.port), 1),
            "--sport" | "--sports" | "--ports" => (RuleMatch::Unknown, 1),
            "--syn" => (RuleMatch::of(packet.transport == Transport::Tcp), 0),
            "--tcp-flags" => (syn_only(value, words.get(at + 1)), 2),
            "--ctstate" | "--state" => (state(value), 1),
            "--dst-type" => (destination_type(value, packet), 1),
            "--src-type" => (source_type(value), 1),
            "--pkt-type" => (RuleMatch::of(value == "unicast"), 1),
            "--physdev-is-bridged" => (RuleMatch::of(packet.is_bridged), 0),
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
        "mark",
        "set",
        "limit",
    ];
    if known.contains(&name) { RuleMatch::Yes } else { RuleMatch::Unknown }
}

fn protocol(name: &str, packet: &FirstPacket) -> RuleMatch {
    let own = match packet.transport {
        Transport::Tcp => ["tcp", "6"],
        Transport::Udp => ["udp", "17"],
    };
    RuleMatch::of(own.contains(&name) || name == "all" || name == "0")
}

fn any_port(list: &str, port: Option<u16>) -> RuleMatch {
    let found: Vec<RuleMatch> = list.split(',').map(|word| is_port(word, ':', port)).collect();
    match () {
        () if found.contains(&RuleMatch::Yes) => RuleMatch::Yes,
        () if found.contains(&RuleMatch::Unknown) => RuleMatch::Unknown,
        () => RuleMatch::No,
    }
}

/// What the first packet of a connection has: SYN, and none of the others.
fn syn_only(mask: &str, set: Option<&String>) -> RuleMatch {
    let set = set.map(String::as_str).unwrap_or_default();
    let asks_for = mask.split(',').any(|flag| flag == "SYN" || flag == "ALL");
    match (asks_for, set) {
        (true, "SYN") => RuleMatch::Yes,
        (true, _) => RuleMatch::No,
        (false, "NONE") => RuleMatch::Yes,
        _ => RuleMatch::Unknown,
    }
}

/// The first packet of a connection is new, and no NAT has been at work on it.
fn state(list: &str) -> RuleMatch {
    let mut unknown = false;
    for state in list.split(',') {
        match state {
            "NEW" => return RuleMatch::Yes,
            "ESTABLISHED" | "RELATED" | "INVALID" | "DNAT" => {}
            _ => unknown = true,
        }
    }
    if unknown { RuleMatch::Unknown } else { RuleMatch::No }
}

fn destination_type(list: &str, packet: &FirstPacket) -> RuleMatch {
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

fn target(name: &str, is_goto: bool) -> RuleTarget {
    match name {
        "ACCEPT" => RuleTarget::Accept,
        "DROP" | "REJECT" => RuleTarget::Drop,
        "RETURN" => RuleTarget::Return,
        "MASQUERADE" | "SNAT" | "NETMAP" => RuleTarget::Translate,
        "DNAT" | "REDIRECT" | "TPROXY" => RuleTarget::Accept,
        "NFQUEUE" | "QUEUE" | "" => RuleTarget::Unknown,
        name if GO_ON.contains(&name) => RuleTarget::Continue,
        name if is_goto => RuleTarget::Goto(name.to_owned()),
        name => RuleTarget::Jump(name.to_owned()),
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
