//! What a namespace's IPsec policies do with a packet, as xfrm_policy_lookup and xfrm_tmpl_resolve in the kernel decide it.
//! Where that depends on what is not known, so does the outcome. Pure.

use std::fmt;
use std::net::IpAddr;

use super::{FilterPacket, PacketProtocol};
use crate::hint;
use crate::hint::Hint;
use crate::netlink::{IpsecDirection, IpsecPolicy, IpsecTables, IpsecTransform};

/// XFRM_MODE_TRANSPORT of linux/xfrm.h.
const TRANSPORT: u8 = 0;
/// Numbers of protocols: RFC 4303, RFC 4302, RFC 3173.
const ESP: u8 = 50;
const AH: u8 = 51;
const COMPRESSION: u8 = 108;

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IpsecFate {
    /// No policy is about it, or one that lets it pass as it is.
    Plain,
    /// It is dropped, certainly.
    Dropped(IpsecDrop),
    /// It leaves as another one, or is to come as another one.
    Changed,
    /// That depends on what is not known.
    Unknown,
}

/// Why it is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IpsecDrop {
    /// A policy blocks it.
    Blocks(IpsecPolicy),
    /// A policy wants something to be made of it, and there is no state for that.
    NoState(IpsecPolicy, IpsecTransform),
    /// No policy is about it, and such packets are blocked.
    Default(IpsecDirection),
}

impl IpsecTables {
    /// What becomes of a packet of that direction.
    pub fn fate(&self, direction: IpsecDirection, packet: &FilterPacket) -> IpsecFate {
        let mut about: Vec<(&IpsecPolicy, bool)> = self
            .policies
            .iter()
            .filter(|policy| policy.direction == direction)
            .filter_map(|policy| Some((policy, is_about(policy, packet)?)))
            .collect();
        about.sort_by_key(|(policy, _)| policy.priority);
        let Some((first, is_sure)) = about.first() else {
            return match self.blocked_by_default.contains(&direction) {
                true => IpsecFate::Dropped(IpsecDrop::Default(direction)),
                false => IpsecFate::Plain,
            };
        };
        // Of two with the same priority the older one counts, which is not shown.
        let fate = self.of_policy(first, packet);
        let is_same = |policy: &IpsecPolicy| self.of_policy(policy, packet) == fate;
        let others = about.iter().skip(1).take_while(|(policy, _)| policy.priority == first.priority);
        match *is_sure && others.map(|(policy, _)| *policy).all(is_same) {
            true => fate,
            false => IpsecFate::Unknown,
        }
    }

    /// What becomes of a packet that passes through.
    pub fn fate_through(&self, packet: &FilterPacket) -> IpsecFate {
        match self.fate(IpsecDirection::Forward, packet) {
            IpsecFate::Plain => self.fate(IpsecDirection::Out, packet),
            other => other,
        }
    }

    fn of_policy(&self, policy: &IpsecPolicy, packet: &FilterPacket) -> IpsecFate {
        if policy.blocks {
            return IpsecFate::Dropped(IpsecDrop::Blocks(policy.clone()));
        }
        let mut wanted = policy.templates.iter().enumerate().filter(|(_, template)| !template.is_optional);
        if let Some((_, template)) = wanted.find(|(at, one)| !self.has_state(&one.transform, packet, *at)) {
            return IpsecFate::Dropped(IpsecDrop::NoState(policy.clone(), template.transform));
        }
        if policy.templates.is_empty() { IpsecFate::Plain } else { IpsecFate::Changed }
    }

