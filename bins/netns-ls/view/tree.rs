//! The map as a tree: the host, its interfaces, and behind each what is plugged into it. Every namespace once.

use std::collections::{HashMap, HashSet};

use common::map::{LinkEnd, LinkPlace, MappedNetns};
use common::output::one_line;
use common::sign::{ARROW, BRANCH, LAST_BRANCH, TRUNK};

use super::link_words::{NOTHING, addresses, ifname, plugged_into, who};
use crate::named_map::{LinkAt, NamedMap, links_of};

/// The tree, a line for each namespace and interface.
pub fn tree(map: &NamedMap) -> String {
    let mut tree = MapTree { map, stacked: stacked(map), seen: HashSet::new(), lines: Vec::new() };
    let own = map.map.namespaces.iter().filter(|netns| netns.is_own);
    let others = map.map.namespaces.iter().filter(|netns| !netns.is_own);
    for netns in own.chain(others) {
        tree.root(netns);
    }
    tree.lines.join("\n")
}

struct MapTree<'a> {
    map: &'a NamedMap,
    /// What stands on each link.
    stacked: HashMap<LinkPlace, Vec<LinkAt<'a>>>,
    /// Namespaces and links that are in the tree.
    seen: HashSet<TreeNode>,
    lines: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum TreeNode {
    Netns(u64),
    Link(LinkPlace),
}

/// A line that is to come, with what is below it.
struct Branch<'a> {
    text: String,
    /// The links that are below it.
    links: Vec<LinkAt<'a>>,
    /// The namespace that the line ends in.
    netns: u64,
}

impl<'a> MapTree<'a> {
    fn root(&mut self, netns: &'a MappedNetns) {
        if !self.seen.insert(TreeNode::Netns(netns.inode)) {
            return;
        }
        let name = one_line(&self.map.who(netns)).into_owned();
        let containers: Vec<String> = match netns.is_own {
            true => netns.containers.iter().map(|container| one_line(&container.name).into_owned()).collect(),
            false => Vec::new(),
        };
        let beside =
            if containers.is_empty() { String::new() } else { format!(" ({})", containers.join(", ")) };
        self.lines.push(format!("{name}{beside}"));
        let links = self.top(netns);
        if links.is_empty() && !netns.is_own {
            let why = if netns.links.is_empty() { "could not be looked at" } else { "nothing but loopback" };
            self.lines.push(format!("{LAST_BRANCH} {why}"));
        }
        self.branches(links, netns.inode, "");
    }

    /// The links of a namespace that are below no other link of it.
    fn top(&self, netns: &'a MappedNetns) -> Vec<LinkAt<'a>> {
        let stands_here = |link: &LinkAt<'_>| match link.mapped.end {
            Some(LinkEnd::Known(place)) => place.netns == netns.inode && !link.mapped.link.is_veth(),
            _ => false,
        };
        let is_top = |link: &LinkAt<'a>| {
            !link.mapped.link.is_loopback()
                && self.map.master(*link).is_none()
                && !stands_here(link)
                && !self.seen.contains(&TreeNode::Link(link.place()))
        };
        links_of(netns).filter(is_top).collect()
    }

    /// The lines of `links`, which are below a line that is about the namespace `from`.
    fn branches(&mut self, links: Vec<LinkAt<'a>>, from: u64, indent: &str) {
        for (at, link) in links.iter().enumerate() {
            if !self.seen.insert(TreeNode::Link(link.place())) {
                continue;
            }
            let Branch { text, links: below, netns } = self.branch(*link, from);
            let is_left = |link: &LinkAt<'_>| !self.seen.contains(&TreeNode::Link(link.place()));
            let (sign, more) = match links[at + 1..].iter().any(is_left) {
                true => (BRANCH, TRUNK.text()),
                false => (LAST_BRANCH, "  "),
            };
            self.lines.push(format!("{indent}{sign} {text}"));
            self.branches(below, netns, &format!("{indent}{more} "));
        }
    }

    /// The line of a link, and what is below it: its ports, what is stacked on it, and of a namespace that is reached for the first
    /// time everything else in it.
    fn branch(&mut self, link: LinkAt<'a>, from: u64) -> Branch<'a> {
        let ports =
            link.netns.ports_of(link.mapped.link.index).map(|mapped| LinkAt { netns: link.netns, mapped });
        let mut links: Vec<LinkAt<'a>> = ports.collect();
        links.extend(self.stacked.get(&link.place()).into_iter().flatten());
        let mut text = with_addresses(ifname(link), link);
        let mut netns = link.netns.inode;
        if netns != from {
            text = format!("{} {text}", who(self.map, link));
            links.extend(self.entered(link.netns));
        }
        if link.mapped.link.is_veth() {
            match self.map.end(link) {
                Some(end) => {
                    let far = with_addresses(format!("{} {}", who(self.map, end), ifname(end)), end);
                    text += &format!(" {ARROW} {far}");
                    self.seen.insert(TreeNode::Link(end.place()));
                    // A bridge in there is found by its other ports.
                    links.extend(self.map.master(end));
                    links.extend(self.stacked.get(&end.place()).into_iter().flatten());
                    links.extend(self.entered(end.netns));
                    netns = end.netns.inode;
                }
                None => text += &format!(" {}", plugged_into(self.map, link)),
            }
        }
        Branch { text, links, netns }
    }

    /// What else is in a namespace that the tree has come to; nothing if it has been there.
    fn entered(&mut self, netns: &'a MappedNetns) -> Vec<LinkAt<'a>> {
        if self.seen.insert(TreeNode::Netns(netns.inode)) { self.top(netns) } else { Vec::new() }
    }
}

fn with_addresses(text: String, link: LinkAt<'_>) -> String {
    match addresses(link.mapped) {
        none if none == NOTHING => text,
        addresses => format!("{text} {addresses}"),
    }
}

/// What stands on each link: macvlans, VLANs and the like.
fn stacked(map: &NamedMap) -> HashMap<LinkPlace, Vec<LinkAt<'_>>> {
    let mut stacked: HashMap<LinkPlace, Vec<LinkAt<'_>>> = HashMap::new();
    for link in map.links().filter(|link| !link.mapped.link.is_veth()) {
        if let Some(LinkEnd::Known(place)) = link.mapped.end {
            stacked.entry(place).or_default().push(link);
        }
    }
    stacked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{container, host, link, named, with_end};

    #[test]
    fn every_namespace_is_below_what_it_is_plugged_into() {
        let mut map = host();
        map.namespaces[0].containers.push(container("hostnet"));
        // A pair within the host, and one from web to blue.
        map.namespaces[0].links.push(with_end(link(6, "p1", "veth"), 10, 7));
        map.namespaces[0].links.push(with_end(link(7, "p2", "veth"), 10, 6));
        map.namespaces[1].links.push(with_end(link(7, "x1", "veth"), 40, 7));
        map.namespaces[3].links.push(with_end(link(7, "x2", "veth"), 20, 7));
        let shown = tree(&named(map));
        let expected = [
            "host (hostnet)",
            "├─ eth0 192.168.7.5/24",
            "│  └─ lan mac0 192.168.7.50/24",
            "├─ docker0 172.17.0.1/16",
            "│  ├─ veth1 → web eth0 172.17.0.2/16",
            "│  │  └─ x1 → netns:blue x2",
            "│  └─ veth2 → ? (index 9)",
            "└─ p1 → host p2",
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected, "{shown}");
    }
}
