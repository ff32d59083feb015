//! What rules of nf_tables ask of a packet and do with it: their parts load values into registers and compare them, so they are
//! followed with what is known of each register instead of a packet. Pure but for the elements of sets, which are asked for.

use std::collections::HashMap;
use std::net::IpAddr;

use super::nat_rule::{NatAction, NatCondition, NatRule, NewDestination};
use super::xt_part;
use crate::cidr::Cidr;
use crate::netlink::{NftCompare, NftElement, NftExpression, NftRegister, NftRule, NftVerdict, TableFamily};
use crate::target::Transport;

/// enum nft_meta_keys
const META_IIFNAME: u32 = 6;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
/// RTN_LOCAL and RTN_ANYCAST of linux/rtnetlink.h.
const LOCAL: u32 = 2;
const ANYCAST: u32 = 4;

/// What is known of a register.
#[derive(Debug, Clone, PartialEq, Eq)]
enum KnownValue {
    /// The protocol's number.
    Protocol,
    /// The port that the packet is to.
    Port,
    /// The address that the packet is to, or its first bytes, masked.
    Destination { is_six: bool, mask: Option<Vec<u8>> },
    /// The interface that it came in through.
    Interface,
    /// AF_INET or AF_INET6.
    Family,
    /// The type of the address that the packet is to; or of the one that the rule has put in its place.
    DestinationType(Option<IpAddr>),
    /// A constant.
    Constant(Vec<u8>),
    /// Something about the packet that does not matter here, or is not known.
    Unknown,
}

/// The elements of a set, by its name; nothing where they could not be read.
pub(super) type SetElements<'a> = dyn FnMut(&str) -> Option<Vec<NftElement>> + 'a;

/// What a rule asks and does: several where a map decides, one for each of its elements, and first those with a key.
pub(super) fn read(rule: &NftRule, sets: &mut SetElements<'_>) -> Vec<NatRule> {
    let mut state = RuleReader {
        is_six: rule.family == TableFamily::Ip6,
        conditions: vec![],
        registers: HashMap::new(),
        split: None,
        written: None,
    };
    match rule.family {
        TableFamily::Ip => state.conditions.push(NatCondition::OfFamily(false)),
        TableFamily::Ip6 => state.conditions.push(NatCondition::OfFamily(true)),
        _ => {}
    }
    let mut action = NatAction::Continue;
    for expression in &rule.expressions {
        if let Some(decided) = state.follow(expression, sets) {
            action = decided;
            break;
        }
    }
    state.rules(action)
}

struct RuleReader {
    is_six: bool,
    conditions: Vec<NatCondition>,
    registers: HashMap<NftRegister, KnownValue>,
    /// The elements of a map that decides: what each asks, and what it does or which value it gives.
    split: Option<MapSplit>,
    /// The address that the rule has written where the packet's destination is.
    written: Option<IpAddr>,
}

struct MapSplit {
    /// Where the value goes to; nothing where it is a verdict.
    to: Option<NftRegister>,
    cases: Vec<MapCase>,
}

/// What an element asks; the value, or the verdict, that it stands for in a map.
type MapCase = (Vec<NatCondition>, Option<Vec<u8>>, Option<NftVerdict>);

