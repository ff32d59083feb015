//! What of a packet a condition of nft(8) asks for: `ip daddr`, `tcp dport`, `iifname`.

use std::net::IpAddr;

use super::nft_words::unquoted;
use super::packet::{ARP_REQUEST, FilterPacket, PacketProtocol};
use super::rule::{RuleMatch, is_between, is_in, is_interface, is_port, number};
use crate::firewall::named_set::KeyField;

/// An interface's name as nf_tables has it in a set: IFNAMSIZ.
const NAME_BYTES: usize = 16;

/// Known by its words, and of a packet not known here: whatever is compared with it may match.
const UNKNOWN: [(&str, &str); 30] = [
    ("ip", "version"),
    ("ip", "hdrlength"),
    ("ip", "dscp"),
    ("ip", "ecn"),
    ("ip", "length"),
    ("ip", "id"),
    ("ip", "checksum"),
    ("ip6", "dscp"),
    ("ip6", "length"),
    ("tcp", "window"),
    ("tcp", "sequence"),
    ("tcp", "ackseq"),
    ("icmp", "code"),
    ("icmp", "id"),
    ("icmp", "sequence"),
    ("icmpv6", "code"),
    ("icmpv6", "id"),
    ("icmpv6", "sequence"),
    ("ether", "saddr"),
    ("ether", "daddr"),
    ("meta", "skuid"),
    ("meta", "skgid"),
    ("meta", "cgroup"),
    ("meta", "length"),
    ("meta", "cpu"),
    ("meta", "priority"),
    ("meta", "ibrname"),
    ("meta", "obrname"),
    ("ct", "zone"),
    ("ct", "helper"),
];

/// The same, and what a packet has of it is known.
const KNOWN: [(&str, &str); 26] = [
    ("ip", "saddr"),
    ("ip", "daddr"),
    ("ip", "protocol"),
    ("ip", "ttl"),
    ("ip6", "saddr"),
    ("ip6", "daddr"),
    ("ip6", "nexthdr"),
    ("ip6", "hoplimit"),
    ("tcp", "dport"),
    ("tcp", "sport"),
    ("udp", "dport"),
    ("udp", "sport"),
    ("th", "dport"),
    ("th", "sport"),
    ("icmp", "type"),
    ("icmpv6", "type"),
    ("ether", "type"),
    ("meta", "protocol"),
    ("meta", "l4proto"),
    ("meta", "nfproto"),
    ("meta", "mark"),
    ("meta", "pkttype"),
    ("ct", "mark"),
    ("ct", "state"),
    ("ct", "status"),
    ("ct", "direction"),
];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NftSelector<'w> {
    family: &'w str,
    key: &'w str,
    /// How many words it has.
    pub words: usize,
}

impl<'w> NftSelector<'w> {
    /// The mark of the packet or of its flow, where it is one of them.
    pub(super) fn mark(&self, packet: &FilterPacket) -> Option<Option<u32>> {
        match (self.family, self.key) {
            ("meta", "mark") => Some(packet.mark),
            ("ct", "mark") => Some(packet.flow_mark.filter(|_| packet.has_flow() == Some(true))),
            _ => None,
        }
    }

    /// Of what has an order: the least that the packet's can be, and the greatest.
    pub(super) fn number(&self, packet: &FilterPacket) -> Option<[u32; 2]> {
        let of = |port: Option<u16>| port.map_or(packet.chosen_ports, |port| [port, port]).map(u32::from);
        match (self.family, self.key) {
            ("tcp" | "udp" | "th", "dport") => Some(of(packet.port)),
            ("tcp" | "udp" | "th", "sport") => Some(of(packet.source_port)),
            ("ip", "ttl") | ("ip6", "hoplimit") => {
                Some(packet.ttl.map_or([0, u8::MAX], |ttl| [ttl, ttl]).map(u32::from))
            }
            _ => None,
        }
    }

    /// What the words begin with; nothing where that is not understood.
    pub(super) fn read(words: &'w [String]) -> Option<Self> {
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let (family, key) = (word(0), word(1));
        let selector = |key, words| Some(NftSelector { family, key, words });
        match (family, key) {
            ("iifname" | "oifname" | "iif" | "oif", _) => selector("", 1),
            // Bytes of a header: `@th,64,32`.
            (raw, _) if raw.starts_with('@') && raw.contains(',') => selector("", 1),
            ("fib", "daddr" | "saddr") if word(2) == "type" => selector(key, 3),
            ("arp", "operation" | "htype" | "ptype" | "hlen" | "plen") => selector(key, 2),
            ("arp", "saddr" | "daddr") if word(2) == "ip" => selector(key, 3),
            ("arp", "saddr" | "daddr") if word(2) == "ether" => selector("ether", 3),
            // Ports of protocols that no probe has.
            ("sctp" | "dccp" | "udplite", "dport" | "sport") => selector(key, 2),
            both if KNOWN.contains(&both) || UNKNOWN.contains(&both) => selector(key, 2),
            _ => None,
        }
    }