    /// Whether a state may be the one. A template after others is about what those have made of the packet.
    fn has_state(&self, wanted: &IpsecTransform, packet: &FilterPacket, at: usize) -> bool {
        let end = |of_template: IpAddr, of_packet: IpAddr| match (wanted.mode, of_template.is_unspecified()) {
            (TRANSPORT, _) => (at == 0).then_some(of_packet),
            (_, is_any) => (!is_any).then_some(of_template),
        };
        let ends = [end(wanted.source, packet.source), end(wanted.destination, packet.destination)];
        self.states.iter().any(|state| {
            let state = &state.0;
            let is_at = |end: Option<IpAddr>, own: IpAddr| end.is_none_or(|end| end == own);
            let is_negotiated = state.spi != 0 || wanted.protocol == COMPRESSION;
            is_negotiated
                && (state.protocol, state.mode, state.request_id)
                    == (wanted.protocol, wanted.mode, wanted.request_id)
                && (wanted.spi == 0 || wanted.spi == state.spi)
                && is_at(ends[0], state.source)
                && is_at(ends[1], state.destination)
        })
    }
}

/// Whether a policy is about a packet: `None` if not, `false` where that depends on what is not known.
fn is_about(policy: &IpsecPolicy, packet: &FilterPacket) -> Option<bool> {
    let is_ipv4 = packet.destination.is_ipv4();
    let (protocol, source_port, port) = match packet.protocol {
        PacketProtocol::Tcp => (6, packet.source_port, packet.port),
        PacketProtocol::Udp => (17, packet.source_port, packet.port),
        PacketProtocol::Icmp(kind) => (if is_ipv4 { 1 } else { 58 }, Some(u16::from(kind)), Some(0)),
        // Policies are of IP.
        PacketProtocol::Arp(_) => return None,
    };
    let has_addresses = policy.source.address().is_ipv4() == is_ipv4
        && policy.source.contains(packet.source)
        && policy.destination.contains(packet.destination);
    if !has_addresses || (policy.protocol != 0 && policy.protocol != protocol) {
        return None;
    }
    let mut is_sure = !policy.has_more;
    for (own, (wanted, mask)) in [(source_port, policy.source_port), (port, policy.destination_port)] {
        match own {
            _ if mask == 0 => {}
            Some(own) if (own ^ wanted) & mask != 0 => return None,
            Some(_) => {}
            None => is_sure = false,
        }
    }
    Some(is_sure)
}

impl IpsecDrop {
    /// What it is: `the IPsec policy from 10.1.0.0/16 to any (dir out) blocks it`.
    pub fn sentence(&self) -> String {
        match self {
            IpsecDrop::Blocks(policy) => format!("{} blocks it", PolicyWords(policy)),
            IpsecDrop::NoState(policy, wanted) => {
                format!(
                    "{} wants {}, and there is no state for it",
                    PolicyWords(policy),
                    TransformWords(wanted)
                )
            }
            IpsecDrop::Default(direction) => {
                format!(
                    "no IPsec policy is about it, and the default for dir {} is to block",
                    direction.word()
                )
            }
        }
    }

    /// What deletes the policy, or changes the default; nothing where a state is wanted.
    pub fn undone_by(&self) -> Option<Hint> {
        match self {
            IpsecDrop::Blocks(policy) => {
                hint!("ip xfrm policy delete index {} dir {}", policy.index, policy.direction.word())
            }
            IpsecDrop::NoState(..) => None,
            IpsecDrop::Default(direction) => hint!("ip xfrm policy setdefault {} accept", direction.word()),
        }
    }
}

/// A policy, in a sentence.
struct PolicyWords<'a>(&'a IpsecPolicy);

impl fmt::Display for PolicyWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IpsecPolicy { source, destination, direction, .. } = self.0;
        write!(f, "the IPsec policy from {source} to {destination} (dir {})", direction.word())
    }
}

/// What is to be made of a packet, in a sentence.
struct TransformWords<'a>(&'a IpsecTransform);

