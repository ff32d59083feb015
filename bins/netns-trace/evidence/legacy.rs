//! What the rules of the older iptables do with the probe. A mark of nf_tables has them traced too (skb->nf_trace), and the kernel tells of
//! each that is for the packet by its log: net/ipv4/netfilter/ip_tables.c, `TRACE: filter:FORWARD:rule:2`. It tells before the rule does
//! anything: what that is, the rule says.

use std::os::fd::{AsFd, BorrowedFd};

use common::firewall::{FilterChain, FilterListing, FilterProgram, iptables_words};
use common::namespace::Namespace;
use common::netlink::{LoggedPacket, NetlinkError, NftCondition, PacketLog, TableFamily, TracedPackets};
use common::netns::{Home, TraceLogger};
use nix::errno::Errno;

use super::error::NotArmed;
use super::filters::{hook_of, packet_of, traced};
use crate::model::{
    FilterDecision, FilterOutcome, FilterRuleNumber, ProbeSignature, TraceEvent, TraceEventKind,
};

/// To which the kernel tells traces: default_loginfo in net/netfilter/nfnetlink_log.c.
const GROUP: u16 = 0;

/// Traces the probe through the older rules of one namespace, until it is dropped.
#[derive(Debug)]
pub(super) struct LegacyTrace {
    netns: u64,
    log: PacketLog,
    _logger: TraceLogger,
    chains: Vec<FilterChain>,
    packets: Vec<TracedPackets>,
    /// Whether the kernel had more to tell than it keeps.
    pub(super) is_incomplete: bool,
}

impl LegacyTrace {
    /// Begins; that packets are marked is up to the caller.
    pub(super) fn arm(
        signature: &ProbeSignature,
        namespace: &Namespace,
        home: &Home,
    ) -> Result<Self, NotArmed> {
        let armed = home.inside(namespace, || {
            let chains = FilterListing::read().chains;
            let is_legacy =
                |chain: &FilterChain| matches!(chain.program, FilterProgram::IptablesLegacy { .. });
            let chains: Vec<FilterChain> = chains.into_iter().filter(is_legacy).collect();
            // They wait for what the logger tells them.
            if chains.iter().flat_map(|chain| &chain.rules).any(|rule| has_target(&rule.text, "TRACE")) {
                return Err(NotArmed::InUse { what: "another program traces rules there" });
            }
            let log = PacketLog::open(GROUP).map_err(|error| match error {
                // net/netfilter/nfnetlink_log.c: of a group that another socket has.
                NetlinkError::Refused { errno: Errno::EBUSY | Errno::EPERM, .. } => {
                    NotArmed::InUse { what: "another program listens to NFLOG group 0 there" }
                }
                error => error.into(),
            })?;
            let log = log.ok_or(NotArmed::NoTypes { what: "NFLOG" })?;
            Ok((log, TraceLogger::set(namespace)?, chains))
        });
        let (log, logger, chains) =
            armed.map_err(|errno| NotArmed::Kernel { what: "enter the network", errno })??;
        Ok(LegacyTrace {
            netns: namespace.identity().inode,
            log,
            _logger: logger,
            chains,
            packets: traced(signature),
            is_incomplete: false,
        })
    }

    /// Hands over what was decided since.
    pub(super) fn drain(&mut self, mut each: impl FnMut(TraceEvent)) {
        let LegacyTrace { netns, log, chains, packets, is_incomplete, .. } = self;
        let drained = log.drain(|logged| {
            if let Some(event) = event(*netns, chains, packets, &logged) {
                each(event);
            }
        });
        *is_incomplete |= drained.is_err();
    }
}

impl AsFd for LegacyTrace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.log.as_fd()
    }
}

fn event(
    netns: u64,
    chains: &[FilterChain],
    packets: &[TracedPackets],
    logged: &LoggedPacket,
) -> Option<TraceEvent> {
    let is_it = |packets: &&TracedPackets| has_all(&logged.packet, &packets.conditions);
    let packet = packet_of(packets.iter().find(is_it)?.name);
    let told = TraceWords::of(&logged.prefix)?;
    let six = logged.family == TableFamily::Ip6;
    let is_its = |chain: &&FilterChain| {
        chain.program == FilterProgram::IptablesLegacy { six }
            && chain.table == told.table
            && chain.name == told.chain
    };
    let chain = chains.iter().find(is_its)?;
    let (rule, outcome) = match told.rule {
        Some(position) => {
            let rule = chain.rules.get(position.checked_sub(1)?)?;
            (Some(FilterRuleNumber::Position(position)), outcome(&rule.text))
        }
        None if chain.policy.as_deref() == Some("drop") => (None, FilterOutcome::Drop),
        None => (None, FilterOutcome::Accept),
    };
    Some(TraceEvent {
        at: None,
        packet,
        netns: Some(netns),
        index: logged.interfaces.0.or(logged.interfaces.1),
        ifname: None,
        addresses: None,
        packet_id: 0,
        kind: TraceEventKind::Filtered(FilterDecision {
            family: logged.family,
            table: told.table.to_owned(),
            chain: told.chain.to_owned(),
            rule,
            is_legacy: true,
            hook: logged.hook.and_then(|hook| hook_of(hook.into())),
            outcome,
            interfaces: logged.interfaces,
        }),
    })
}