    /// Whether the packet is one that has such a thing: else the rule is not for it, whether it says "is" or "is not".
    pub(super) fn applies(&self, packet: &FilterPacket) -> bool {
        let is_arp = matches!(packet.protocol, PacketProtocol::Arp(_));
        match self.family {
            "ip" => !is_arp && !packet.is_six(),
            "ip6" => !is_arp && packet.is_six(),
            "tcp" | "udp" | "icmp" | "icmpv6" => packet.protocol_words().contains(&self.family),
            "sctp" | "dccp" | "udplite" => false,
            "th" => matches!(packet.protocol, PacketProtocol::Tcp | PacketProtocol::Udp),
            "arp" => is_arp,
            // The mark of what belongs to no flow cannot be read: the rule ends there.
            "ct" if self.key == "mark" => !is_arp && packet.has_flow() != Some(false),
            "ct" | "fib" => !is_arp,
            _ => self.key != "l4proto" || !is_arp,
        }
    }

    /// Whether it says for which interface or address the rule is.
    pub(super) fn is_specific(&self) -> bool {
        matches!(self.family, "iifname" | "oifname" | "iif" | "oif")
            || matches!(self.key, "saddr" | "daddr") && self.family != "fib"
    }

    /// Whether a packet that it applies to has this value.
    pub(super) fn has(&self, value: &str, packet: &FilterPacket) -> RuleMatch {
        let is = |word: &str| RuleMatch::of(value == word);
        match (self.family, self.key) {
            ("iifname" | "iif", _) => is_interface(unquoted(value), '*', packet.from.as_deref()),
            ("oifname" | "oif", _) => is_interface(unquoted(value), '*', packet.out.as_deref()),
            ("ip" | "ip6" | "arp", "saddr") => is_in(value, packet.source),
            ("ip" | "ip6" | "arp", "daddr") => is_in(value, packet.destination),
            ("ip" | "ip6" | "meta", "protocol" | "nexthdr" | "l4proto") if !self.is_ethertype() => {
                RuleMatch::of(packet.protocol_words().contains(&value))
            }
            ("tcp" | "udp" | "th", "dport") => is_port(value, '-', packet.port, packet.chosen_ports),
            ("tcp" | "udp" | "th", "sport") => is_port(value, '-', packet.source_port, packet.chosen_ports),
            ("icmp" | "icmpv6", "type") => RuleMatch::known(packet.is_icmp_type(value)),
            ("ip", "ttl") | ("ip6", "hoplimit") => self.is_in_range(value, packet),
            ("ct", "state") => state(value, packet),
            ("ct", "status") if value == "dnat" => RuleMatch::of(packet.is_dnat),
            ("ct", "direction") => is(if packet.is_answer { "reply" } else { "original" }),
            ("meta" | "ct", "mark") => {
                let mark = self.mark(packet).flatten();
                RuleMatch::known(mark.zip(number(value)).map(|(mark, value)| mark == value))
            }
            ("meta", "nfproto") => is(if packet.is_six() { "ipv6" } else { "ipv4" }),
            ("meta", "pkttype") => match value {
                "host" | "unicast" => RuleMatch::of(!is_for_many(packet)),
                "broadcast" | "multicast" => RuleMatch::of(is_for_many(packet)),
                _ => RuleMatch::Unknown,
            },
            ("ether" | "meta", "type" | "protocol") => ethertype_word(value, packet),
            ("fib", "daddr") => match value {
                "local" => RuleMatch::of(packet.is_local),
                "unicast" => RuleMatch::of(!packet.is_local),
                "broadcast" | "multicast" | "anycast" => RuleMatch::No,
                _ => RuleMatch::Unknown,
            },
            ("fib", "saddr") => match value {
                "unicast" => RuleMatch::Yes,
                "local" | "broadcast" | "multicast" | "anycast" => RuleMatch::No,
                _ => RuleMatch::Unknown,
            },
            ("arp", key) => arp(key, value, packet),
            _ => RuleMatch::Unknown,
        }
    }

