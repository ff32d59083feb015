//! Published ports: whether a socket waits where they lead to, and whether containers reach them at the host's own address.

use std::net::IpAddr;

use super::facts::{HostFacts, LinkSpot, PortPublication, PortWaiting, transport_word};
use super::leaving::{dropped_by, insert_iptables, insert_nft, trusted_there};
use super::segment::{LinkSegment, networks};
use super::{Finding, FindingKind};
use crate::firewall::FilterProgram;
use crate::firewall::{ChainHook, FilterPacket, PacketFate, PacketProtocol, iptables_words};
use crate::hint;
use crate::hint::Hint;
use crate::target::{EngineName, Transport};

/// As many ports in a row are published for a program that takes one when it needs it: calls, FTP.
const RUN: usize = 5;

/// Published ports at whose end nobody waits, and those that no proxy listens for.
pub(super) fn unanswered(facts: &HostFacts) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut told: Vec<(Option<u64>, Option<u16>, Transport)> = Vec::new();
    for port in &facts.published {
        let key = (port.to_netns, port.to_port, port.transport);
        // Published for IPv4 and for IPv6, it is one port.
        let finding = nobody_there(facts, port).filter(|_| !told.contains(&key));
        if finding.is_some() {
            told.push(key);
        }
        found.extend(finding);
    }
    for port in &facts.published {
        found.extend(proxy_missing(facts, port));
    }
    found
}

/// `0.0.0.0:8080/tcp`
fn place(port: &PortPublication) -> String {
    let address = std::net::SocketAddr::new(port.address, port.port);
    format!("{address}/{}", transport_word(port.transport))
}

fn nobody_there(facts: &HostFacts, port: &PortPublication) -> Option<Finding> {
    let (to, to_port) = (port.to?, port.to_port?);
    let end = facts.map.netns(port.to_netns?)?;
    // In Docker's own networks for swarm, the kernel balances and no program listens.
    if end.inode == port.netns || end.processes.is_empty() || is_of_a_run(facts, port) {
        return None;
    }
    let who = facts.who(end.inode);
    let published = format!("{}: port {} leads to {who}", facts.who(port.netns), place(port));
    let ifname = end.links.iter().find(|link| link.addresses.iter().any(|own| own.address == to));
    let ifname = ifname.map(|link| link.link.name.to_string_lossy().into_owned());
    let of = |what, text| Finding::of(what, end.inode, ifname.clone(), text);
    let wanted =
        std::net::SocketAddr::new(if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() }, to_port);
    match &port.waiting {
        // A program that has connected its UDP socket waits too, and is not listed.
        PortWaiting::Nobody if port.transport == Transport::Tcp => {
            let text = format!("{published}, where nobody listens at port {to_port}");
            let advice = format!(
                "start the program in {who} that is to listen on {wanted}, or publish the port at which it does"
            );
            Some(of(FindingKind::NobodyListens, text).advised(advice))
        }
        PortWaiting::Elsewhere(addresses) if addresses.iter().all(|address| address.is_loopback()) => {
            let text = format!("{published}, which listens at port {to_port} on {} only", listed(addresses));
            let advice = format!("let the program in {who} listen on {wanted}");
            Some(of(FindingKind::ListensOnLoopbackOnly, text).advised(advice))
        }
        PortWaiting::Elsewhere(addresses) => {
            let text =
                format!("{published} at {to}, which listens at port {to_port} on {} only", listed(addresses));
            let advice = format!("let the program in {who} listen on {wanted}");
            Some(of(FindingKind::ListensElsewhere, text).advised(advice))
        }
        _ => None,
    }
}

fn listed(addresses: &[IpAddr]) -> String {
    let mut words: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    words.dedup();
    words.join(" and ")
}

