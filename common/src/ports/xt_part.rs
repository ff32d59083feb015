//! Matches and targets of xtables, as iptables of both kinds hand them to the kernel, in its own layouts: linux/netfilter/xt_*.h,
//! linux/netfilter/nf_nat.h. Pure; what is not known here is `Unknown`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::nat_rule::{NatAction, NatCondition, NewDestination};
use crate::netlink::XtPart;
use crate::target::Transport;

/// linux/netfilter/nf_nat.h
const MAP_IPS: u32 = 1;
const PROTO_SPECIFIED: u32 = 2;
const PROTO_OFFSET: u32 = 32;

/// What a match asks of a packet.
pub(super) fn conditions(part: &XtPart) -> Vec<NatCondition> {
    let read = match (part.name.as_str(), part.revision) {
        ("tcp", 0) => ports_of(Transport::Tcp, &part.info, 11),
        ("udp", 0) => ports_of(Transport::Udp, &part.info, 8),
        ("multiport", 0 | 1) => multiport(&part.info, part.revision),
        ("addrtype", 0 | 1) => address_type(&part.info, part.revision),
        ("comment", _) => Some(vec![]),
        _ => None,
    };
    read.unwrap_or_else(|| vec![NatCondition::Unknown])
}

/// struct xt_tcp and struct xt_udp: first and last source port, the same of the destination; at `inverted_at` a bit for each
/// that says "not".
fn ports_of(transport: Transport, info: &[u8], inverted_at: usize) -> Option<Vec<NatCondition>> {
    let inverted = *info.get(inverted_at)?;
    let all = 0..=u16::MAX;
    let (source, destination) = (native(info, 0)?..=native(info, 2)?, native(info, 4)?..=native(info, 6)?);
    let mut conditions = vec![NatCondition::Transport(transport)];
    if inverted != 0 || source != all || (transport == Transport::Tcp && *info.get(9)? != 0) {
        conditions.push(NatCondition::Unknown);
    }
    if destination != all && inverted & 2 == 0 {
        conditions.push(NatCondition::Ports(vec![destination]));
    }
    Some(conditions)
}

/// struct xt_multiport and xt_multiport_v1: kind, count, fifteen ports; then fifteen bytes, 1 where a range begins, and one
/// that says "not".
fn multiport(info: &[u8], revision: u8) -> Option<Vec<NatCondition>> {
    const OF_DESTINATION: u8 = 1;
    let (kind, count) = (*info.first()?, usize::from(*info.get(1)?).min(15));
    let is_inverted = revision == 1 && *info.get(47)? != 0;
    if kind != OF_DESTINATION || is_inverted {
        return None;
    }
    let mut ports: Vec<RangeInclusive<u16>> = Vec::new();
    let mut at = 0;
    while at < count {
        let first = native(info, 2 + 2 * at)?;
        let is_range = revision == 1 && *info.get(32 + at)? != 0;
        at += usize::from(is_range);
        ports.push(first..=native(info, 2 + 2 * at)?);
        at += 1;
    }
    Some(vec![NatCondition::Ports(ports)])
}

/// struct xt_addrtype_info: masks of types for source and destination, then what is inverted.
fn address_type(info: &[u8], revision: u8) -> Option<Vec<NatCondition>> {
    // XT_ADDRTYPE_LOCAL of linux/netfilter/xt_addrtype.h; RTN_LOCAL is 2.
    const LOCAL: u16 = 1 << 2;
    let (source, destination) = (native(info, 0)?, native(info, 2)?);
    let is_plain = match revision {
        0 => info.get(4..12)?.iter().all(|byte| *byte == 0),
        _ => info.get(4..8)?.iter().all(|byte| *byte == 0),
    };
    (source == 0 && destination == LOCAL && is_plain).then(|| vec![NatCondition::ToLocal])
}

/// What a target does, in a table that is of IPv6 or not.
pub(super) fn action(part: &XtPart, is_six: bool) -> NatAction {
    let is_redirect = part.name == "REDIRECT";
    let read = match (part.name.as_str(), part.revision) {
        ("DNAT" | "REDIRECT", 0) if !is_six => old_range(&part.info),
        ("DNAT" | "REDIRECT", _) => range(&part.info, is_six, part.revision),
        ("LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TRACE" | "TOS" | "DSCP" | "CLASSIFY", _) => {
            return NatAction::Continue;
        }
        _ => None,
    };
    read.map_or(NatAction::Unknown, |to| NatAction::Dnat(NewDestination { is_redirect, ..to }))
}

/// struct nf_nat_ipv4_multi_range_compat: how many, which is 1; flags, first and last address, first and last port.
fn old_range(info: &[u8]) -> Option<NewDestination> {
    let flags = native32(info, 4)?;
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(info.get(at..at + 4)?).ok()?));
    destination(flags, address(8)?.into(), address(12)?.into(), (network(info, 16)?, network(info, 18)?))
}

/// struct nf_nat_range and, with a base port behind it, nf_nat_range2: flags, first and last address of 16 bytes, ports.
fn range(info: &[u8], is_six: bool, revision: u8) -> Option<NewDestination> {
    let flags = native32(info, 0)?;
    let address = |at: usize| -> Option<IpAddr> {
        match is_six {
            true => Some(Ipv6Addr::from(<[u8; 16]>::try_from(info.get(at..at + 16)?).ok()?).into()),
            false => Some(Ipv4Addr::from(<[u8; 4]>::try_from(info.get(at..at + 4)?).ok()?).into()),
        }
    };
    let ports = (network(info, 36)?, network(info, 38)?);
    let to = destination(flags & !PROTO_OFFSET, address(4)?, address(20)?, ports)?;
    Some(NewDestination { is_shifted: revision >= 2 && flags & PROTO_OFFSET != 0, ..to })
}

