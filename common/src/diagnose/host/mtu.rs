//! MTUs that do not fit: the two ends of a veth pair, and containers whose packets have to leave by an interface with a
//! smaller one.

use super::facts::{HostFacts, LinkSpot};
use super::segment::{GatewayClients, way_out};
use super::{Finding, FindingKind};
use crate::firewall::FilterChain;
use crate::hint;
use crate::hint::Hint;

/// Both ends of each veth pair, once.
pub(super) fn unequal(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in facts.spots().filter(|spot| spot.link.link.is_veth() && spot.is_running()) {
        let Some(other) = facts.end_of(one).filter(|other| other.is_running()) else { continue };
        let (small, great) = (one.link.link.mtu_bytes, other.link.link.mtu_bytes);
        // Each pair is seen from both ends: it is told of the greater one.
        if small >= great {
            continue;
        }
        let text = format!(
            "{}: MTU {great}, and {small} at the other end of its veth pair ({}): greater packets are dropped without a word",
            facts.at(other),
            facts.at(one),
        );
        let finding = Finding::of(FindingKind::MtuUnequal, other.netns.inode, Some(other.name()), text);
        found.push(finding.fixed_by([set_mtu(facts, other, small)]));
    }
    found
}

fn set_mtu(facts: &HostFacts, spot: LinkSpot<'_>, bytes: u32) -> Option<Hint> {
    facts.inside(spot.netns.inode, hint!("ip link set {} mtu {}", spot.pasted()?, bytes))
}

/// Containers with a greater MTU than that of the interface by which their gateway's namespace leaves.
pub(super) fn above_way_out(facts: &HostFacts, gateway: &GatewayClients<'_>) -> Option<Finding> {
    let netns = gateway.gateway.netns.inode;
    let (out, _) = way_out(facts, netns).filter(|_| gateway.address.is_ipv4())?;
    let most = out.link.link.mtu_bytes;
    let too_great = |spot: &&LinkSpot<'_>| spot.link.link.mtu_bytes > most;
    let clients: Vec<&LinkSpot<'_>> = gateway.clients.iter().filter(too_great).collect();
    let first = clients.first()?;
    // What leaves by the same segment again, or by loopback, is not routed out.
    if out.place() == gateway.gateway.place() || most == 0 || clamps(facts, netns) {
        return None;
    }
    let others = match clients.len() - 1 {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        more => format!(" and {more} others"),
    };
    let text = format!(
        "{}{others}: MTU {}, but {most} of {} by which the default route of {} leaves",
        facts.at(**first),
        first.link.link.mtu_bytes,
        out.shown(),
        facts.who(netns),
    );
    let about = gateway.gateway;
    let finding = Finding::of(FindingKind::MtuAboveWayOut, netns, Some(about.name()), text);
    let mut commands = Vec::new();
    for client in &clients {
        commands.push(set_mtu(facts, **client, most));
        if let Some(end) = facts.end_of(**client).filter(|_| client.link.link.is_veth())
            && end.link.link.mtu_bytes > most
        {
            commands.push(set_mtu(facts, end, most));
        }
    }
    if about.link.link.is_bridge() && about.link.link.mtu_bytes > most {
        commands.push(set_mtu(facts, about, most));
    }
    // A bridge follows its smallest port, and the other end of a veth pair is set once.
    commands.dedup();
    let advice =
        "for new containers: the MTU of their network, of Docker's the option com.docker.network.driver.mtu";
    Some(finding.fixed_by(commands).advised(advice))
}

/// Whether a rule makes TCP connections use smaller packets.
fn clamps(facts: &HostFacts, netns: u64) -> bool {
    let Some(filters) = facts.of(netns).and_then(|facts| facts.filters.as_ref()) else { return false };
    let mut rules = filters.chains.iter().flat_map(|chain: &FilterChain| &chain.rules);
    rules.any(|rule| rule.text.contains("TCPMSS") || rule.text.contains("maxseg size set"))
}