/// Whether it is one of many ports in a row, of which some are in use.
fn is_of_a_run(facts: &HostFacts, port: &PortPublication) -> bool {
    let mut run: Vec<&PortPublication> = facts
        .published
        .iter()
        .filter(|other| {
            other.to_netns == port.to_netns
                && other.transport == port.transport
                && other.address == port.address
        })
        .collect();
    run.sort_by_key(|other| other.port);
    let follows =
        |one: &&PortPublication, other: &&PortPublication| one.last_port.checked_add(1) == Some(other.port);
    let mut of_port = run.chunk_by(follows).filter(|run| run.iter().any(|other| other.port == port.port));
    let is_used = |other: &&PortPublication| other.waiting == PortWaiting::Listening;
    of_port.any(|run| run.len() >= RUN && run.iter().any(is_used))
}

/// Whether the rule is one that Docker made for a container of its own.
fn is_dockers(facts: &HostFacts, port: &PortPublication) -> bool {
    let of_docker = |inode: u64| {
        let netns = facts.map.netns(inode);
        netns.is_some_and(|netns| netns.containers.iter().any(|one| one.engine == EngineName::Docker))
    };
    port.by_rule.as_deref().is_some_and(|table| matches!(table, "ip nat" | "ip6 nat"))
        && port.to_netns.is_some_and(of_docker)
}

/// Rules that forward to an address of a bridge's network that nothing at the bridge has.
pub(super) fn forwarded_to_nobody(facts: &HostFacts, segments: &[LinkSegment<'_>]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for port in facts.published.iter().filter(|port| port.waiting == PortWaiting::NoSuchAddress) {
        let finding = to_nobody(facts, segments, port);
        found.extend(finding.filter(|finding| found.iter().all(|known| known.fix != finding.fix)));
    }
    found
}

