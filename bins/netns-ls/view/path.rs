//! The way between two places on the map: veth pairs, bridges, stacked interfaces, and where it cannot be avoided a namespace
//! that routes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use common::map::LinkPlace;
use common::output;

use super::interfaces::shown;
use super::link_words::{addresses, ifname, who};
use crate::named_map::{LinkAt, NamedMap, links_of};

const HEADER: [&str; 4] = ["WHO", "INTERFACE", "ADDRESS", "NEXT"];

/// The column that a narrow terminal omits: ADDRESS.
const SPARED: [usize; 1] = [2];

/// How one interface of a way leads to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathStep {
    /// To the other end of its veth pair.
    Pair,
    /// To the bridge that it is a port of.
    ToMaster,
    /// To one of its ports.
    ToPort,
    /// To the link below.
    Down,
    /// To a link above.
    Up,
    /// To another link of its namespace, which has to route.
    Routed,
}

/// The interfaces of a way, in order, each with how it leads to the next.
pub type LinkPath<'a> = Vec<(LinkAt<'a>, Option<PathStep>)>;

/// Where a way can be: at a link, or between two links of a namespace that routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum PathNode {
    Link(LinkPlace),
    Router(u64),
}

/// Any way that needs no routing is better than one that does.
const ROUTING_COST: u32 = 1 << 20;

/// The shortest way from one of `from` to one of `to`.
pub fn path<'a>(map: &'a NamedMap, from: &[LinkAt<'a>], to: &[LinkAt<'a>]) -> Option<LinkPath<'a>> {
    let steps = steps(map);
    let goals: Vec<PathNode> = to.iter().map(|link| PathNode::Link(link.place())).collect();
    let mut best: ReachedNodes = HashMap::new();
    let mut open = BinaryHeap::new();
    for link in from {
        let node = PathNode::Link(link.place());
        best.insert(node, (0, None));
        open.push(Reverse((0, node)));
    }
    while let Some(Reverse((cost, node))) = open.pop() {
        if best.get(&node).is_some_and(|(known, _)| *known < cost) {
            continue;
        }
        if goals.contains(&node) {
            return Some(walked(map, node, &best));
        }
        for (next, step) in steps.get(&node).into_iter().flatten() {
            let cost = cost + if matches!(next, PathNode::Router(_)) { ROUTING_COST } else { 1 };
            if best.get(next).is_none_or(|(known, _)| cost < *known) {
                best.insert(*next, (cost, Some((node, *step))));
                open.push(Reverse((cost, *next)));
            }
        }
    }
    None
}

/// What was reached: at which cost, and by which step from where.
type ReachedNodes = HashMap<PathNode, (u32, Option<(PathNode, PathStep)>)>;

fn walked<'a>(map: &'a NamedMap, end: PathNode, best: &ReachedNodes) -> LinkPath<'a> {
    let mut way = LinkPath::new();
    let (mut at, mut leads_on) = (Some(end), None);
    while let Some(node) = at {
        let before = best.get(&node).and_then(|(_, before)| *before);
        if let PathNode::Link(place) = node {
            way.extend(map.at(place).map(|link| (link, leads_on)));
        }
        leads_on = before.map(|(_, step)| step);
        at = before.map(|(node, _)| node);
    }
    way.reverse();
    way
}

/// From each place those that it leads to.
fn steps(map: &NamedMap) -> HashMap<PathNode, Vec<(PathNode, PathStep)>> {
    let mut steps: HashMap<PathNode, Vec<(PathNode, PathStep)>> = HashMap::new();
    let mut both = |from: PathNode, step: PathStep, to: PathNode, back: PathStep| {
        steps.entry(from).or_default().push((to, step));
        steps.entry(to).or_default().push((from, back));
    };
    for link in map.links() {
        let here = PathNode::Link(link.place());
        if let Some(end) = map.end(link) {
            let there = PathNode::Link(end.place());
            match link.mapped.link.is_veth() {
                // Each end says so of the other.
                true if link.place() < end.place() => both(here, PathStep::Pair, there, PathStep::Pair),
                true => {}
                false => both(here, PathStep::Down, there, PathStep::Up),
            }
        }
        match map.master(link) {
            Some(master) => {
                both(here, PathStep::ToMaster, PathNode::Link(master.place()), PathStep::ToPort);
            }
            None if link.mapped.link.is_loopback() => {}
            None => both(here, PathStep::Routed, PathNode::Router(link.netns.inode), PathStep::Routed),
        }
    }
    steps
}

/// The links of a namespace that a way can begin or end at.
pub fn ends(netns: &common::map::MappedNetns) -> Vec<LinkAt<'_>> {
    links_of(netns).filter(|link| !link.mapped.link.is_loopback()).collect()
}

/// A way as a table.
pub fn table(map: &NamedMap, way: &LinkPath<'_>, quiet: bool) -> String {
    let mut table = output::table(HEADER, &[]);
    for (link, step) in way {
        let next = step.map_or("", words);
        table.add_row([who(map, *link), ifname(*link), addresses(link.mapped), next.to_owned()]);
    }
    shown(table, &SPARED, quiet)
}

fn words(step: PathStep) -> &'static str {
    match step {
        PathStep::Pair => "veth pair with",
        PathStep::ToMaster => "is a port of",
        PathStep::ToPort => "has the port",
        PathStep::Down => "is stacked on",
        PathStep::Up => "carries",
        PathStep::Routed => "routes to",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{host, link, named, with_address, with_end, with_master};

    fn shown(map: &NamedMap, from: u64, to: u64) -> Option<Vec<String>> {
        let of = |inode| ends(map.netns(inode).unwrap());
        let way = path(map, &of(from), &of(to))?;
        let step = |step: &Option<PathStep>| step.map_or("", words);
        Some(
            way.iter()
                .map(|(link, next)| format!("{} {}", link.name(), step(next)).trim_end().to_owned())
                .collect(),
        )
    }

    #[test]
    fn a_way_over_a_bridge_is_taken_before_one_that_needs_routing() {
        let mut map = host();
        map.namespaces[0].links.push(with_end(with_master(link(6, "veth6", "veth"), 3), 40, 2));
        map.namespaces[3].links.push(with_end(link(2, "eth0", "veth"), 10, 6));
        let map = named(map);
        let way = [
            "eth0 veth pair with",
            "veth1 is a port of",
            "docker0 has the port",
            "veth6 veth pair with",
            "eth0",
        ];
        assert_eq!(shown(&map, 20, 40).unwrap(), way);
        let back: Vec<String> = shown(&map, 40, 20).unwrap();
        assert_eq!(back.first().map(String::as_str), Some("eth0 veth pair with"));
        assert_eq!(back.len(), 5);
    }

    #[test]
    fn where_only_routing_leads_there_it_is_said() {
        let way = ["eth0 veth pair with", "veth1 is a port of", "docker0 routes to", "eth0 carries", "mac0"];
        assert_eq!(shown(&named(host()), 20, 30).unwrap(), way);
    }

    #[test]
    fn without_any_way_there_is_none() {
        let mut map = host();
        map.namespaces[3].links.push(with_address(link(2, "dummy0", "dummy"), "10.0.0.1/8"));
        assert_eq!(shown(&named(map), 20, 40), None);
    }

    #[test]
    fn one_interface_is_a_way_to_itself() {
        assert_eq!(shown(&named(host()), 20, 20).unwrap(), ["eth0"]);
    }
}
