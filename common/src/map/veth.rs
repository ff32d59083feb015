//! What people copy for one end of a veth, and which interface of our own network it means: pure.
//!
//! | copied | from | means |
//! |---|---|---|
//! | `veth5149ce6` | anywhere | the interface of that name |
//! | `veth5149ce6@if2` | `ip link` on the host | the interface of that name, if its other end has the index 2 |
//! | `left@right` | the same, both ends on the host | the interface `left`, if its other end is called `right` |
//! | `98`, `if98` | `eth0@if98` in a container, the part after the `@` | the interface with the index 98 |
//! | `eth0@if98` | `ip link` in a container | the interface with the index 98, if its other end is called `eth0` |
//!
//! Where a word means several interfaces (one is called `98`, and another has that index), nothing is chosen.

use std::ffi::OsStr;

use super::matching::{are_a_pair, index, link_named};
use crate::netlink::Link;

/// An interface that a word means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NearEnd<'a> {
    /// The interface.
    pub link: &'a Link,
    /// What its other end has to be called, where the word was copied there.
    pub far_name: Option<&'a str>,
}

/// All interfaces of `links`, those of our own network, that `word` can mean, each once.
pub(super) fn near_ends<'a>(links: &'a [Link], word: &'a str) -> Vec<NearEnd<'a>> {
    let plain = |link| NearEnd { link, far_name: None };
    let with_index = |index| links.iter().find(|link| link.index == index);
    let mut ends: Vec<NearEnd<'_>> = link_named(links, word).map(plain).into_iter().collect();
    ends.extend(index(word).or_else(|| if_index(word)).and_then(with_index).map(plain));
    for (name, peer) in ways_to_split(word) {
        let near = link_named(links, name);
        let fits = |near: &&Link| match if_index(peer) {
            Some(index) => near.other_end() == Some(index),
            None => link_named(links, peer).is_some_and(|far| are_a_pair(near, far)),
        };
        ends.extend(near.filter(fits).map(plain));
        let there = if_index(peer).and_then(with_index);
        ends.extend(there.map(|link| NearEnd { link, far_name: Some(name) }));
    }
    let mut once: Vec<NearEnd<'_>> = Vec::new();
    for end in ends {
        // Copied on the host, it says more than copied in the container.
        if !once.iter().any(|other| other.link.index == end.link.index) {
            once.push(end);
        }
    }
    once
}

/// The interface that `word` names in front of an `@`, whatever stands behind that.
pub(super) fn named_in_front<'a>(links: &'a [Link], word: &str) -> Option<&'a Link> {
    ways_to_split(word).find_map(|(name, _)| link_named(links, name))
}

/// Names of interfaces may have an `@`, too.
fn ways_to_split(word: &str) -> impl Iterator<Item = (&str, &str)> {
    word.match_indices('@').map(|(at, _)| (&word[..at], &word[at + 1..]))
}

/// `if98`, as ip-link(8) prints an interface of another namespace.
fn if_index(word: &str) -> Option<u32> {
    word.strip_prefix("if").and_then(index)
}

/// Whether `links` has the other end of `near` under that name.
pub(super) fn has_far_end(links: &[Link], near: &Link, name: &str) -> bool {
    links.iter().any(|link| are_a_pair(near, link) && link.name.as_os_str() == OsStr::new(name))
}

#[cfg(test)]
mod tests {
    use super::super::matching::tests::veth;
    use super::*;

    fn named(name: &str, index: u32, peer: u32, nsid: Option<i32>) -> Link {
        Link { name: name.into(), ..veth(index, Some(peer), nsid) }
    }

    /// What `word` means: the index, and how the other end has to be called.
    fn means<'a>(links: &'a [Link], word: &'a str) -> Vec<(u32, Option<&'a str>)> {
        near_ends(links, word).iter().map(|end| (end.link.index, end.far_name)).collect()
    }

    #[test]
    fn what_ip_prints_on_the_host_and_in_the_container_leads_to_one_interface() {
        let links = [named("veth5149ce6", 98, 2, Some(0)), named("eth0", 3, 7, Some(1))];
        for host in ["veth5149ce6", "veth5149ce6@if2", "98", "if98"] {
            assert_eq!(means(&links, host), [(98, None)], "{host}");
        }
        // The host has an eth0 of its own, whose peer is another.
        assert_eq!(means(&links, "eth0@if98"), [(98, Some("eth0"))]);
        assert_eq!(means(&links, "eth0@if7"), [(3, None)]);
    }

    #[test]
    fn what_does_not_fit_means_nothing() {
        let links = [named("veth5149ce6", 98, 2, Some(0))];
        for word in ["veth5149ce6@if3", "veth5149ce6@", "@if98x", "098", "+98", "if", "if098", "@", "99"] {
            assert_eq!(means(&links, word), [], "{word}");
        }
        assert_eq!(named_in_front(&links, "veth5149ce6@if3").map(|link| link.index), Some(98));
    }

    #[test]
    fn both_ends_of_a_pair_on_the_host_are_named_as_ip_names_them() {
        let links = [named("left", 5, 6, None), named("right", 6, 5, None), named("other", 7, 6, Some(0))];
        assert_eq!(means(&links, "left@right"), [(5, None)]);
        assert_eq!(means(&links, "other@right"), []);
    }

    #[test]
    fn a_name_that_looks_like_an_index_is_no_less_than_the_index() {
        let links = [named("98", 4, 2, Some(0)), named("web", 98, 2, Some(1))];
        assert_eq!(means(&links, "98"), [(4, None), (98, None)]);
        assert_eq!(means(&links, "if98"), [(98, None)]);
    }
}