impl RuleReader {
    /// What the part decides, if it ends the rule.
    fn follow(&mut self, part: &NftExpression, sets: &mut SetElements<'_>) -> Option<NatAction> {
        match part {
            NftExpression::Meta { key, to } => self.load(*to, meta(*key)),
            NftExpression::Payload { base, offset, length, to } => {
                let value = self.payload(*base, *offset, *length);
                self.load(*to, value);
            }
            NftExpression::AddressType { of_destination, to } => {
                let kind = match of_destination {
                    true => KnownValue::DestinationType(self.written),
                    false => KnownValue::Unknown,
                };
                self.load(*to, kind);
            }
            NftExpression::Write { base, offset, from } => self.write(*base, *offset, *from),
            NftExpression::Constant { to, value } => self.load(*to, KnownValue::Constant(value.clone())),
            NftExpression::Mask { from, to, mask } => {
                let value = match self.value(*from) {
                    KnownValue::Destination { is_six, mask: None } => {
                        KnownValue::Destination { is_six, mask: Some(mask.clone()) }
                    }
                    _ => KnownValue::Unknown,
                };
                self.load(*to, value);
            }
            NftExpression::Compare { from, how, value } => {
                let asked = compared(&self.value(*from), *how, value);
                self.conditions.extend(asked);
            }
            NftExpression::Range { from, is_outside, least, most } => {
                let asked = match (self.value(*from), port(least).zip(port(most))) {
                    (KnownValue::Port, Some((least, most))) if !is_outside => {
                        NatCondition::Ports(vec![least..=most])
                    }
                    _ => NatCondition::Unknown,
                };
                self.conditions.push(asked);
            }
            NftExpression::Lookup { set, from, to, is_verdict, is_inverted } => {
                let known = self.value(*from);
                let elements = if *is_inverted || self.split.is_some() { None } else { sets(set) };
                return self.look_up(&known, elements, *to, *is_verdict);
            }
            NftExpression::XtMatch(part) => self.conditions.extend(xt_part::conditions(part)),
            NftExpression::XtTarget(part) => {
                let action = xt_part::action(part, self.is_six);
                return (action != NatAction::Continue).then_some(action);
            }
            NftExpression::Verdict(verdict) => return Some(decision(verdict)),
            NftExpression::Dnat { family, address, port, last_port } => {
                let [address, port, last] = [address, port, last_port].map(|at| self.constant(*at));
                return Some(self.dnat(*family, address, port, last));
            }
            NftExpression::Redirect { port } => {
                let port = self.constant(*port).and_then(|bytes| self::port(&bytes));
                let to = NewDestination { is_redirect: true, port, ..NewDestination::default() };
                return Some(NatAction::Dnat(to));
            }
            NftExpression::Calculated(to) => self.load(*to, KnownValue::Unknown),
            NftExpression::Neutral => {}
            NftExpression::Other(_) => self.conditions.push(NatCondition::Unknown),
        }
        None
    }

    fn load(&mut self, to: NftRegister, value: KnownValue) {
        self.registers.insert(to, value);
    }

    fn value(&self, from: NftRegister) -> KnownValue {
        self.registers.get(&from).cloned().unwrap_or(KnownValue::Unknown)
    }

