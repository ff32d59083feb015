//! Why a packet was dropped where the kernel says that it was: what is set up there explains it, or nothing does.

use std::net::IpAddr;

use common::diagnose::Cause;
use common::firewall::ChainHook;
use common::map::LinkPlace;
use common::output::one_line;

use super::drop_rule::{DropRule, in_short};
use super::segment::{has_address, reach};
use super::walker::{PacketStep, Walker};
use crate::model::{
    DropCause, DropEnd, DropHook, DropKind, DroppedContent, DroppedFlow, ProbeProtocol, TraceObstacle,
    TraceProbe,
};
use crate::state::HostState;

/// A word of the kernel's, the causes that it leaves, and the one that it means by itself, in words.
type KnownReason = (&'static str, &'static [Cause], Option<(Cause, &'static str)>);

/// What the kernel's words leave as causes, and what they mean by themselves where nothing that is set up explains more:
/// net/dropreason-core.h. A word without a cause of its own says too little.
const REASONS: [KnownReason; 27] = [
    (
        "OTHERHOST",
        &[],
        Some((
            Cause::NeighbourWrongMac,
            "it has the address of this network, and a MAC address that nobody here has",
        )),
    ),
    ("NO_SOCKET", SOCKET, Some((Cause::NobodyListens, "no socket is there for it"))),
    ("SOCKET_RCVBUFF", SOCKET, Some((Cause::ReceiveBufferFull, "the receive buffer of its socket is full"))),
    ("PROTO_MEM", SOCKET, None),
    ("SOCKET_BACKLOG", SOCKET, None),
    (
        "TCP_LISTEN_OVERFLOW",
        SOCKET,
        Some((Cause::BacklogFull, "as many connections wait to be accepted as may")),
    ),
    ("IP_RPFILTER", ROUTING, Some((Cause::RpFilter, "reverse path filtering (rp_filter)"))),
    ("IP_INADDRERRORS", ROUTING, None),
    ("IP_INNOROUTES", ROUTING, Some((Cause::NoRoute, "no route leads to its destination"))),
    ("IP_OUTNOROUTES", ROUTING, Some((Cause::NoRoute, "no route leads to its destination"))),
    (
        "IP_LOCAL_SOURCE",
        ROUTING,
        Some((Cause::MartianSource, "its source is an address of this network itself")),
    ),
    ("IP_INVALID_SOURCE", ROUTING, None),
    ("IP_LOCALNET", ROUTING, Some((Cause::RouteLocalnet, "a loopback address, and route_localnet is off"))),
    ("IP_INVALID_DEST", ROUTING, None),
    ("NOT_SPECIFIED", ROUTING, None),
    ("IPV6DISABLED", ROUTING, Some((Cause::Ipv6Disabled, "IPv6 is disabled on the interface"))),
    // What else may be wrong in a header, the kernel does not say.
    ("IP_INHDR", &[Cause::TtlExpired], None),
    ("PKT_TOO_BIG", &[Cause::Mtu], Some((Cause::Mtu, "it may not be split, and is larger than the MTU"))),
    ("XFRM_POLICY", &[Cause::XfrmPolicy], Some((Cause::XfrmPolicy, "an IPsec policy"))),
    ("TC_INGRESS", &[Cause::TcDrop], Some((Cause::TcDrop, "a tc filter"))),
    ("TC_EGRESS", &[Cause::TcDrop], Some((Cause::TcDrop, "a tc filter"))),
    ("XDP", &[Cause::TcDrop], Some((Cause::TcDrop, "an XDP program"))),
    ("QDISC_DROP", LEAVING, None),
    (
        "NEIGH_FAILED",
        NEIGHBOUR,
        Some((Cause::NeighbourSilent, "the next hop does not answer ARP or neighbour solicitation")),
    ),
    (
        "NEIGH_QUEUEFULL",
        NEIGHBOUR,
        Some((Cause::NeighbourSilent, "the next hop does not answer ARP or neighbour solicitation")),
    ),
    ("BRIDGE_INGRESS_STP_STATE", BRIDGE, None),
    ("DEV_READY", LEAVING, None),
];
const SOCKET: &[Cause] = &[
    Cause::NobodyListens,
    Cause::ListensOnLoopbackOnly,
    Cause::ListensElsewhere,
    Cause::BacklogFull,
    Cause::ReceiveBufferFull,
    Cause::Frozen,
];
const ROUTING: &[Cause] = &[
    Cause::RpFilter,
    Cause::MartianSource,
    Cause::ForwardingOff,
    Cause::RouteLocalnet,
    Cause::NoRoute,
    Cause::RouteUnreachable,
    Cause::RouteBlackhole,
    Cause::RouteProhibit,
    Cause::Rule,
    Cause::RuleTable,
    Cause::Ipv6Disabled,
];
const LEAVING: &[Cause] = &[Cause::QdiscDrop, Cause::LinkDown, Cause::NoCarrier, Cause::DestLinkDown];
const BRIDGE: &[Cause] = &[
    Cause::LinkDown,
    Cause::NoCarrier,
    Cause::BridgePortStp,
    Cause::BridgePortDisabled,
    Cause::DestLinkDown,
];
const NEIGHBOUR: &[Cause] = &[
    Cause::NeighbourSilent,
    Cause::RouterSilent,
    Cause::NotInBridge,
    Cause::ArpOff,
    Cause::BridgePortStp,
    Cause::BridgePortDisabled,
    Cause::BridgePortIsolated,
    Cause::BridgeFloodOff,
    Cause::DestLinkDown,
    Cause::NoCarrier,
    Cause::LinkDown,
    Cause::PrefixTooWide,
];

/// Whose address that is, as far as it is certain: of the namespace itself, or of the only one that can be heard there.
pub fn drop_end(state: &HostState, kind: &DropKind, address: IpAddr, port: Option<u16>) -> DropEnd {
    let netns = kind.netns.and_then(|netns| owner(state, netns, kind, address));
    DropEnd { container: netns.map(|netns| state.who(netns)), netns, address, port }
}

fn owner(state: &HostState, netns: u64, kind: &DropKind, address: IpAddr) -> Option<u64> {
    let map = &state.map;
    let has = |inode: u64| {
        let links = map.netns(inode).map(|netns| netns.links.as_slice()).unwrap_or_default();
        links.iter().any(|link| has_address(link, address))
    };
    if has(netns) {
        return Some(netns);
    }
    let mut has_exit = false;
    let mut heard: Vec<u64> = Vec::new();
    for index in kind.index.into_iter().chain(kind.out) {
        let place = LinkPlace { netns, index };
        let link = map.link(place)?;
        // What is bridged may have come in by any port.
        let around = LinkPlace { index: link.link.master.unwrap_or(index), netns };
        let reach = reach(map, around);
        heard.extend(reach.with_address(map, address).map(|station| station.place.netns));
        has_exit |= !reach.exits.is_empty();
    }
    heard.sort_unstable();
    heard.dedup();
    match heard[..] {
        [one] => return Some(one),
        [] if !has_exit => {}
        _ => return None,
    }
    // It came by routers of this host, and nothing from outside can.
    let mut all = map.namespaces.iter().map(|netns| netns.inode).filter(|inode| has(*inode));
    all.next().filter(|_| all.next().is_none())
}

/// Whether a MAC address is one that is heard where the packet was: the packet is for another one there.
pub fn is_for_station(state: &HostState, kind: &DropKind, mac: [u8; 6]) -> bool {
    let all = state.map.namespaces.iter().flat_map(|netns| &netns.links);
    let mut others =
        all.filter(|link| kind.index.is_some() && link.link.mac.as_ref().is_some_and(|own| own.0 == mac));
    others.next().is_some()
}

/// Why it was dropped, as far as what is set up there says.
pub fn drop_cause(state: &HostState, kind: &DropKind) -> DropCause {
    let Some(netns) = kind.netns else { return by_words(kind) };
    let probe = probe(kind);
    let mut walker = Walker::new(state, netns, None, &probe);
    if kind.reason == "NETFILTER_DROP" || kind.hook.is_some() {
        return by_rule(&walker, netns, kind);
    }
    let Some((_, causes, _)) = REASONS.iter().find(|(word, ..)| *word == kind.reason) else {
        return by_words(kind);
    };
    // Without a packet there is nothing to follow.
    let Some(packet) = &kind.packet else { return by_words(kind) };
    (walker.packet.mark, walker.packet.ttl) = (Some(packet.mark), packet.ttl);
    walker.packet.is_answer = packet.flow == DroppedFlow::Established || !begins(packet.content);
    let [source_port, port] = packet.content.ports();
    (walker.packet.source_port, walker.packet.port) = (source_port, port);
    walker.follow_drop(netns, kind, causes);
    let is_it = |found: &&TraceObstacle| causes.contains(&found.cause) && found.place.netns == netns;
    // What is down, and who does not answer, is at the other end of the cable.
    let is_near = |found: &&TraceObstacle| causes.contains(&found.cause) && !causes.contains(&Cause::NoRoute);
    let walk = &walker.walk;
    let certain = walk.obstacles.iter().find(is_it).or_else(|| walk.obstacles.iter().find(is_near));
    match certain.or_else(|| walk.suspects.iter().find(is_it)) {
        Some(found) => explained(state, netns, found),
        None => by_words(kind),
    }
}

fn begins(content: DroppedContent) -> bool {
    match content {
        DroppedContent::Tcp { .. } => content.is_syn(),
        DroppedContent::Icmp { kind, .. } => kind == 8 || kind == 128,
        _ => true,
    }
}

impl Walker<'_> {
    /// Takes the packet through what can have dropped it.
    fn follow_drop(&mut self, netns: u64, kind: &DropKind, causes: &[Cause]) {
        let place = kind.index.map(|index| LinkPlace { netns, index });
        if causes == SOCKET {
            self.packet.is_answer = false;
            self.taken(netns);
            return;
        }
        let Some(place) = place else {
            self.send(netns);
            return;
        };
        if [LEAVING, NEIGHBOUR, BRIDGE].contains(&causes) || kind.reason == "TC_EGRESS" {
            let to = self.packet.destination;
            let next_hop = self
                .state
                .netns(netns)
                .ok()
                .and_then(|visited| visited.route_out(to, None, self.packet.mark, None).ok());
            let is_arp =
                matches!(kind.packet, Some(packet) if matches!(packet.content, DroppedContent::Arp { .. }));
            let gateway = next_hop.and_then(|route| route.gateway).filter(|_| !is_arp);
            self.transmit(place, gateway.unwrap_or(to));
        } else if kind.reason == "TC_INGRESS" || kind.reason == "XDP" {
            self.ingress(place);
        } else {
            let step = self.receive(place);
            if let PacketStep::Stopped = step {
                return;
            }
            if kind.reason == "PKT_TOO_BIG" {
                self.fits(kind.out.map_or(place, |index| LinkPlace { netns, index }));
            }
        }
    }
}

/// Netfilter dropped it.
fn by_rule(walker: &Walker<'_>, netns: u64, kind: &DropKind) -> DropCause {
    let plain = |cause, short: &str| DropCause {
        cause,
        short: short.to_owned(),
        text: format!("a packet filter dropped it: {short}"),
        rule: None,
        fix: Vec::new(),
        advice: None,
    };
    let Some(hook) = kind.hook else {
        return plain(None, "a packet filter; in which hook is not known");
    };
    match walker.drop_rule(netns, hook, kind) {
        DropRule::Certain(chain, place) => {
            let came_in = kind
                .index
                .filter(|_| matches!(chain, ChainHook::Prerouting | ChainHook::Input | ChainHook::Forward));
            let from = came_in.map(|index| walker.link_name(LinkPlace { netns, index }));
            let reason = walker.dropped_by(netns, (chain, from.as_deref()), &place, false);
            DropCause {
                cause: Some(reason.cause),
                short: in_short(&place),
                text: reason.text,
                rule: reason.rule,
                fix: reason.fix,
                advice: reason.advice,
            }
        }
        DropRule::Several(1) => plain(None, "a packet filter, or connection tracking; which is not certain"),
        DropRule::Several(count) => plain(None, &format!("one of {count} rules; which is not certain")),
        DropRule::Gone if walker.is_full(netns) => {
            plain(Some(Cause::ConntrackFull), "the connection tracking table is full")
        }
        DropRule::Gone => plain(None, "a packet filter; no rule that is there now explains it"),
        DropRule::Unread => plain(None, "a packet filter; its rules could not be followed"),
    }
}

fn explained(state: &HostState, netns: u64, found: &TraceObstacle) -> DropCause {
    let who = one_line(&state.who(netns)).into_owned();
    let short = found.text.strip_prefix(&format!("{who}: ")).unwrap_or(&found.text);
    let short = short.strip_suffix(" (on the answer's way)").unwrap_or(short);
    DropCause {
        cause: Some(found.cause),
        short: short.to_owned(),
        text: found.text.strip_suffix(" (on the answer's way)").unwrap_or(&found.text).to_owned(),
        rule: found.rule.clone(),
        fix: found.fix.clone(),
        advice: found.advice.clone(),
    }
}

/// The kernel's own word, and what it means by itself.
fn by_words(kind: &DropKind) -> DropCause {
    let known = REASONS.iter().find(|(word, ..)| *word == kind.reason).and_then(|(.., meant)| *meant);
    // A segment that does not begin a connection asks for no listener.
    let is_listened_for = kind.packet.is_none_or(|packet| begins(packet.content));
    let known = known.filter(|(cause, _)| *cause != Cause::NobodyListens || is_listened_for);
    let function = kind.function.as_deref().map(|name| format!(" in {}", one_line(name))).unwrap_or_default();
    let words = format!("{}{function}", one_line(&kind.reason));
    let (cause, short) = match known {
        Some((cause, text)) => (Some(cause), text.to_owned()),
        None => (None, words.clone()),
    };
    let text = match known {
        Some((_, text)) => format!("{text} (the kernel says {words})"),
        None => format!("the kernel says {words}, and nothing that is set up explains it"),
    };
    DropCause { cause, short, text, rule: None, fix: Vec::new(), advice: None }
}

/// The packet as something to follow.
fn probe(kind: &DropKind) -> TraceProbe {
    let unspecified = IpAddr::from([0, 0, 0, 0]);
    let (source, destination) =
        kind.packet.map_or((unspecified, unspecified), |packet| (packet.source, packet.destination));
    let content = kind.packet.map(|packet| packet.content);
    let port = content.and_then(|content| content.ports()[1]).unwrap_or(0);
    let protocol = match content {
        Some(DroppedContent::Tcp { .. }) => ProbeProtocol::Tcp(port),
        Some(DroppedContent::Udp { .. }) => ProbeProtocol::Udp(port),
        _ => ProbeProtocol::Echo,
    };
    let bytes = kind.packet.and_then(|packet| packet.bytes).and_then(|bytes| u16::try_from(bytes).ok());
    TraceProbe {
        source,
        is_bound: true,
        destination,
        scope: None,
        protocol,
        packet_bytes: bytes.unwrap_or(60),
        dont_fragment: bytes.is_some(),
        ignores_known_mtu: false,
    }
}

/// The hook in words, of a drop that was in one.
pub fn hook_of(kind: &DropKind) -> Option<crate::model::HopHook> {
    kind.hook.map(|hook| match hook {
        DropHook::Ip(word) | DropHook::BridgedIp(word) | DropHook::Bridge(word) => word,
    })
}
