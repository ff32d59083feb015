//! The map with the names of its namespaces, and quick look-ups in it: what every view is made from. Pure.

use std::collections::HashMap;

use common::map::{HostMap, LinkEnd, LinkPlace, MappedLink, MappedNetns, NetnsNames};

/// A map, and what its namespaces are called.
#[derive(Debug, Default)]
pub struct NamedMap {
    pub map: HostMap,
    names: NetnsNames,
    /// Where in the map each namespace is.
    places: HashMap<u64, usize>,
}

/// A link, and the namespace that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkAt<'a> {
    pub netns: &'a MappedNetns,
    pub mapped: &'a MappedLink,
}

impl LinkAt<'_> {
    /// Where it is.
    pub fn place(self) -> LinkPlace {
        LinkPlace { netns: self.netns.inode, index: self.mapped.link.index }
    }

    /// Its name, as it came.
    pub fn name(self) -> String {
        self.mapped.link.name.to_string_lossy().into_owned()
    }
}

impl NamedMap {
    pub fn new(map: HostMap, names: NetnsNames) -> Self {
        let places = map.namespaces.iter().enumerate().map(|(at, netns)| (netns.inode, at)).collect();
        NamedMap { map, names, places }
    }

    /// What the namespace is called, as it came.
    pub fn who(&self, netns: &MappedNetns) -> String {
        self.names.of_netns(netns.inode)
    }

    pub fn netns(&self, inode: u64) -> Option<&MappedNetns> {
        self.map.namespaces.get(*self.places.get(&inode)?)
    }

    pub fn at(&self, place: LinkPlace) -> Option<LinkAt<'_>> {
        let netns = self.netns(place.netns)?;
        Some(LinkAt { netns, mapped: netns.link(place.index)? })
    }

    /// Every link of every namespace.
    pub fn links(&self) -> impl Iterator<Item = LinkAt<'_>> {
        self.map.namespaces.iter().flat_map(links_of)
    }

    /// The other end of a veth, or the link below another, if it was seen.
    pub fn end(&self, link: LinkAt<'_>) -> Option<LinkAt<'_>> {
        match link.mapped.end {
            Some(LinkEnd::Known(place)) => self.at(place),
            _ => None,
        }
    }

    /// The bridge or bond that it is a port of.
    pub fn master<'a>(&self, link: LinkAt<'a>) -> Option<LinkAt<'a>> {
        let mapped = link.netns.master_of(link.mapped)?;
        Some(LinkAt { netns: link.netns, mapped })
    }

    /// The bridge that it is a port of, or that the other end of its veth pair is.
    pub fn bridge_of<'a>(&'a self, link: LinkAt<'a>) -> Option<LinkAt<'a>> {
        let own = self.master(link);
        own.or_else(|| self.end(link).filter(|_| link.mapped.link.is_veth()).and_then(|end| self.master(end)))
    }

    /// The links that are plugged into it: of a veth the other end; those that stand on it; of a bridge the ports.
    pub fn plugged_into(&self, link: LinkAt<'_>) -> Vec<LinkAt<'_>> {
        let place = LinkEnd::Known(link.place());
        let is_port = |other: &LinkAt<'_>| {
            other.netns.inode == link.netns.inode && other.mapped.link.master == Some(link.mapped.link.index)
        };
        self.links().filter(|other| is_port(other) || other.mapped.end == Some(place)).collect()
    }
}

/// All links of one namespace.
pub fn links_of(netns: &MappedNetns) -> impl Iterator<Item = LinkAt<'_>> {
    netns.links.iter().map(move |mapped| LinkAt { netns, mapped })
}