fn to_nobody(facts: &HostFacts, segments: &[LinkSegment<'_>], port: &PortPublication) -> Option<Finding> {
    let to = port.to?;
    let of_netns = |spot: &LinkSpot<'_>| spot.netns.inode == port.netns && spot.link.link.is_bridge();
    let bridge = facts.spots().filter(of_netns).find(|spot| networks(*spot).any(|own| own.contains(to)))?;
    // What is not on the map may have it: a virtual machine, another host.
    let segment = segments.iter().find(|segment| segment.has(bridge.place()));
    let is_known = segment.is_none_or(|segment| {
        let has_it = |spot: &LinkSpot<'_>| spot.link.addresses.iter().any(|own| own.address == to);
        segment.is_closed && !segment.links.iter().any(has_it)
    });
    let rules = rules_to(facts, port, to)?;
    if !is_known || rules.is_empty() {
        return None;
    }
    let text = format!(
        "{}: port {} is forwarded to {to}, an address that nothing at {} has",
        facts.who(port.netns),
        place(port),
        bridge.shown(),
    );
    let finding = Finding::of(FindingKind::PublishedToNobody, port.netns, Some(bridge.name()), text);
    Some(finding.fixed_by(rules))
}

/// The commands that remove the rules of iptables that forward to that address and port.
fn rules_to(facts: &HostFacts, port: &PortPublication, to: IpAddr) -> Option<Vec<Option<Hint>>> {
    let filters = facts.of(port.netns)?.filters.as_ref()?;
    let destination = match port.to_port {
        Some(new) => std::net::SocketAddr::new(to, new).to_string(),
        None => to.to_string(),
    };
    let mut commands = Vec::new();
    for chain in filters.chains.iter().filter(|chain| chain.table == "nat") {
        for rule in &chain.rules {
            let words = iptables_words(&rule.text);
            let leads_there =
                words.windows(2).any(|pair| pair[0] == "--to-destination" && pair[1] == destination);
            if leads_there && words.first().is_some_and(|word| word == "-A") {
                let rest = Hint::words(&words[1..]);
                commands.push(rest.and_then(|rest| {
                    facts.inside(port.netns, hint!("{} -t nat -D {}", chain.program, rest))
                }));
            }
        }
    }
    Some(commands)
}

fn proxy_missing(facts: &HostFacts, port: &PortPublication) -> Option<Finding> {
    let is_beside = |other: &PortPublication| {
        other.netns == port.netns && other.has_proxy && other.address.is_ipv4() == port.address.is_ipv4()
    };
    // Docker may be set to use none.
    if port.has_proxy || !is_dockers(facts, port) || !facts.published.iter().any(is_beside) {
        return None;
    }
    let end = facts.map.netns(port.to_netns?)?;
    let text = format!(
        "{}: no docker-proxy listens on {}, which leads to {}: programs of the host do not reach it at 127.0.0.1 or ::1",
        facts.who(port.netns),
        place(port),
        facts.who(end.inode),
    );
    let container = end.containers.iter().find(|one| one.engine == EngineName::Docker)?;
    let finding = Finding::of(FindingKind::ProxyMissing, port.netns, None, text);
    Some(finding.fixed_by([hint!("docker restart {}", container.name)]))
}

/// Published ports that containers of the same bridge do not reach at the host's address there.
pub(super) fn dropped_input(facts: &HostFacts, segments: &[LinkSegment<'_>]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for port in facts.published.iter().filter(|port| port.has_proxy && port.address.is_ipv4()) {
        let Some((bridge, finding)) = input_drops(facts, segments, port) else { continue };
        let is_known =
            |known: &&mut Finding| known.ifname == finding.ifname && known.netns_inode == bridge.netns.inode;
        match found.iter_mut().find(is_known) {
            Some(known) => {
                let new = finding.fix.into_iter().filter(|fix| !known.fix.contains(fix)).collect::<Vec<_>>();
                known.fix.extend(new);
            }
            None => found.push(finding),
        }
    }
    found
}

fn input_drops<'a>(
    facts: &'a HostFacts,
    segments: &[LinkSegment<'a>],
    port: &PortPublication,
) -> Option<(LinkSpot<'a>, Finding)> {
    let source = port.to?;
    let to_netns = port.to_netns?;
    let segment = segments
        .iter()
        .find(|segment| segment.with_address(source).any(|spot| spot.netns.inode == to_netns))?;
    let is_bridge = |spot: &LinkSpot<'_>| spot.netns.inode == port.netns && spot.link.link.is_bridge();
    let bridge = segment.stations().find(is_bridge)?;
    let own = bridge.addresses().map(|own| own.address).find(|own| own.is_ipv4())?;
    if !port.address.is_unspecified() && port.address != own {
        return None;
    }
    let protocol = match port.transport {
        Transport::Tcp => PacketProtocol::Tcp,
        Transport::Udp => PacketProtocol::Udp,
    };
    let packet = FilterPacket {
        port: Some(port.port),
        from: Some(bridge.name()),
        is_local: true,
        ..FilterPacket::first(protocol, source, own)
    };
    let fate = facts.of(port.netns)?.filters.as_ref()?.fate(ChainHook::Input, &packet);
    let PacketFate::Dropped(place_of_drop) = fate else { return None };
    let text = format!(
        "{}: {} drops what its containers send to the published port {}",
        facts.at(bridge),
        dropped_by(&place_of_drop),
        place(port),
    );
    let finding = Finding::of(FindingKind::InputDrops, port.netns, Some(bridge.name()), text);
    if let Some(command) = trusted_there(bridge, &place_of_drop) {
        return Some((bridge, finding.fixed_by([Some(command)])));
    }
    let name = bridge.pasted()?;
    let transport = transport_word(port.transport);
    let rule = match place_of_drop.program {
        FilterProgram::Nft => {
            hint!("{} iifname {} {} dport {} accept", insert_nft(&place_of_drop)?, name, transport, port.port)
        }
        program => {
            let insert = insert_iptables(facts, port.netns, program, &place_of_drop)?;
            hint!("{} -i {} -p {} --dport {} -j ACCEPT", insert, name, transport, port.port)
        }
    };
    Some((bridge, finding.fixed_by([facts.inside(port.netns, rule)])))
}
