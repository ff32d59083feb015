//! What a router does with packets of containers on their way out: its FORWARD chains, and whether it gives them an address
//! that is known out there.

use std::net::{IpAddr, Ipv4Addr};

use super::facts::{HostFacts, LinkSpot};
use super::segment::{GatewayClients, LinkSegment, networks, way_out};
use super::{Finding, FindingKind};
use crate::cidr::Cidr;
use crate::firewall::{
    ChainHook, DropPlace, FilterPacket, FilterProgram, HookFamily, PacketFate, PacketProtocol,
    trusted_by_firewalld,
};
use crate::hint;
use crate::hint::Hint;
use crate::netlink::{Route, UNICAST};

/// An address of nobody's, for what is elsewhere: RFC 5737.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn packet(source: IpAddr, from: Option<String>, out: Option<String>) -> FilterPacket {
    FilterPacket { from, out, ..FilterPacket::first(PacketProtocol::Tcp, source, ELSEWHERE) }
}

/// Whether packets of `source` that come to this link leave its namespace with another source; nothing where that is not
/// certain, or nothing leaves.
pub(super) fn is_masqueraded(facts: &HostFacts, router: LinkSpot<'_>, source: IpAddr) -> Option<bool> {
    let (out, _) = way_out(facts, router.netns.inode)?;
    let filters = facts.of(router.netns.inode)?.filters.as_ref()?;
    filters.translates(&packet(source, None, Some(out.name())))
}

/// The first client that has an IPv4 address, and that address.
fn first_source<'a>(known: &GatewayClients<'a>) -> Option<(LinkSpot<'a>, IpAddr)> {
    known.clients.iter().find_map(|client| {
        let source = client.addresses().find(|own| own.address.is_ipv4())?;
        Some((*client, source.address))
    })
}

/// The interface by which packets of these clients leave: only where the router forwards them, and not back to where they
/// came from.
fn leaves_by<'a>(
    facts: &'a HostFacts,
    known: &GatewayClients<'_>,
    segment: &LinkSegment<'_>,
) -> Option<(LinkSpot<'a>, &'a Route)> {
    let netns = known.gateway.netns.inode;
    let settings = facts.of(netns)?.settings(known.gateway.link.link.index);
    let forwards = known.address.is_ipv4() && settings.forwards[0] == Some(true);
    way_out(facts, netns).filter(|(out, _)| forwards && !segment.has(out.place()))
}

/// FORWARD drops what the clients send out, and nobody meant them.
pub(super) fn dropped_on_the_way(
    facts: &HostFacts,
    known: &GatewayClients<'_>,
    segment: &LinkSegment<'_>,
) -> Option<Finding> {
    let (out, _) = leaves_by(facts, known, segment)?;
    let (_, source) = first_source(known)?;
    let gateway = known.gateway;
    let filters = facts.of(gateway.netns.inode)?.filters.as_ref()?;
    let fate = filters.fate(ChainHook::Forward, &packet(source, Some(gateway.name()), Some(out.name())));
    let PacketFate::Dropped(place) = fate else { return None };
    if place.is_specific {
        return None;
    }
    let text = format!(
        "{}: {} drops what comes from it and leaves by {}",
        facts.at(gateway),
        dropped_by(&place),
        out.shown()
    );
    let finding = Finding::of(FindingKind::ForwardDrops, gateway.netns.inode, Some(gateway.name()), text);
    if let Some(command) = trusted_there(gateway, &place) {
        return Some(finding.fixed_by([Some(command)]));
    }
    let name = gateway.pasted()?;
    let rules = match place.program {
        FilterProgram::Nft => {
            let insert = insert_nft(&place)?;
            [
                hint!("{} iifname {} accept", insert, name),
                hint!("{} oifname {} ct state established,related accept", insert, name),
            ]
        }
        program => {
            let insert = insert_iptables(facts, gateway.netns.inode, program, &place)?;
            [
                hint!("{} -i {} -j ACCEPT", insert, name),
                hint!("{} -o {} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", insert, name),
            ]
        }
    };
    Some(finding.fixed_by(rules.map(|rule| facts.inside(gateway.netns.inode, rule))))
}