/// Nothing where one of several addresses is chosen.
fn destination(flags: u32, first: IpAddr, last: IpAddr, ports: (u16, u16)) -> Option<NewDestination> {
    let (has_address, has_port) = (flags & MAP_IPS != 0, flags & PROTO_SPECIFIED != 0);
    (!has_address || first == last).then_some(NewDestination {
        address: Some(first).filter(|_| has_address),
        port: Some(ports.0).filter(|_| has_port),
        last_port: Some(ports.1).filter(|last| has_port && *last != ports.0),
        ..NewDestination::default()
    })
}

fn pair(info: &[u8], at: usize) -> Option<[u8; 2]> {
    info.get(at..at + 2)?.try_into().ok()
}

/// A number in the machine's byte order.
fn native(info: &[u8], at: usize) -> Option<u16> {
    pair(info, at).map(u16::from_ne_bytes)
}

fn native32(info: &[u8], at: usize) -> Option<u32> {
    info.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// A number in the network's byte order.
fn network(info: &[u8], at: usize) -> Option<u16> {
    pair(info, at).map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, revision: u8, info: &[u8]) -> XtPart {
        XtPart { name: name.to_owned(), revision, info: info.to_vec() }
    }

    fn native_bytes(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    #[test]
    fn a_port_of_tcp_is_read_and_what_else_is_asked_is_not_passed_over() {
        let tcp = |source: [u16; 2], destination: [u16; 2], rest: [u8; 4]| {
            let ports = [native_bytes(&source), native_bytes(&destination), rest.to_vec()].concat();
            conditions(&part("tcp", 0, &ports))
        };
        let of_tcp = NatCondition::Transport(Transport::Tcp);
        let plain = tcp([0, u16::MAX], [8080, 8080], [0; 4]);
        assert_eq!(plain, [of_tcp.clone(), NatCondition::Ports(vec![8080..=8080])]);
        // "! --dport", a source port, --syn.
        assert_eq!(tcp([0, u16::MAX], [80, 80], [0, 0, 0, 2]), [of_tcp, NatCondition::Unknown]);
        assert!(tcp([1, 2], [80, 80], [0; 4]).contains(&NatCondition::Unknown));
        assert!(tcp([0, u16::MAX], [80, 80], [0, 2, 2, 0]).contains(&NatCondition::Unknown));
    }

    #[test]
    fn several_ports_and_ranges_are_read() {
        let mut info = vec![1, 3];
        info.extend(native_bytes(&[80, 8000, 8010]));
        info.resize(48, 0);
        info[33] = 1;
        assert_eq!(
            conditions(&part("multiport", 1, &info)),
            [NatCondition::Ports(vec![80..=80, 8000..=8010])]
        );
        info[47] = 1;
        assert_eq!(conditions(&part("multiport", 1, &info)), [NatCondition::Unknown]);
    }

    #[test]
    fn a_destination_of_each_layout_is_read() {
        let ports = [80_u16.to_be_bytes(), 80_u16.to_be_bytes()].concat();
        let old =
            [&1_u32.to_ne_bytes()[..], &3_u32.to_ne_bytes(), &[172, 17, 0, 2], &[172, 17, 0, 2], &ports]
                .concat();
        let to = NewDestination {
            address: Some("172.17.0.2".parse().unwrap()),
            port: Some(80),
            ..NewDestination::default()
        };
        assert_eq!(action(&part("DNAT", 0, &old), false), NatAction::Dnat(to));
        let mut wide = 3_u32.to_ne_bytes().to_vec();
        let mut address = vec![172, 17, 0, 2];
        address.resize(16, 0);
        wide.extend([&address[..], &address, &ports, &[0; 4]].concat());
        assert_eq!(action(&part("DNAT", 2, &wide), false), NatAction::Dnat(to));
        let redirect = NewDestination { address: None, is_redirect: true, ..to };
        let mut only_port = old.clone();
        only_port[4..8].copy_from_slice(&2_u32.to_ne_bytes());
        assert_eq!(action(&part("REDIRECT", 0, &only_port), false), NatAction::Dnat(redirect));
        for length in 0..wide.len() - 4 {
            assert_eq!(action(&part("DNAT", 2, &wide[..length.min(39)]), false), NatAction::Unknown);
        }
        assert_eq!(action(&part("TPROXY", 1, &wide), false), NatAction::Unknown);
    }

    #[test]
    fn only_the_plain_question_for_a_local_destination_is_known() {
        let info = [native_bytes(&[0, 4]), vec![0; 8]].concat();
        assert_eq!(conditions(&part("addrtype", 1, &info)), [NatCondition::ToLocal]);
        let inverted = [native_bytes(&[0, 4]), vec![2, 0, 0, 0]].concat();
        assert_eq!(conditions(&part("addrtype", 1, &inverted)), [NatCondition::Unknown]);
        assert_eq!(conditions(&part("string", 1, &[])), [NatCondition::Unknown]);
        assert_eq!(conditions(&part("comment", 0, &[])), []);
    }
}
