//! The table `nat` of the older iptables (iptables-legacy), as the kernel hands it out: linux/netfilter_ipv4/ip_tables.h,
//! linux/netfilter_ipv6/ip6_tables.h, linux/netfilter/x_tables.h. No program is run for it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::nat_rule::{NatAction, NatCondition, NatHook, NatRule, NatTable};
use super::xt_part;
use crate::cidr::Cidr;
use crate::netlink::XtPart;
use crate::sys::{self, SocketOption};
use crate::target::Transport;

/// XT_TABLE_MAXNAMELEN, and the name of the table in it.
const NAME_BYTES: usize = 32;
/// struct ipt_getinfo: name, valid hooks, five entries, five underflows, number of rules, bytes.
const INFO_BYTES: usize = 84;
const ENTRIES_AT: usize = 36;
const SIZE_AT: usize = 80;
/// struct ipt_get_entries: name, bytes, and four more so that rules begin at a multiple of eight.
const HEAD_BYTES: usize = 40;
/// A table of a hundred thousand rules has some 30 MiB.
const MOST_BYTES: usize = 64 << 20;
/// NF_INET_PRE_ROUTING and NF_INET_LOCAL_OUT; the priority of all of netfilter for NAT of destinations.
const HOOKS: [(NatHook, usize); 2] = [(NatHook::Prerouting, 0), (NatHook::Output, 3)];
const PRIORITY: i32 = -100;
/// A table that was replaced between two questions is asked for again.
const TRIES: u32 = 4;

/// Where the fields of a rule are: struct ipt_entry, struct ip6t_entry.
struct EntryLayout {
    is_six: bool,
    destination: usize,
    destination_mask: usize,
    source_mask: usize,
    in_interface: usize,
    protocol: usize,
    flags: usize,
    inverted: usize,
    target_offset: usize,
    next_offset: usize,
    elements: usize,
}

const IPV4: EntryLayout = EntryLayout {
    is_six: false,
    destination: 4,
    destination_mask: 12,
    source_mask: 8,
    in_interface: 16,
    protocol: 80,
    flags: 82,
    inverted: 83,
    target_offset: 88,
    next_offset: 90,
    elements: 112,
};
const IPV6: EntryLayout = EntryLayout {
    is_six: true,
    destination: 16,
    destination_mask: 48,
    source_mask: 32,
    in_interface: 64,
    protocol: 128,
    flags: 131,
    inverted: 132,
    target_offset: 140,
    next_offset: 142,
    elements: 168,
};

/// The table `nat` of IPv4 or IPv6 in the network namespace of this thread, which has to be there: asking for one that is
/// not would make it.
///
/// # Errors
/// What socket(2) and getsockopt(2) say: EPERM without CAP_NET_ADMIN over the namespace, EINVAL for what makes no sense.
pub(super) fn nat_table(is_six: bool) -> nix::Result<NatTable> {
    let (family, info, entries, layout) = match is_six {
        false => {
            (AddressFamily::Inet, SocketOption::IPT_SO_GET_INFO, SocketOption::IPT_SO_GET_ENTRIES, &IPV4)
        }
        true => {
            (AddressFamily::Inet6, SocketOption::IP6T_SO_GET_INFO, SocketOption::IP6T_SO_GET_ENTRIES, &IPV6)
        }
    };
    // Not of the type "raw": that takes a capability more, and this is a question to the table, not about packets.
    let socket: OwnedFd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::Udp)?;
    for _ in 0..TRIES {
        let mut about = [0; INFO_BYTES];
        about[..3].copy_from_slice(b"nat");
        sys::option(socket.as_fd(), info, &mut about)?;
        let size = number(&about, SIZE_AT).ok_or(Errno::EINVAL)?;
        let mut whole = vec![0; HEAD_BYTES + (size as usize).min(MOST_BYTES)];
        whole[..3].copy_from_slice(b"nat");
        whole[NAME_BYTES..NAME_BYTES + 4].copy_from_slice(&size.to_ne_bytes());
        match sys::option(socket.as_fd(), entries, &mut whole) {
            // The table has another size by now.
            Err(Errno::EAGAIN) => {}
            read => {
                read?;
                let starts = HOOKS.map(|(hook, at)| (hook, number(&about, ENTRIES_AT + 4 * at)));
                return table(layout, &whole[HEAD_BYTES..], &starts).ok_or(Errno::EINVAL);
            }
        }
    }
    Err(Errno::EAGAIN)
}

