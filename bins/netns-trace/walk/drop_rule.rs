//! Which rule dropped a packet that netfilter is known to have dropped in a hook: the only one that can have, or none is named.

use common::firewall::{
    ChainHook, DropPlace, FilterPacket, FilterProgram, HookFamily, NetnsFilters, PacketFlow, PacketProtocol,
    iptables_words,
};
use common::map::LinkPlace;
use common::output::one_line;

use super::walker::Walker;
use crate::model::{DropHook, DropKind, DroppedContent, DroppedFlow, DroppedPacket, HopHook};

/// As many ports of a bridge are tried where it is not known by which one a packet came in.
const MOST_PORTS: usize = 64;

/// The rule, or why none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DropRule {
    /// It can only have been this one.
    Certain(ChainHook, DropPlace),
    /// It may have been any of these.
    Several(usize),
    /// No rule that drops it is there now.
    Gone,
    /// The rules could not be read whole, or the packet is of a kind that they cannot be followed for.
    Unread,
}

impl Walker<'_> {
    /// The rule that dropped it.
    pub fn drop_rule(&self, netns: u64, hook: DropHook, kind: &DropKind) -> DropRule {
        let Some(packet) = &kind.packet else { return DropRule::Unread };
        let (of, word) = match hook {
            DropHook::Ip(word) | DropHook::BridgedIp(word) | DropHook::Bridge(word) => (hook, word),
        };
        let Ok(visited) = self.state.netns(netns) else { return DropRule::Unread };
        let filters = visited.filters();
        if !filters.is_whole {
            return DropRule::Unread;
        }
        let place = |index: Option<u32>| index.map(|index| LinkPlace { netns, index });
        let (at, out) = (place(kind.index), place(kind.out));
        let name = |place: Option<LinkPlace>| place.map(|place| self.link_name(place));
        let Some((chain, variants)) = self.variants(of, word, packet, at, out) else {
            return DropRule::Unread;
        };
        let at_name = name(at);
        let family = match (of, word) {
            (_, HopHook::Ingress) => HookFamily::Ingress(at_name.as_deref().unwrap_or_default()),
            (_, HopHook::Egress) => HookFamily::Egress(at_name.as_deref().unwrap_or_default()),
            (DropHook::Bridge(_), _) => HookFamily::Bridge,
            (DropHook::BridgedIp(_), _) => HookFamily::BridgedIp,
            (DropHook::Ip(_), _) => HookFamily::Ip,
        };
        if filters.unread_at(family).is_some() {
            return DropRule::Unread;
        }
        self.only_one(netns, filters, family, chain, &variants)
    }

    /// The packet as the hook saw it; several times, where what rules ask for is not known.
    fn variants(
        &self,
        hook: DropHook,
        word: HopHook,
        packet: &DroppedPacket,
        at: Option<LinkPlace>,
        out: Option<LinkPlace>,
    ) -> Option<(ChainHook, Vec<FilterPacket>)> {
        let name = |place: Option<LinkPlace>| place.map(|place| self.link_name(place));
        let chain = match word {
            HopHook::Prerouting | HopHook::Ingress | HopHook::Egress => ChainHook::Prerouting,
            HopHook::Input => ChainHook::Input,
            HopHook::Forward => ChainHook::Forward,
            HopHook::Output => ChainHook::Output,
            HopHook::Postrouting => ChainHook::Postrouting,
            _ => return None,
        };
        let mut plain = judged_packet(packet)?;
        let is_before_routing = matches!(word, HopHook::Prerouting | HopHook::Output);
        let is_own =
            || at.or(out).is_some_and(|place| self.own_address(place.netns, packet.destination).is_some());
        plain.is_local = word == HopHook::Input || is_before_routing && is_own();
        let mut all = Vec::new();
        match hook {
            DropHook::Ip(_) => {
                (plain.from, plain.out) = match word {
                    HopHook::Prerouting | HopHook::Input | HopHook::Ingress => (name(at), None),
                    HopHook::Forward => (name(at), name(out)),
                    // It is at its interface by then.
                    HopHook::Postrouting | HopHook::Egress => (None, name(at.or(out))),
                    _ => (None, name(out.or(at))),
                };
                if word == HopHook::Forward && plain.out.is_none() {
                    return None;
                }
                all.push(plain);
            }
            // It is at the port by which it leaves, but for prerouting.
            DropHook::BridgedIp(_) | DropHook::Bridge(_) => {
                let port = at?;
                plain.is_bridged = true;
                let bridge = self.bridge_of(port)?;
                let is_in = matches!(word, HopHook::Prerouting | HopHook::Input);
                let others: Vec<Option<String>> = match is_in || word == HopHook::Output {
                    true => vec![None],
                    false => self
                        .other_ports(bridge, port)
                        .into_iter()
                        .map(|port| Some(self.link_name(port)))
                        .collect(),
                };
                if others.len() > MOST_PORTS {
                    return None;
                }
                for other in others {
                    let (from, to) = if is_in { (name(at), None) } else { (other, name(at)) };
                    let mut variant = plain.clone();
                    if matches!(hook, DropHook::BridgedIp(_)) {
                        let logical = self.link_name(bridge);
                        variant.from = Some(logical.clone());
                        variant.out = (word != HopHook::Prerouting).then_some(logical);
                        variant.ports = [from, to];
                    } else {
                        (variant.from, variant.out) = (from, to);
                    }
                    all.push(variant);
                }
            }
        }
        Some((chain, all.into_iter().flat_map(|variant| unknown_parts(variant, packet)).collect()))
    }

    fn bridge_of(&self, port: LinkPlace) -> Option<LinkPlace> {
        let link = &self.state.map.link(port)?.link;
        let index = if link.is_bridge() { port.index } else { link.master? };
        Some(LinkPlace { index, ..port })
    }

    fn other_ports(&self, bridge: LinkPlace, port: LinkPlace) -> Vec<LinkPlace> {
        let Some(netns) = self.state.map.netns(bridge.netns) else { return Vec::new() };
        let ports = netns.ports_of(bridge.index).map(|link| LinkPlace { index: link.link.index, ..bridge });
        ports.filter(|other| *other != port).collect()
    }

    /// The rule that all variants name.
    fn only_one(
        &self,
        netns: u64,
        filters: &NetnsFilters,
        family: HookFamily<'_>,
        chain: ChainHook,
        variants: &[FilterPacket],
    ) -> DropRule {
        let mut certain: Vec<DropPlace> = Vec::new();
        let mut possible: Vec<DropPlace> = Vec::new();
        for variant in variants {
            let run = filters.run(family, chain, variant);
            for may in run.may_drop {
                if !possible.contains(&may) {
                    possible.push(may);
                }
            }
            certain.extend(run.dropped.filter(|by| !certain.contains(by)));
        }
        let is_same = |one: &DropPlace, other: &DropPlace| {
            (one.program, &one.table, &one.position, &one.rule)
                == (other.program, &other.table, &other.position, &other.rule)
        };
        let mut all: Vec<DropPlace> = Vec::new();
        for place in certain.iter().chain(&possible) {
            if !all.iter().any(|known| is_same(known, place)) {
                all.push(place.clone());
            }
        }
        // In these connection tracking drops packets, too: where a rule only may have, it need not have been that.
        let is_shared = chain != ChainHook::Forward || self.is_full(netns);
        let others = all.iter().map(|place| place.others.len()).max().unwrap_or(0);
        match all.len() + others {
            0 => DropRule::Gone,
            1 if is_shared && certain.is_empty() => DropRule::Several(1),
            1 => DropRule::Certain(chain, all.remove(0)),
            several => DropRule::Several(several),
        }
    }

    /// Whether the table of tracked flows is full.
    pub fn is_full(&self, netns: u64) -> bool {
        self.state.conntrack(netns).is_some_and(|table| table.most > 0 && table.used >= table.most)
    }
}