    fn constant(&self, from: Option<NftRegister>) -> Option<Vec<u8>> {
        match self.value(from?) {
            KnownValue::Constant(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// What is at that place of a packet.
    fn payload(&self, base: u32, offset: u32, length: u32) -> KnownValue {
        // linux/netfilter/nf_tables.h, enum nft_payload_bases.
        const NETWORK: u32 = 1;
        const TRANSPORT: u32 = 2;
        let whole = |is_six: bool, bytes: u32| {
            let mask = (length < bytes).then(|| vec![0xff; length as usize]);
            KnownValue::Destination { is_six, mask }
        };
        match (base, offset, length) {
            (TRANSPORT, 2, 2) => KnownValue::Port,
            // A table of both families has asked for the family before.
            (NETWORK, 9, 1) if !self.is_of_six() => KnownValue::Protocol,
            (NETWORK, 6, 1) if self.is_of_six() => KnownValue::Protocol,
            (NETWORK, 16, 1..=4) if !self.is_of_six() => whole(false, 4),
            (NETWORK, 24, 1..=16) if self.is_of_six() => whole(true, 16),
            _ => KnownValue::Unknown,
        }
    }

    /// Notes an address that is written over the destination; whatever else is written is not followed.
    fn write(&mut self, base: u32, offset: u32, from: NftRegister) {
        let family = match (base, offset) {
            (1, 16) => Some(libc::AF_INET),
            (1, 24) => Some(libc::AF_INET6),
            _ => None,
        };
        let bytes = self.constant(Some(from));
        self.written = family.zip(bytes).and_then(|(family, bytes)| ip(family.cast_unsigned(), &bytes));
        if self.written.is_none() {
            self.conditions.push(NatCondition::Unknown);
        }
    }

    fn is_of_six(&self) -> bool {
        self.conditions.contains(&NatCondition::OfFamily(true))
    }

    fn look_up(
        &mut self,
        known: &KnownValue,
        elements: Option<Vec<NftElement>>,
        to: Option<NftRegister>,
        is_verdict: bool,
    ) -> Option<NatAction> {
        let is_map = to.is_some() || is_verdict;
        let cases = elements.and_then(|elements| cases(known, &elements));
        match (cases, is_map) {
            (Some(cases), false) => {
                let ports = |(asked, ..): &MapCase| match asked.as_slice() {
                    [NatCondition::Ports(ports)] => Some(ports.clone()),
                    _ => None,
                };
                match cases.iter().map(ports).collect::<Option<Vec<_>>>() {
                    Some(ports) => self.conditions.push(NatCondition::Ports(ports.concat())),
                    // Each element for itself: protocols, addresses.
                    None => self.split = Some(MapSplit { to: None, cases }),
                }
                None
            }
            (Some(cases), true) => {
                if let Some(to) = to {
                    self.load(to, KnownValue::Constant(vec![]));
                }
                self.split = Some(MapSplit { to, cases });
                // Each element decides for itself.
                is_verdict.then_some(NatAction::Continue)
            }
            (None, _) => {
                self.conditions.push(NatCondition::Unknown);
                is_verdict.then_some(NatAction::Unknown)
            }
        }
    }

    fn dnat(
        &self,
        family: u32,
        address: Option<Vec<u8>>,
        port: Option<Vec<u8>>,
        last: Option<Vec<u8>>,
    ) -> NatAction {
        let is_split = self.split.is_some();
        let ip = address.as_deref().and_then(|bytes| ip(family, bytes));
        let (port, last) = (port.as_deref().and_then(self::port), last.as_deref().and_then(self::port));
        if ip.is_none() && port.is_none() && !is_split {
            return NatAction::Unknown;
        }
        let last_port = last.filter(|last| Some(*last) != port);
        NatAction::Dnat(NewDestination { address: ip, port, last_port, ..NewDestination::default() })
    }

    /// One rule, or one for each element of the map.
    fn rules(self, action: NatAction) -> Vec<NatRule> {
        let RuleReader { conditions, split, registers: _, is_six, written: _ } = self;
        let Some(split) = split else { return vec![NatRule { conditions, action }] };
        let of_case = |(asked, value, verdict): MapCase| {
            let conditions = [conditions.clone(), asked].concat();
            let action = match (&action, value, verdict) {
                (action, None, None) => action.clone(),
                (NatAction::Continue, _, Some(verdict)) => decision(&verdict),
                (NatAction::Dnat(to), Some(value), _) if split.to.is_some() => mapped(*to, &value, is_six),
                _ => NatAction::Unknown,
            };
            NatRule { conditions, action }
        };
        split.cases.into_iter().map(of_case).collect()
    }
}

/// The destination that an element of a map gives: an address, an address and a port, or a port.
fn mapped(to: NewDestination, value: &[u8], is_six: bool) -> NatAction {
    let family = if is_six || value.len() >= 16 { libc::AF_INET6 } else { libc::AF_INET };
    let family = family.cast_unsigned();
    let destination = match value.len() {
        // A port fills a field of four bytes when it stands behind an address.
        2 => port(value).map(|port| NewDestination { port: Some(port), ..to }),
        4 | 16 => ip(family, value).map(|address| NewDestination { address: Some(address), ..to }),
        8 | 20 => {
            let (address, rest) = value.split_at(value.len() - 4);
            let both = ip(family, address).zip(port(rest.get(..2).unwrap_or_default()));
            both.map(|(address, port)| NewDestination { address: Some(address), port: Some(port), ..to })
        }
        _ => None,
    };
    destination.map_or(NatAction::Unknown, NatAction::Dnat)
}

/// Each element of a set as what it asks; nothing where that is not known.
fn cases(known: &KnownValue, elements: &[NftElement]) -> Option<Vec<MapCase>> {
    let keys: Vec<&NftElement> = elements.iter().filter(|element| !element.is_end).collect();
    keys.into_iter()
        .map(|element| {
            let asked = match (&element.key, &element.last) {
                (Some(key), None) => one_of_set(known, key, elements)?,
                // What all others have, and intervals of several fields.
                _ => return None,
            };
            Some((vec![asked], element.value.clone(), element.verdict.clone()))
        })
        .collect()
}

/// What it takes to be this key, or in the interval that begins with it.
fn one_of_set(known: &KnownValue, key: &[u8], elements: &[NftElement]) -> Option<NatCondition> {
    let end = elements
        .iter()
        .filter(|element| element.is_end)
        .filter_map(|element| element.key.as_deref())
        .filter(|end| *end > key)
        .min();
    // Of a set of intervals each key begins one, and an end may be the last number of all.
    let is_interval = elements.iter().any(|element| element.is_end);
    match known {
        KnownValue::Port => {
            let first = port(key)?;
            let last = match end {
                Some(end) => port(end)?.checked_sub(1)?,
                None if is_interval => u16::MAX,
                None => first,
            };
            Some(NatCondition::Ports(vec![first..=last]))
        }
        KnownValue::Destination { .. } | KnownValue::Protocol if !is_interval => {
            compared(known, NftCompare::Equal, key).filter(|asked| *asked != NatCondition::Unknown)
        }
        _ => None,
    }
}

fn meta(key: u32) -> KnownValue {
    match key {
        META_IIFNAME => KnownValue::Interface,
        META_NFPROTO => KnownValue::Family,
        META_L4PROTO => KnownValue::Protocol,
        _ => KnownValue::Unknown,
    }
}

/// What a comparison asks; nothing where it asks nothing.
fn compared(known: &KnownValue, how: NftCompare, value: &[u8]) -> Option<NatCondition> {
    let is = match how {
        NftCompare::Equal => true,
        NftCompare::NotEqual => false,
        NftCompare::Order(order) => return Some(ordered(known, order, value)),
    };
    Some(match known {
        KnownValue::Protocol => match value.first().map(|number| i32::from(*number)) {
            Some(libc::IPPROTO_TCP) if is => NatCondition::Transport(Transport::Tcp),
            Some(libc::IPPROTO_UDP) if is => NatCondition::Transport(Transport::Udp),
            Some(_) if is => NatCondition::Never,
            _ => NatCondition::Unknown,
        },
        KnownValue::Port if is => {
            port(value).map_or(NatCondition::Unknown, |port| NatCondition::Ports(vec![port..=port]))
        }
        KnownValue::Destination { is_six, mask } => match network(*is_six, mask.as_deref(), value) {
            Some(network) if is => NatCondition::To(network),
            Some(network) => NatCondition::NotTo(network),
            None => NatCondition::Unknown,
        },
        KnownValue::Interface => {
            let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            if is { NatCondition::From(name) } else { NatCondition::NotFrom(name) }
        }
        KnownValue::Family => match value.first().map(|number| i32::from(*number)) {
            Some(libc::AF_INET) => NatCondition::OfFamily(!is),
            Some(libc::AF_INET6) => NatCondition::OfFamily(is),
            _ => NatCondition::Unknown,
        },
        KnownValue::DestinationType(written) if is => {
            match (<[u8; 4]>::try_from(value).map(u32::from_ne_bytes), written) {
                (Ok(LOCAL), None) => NatCondition::ToLocal,
                (Ok(ANYCAST), Some(address)) => NatCondition::Anchored(*address),
                _ => NatCondition::Unknown,
            }
        }
        _ => NatCondition::Unknown,
    })
}

/// NFT_CMP_LT, LTE, GT, GTE: 2 to 5.
fn ordered(known: &KnownValue, order: u32, value: &[u8]) -> NatCondition {
    let (KnownValue::Port, Some(port)) = (known, port(value)) else { return NatCondition::Unknown };
    let ports = match order {
        2 => 0..=port.saturating_sub(1),
        3 => 0..=port,
        4 => port.saturating_add(1)..=u16::MAX,
        _ => port..=u16::MAX,
    };
    NatCondition::Ports(vec![ports])
}

fn decision(verdict: &NftVerdict) -> NatAction {
    match verdict {
        NftVerdict::Jump(chain) => NatAction::Jump(chain.clone()),
        NftVerdict::Goto(chain) => NatAction::Goto(chain.clone()),
        NftVerdict::Return => NatAction::Return,
        NftVerdict::Accept | NftVerdict::Drop | NftVerdict::Queue => NatAction::End,
        NftVerdict::Continue => NatAction::Continue,
    }
}

/// A port in the network's byte order; registers and elements may have more bytes behind it.
fn port(bytes: &[u8]) -> Option<u16> {
    bytes.get(..2)?.try_into().ok().map(u16::from_be_bytes)
}

fn ip(family: u32, bytes: &[u8]) -> Option<IpAddr> {
    match family.cast_signed() {
        libc::AF_INET => <[u8; 4]>::try_from(bytes.get(..4)?).ok().map(IpAddr::from),
        libc::AF_INET6 => <[u8; 16]>::try_from(bytes.get(..16)?).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The network that a masked address is compared with; nothing for a mask with a gap.
fn network(is_six: bool, mask: Option<&[u8]>, value: &[u8]) -> Option<Cidr> {
    let width = if is_six { 16 } else { 4 };
    let mut bytes = value.get(..value.len().min(width))?.to_vec();
    let length = match mask {
        None => width * 8,
        Some(mask) => {
            let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
            let is_prefix = mask
                .iter()
                .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
                .is_sorted_by(|a, b| a >= b);
            is_prefix.then_some(ones as usize)?
        }
    };
    bytes.resize(width, 0);
    let family = if is_six { libc::AF_INET6 } else { libc::AF_INET };
    Cidr::new(ip(family.cast_unsigned(), &bytes)?, u8::try_from(length).ok()?)
}