/// What the rules are. A chain is called after where it begins; one ends where the next begins, or with its head: a rule
/// whose target is `ERROR`, which stands before each chain that somebody has made.
fn table(layout: &EntryLayout, rules: &[u8], starts: &[(NatHook, Option<u32>)]) -> Option<NatTable> {
    let mut entries = BTreeMap::new();
    let mut at = 0;
    while at < rules.len() {
        let bytes = rules.get(at..)?;
        let next = usize::from(number16(bytes, layout.next_offset)?);
        if next < layout.elements {
            return None;
        }
        let bytes = bytes.get(..next)?;
        entries.insert(at, entry(layout, bytes, at + next)?);
        at += next;
    }
    let families = [!layout.is_six, layout.is_six];
    let title = if layout.is_six { "ip6 nat (ip6tables-legacy)" } else { "ip nat (iptables-legacy)" };
    let mut table = NatTable { families, title: title.to_owned(), ..NatTable::default() };
    let mut chain = String::new();
    for (at, rule) in entries {
        let at_start = starts.iter().find(|(_, start)| start.is_some_and(|start| start as usize == at));
        if let Some((hook, _)) = at_start {
            chain = name(at);
            table.entries.push((*hook, PRIORITY, chain.clone()));
        }
        match rule {
            // What is behind the head.
            None => {
                chain = name(at + usize::from(number16(rules.get(at..)?, layout.next_offset)?));
            }
            Some(rule) => table.chains.entry(chain.clone()).or_default().push(rule),
        }
    }
    Some(table)
}

fn name(at: usize) -> String {
    format!("@{at}")
}

/// A rule; `None` for the head of a chain. `next` is where the one after it begins.
fn entry(layout: &EntryLayout, bytes: &[u8], next: usize) -> Option<Option<NatRule>> {
    let target_at = usize::from(number16(bytes, layout.target_offset)?);
    let mut conditions = header(layout, bytes)?;
    let mut at = layout.elements;
    while at < target_at {
        let (part, length) = part(bytes.get(at..target_at)?)?;
        conditions.extend(xt_part::conditions(&part));
        at += length;
    }
    let (target, _) = part(bytes.get(target_at..)?)?;
    let action = match target.name.as_str() {
        "ERROR" => return Some(None),
        "" => {
            // Flag IPT_F_GOTO, IP6T_F_GOTO.
            let goes = *bytes.get(layout.flags)? & if layout.is_six { 4 } else { 2 } != 0;
            standard(number(&target.info, 0)?.cast_signed(), next, goes)
        }
        _ => xt_part::action(&target, layout.is_six),
    };
    Some(Some(NatRule { conditions, action }))
}

/// struct xt_standard_target: below zero a verdict, else where the packet goes on; right behind the rule itself, where a rule
/// has no target.
fn standard(verdict: i32, next: usize, goes: bool) -> NatAction {
    // XT_RETURN is -NF_REPEAT - 1; -NF_DROP - 1, -NF_ACCEPT - 1 and so on end it.
    const RETURN: i32 = -5;
    match usize::try_from(verdict) {
        Err(_) if verdict == RETURN => NatAction::Return,
        Err(_) => NatAction::End,
        Ok(to) if to == next => NatAction::Continue,
        Ok(to) if goes => NatAction::Goto(name(to)),
        Ok(to) => NatAction::Jump(name(to)),
    }
}

/// What the rule asks of the IP header.
fn header(layout: &EntryLayout, bytes: &[u8]) -> Option<Vec<NatCondition>> {
    // IPT_INV_VIA_IN, IPT_INV_SRCIP, IPT_INV_DSTIP, IPT_INV_PROTO; the others are about what is not looked at here.
    const IN: u8 = 1;
    const SOURCE: u8 = 8;
    const DESTINATION: u8 = 16;
    const PROTOCOL: u8 = 64;
    let inverted = *bytes.get(layout.inverted)?;
    let is_not = |bit: u8| inverted & bit != 0;
    let mut conditions = vec![NatCondition::OfFamily(layout.is_six)];
    let width = if layout.is_six { 16 } else { 4 };
    let bits = |at: usize| bytes.get(at..at + width);
    if is_not(SOURCE) || bits(layout.source_mask)?.iter().any(|byte| *byte != 0) {
        conditions.push(NatCondition::Unknown);
    }
    let (address, mask) = (bits(layout.destination)?, bits(layout.destination_mask)?);
    if is_not(DESTINATION) || mask.iter().any(|byte| *byte != 0) {
        let network = prefix(mask).zip(ip(address)).and_then(|(bits, address)| Cidr::new(address, bits));
        conditions.push(match network {
            Some(network) if is_not(DESTINATION) => NatCondition::NotTo(network),
            Some(network) => NatCondition::To(network),
            None => NatCondition::Unknown,
        });
    }
    let interface = bytes.get(layout.in_interface..layout.in_interface + 16)?;
    let interface = interface.split(|byte| *byte == 0).next().filter(|name| !name.is_empty());
    if let Some(name) = interface {
        let name = String::from_utf8_lossy(name).into_owned();
        conditions.push(if is_not(IN) { NatCondition::NotFrom(name) } else { NatCondition::From(name) });
    }
    let protocol = i32::from(number16(bytes, layout.protocol)?);
    match protocol {
        0 => {}
        _ if is_not(PROTOCOL) => conditions.push(NatCondition::Unknown),
        libc::IPPROTO_TCP => conditions.push(NatCondition::Transport(Transport::Tcp)),
        libc::IPPROTO_UDP => conditions.push(NatCondition::Transport(Transport::Udp)),
        _ => conditions.push(NatCondition::Never),
    }
    Some(conditions)
}