/// As rules are asked about it; nothing of what they cannot be followed for.
fn judged_packet(packet: &DroppedPacket) -> Option<FilterPacket> {
    let protocol = match packet.content {
        DroppedContent::Tcp { .. } => PacketProtocol::Tcp,
        DroppedContent::Udp { .. } => PacketProtocol::Udp,
        DroppedContent::Icmp { kind, .. } => PacketProtocol::Icmp(kind),
        _ => return None,
    };
    let [source_port, port] = packet.content.ports();
    let mut judged = FilterPacket::first(protocol, packet.source, packet.destination);
    (judged.source_port, judged.port, judged.mark) = (source_port, port, Some(packet.mark));
    judged.is_answer = packet.flow == DroppedFlow::Established;
    judged.flow = match packet.flow {
        DroppedFlow::New | DroppedFlow::Established => PacketFlow::Tracked,
        _ => PacketFlow::Unknown,
    };
    Some(judged)
}

/// With each answer to what is not known: whether NAT has changed its destination, and of a segment that does not begin a connection
/// whether it counts as one that does.
fn unknown_parts(packet: FilterPacket, dropped: &DroppedPacket) -> Vec<FilterPacket> {
    let is_odd = !packet.is_answer
        && matches!(dropped.content, DroppedContent::Tcp { .. })
        && !dropped.content.is_syn();
    let answers: &[bool] = if is_odd { &[false, true] } else { &[packet.is_answer] };
    let both = answers.iter().flat_map(|is_answer| [(*is_answer, false), (*is_answer, true)]);
    both.map(|(is_answer, is_dnat)| FilterPacket { is_answer, is_dnat, ..packet.clone() }).collect()
}