/// `the policy of FORWARD (iptables-nft)`, or `a rule of …`.
pub(super) fn dropped_by(place: &DropPlace) -> String {
    let what = if place.rule.is_some() { "a rule" } else { "the policy" };
    let chain = crate::output::one_line(&place.chain).into_owned();
    match place.program {
        FilterProgram::Nft => {
            format!("{what} of {chain} (nft, table {})", crate::output::one_line(&place.table))
        }
        program if place.table == "filter" => format!("{what} of {chain} ({program})"),
        program => format!("{what} of {chain} ({program}, table {})", place.table),
    }
}

/// The beginning of a command that puts a rule first: where Docker keeps a chain for people's rules, there.
pub(super) fn insert_iptables(
    facts: &HostFacts,
    netns: u64,
    program: FilterProgram,
    place: &DropPlace,
) -> Option<Hint> {
    const OF_PEOPLE: &str = "DOCKER-USER";
    let filters = facts.of(netns)?.filters.as_ref()?;
    let is_docker = place.table == "filter"
        && place.chain == "FORWARD"
        && filters.has_chain(program, "filter", OF_PEOPLE);
    let chain = if is_docker { OF_PEOPLE } else { place.chain.as_str() };
    match place.table.as_str() {
        "filter" => hint!("{} -I {}", program, chain),
        table => hint!("{} -t {} -I {}", program, table, chain),
    }
}

/// The command that lets firewalld accept what comes from an interface, where the place is one of its.
pub(super) fn trusted_there(spot: LinkSpot<'_>, place: &DropPlace) -> Option<Hint> {
    let is_its = place.is_of_firewalld() && spot.netns.is_own;
    trusted_by_firewalld(spot.pasted()?).filter(|_| is_its)
}

pub(super) fn insert_nft(place: &DropPlace) -> Option<Hint> {
    let (table_family, table) = place.table.split_once(' ')?;
    hint!("nft insert rule {} {} {}", table_family, table, place.chain)
}

/// Packets leave with an address to which nothing leads back.
pub(super) fn not_masqueraded(
    facts: &HostFacts,
    known: &GatewayClients<'_>,
    segment: &LinkSegment<'_>,
    segments: &[LinkSegment<'_>],
) -> Option<Finding> {
    let (out, route) = leaves_by(facts, known, segment)?;
    let (client, source) = first_source(known)?;
    let gateway = known.gateway;
    if is_masqueraded(facts, gateway, source) != Some(false) {
        return None;
    }
    let network = networks(client).find(|network| network.contains(source))?.network();
    let why = match () {
        () if is_dockers(facts, gateway) => "Docker's rule for it is gone".to_owned(),
        () => {
            let router = router_without_route(facts, segments, out, route, source)?;
            format!("{} has no route back", facts.at(router))
        }
    };
    let text = format!(
        "{}: packets from {network} leave by {} with their own address, and {why}",
        facts.at(gateway),
        out.shown()
    );
    let finding = Finding::of(FindingKind::NoMasquerade, gateway.netns.inode, Some(gateway.name()), text);
    let commands = masquerade(facts, gateway, network)?;
    Some(finding.fixed_by(commands.into_iter().map(|command| facts.inside(gateway.netns.inode, command))))
}

/// The commands that give packets of the network the address of the interface by which they leave.
fn masquerade(facts: &HostFacts, gateway: LinkSpot<'_>, network: Cidr) -> Option<Vec<Option<Hint>>> {
    let filters = facts.of(gateway.netns.inode)?.filters.as_ref()?;
    let name = gateway.pasted()?;
    let of_nat = |program: FilterProgram| filters.has_chain(program, "nat", "POSTROUTING");
    let legacy = FilterProgram::IptablesLegacy { six: false };
    let program = if of_nat(legacy) { "iptables-legacy" } else { "iptables" };
    Some(vec![hint!("{} -t nat -A POSTROUTING -s {} ! -o {} -j MASQUERADE", program, network, name)])
}

/// Docker keeps a rule for each bridge whose packets it means to masquerade: `-A DOCKER -i docker0 -j RETURN`, of its table
/// `nat` (moby, libnetwork/drivers/bridge/setup_ip_tables.go).
fn is_dockers(facts: &HostFacts, gateway: LinkSpot<'_>) -> bool {
    let Some(filters) = facts.of(gateway.netns.inode).and_then(|facts| facts.filters.as_ref()) else {
        return false;
    };
    let rule = format!("-A DOCKER -i {} -j RETURN", gateway.name());
    let chains = filters.chains.iter().filter(|chain| chain.table == "nat" && chain.name == "DOCKER");
    chains.flat_map(|chain| &chain.rules).any(|known| known.text == rule)
}

/// The router that is next, if it is on the map and no route of it leads to the address.
fn router_without_route<'a>(
    facts: &'a HostFacts,
    segments: &[LinkSegment<'a>],
    out: LinkSpot<'_>,
    route: &Route,
    source: IpAddr,
) -> Option<LinkSpot<'a>> {
    let segment = segments.iter().find(|segment| segment.has(out.place()))?;
    let mut owners = segment.with_address(route.gateway?).filter(|spot| spot.netns.inode != out.netns.inode);
    let (router, None) = (owners.next()?, owners.next()) else { return None };
    let routes = facts.of(router.netns.inode)?.routes.as_deref()?;
    let leads_there = |route: &Route| route.kind == UNICAST && route.destination.contains(source);
    (!routes.iter().any(leads_there)).then_some(router)
}