/// struct xt_entry_match, and of a target the same: its length, name of 29 bytes, revision; then its own struct.
fn part(bytes: &[u8]) -> Option<(XtPart, usize)> {
    const HEADER: usize = 32;
    let length = usize::from(number16(bytes, 0)?);
    let whole = bytes.get(..length).filter(|whole| whole.len() >= HEADER)?;
    let name = whole[2..31].split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    Some((XtPart { name, revision: whole[31], info: whole[HEADER..].to_vec() }, length))
}

/// How many bits a mask has; nothing of one with a gap.
fn prefix(mask: &[u8]) -> Option<u8> {
    let ones: u32 = mask.iter().take_while(|byte| **byte == 0xff).count() as u32 * 8;
    let partial = mask.iter().find(|byte| **byte != 0xff).map_or(0, |byte| byte.leading_ones());
    let total: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    u8::try_from(ones + partial).ok().filter(|length| u32::from(*length) == total)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule of IPv4 to tcp, with these parts; the last is its target.
    fn rule(parts: &[(&str, &[u8])], protocol: u16) -> Vec<u8> {
        let mut bytes = vec![0; IPV4.elements];
        bytes[IPV4.protocol..IPV4.protocol + 2].copy_from_slice(&protocol.to_ne_bytes());
        let mut target_at = 0;
        for (name, info) in parts {
            target_at = bytes.len();
            let mut part = u16::try_from(32 + info.len()).unwrap().to_ne_bytes().to_vec();
            part.extend(name.as_bytes());
            part.resize(32, 0);
            part.extend_from_slice(info);
            bytes.extend(part);
        }
        let length = bytes.len();
        bytes[IPV4.target_offset..][..2].copy_from_slice(&u16::try_from(target_at).unwrap().to_ne_bytes());
        bytes[IPV4.next_offset..][..2].copy_from_slice(&u16::try_from(length).unwrap().to_ne_bytes());
        bytes
    }

    #[test]
    fn a_jump_leads_to_the_chain_that_begins_there() {
        let jump = |to: i32| rule(&[("", &[&to.to_ne_bytes()[..], &[0; 4]].concat())], 6);
        let head = rule(&[("ERROR", &[0; 32])], 0);
        let (prerouting, policy) = (jump(0).len(), jump(-2).len());
        let chain_at = prerouting + policy + head.len();
        let to = i32::try_from(chain_at).unwrap();
        let rules = [jump(to), jump(-2), head.clone(), jump(-5), head].concat();
        let starts = [(NatHook::Prerouting, Some(0)), (NatHook::Output, None)];
        let read = table(&IPV4, &rules, &starts).unwrap();
        assert_eq!(read.entries, [(NatHook::Prerouting, -100, "@0".to_owned())]);
        let actions = |chain: &str| -> Vec<NatAction> {
            read.chains[chain].iter().map(|rule| rule.action.clone()).collect()
        };
        assert_eq!(actions("@0"), [NatAction::Jump(name(chain_at)), NatAction::End]);
        assert_eq!(actions(&name(chain_at)), [NatAction::Return]);
        for length in 0..rules.len() {
            let _ = table(&IPV4, &rules[..length], &starts);
        }
    }

    #[test]
    fn a_mask_with_a_gap_is_no_prefix() {
        assert_eq!(prefix(&[255, 255, 0, 0]), Some(16));
        assert_eq!(prefix(&[255, 240, 0, 0]), Some(12));
        assert_eq!(prefix(&[255, 0, 255, 0]), None);
        assert_eq!(prefix(&[0, 1]), None);
        assert_eq!((prefix(&[0; 4]), prefix(&[255; 16])), (Some(0), Some(128)));
    }
}