/// `DOCKER-USER "policy 42"`, `raw PREROUTING rule 3`, `inet q f "no icmp"`, `FORWARD policy`
pub fn in_short(by: &DropPlace) -> String {
    let table = match by.program {
        FilterProgram::Nft => format!("{} ", one_line(&by.table)),
        _ if by.table == "filter" => String::new(),
        _ => format!("{} ", one_line(&by.table)),
    };
    match (&by.rule, &by.position) {
        (Some(rule), Some((chain, number))) => match comment(rule) {
            Some(comment) => format!("{table}{} \"{}\"", one_line(chain), one_line(&comment)),
            None => format!("{table}{} rule {number}", one_line(chain)),
        },
        _ => format!("{table}{} policy", one_line(&by.chain)),
    }
}

/// What the rule says of itself: `--comment X`, `comment "X"`.
fn comment(rule: &str) -> Option<String> {
    let words = iptables_words(rule);
    let at = words.iter().position(|word| word == "--comment" || word == "comment")?;
    let found = words.get(at + 1)?;
    // `-m comment --comment X`
    if found == "--comment" { words.get(at + 2).cloned() } else { Some(found.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(program: FilterProgram, table: &str, rule: Option<&str>) -> DropPlace {
        DropPlace {
            program,
            table: table.to_owned(),
            chain: "FORWARD".to_owned(),
            rule: rule.map(str::to_owned),
            position: rule.map(|_| ("DOCKER-USER".to_owned(), 2)),
            handle: None,
            counter: None,
            is_specific: true,
            reset: None,
            others: Vec::new(),
        }
    }

    #[test]
    fn a_rule_in_short_is_its_comment_or_its_number() {
        let iptables = FilterProgram::Iptables { six: false };
        let with = r#"-A DOCKER-USER -p icmp -m comment --comment "policy 42" -j DROP"#;
        assert_eq!(in_short(&place(iptables, "filter", Some(with))), "DOCKER-USER \"policy 42\"");
        assert_eq!(in_short(&place(iptables, "raw", Some("-A X -j DROP"))), "raw DOCKER-USER rule 2");
        assert_eq!(in_short(&place(iptables, "filter", None)), "FORWARD policy");
        let nft = r#"ip daddr 10.2.0.2 drop comment "no entry""#;
        assert_eq!(
            in_short(&place(FilterProgram::Nft, "inet q", Some(nft))),
            "inet q DOCKER-USER \"no entry\""
        );
        let hostile =
            in_short(&place(iptables, "filter", Some("-A X -m comment --comment \"\u{1b}[2J\" -j DROP")));
        assert!(!hostile.contains('\u{1b}'), "{hostile:?}");
    }

    #[test]
    fn what_is_not_known_of_a_packet_is_tried_both_ways() {
        let dropped = |content, flow| DroppedPacket {
            source: "10.1.0.2".parse().unwrap(),
            destination: "10.2.0.2".parse().unwrap(),
            content,
            mac: None,
            is_for_many: false,
            is_for_other: false,
            mark: 0,
            flow,
            bytes: None,
            ttl: None,
        };
        let tcp = |flags| DroppedContent::Tcp { ports: [None, Some(80)], flags };
        let count = |content, flow| {
            let dropped = dropped(content, flow);
            unknown_parts(judged_packet(&dropped).unwrap(), &dropped).len()
        };
        assert_eq!(count(tcp(2), DroppedFlow::New), 2);
        assert_eq!(count(tcp(16), DroppedFlow::New), 4);
        assert_eq!(count(tcp(16), DroppedFlow::Established), 2);
        assert!(judged_packet(&dropped(DroppedContent::Other { protocol: 50 }, DroppedFlow::New)).is_none());
    }
}
