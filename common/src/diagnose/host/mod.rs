//! Findings: what is proven to be wrong with the networks of a host, and the commands that fix it. A pure table over evidence,
//! as the rest of the judge: it reads nothing.
//!
//! Each finding is made only where it was proven. What may be meant so (a network without a way out, a namespace
//! that is kept for later, ports that are kept apart) is none as long as nothing was seen to try.

mod bridge_port;
mod duplicates;
mod facts;
mod finding;
mod gateway;
mod ipv6;
mod kind;
mod leaving;
mod leftovers;
mod limits;
mod macvlan;
mod mtu;
mod overlap;
mod ports;
mod segment;
#[cfg(test)]
mod tests;

pub use facts::{
    FullQueue, HostFacts, LinkSettings, NetnsFacts, PortPublication, PortUse, PortWaiting, StaleName,
    TableUse,
};
pub use finding::Finding;
pub use kind::FindingKind;

/// Everything that is proven to be wrong, in the order of [`FindingKind::ALL`].
pub fn findings(facts: &HostFacts) -> Vec<Finding> {
    let segments = segment::segments(facts);
    let mut found = Vec::new();
    found.extend(ports::unanswered(facts));
    found.extend(ports::dropped_input(facts, &segments));
    found.extend(ports::forwarded_to_nobody(facts, &segments));
    found.extend(limits::name_servers(facts));
    for segment in &segments {
        found.extend(of_segment(facts, segment, &segments));
    }
    found.extend(gateway::silent_routers(facts, &segments));
    found.extend(overlap::overlaps(facts, &segments));
    found.extend(mtu::unequal(facts));
    found.extend(macvlan::parents(facts));
    found.extend(bridge_port::not_forwarding(facts));
    found.extend(ipv6::refused_addresses(facts, &segments));
    found.extend(leftovers::names(facts));
    found.extend(leftovers::pairs(facts));
    found.extend(leftovers::networks_of_nobody(facts));
    found.extend(leftovers::unplugged(facts));
    found.extend(limits::queues(facts));
    found.extend(limits::tables(facts));
    found.sort_by_key(|finding| finding.what);
    // One command that helps several is one finding: of a bridge that is down, not of each container at it.
    found.dedup_by(|next, first| next.what == first.what && !next.fix.is_empty() && next.fix == first.fix);
    found
}

fn of_segment(
    facts: &HostFacts,
    segment: &segment::LinkSegment<'_>,
    all: &[segment::LinkSegment<'_>],
) -> Vec<Finding> {
    let gateways = segment.gateways(facts);
    let mut found = Vec::new();
    found.extend(duplicates::duplicates(facts, segment));
    found.extend(gateway::without_route(facts, segment, &gateways));
    for known in &gateways {
        let off = gateway::forwarding_off(facts, known, segment);
        // What is not forwarded is neither filtered nor too great.
        let is_off = off.is_some();
        found.extend(off);
        if is_off {
            continue;
        }
        found.extend(mtu::above_way_out(facts, known));
        let dropped = leaving::dropped_on_the_way(facts, known, segment);
        found.extend(dropped);
        found.extend(leaving::not_masqueraded(facts, known, segment, all));
    }
    for bridge in segment.links.iter().filter(|spot| spot.link.link.is_bridge()) {
        found.extend(leaving::filtered_bridge(facts, segment, *bridge));
    }
    found.extend(bridge_port::isolated(facts, segment));
    found.extend(bridge_port::stale_entries(facts, segment));
    found.extend(ipv6::switched_off(facts, segment));
    found
}