    /// `5`, or `1-5`.
    fn is_in_range(&self, value: &str, packet: &FilterPacket) -> RuleMatch {
        let (first, last) = value.split_once('-').unwrap_or((value, value));
        let asked = number(first).zip(number(last)).zip(self.number(packet));
        asked.map_or(RuleMatch::Unknown, |((first, last), own)| is_between([first, last], own))
    }

    /// The same as bytes, as a set has it; nothing where they are not known. `has_intervals` says that values are compared as numbers.
    pub(super) fn key(&self, packet: &FilterPacket, has_intervals: bool) -> Option<KeyField> {
        let port = match self.key {
            "dport" => packet.port,
            "sport" => packet.source_port,
            _ => return self.bytes(packet, has_intervals).map(KeyField::of),
        };
        let [least, greatest] = port.map_or(packet.chosen_ports, |port| [port, port]);
        Some(KeyField { least: least.to_be_bytes().to_vec(), greatest: greatest.to_be_bytes().to_vec() })
    }

    fn bytes(&self, packet: &FilterPacket, has_intervals: bool) -> Option<Vec<u8>> {
        let address = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let name = |name: &Option<String>| {
            let mut bytes = name.as_ref()?.as_bytes().to_vec();
            bytes.resize(NAME_BYTES, 0);
            Some(bytes)
        };
        match (self.family, self.key) {
            ("ip" | "ip6" | "arp", "saddr") => Some(address(packet.source)),
            ("ip" | "ip6" | "arp", "daddr") => Some(address(packet.destination)),
            ("ip" | "ip6", "protocol" | "nexthdr") | ("meta", "l4proto") => {
                Some(vec![packet.protocol_number()?])
            }
            ("icmp" | "icmpv6", "type") => match packet.protocol {
                PacketProtocol::Icmp(kind) => Some(vec![kind]),
                _ => None,
            },
            ("ether" | "meta", "type" | "protocol") => Some(ethertype(packet).to_be_bytes().to_vec()),
            ("ip", "ttl") | ("ip6", "hoplimit") => Some(vec![packet.ttl?]),
            // These are numbers of the host's own byte order, or names.
            _ if has_intervals => None,
            ("iifname", _) => name(&packet.from),
            ("oifname", _) => name(&packet.out),
            ("meta" | "ct", "mark") => Some(self.mark(packet)??.to_ne_bytes().to_vec()),
            _ => None,
        }
    }

    fn is_ethertype(&self) -> bool {
        (self.family, self.key) == ("meta", "protocol")
    }
}

/// What asks who has an IPv4 address is a broadcast, and what asks for one of IPv6 a multicast.
fn is_for_many(packet: &FilterPacket) -> bool {
    match packet.protocol {
        PacketProtocol::Arp(operation) => operation == ARP_REQUEST,
        _ => packet.destination.is_multicast(),
    }
}

/// What netfilter's connection tracking says of the packet's flow.
fn state(value: &str, packet: &FilterPacket) -> RuleMatch {
    packet.flow_state().map_or(RuleMatch::Unknown, |known| RuleMatch::of(value == known))
}

/// linux/if_ether.h
fn ethertype(packet: &FilterPacket) -> u16 {
    match packet.protocol {
        PacketProtocol::Arp(_) => 0x0806,
        _ if packet.is_six() => 0x86dd,
        _ => 0x0800,
    }
}

fn ethertype_word(value: &str, packet: &FilterPacket) -> RuleMatch {
    let asked = match value {
        "ip" => Some(0x0800),
        "arp" => Some(0x0806),
        "ip6" => Some(0x86dd),
        "8021q" | "vlan" => Some(0x8100),
        "8021ad" => Some(0x88a8),
        number_of_it => number(number_of_it),
    };
    RuleMatch::known(asked.map(|asked| asked == u32::from(ethertype(packet))))
}

/// Ethernet and IPv4, and what is asked or answered.
fn arp(key: &str, value: &str, packet: &FilterPacket) -> RuleMatch {
    let PacketProtocol::Arp(operation) = packet.protocol else { return RuleMatch::No };
    let asked = match value {
        "request" => Some(1),
        "reply" => Some(2),
        "ip" => Some(0x0800),
        number_of_it => number(number_of_it),
    };
    let own = match key {
        "operation" => u32::from(operation),
        "htype" => 1,
        "ptype" => 0x0800,
        "hlen" => 6,
        "plen" => 4,
        _ => return RuleMatch::Unknown,
    };
    RuleMatch::known(asked.map(|asked| asked == own))
}