impl fmt::Display for TransformWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.protocol {
            ESP => f.write_str("ESP")?,
            AH => f.write_str("AH")?,
            COMPRESSION => f.write_str("compression")?,
            other => write!(f, "protocol {other}")?,
        }
        match (self.0.mode, self.0.destination) {
            (TRANSPORT, _) => Ok(()),
            (_, end) if end.is_unspecified() => f.write_str(" in a tunnel"),
            (_, end) => write!(f, " in a tunnel to {end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::{IpsecState, IpsecTemplate};

    fn policy(source: &str, destination: &str, direction: IpsecDirection) -> IpsecPolicy {
        IpsecPolicy {
            direction,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: 0,
            source_port: (0, 0),
            destination_port: (0, 0),
            priority: 0,
            index: 9,
            blocks: false,
            templates: Vec::new(),
            has_more: false,
        }
    }

    fn transform(mode: u8, source: &str, destination: &str) -> IpsecTransform {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        IpsecTransform { source, destination, protocol: ESP, mode, spi: 0, request_id: 5 }
    }

    fn wants(transform: IpsecTransform) -> Vec<IpsecTemplate> {
        vec![IpsecTemplate { transform, is_optional: false }]
    }

    fn ping(source: &str, destination: &str) -> FilterPacket {
        let kind = if source.contains(':') { 128 } else { 8 };
        FilterPacket::first(PacketProtocol::Icmp(kind), source.parse().unwrap(), destination.parse().unwrap())
    }

    fn out(tables: &IpsecTables, packet: &FilterPacket) -> IpsecFate {
        tables.fate(IpsecDirection::Out, packet)
    }

    #[test]
    fn only_a_policy_about_the_packet_counts() {
        let blocks =
            IpsecPolicy { blocks: true, ..policy("10.1.0.0/16", "10.2.0.0/16", IpsecDirection::Out) };
        let mut tables = IpsecTables { policies: vec![blocks.clone()], ..IpsecTables::default() };
        let packet = ping("10.1.0.2", "10.2.0.2");
        assert_eq!(out(&tables, &packet), IpsecFate::Dropped(IpsecDrop::Blocks(blocks)));
        assert_eq!(tables.fate(IpsecDirection::In, &packet), IpsecFate::Plain);
        assert_eq!(out(&tables, &ping("10.1.0.2", "10.3.0.2")), IpsecFate::Plain);
        assert_eq!(out(&tables, &ping("fd00::1", "fd00::2")), IpsecFate::Plain);
        tables.policies[0].protocol = 6;
        assert_eq!(out(&tables, &packet), IpsecFate::Plain);
        tables.policies[0].protocol = 1;
        tables.policies[0].source_port = (13, 0xffff);
        assert_eq!(out(&tables, &packet), IpsecFate::Plain, "of another type of ICMP");
        tables.policies[0].source_port = (8, 0xffff);
        assert!(matches!(out(&tables, &packet), IpsecFate::Dropped(_)));
        tables.policies[0].has_more = true;
        assert_eq!(out(&tables, &packet), IpsecFate::Unknown);
    }

    #[test]
    fn the_port_that_a_packet_leaves_by_is_not_known_and_so_is_the_outcome() {
        let mut blocks =
            IpsecPolicy { blocks: true, ..policy("0.0.0.0/0", "0.0.0.0/0", IpsecDirection::Out) };
        blocks.destination_port = (443, 0xffff);
        let mut tables = IpsecTables { policies: vec![blocks], ..IpsecTables::default() };
        let (source, destination) = ("10.1.0.2".parse().unwrap(), "10.2.0.2".parse().unwrap());
        let mut packet = FilterPacket::first(PacketProtocol::Tcp, source, destination);
        packet.port = Some(80);
        assert_eq!(out(&tables, &packet), IpsecFate::Plain);
        packet.port = Some(443);
        assert!(matches!(out(&tables, &packet), IpsecFate::Dropped(_)));
        tables.policies[0].source_port = (1024, 0xffff);
        assert_eq!(out(&tables, &packet), IpsecFate::Unknown);
    }

    #[test]
    fn the_least_priority_comes_first_and_of_two_alike_neither_is_known_to() {
        let passes = policy("0.0.0.0/0", "10.2.0.2/32", IpsecDirection::Out);
        let blocks = IpsecPolicy { blocks: true, priority: 5, ..passes.clone() };
        let mut tables = IpsecTables { policies: vec![blocks, passes], ..IpsecTables::default() };
        let packet = ping("10.1.0.2", "10.2.0.2");
        assert_eq!(out(&tables, &packet), IpsecFate::Plain);
        tables.policies[1].priority = 7;
        assert!(matches!(out(&tables, &packet), IpsecFate::Dropped(_)));
        tables.policies[1].priority = 5;
        assert_eq!(out(&tables, &packet), IpsecFate::Unknown);
    }

    #[test]
    fn a_template_without_its_state_drops() {
        let tunnel = transform(1, "10.1.0.2", "192.0.2.1");
        let mut wanting = policy("0.0.0.0/0", "10.2.0.0/16", IpsecDirection::Out);
        wanting.templates = wants(tunnel);
        let mut tables = IpsecTables { policies: vec![wanting.clone()], ..IpsecTables::default() };
        let packet = ping("10.1.0.2", "10.2.0.2");
        let dropped = IpsecDrop::NoState(wanting, tunnel);
        assert_eq!(
            dropped.sentence(),
            "the IPsec policy from 0.0.0.0/0 to 10.2.0.0/16 (dir out) wants ESP in a tunnel to 192.0.2.1, and there is no state for it"
        );
        let dropped = IpsecFate::Dropped(dropped);
        assert_eq!(out(&tables, &packet), dropped);
        let fits = IpsecTransform { spi: 77, ..tunnel };
        let none: [IpsecTransform; 5] = [
            IpsecTransform { spi: 0, ..fits },
            IpsecTransform { request_id: 6, ..fits },
            IpsecTransform { mode: 0, ..fits },
            IpsecTransform { protocol: AH, ..fits },
            IpsecTransform { destination: "192.0.2.2".parse().unwrap(), ..fits },
        ];
        tables.states = none.into_iter().map(IpsecState).collect();
        assert_eq!(out(&tables, &packet), dropped);
        tables.states.push(IpsecState(fits));
        assert_eq!(out(&tables, &packet), IpsecFate::Changed);
        tables.states.clear();
        tables.policies[0].templates[0].is_optional = true;
        assert_eq!(out(&tables, &packet), IpsecFate::Changed);
    }

    #[test]
    fn in_transport_mode_the_state_is_between_the_packets_own_addresses() {
        for (from, to) in [("10.1.0.2", "10.2.0.2"), ("fd01::2", "fd02::2")] {
            let any = if from.contains(':') { "::" } else { "0.0.0.0" };
            let mut wanting = policy(&format!("{any}/0"), &format!("{any}/0"), IpsecDirection::Out);
            wanting.templates = wants(transform(0, any, any));
            let state = |source, destination| {
                IpsecState(IpsecTransform { spi: 77, ..transform(0, source, destination) })
            };
            let mut tables = IpsecTables { policies: vec![wanting], ..IpsecTables::default() };
            tables.states = vec![state(to, from)];
            assert!(matches!(out(&tables, &ping(from, to)), IpsecFate::Dropped(IpsecDrop::NoState(..))));
            tables.states = vec![state(from, to)];
            assert_eq!(out(&tables, &ping(from, to)), IpsecFate::Changed);
        }
    }

    #[test]
    fn what_no_policy_is_about_is_blocked_where_that_is_the_default() {
        let passes = policy("0.0.0.0/0", "10.2.0.2/32", IpsecDirection::Out);
        let tables = IpsecTables {
            policies: vec![passes],
            states: Vec::new(),
            blocked_by_default: vec![IpsecDirection::Out],
        };
        assert_eq!(out(&tables, &ping("10.1.0.2", "10.2.0.2")), IpsecFate::Plain);
        let dropped = IpsecDrop::Default(IpsecDirection::Out);
        assert_eq!(dropped.undone_by().as_deref(), Some("ip xfrm policy setdefault out accept"));
        assert_eq!(out(&tables, &ping("10.1.0.2", "10.2.0.3")), IpsecFate::Dropped(dropped));
        assert_eq!(tables.fate_through(&ping("10.1.0.2", "10.2.0.2")), IpsecFate::Plain);
        assert!(matches!(tables.fate_through(&ping("10.1.0.2", "10.2.0.3")), IpsecFate::Dropped(_)));
    }
}