/// FORWARD drops what passes between two ports of a bridge, and nobody meant that bridge.
pub(super) fn filtered_bridge(
    facts: &HostFacts,
    segment: &LinkSegment<'_>,
    bridge: LinkSpot<'_>,
) -> Option<Finding> {
    let own = facts.of(bridge.netns.inode)?;
    if own.bridge_calls[0] != Some(true) || !bridge.is_running() {
        return None;
    }
    let at_port = |spot: &LinkSpot<'_>| {
        let end = facts.end_of(*spot).filter(|_| spot.link.link.is_veth());
        end.and_then(LinkSpot::master).is_some_and(|master| master.place() == bridge.place())
    };
    let of_ipv4 =
        |spot: LinkSpot<'_>| spot.addresses().find(|own| own.address.is_ipv4()).map(|own| own.address);
    let mut sources = segment.stations().filter(at_port).filter_map(of_ipv4);
    let (source, destination) = (sources.next()?, sources.next()?);
    let name = bridge.name();
    let packet =
        FilterPacket { destination, is_bridged: true, ..packet(source, Some(name.clone()), Some(name)) };
    let run = own.filters.as_ref()?.run(HookFamily::BridgedIp, ChainHook::Forward, &packet);
    let place = run.dropped.filter(|place| !place.is_specific)?;
    let text = format!(
        "{}: {} drops what its containers send to each other: br_netfilter has bridged packets filtered",
        facts.at(bridge),
        dropped_by(&place)
    );
    let finding = Finding::of(FindingKind::BridgeFiltered, bridge.netns.inode, Some(bridge.name()), text);
    let name = bridge.pasted()?;
    let rule = match place.program {
        FilterProgram::Nft => hint!("{} iifname {} oifname {} accept", insert_nft(&place)?, name, name),
        program => {
            let insert = insert_iptables(facts, bridge.netns.inode, program, &place)?;
            hint!("{} -i {} -o {} -j ACCEPT", insert, name, name)
        }
    };
    let finding = finding.fixed_by([facts.inside(bridge.netns.inode, rule)]);
    Some(
        finding
            .advised("have nothing that is bridged filtered: sysctl -w net.bridge.bridge-nf-call-iptables=0"),
    )
}
