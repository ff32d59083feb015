//! The link behind an interface of our own network (the zone of `fe80::5%br0`), and which interfaces are attached to it:
//! pure.
//!
//! Attached are the interface itself; the other end of a veth that it is, or that is a port of it; a macvlan or ipvlan
//! on it; if it is one of these itself, its parent's others; and in the same namespace the bridge that has one of those for a
//! port. What is behind two namespaces is not followed.

use super::matching::are_a_pair;
use crate::netlink::Link;

/// The link behind one of our own interfaces.
#[derive(Debug)]
pub(super) struct ZoneLink {
    /// Our interface's index.
    index: u32,
    /// It, and its ports.
    near: Vec<Link>,
    /// The parents of macvlans and ipvlans that are attached.
    parents: Vec<u32>,
}

/// How our namespace and another one number each other; `None` where they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NetnsNumbering {
    /// It is our own: its links have no number.
    Own,
    /// It is another one.
    Other {
        /// What we call it.
        theirs: Option<i32>,
        /// What it calls us.
        ours: Option<i32>,
    },
}

impl ZoneLink {
    /// The link behind `zone`, which is one of our `links`.
    pub(super) fn behind(zone: &Link, links: &[Link]) -> Self {
        let ports = links.iter().filter(|link| link.master == Some(zone.index));
        let parent = zone.link.filter(|_| is_stacked(zone) && zone.link_netnsid.is_none());
        ZoneLink {
            index: zone.index,
            near: std::iter::once(zone).chain(ports).cloned().collect(),
            parents: std::iter::once(zone.index).chain(parent).collect(),
        }
    }

    /// Whether `link`, one of `links` of a namespace, is attached.
    pub(super) fn has(&self, link: &Link, links: &[Link], numbering: NetnsNumbering) -> bool {
        let mut ports = links.iter().filter(|port| port.master == Some(link.index));
        self.has_itself(link, numbering) || ports.any(|port| self.has_itself(port, numbering))
    }

    fn has_itself(&self, link: &Link, numbering: NetnsNumbering) -> bool {
        let (theirs, ours) = match numbering {
            NetnsNumbering::Own if link.index == self.index => return true,
            NetnsNumbering::Own => (None, None),
            NetnsNumbering::Other { theirs, ours } => (theirs, ours),
        };
        let is_own = numbering == NetnsNumbering::Own;
        let is_peer = |near: &Link| near.link_netnsid == theirs && are_a_pair(near, link);
        let is_on_parent = is_stacked(link)
            && link.link_netnsid == ours
            && self.parents.contains(&link.link.unwrap_or(link.index));
        ((is_own || theirs.is_some()) && self.near.iter().any(is_peer))
            || ((is_own || ours.is_some()) && is_on_parent)
    }
}

/// Whether it is on the link of another interface.
fn is_stacked(link: &Link) -> bool {
    link.kind.as_deref().is_some_and(|kind| ["macvlan", "macvtap", "ipvlan", "ipvtap"].contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::super::matching::tests::veth;
    use super::*;

    const THERE: NetnsNumbering = NetnsNumbering::Other { theirs: Some(0), ours: Some(3) };

    fn link(kind: &str, index: u32, parent: Option<u32>, nsid: Option<i32>) -> Link {
        Link { kind: Some(kind.to_owned()), ..veth(index, parent, nsid) }
    }

    #[test]
    fn the_other_ends_of_a_bridges_ports_are_attached_to_the_bridge() {
        let bridge = link("bridge", 4, None, None);
        let port = Link { master: Some(4), ..veth(98, Some(2), Some(0)) };
        let alone = veth(99, Some(2), Some(1));
        let host = [bridge.clone(), port, alone];
        let zone = ZoneLink::behind(&bridge, &host);
        let eth0 = veth(2, Some(98), Some(3));
        assert!(zone.has(&eth0, &[], THERE));
        assert!(zone.has(&bridge, &host, NetnsNumbering::Own), "and the host itself");
        // Another namespace with a pair of the same indices.
        assert!(!zone.has(&eth0, &[], NetnsNumbering::Other { theirs: Some(1), ours: Some(3) }));
        assert!(!zone.has(&eth0, &[], NetnsNumbering::Other { theirs: None, ours: None }));
        assert!(!zone.has(&veth(2, Some(99), Some(3)), &[], THERE));
    }

    #[test]
    fn a_bridge_in_the_container_is_attached_by_its_port() {
        let near = veth(98, Some(2), Some(0));
        let zone = ZoneLink::behind(&near, std::slice::from_ref(&near));
        let inner = link("bridge", 7, None, None);
        let eth0 = Link { master: Some(7), ..veth(2, Some(98), Some(3)) };
        assert!(zone.has(&inner, &[inner.clone(), eth0], THERE));
        assert!(!zone.has(&inner, std::slice::from_ref(&inner), THERE));
    }

    #[test]
    fn macvlans_of_one_parent_are_attached_to_it_and_to_each_other() {
        let nic = Link { kind: None, ..veth(2, None, None) };
        let inside = link("macvlan", 5, Some(2), Some(3));
        let on_nic = ZoneLink::behind(&nic, &[]);
        assert!(on_nic.has(&inside, &[], THERE));
        assert!(!on_nic.has(&link("macvlan", 5, Some(2), Some(9)), &[], THERE), "on another namespace's 2");
        assert!(!on_nic.has(&link("vlan", 5, Some(2), Some(3)), &[], THERE), "a VLAN is another link");
        let sibling = link("macvlan", 9, Some(2), None);
        assert!(ZoneLink::behind(&sibling, &[]).has(&inside, &[], THERE));
    }
}
