//! The way between two places on the map: veth pairs, bridges, stacked interfaces, and where it cannot be avoided a namespace
//! that routes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use common::map::LinkPlace;
use common::output;
use serde::Serialize;

use super::interfaces::shown;
use super::link_words::{addresses, ifname, who};
use crate::named_map::{LinkAt, NamedMap, links_of};

const HEADER: [&str; 4] = ["WHO", "INTERFACE", "ADDRESS", "NEXT"];

/// The column that a narrow terminal omits: ADDRESS.
const SPARED: [usize; 1] = [2];

/// How one interface of a way leads to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PathStep {
    /// To the other end of its veth pair.
    #[serde(rename = "peer")]
    Pair,
    /// To the bridge that it is a port of.
    #[serde(rename = "master")]
    ToMaster,
    /// To one of its ports.
    #[serde(rename = "port")]
    ToPort,
    /// To the link below.
    #[serde(rename = "lower")]
    Down,
    /// To a link above.
    #[serde(rename = "upper")]
    Up,
    /// To another link of its namespace, which has to route.
    Routed,
}

/// The interfaces of a way, in order, each with how it leads to the next.
pub type LinkPath<'a> = Vec<(LinkAt<'a>, Option<PathStep>)>;

/// Where a frame of a way can be. It has a direction: a macvlan sends through the link below, and what the host sends there itself
/// goes out and never up to the macvlan (macvlan_queue_xmit in drivers/net/macvlan.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum PathNode {
    /// Received by a link: for its namespace, or for what is stacked on it.
    Arrive(LinkPlace),
    /// Sent by its namespace, or by the bridge that it is a port of.
    Leave(LinkPlace),
    /// Among its ports and what is stacked on it; from there it may leave too.
    Below(LinkPlace),
    /// Between two links of a namespace that routes.
    Router(u64),
}

impl PathNode {
    fn place(self) -> Option<LinkPlace> {
        match self {
            PathNode::Arrive(place) | PathNode::Leave(place) | PathNode::Below(place) => Some(place),
            PathNode::Router(_) => None,
        }
    }
}

/// Any way that needs no routing is better than one that does.
const ROUTING_COST: u32 = 1 << 20;