/// What a trace says: which rule of which chain; none where its policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TraceWords<'a> {
    table: &'a str,
    chain: &'a str,
    rule: Option<usize>,
}

impl<'a> TraceWords<'a> {
    /// `TRACE: filter:DOCKER-USER:rule:2 `; a chain's name can have colons in it.
    fn of(prefix: &'a str) -> Option<Self> {
        let (table, rest) = prefix.strip_prefix("TRACE: ")?.split_once(':')?;
        let mut parts = rest.trim_end().rsplitn(3, ':');
        let (number, kind, chain) = (parts.next()?, parts.next()?, parts.next()?);
        match kind {
            "rule" => Some(TraceWords { table, chain, rule: Some(number.parse().ok()?) }),
            "policy" => Some(TraceWords { table, chain, rule: None }),
            // The end of a chain that was jumped to decides nothing.
            _ => None,
        }
    }
}

fn has_target(rule: &str, target: &str) -> bool {
    iptables_words(rule).windows(2).any(|pair| pair[0] == "-j" && pair[1] == target)
}

fn outcome(rule: &str) -> FilterOutcome {
    match () {
        () if has_target(rule, "DROP") || has_target(rule, "REJECT") => FilterOutcome::Drop,
        () if has_target(rule, "ACCEPT") => FilterOutcome::Accept,
        () if has_target(rule, "NFQUEUE") => FilterOutcome::Queue,
        () => FilterOutcome::GoesOn,
    }
}

/// Whether all is so of a packet, from its IP header on.
fn has_all(packet: &[u8], conditions: &[NftCondition]) -> bool {
    let Some(first) = packet.first() else { return false };
    // IPv6's extension headers are none of a probe's.
    let (ethertype, protocol, header) = match first >> 4 {
        4 => (0x0800, packet.get(9), usize::from(first & 0xf) * 4),
        6 => (0x86dd, packet.get(6), 40),
        _ => return false,
    };
    conditions.iter().all(|condition| match condition {
        NftCondition::Ethertype(asked) => *asked == ethertype,
        NftCondition::Protocol(asked) => Some(asked) == protocol,
        NftCondition::Transport { offset, value } => {
            let begin = header + usize::try_from(*offset).unwrap_or(usize::MAX / 2);
            packet.get(begin..begin + value.len()) == Some(value)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_names_the_table_the_chain_and_the_rule() {
        let words = |table, chain, rule| Some(TraceWords { table, chain, rule });
        assert_eq!(TraceWords::of("TRACE: filter:FORWARD:rule:2 "), words("filter", "FORWARD", Some(2)));
        assert_eq!(TraceWords::of("TRACE: raw:a:b:rule:7 "), words("raw", "a:b", Some(7)));
        assert_eq!(TraceWords::of("TRACE: filter:FORWARD:policy:3 "), words("filter", "FORWARD", None));
        for nothing in ["TRACE: filter:X:return:1 ", "TRACE: ", "of somebody else", "TRACE: a:b"] {
            assert_eq!(TraceWords::of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_a_rule_does_is_its_target() {
        assert_eq!(outcome("-A X -m comment --comment \"-j ACCEPT\" -j DROP"), FilterOutcome::Drop);
        assert_eq!(outcome("-A X -j REJECT --reject-with tcp-reset"), FilterOutcome::Drop);
        assert_eq!(outcome("-A X -j Y"), FilterOutcome::GoesOn);
    }

    #[test]
    fn a_packet_is_the_probe_if_it_has_all_of_it() {
        let mut packet = vec![0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2];
        packet.extend([0, 1, 0, 80, 1, 2, 3, 4]);
        let syn = |sequence: &[u8]| {
            [
                NftCondition::Ethertype(0x0800),
                NftCondition::Protocol(6),
                NftCondition::Transport { offset: 4, value: sequence.to_vec() },
            ]
        };
        assert!(has_all(&packet, &syn(&[1, 2, 3, 4])));
        assert!(!has_all(&packet, &syn(&[1, 2, 3, 5])));
        for length in 0..packet.len() {
            assert!(!has_all(&packet[..length], &syn(&[1, 2, 3, 4])));
        }
    }
}