/// The shortest way from one of `from` to one of `to`.
pub fn path<'a>(map: &'a NamedMap, from: &[LinkAt<'a>], to: &[LinkAt<'a>]) -> Option<LinkPath<'a>> {
    if let Some(link) = from.iter().find(|link| to.iter().any(|other| other.place() == link.place())) {
        return Some(vec![(*link, None)]);
    }
    let mut steps = steps(map);
    let goals: HashSet<LinkPlace> = to.iter().map(|link| link.place()).collect();
    let mut best: ReachedNodes = HashMap::new();
    let mut open = BinaryHeap::new();
    for link in from {
        let node = PathNode::Leave(link.place());
        // What it sends, its namespace may send by another link.
        steps.entry(node).or_default().push((PathNode::Router(link.netns.inode), PathStep::Routed));
        best.insert(node, (0, None));
        open.push(Reverse((0, node)));
    }
    while let Some(Reverse((cost, node))) = open.pop() {
        if best.get(&node).is_some_and(|(known, _)| *known < cost) {
            continue;
        }
        let is_below = matches!(node, PathNode::Below(_));
        if !is_below && node.place().is_some_and(|at| goals.contains(&at)) {
            return Some(walked(map, node, &best));
        }
        let came_by = best.get(&node).and_then(|(_, before)| before.and_then(|(node, _)| node.place()));
        for (next, step) in steps.get(&node).into_iter().flatten() {
            // What routes does not send it back by the link that it came by.
            if matches!(node, PathNode::Router(_)) && next.place() == came_by {
                continue;
            }
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
        if let Some(place) = node.place() {
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
    let mut leads =
        |from: PathNode, step: PathStep, to: PathNode| steps.entry(from).or_default().push((to, step));
    for link in map.links() {
        let at = link.place();
        let (arrive, leave) = (PathNode::Arrive(at), PathNode::Leave(at));
        if let Some(end) = map.end(link) {
            let (arrive_there, below) = (PathNode::Arrive(end.place()), PathNode::Below(end.place()));
            match link.mapped.link.is_veth() {
                // The other end says the same.
                true => [leave, PathNode::Below(at)]
                    .into_iter()
                    .for_each(|from| leads(from, PathStep::Pair, arrive_there)),
                false => {
                    leads(leave, PathStep::Down, below);
                    [arrive_there, below].into_iter().for_each(|from| leads(from, PathStep::Up, arrive));
                    leads(PathNode::Below(at), PathStep::Down, below);
                }
            }
        }
        match map.master(link) {
            Some(master) => {
                let (arrive_there, leave_there) =
                    (PathNode::Arrive(master.place()), PathNode::Leave(master.place()));
                let below = PathNode::Below(master.place());
                [arrive_there, below].into_iter().for_each(|to| leads(arrive, PathStep::ToMaster, to));
                [leave_there, below].into_iter().for_each(|from| leads(from, PathStep::ToPort, leave));
            }
            None if link.mapped.link.is_loopback() => {}
            None => {
                leads(arrive, PathStep::Routed, PathNode::Router(link.netns.inode));
                leads(PathNode::Router(link.netns.inode), PathStep::Routed, leave);
            }
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
        let mut map = host();
        map.namespaces[0].links.push(with_address(link(7, "br1", "bridge"), "10.1.0.1/24"));
        map.namespaces[0].links.push(with_end(with_master(link(8, "veth8", "veth"), 7), 40, 2));
        map.namespaces[3].links.push(with_end(link(2, "eth0", "veth"), 10, 8));
        let way = [
            "eth0 veth pair with",
            "veth1 is a port of",
            "docker0 routes to",
            "br1 has the port",
            "veth8 veth pair with",
            "eth0",
        ];
        assert_eq!(shown(&named(map), 20, 40).unwrap(), way);
    }

    #[test]
    fn no_host_reaches_a_macvlan_through_the_link_that_it_is_on() {
        assert_eq!(shown(&named(host()), 10, 30), None);
        assert_eq!(shown(&named(host()), 20, 30), None, "nor do those it routes for");
        assert_eq!(shown(&named(host()), 30, 10), None);
        // Two of them on one link do, and so do they and what is at the other end of that link.
        let mut map = host();
        map.namespaces[3].links.push(with_end(link(2, "mac1", "macvlan"), 10, 2));
        assert_eq!(shown(&named(map), 30, 40).unwrap(), ["mac0 is stacked on", "eth0 carries", "mac1"]);
        let mut map = host();
        map.namespaces[0].links.push(with_end(link(6, "up0", "veth"), 40, 2));
        map.namespaces[3].links.push(with_end(link(2, "up1", "veth"), 10, 6));
        map.namespaces[2].links.push(with_end(link(3, "mac1", "macvlan"), 10, 6));
        let way = ["up1 veth pair with", "up0 carries", "mac1"];
        assert_eq!(shown(&named(map), 40, 30).unwrap(), way);
    }

    #[test]
    fn a_macvlan_on_a_bridge_reaches_its_ports_and_not_the_host() {
        let mut map = host();
        map.namespaces[3].links.push(with_end(link(2, "mac1", "macvlan"), 10, 3));
        let map = named(map);
        let way = ["mac1 is stacked on", "docker0 has the port", "veth1 veth pair with", "eth0"];
        assert_eq!(shown(&map, 40, 20).unwrap(), way);
        let way = ["eth0 veth pair with", "veth1 is a port of", "docker0 carries", "mac1"];
        assert_eq!(shown(&map, 20, 40).unwrap(), way);
        let of = |inode| ends(map.netns(inode).unwrap());
        let docker0: Vec<_> = of(10).into_iter().filter(|link| link.name() == "docker0").collect();
        assert_eq!(path(&map, &docker0, &of(40)), None);
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
