//! Which link is plugged into which, and which stands on which: pure.
//!
//! The kernel says of a link the index of the other one (IFLA_LINK) and by which number the link's namespace knows the
//! other's (IFLA_LINK_NETNSID). An index alone proves nothing: in most containers `eth0` has the same one. Two things do:
//! the kernel's word for which namespace a number means, and both ends of a cable naming each other.
//!
//! | kind | end | proof |
//! |---|---|---|
//! | veth, netkit | the other end | one side's number is known, and each names the other |
//! | macvlan, ipvlan, VLAN, vxlan and others | the link below | the number is known by the kernel's word |

use std::collections::HashMap;

use super::{LinkEnd, LinkPlace, MappedNetns};
use crate::netlink::Link;

/// Kinds whose index is that of the link below even where it equals their own; of other kinds the kernel gives their own
/// index when they have nothing below (dev_get_iflink in net/core/dev.c).
const STACKED: [&str; 6] = ["vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"];

/// What a link itself says of the link that it is plugged into, or stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndClaim {
    /// Its namespace, as the link's own numbers it; none is the same one.
    pub number: Option<i32>,
    /// Its index there; 0 where it is not known.
    pub index: u32,
    /// Whether the other one has to say the same of this one.
    pub is_cable: bool,
}

impl EndClaim {
    /// Nothing for a link that stands alone.
    pub(super) fn of(link: &Link) -> Option<Self> {
        let is_kind = |kinds: &[&str]| link.kind.as_deref().is_some_and(|kind| kinds.contains(&kind));
        let (number, is_cable) = (link.link_netnsid, is_kind(&["veth", "netkit"]));
        let has_one = is_cable || is_kind(&STACKED);
        let index = match link.link {
            None if number.is_none() && !is_cable => return None,
            None | Some(0) if !has_one => return None,
            Some(index) if index == link.index && !has_one && !is_kind(&["vxlan"]) => return None,
            // Older kernels leave the index out where it is the link's own.
            found => found.unwrap_or(link.index),
        };
        Some(EndClaim { number, index, is_cable })
    }
}

/// A question to the kernel: which namespace does `asked` know by `number`?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NumberQuestion {
    /// The inode of the namespace that numbers the other.
    pub asked: u64,
    /// The number.
    pub number: i32,
    /// One of the links there, by its index.
    pub far_index: u32,
}

/// Which namespace another one means by a number.
#[derive(Debug, Default)]
pub(super) struct NetnsNumbers {
    /// The kernel's word.
    said: HashMap<(u64, i32), u64>,
    /// What the pairs show that were proven from their other side. Good enough for cables, whose other end has to
    /// agree.
    shown: HashMap<(u64, i32), u64>,
}

impl NetnsNumbers {
    /// The kernel says that the namespace `asked` knows `meant` by `number`.
    pub(super) fn say(&mut self, asked: u64, number: i32, meant: u64) {
        self.said.insert((asked, number), meant);
    }

    fn show(&mut self, asked: u64, number: i32, meant: u64) {
        self.shown.entry((asked, number)).or_insert(meant);
    }

    /// Which namespace that is by the kernel's word.
    pub(super) fn said(&self, asked: u64, number: i32) -> Option<u64> {
        self.said.get(&(asked, number)).copied()
    }

    /// The namespace that a link of `near` claims its end to be in.
    fn meant(&self, near: u64, claim: EndClaim) -> Option<u64> {
        let Some(number) = claim.number else { return Some(near) };
        let shown = || self.shown.get(&(near, number)).copied().filter(|_| claim.is_cable);
        self.said(near, number).or_else(shown)
    }
}

/// Gives each link its end, as far as `numbers` proves it, and learns from each cable how its far side numbers its near
/// one. Our own namespace has to be the first.
pub(super) fn connect(namespaces: &mut [MappedNetns], numbers: &mut NetnsNumbers) {
    let at: HashMap<u64, usize> =
        namespaces.iter().enumerate().map(|(at, netns)| (netns.inode, at)).collect();
    // What the first pass shows of numbers, the second can use.
    for _ in 0..2 {
        for near in 0..namespaces.len() {
            for link in 0..namespaces[near].links.len() {
                connect_one(namespaces, &at, (near, link), numbers);
            }
        }
    }
}

fn connect_one(
    namespaces: &mut [MappedNetns],
    at: &HashMap<u64, usize>,
    (near_at, link_at): (usize, usize),
    numbers: &mut NetnsNumbers,
) {
    let near = &namespaces[near_at];
    let place = LinkPlace { netns: near.inode, index: near.links[link_at].link.index };
    let link = &near.links[link_at];
    let Some(claim) = EndClaim::of(&link.link).filter(|_| !matches!(link.end, Some(LinkEnd::Known(_))))
    else {
        return;
    };
    let far = numbers.meant(near.inode, claim).and_then(|inode| at.get(&inode).copied());
    let far = far.and_then(|far| Some((far, position(&namespaces[far], claim.index)?)));
    let far = far.filter(|far| !claim.is_cable || is_other_end(namespaces, *far, place, numbers));
    let Some((far_at, far_link)) = far else {
        let index = Some(claim.index).filter(|index| *index != 0);
        namespaces[near_at].links[link_at].end = Some(LinkEnd::Unseen { index });
        return;
    };
    let far = LinkPlace { netns: namespaces[far_at].inode, index: claim.index };
    namespaces[near_at].links[link_at].end = Some(LinkEnd::Known(far));
    if claim.is_cable {
        let there = &mut namespaces[far_at].links[far_link];
        there.end = Some(LinkEnd::Known(place));
        if let Some(number) = there.link.link_netnsid {
            numbers.show(far.netns, number, place.netns);
        }
    }
}

/// Whether the link at `far` says of the one at `near` what that says of it.
fn is_other_end(
    namespaces: &[MappedNetns],
    (far_at, far_link): (usize, usize),
    near: LinkPlace,
    numbers: &NetnsNumbers,
) -> bool {
    let far = &namespaces[far_at];
    let Some(claim) = EndClaim::of(&far.links[far_link].link) else { return false };
    let means_another = match claim.number {
        None => far.inode != near.netns,
        Some(number) if number < 0 => true,
        Some(number) => {
            far.inode == near.netns
                || numbers.said(far.inode, number).is_some_and(|meant| meant != near.netns)
        }
    };
    claim.is_cable && claim.index == near.index && !means_another
}

fn position(netns: &MappedNetns, index: u32) -> Option<usize> {
    netns.links.binary_search_by_key(&index, |link| link.link.index).ok()
}

/// What the kernel has to be asked so that more ends are known: one question for each number of a namespace that nothing
/// tells yet.
pub(super) fn questions(namespaces: &[MappedNetns], numbers: &NetnsNumbers) -> Vec<NumberQuestion> {
    let mut questions = Vec::new();
    for netns in namespaces {
        for link in &netns.links {
            let Some(LinkEnd::Unseen { index: Some(far_index) }) = link.end else { continue };
            let Some(number) = link.link.link_netnsid.filter(|number| *number >= 0) else { continue };
            if numbers.said(netns.inode, number).is_none() {
                questions.push(NumberQuestion { asked: netns.inode, number, far_index });
            }
        }
    }
    questions.sort_unstable();
    questions.dedup_by_key(|question| (question.asked, question.number));
    questions
}

#[cfg(test)]
mod tests {
    use super::super::MappedLink;
    use super::super::matching::tests::veth;
    use super::*;

    const HOST: u64 = 100;
    const WEB: u64 = 101;
    const DB: u64 = 102;

    fn netns(inode: u64, links: impl IntoIterator<Item = Link>) -> MappedNetns {
        let mapped = |link| MappedLink { link, addresses: vec![], end: None, programs: vec![] };
        MappedNetns { inode, links: links.into_iter().map(mapped).collect(), ..MappedNetns::default() }
    }

    fn link(kind: &str, index: u32, below: Option<u32>, number: Option<i32>) -> Link {
        Link { kind: Some(kind.to_owned()), ..veth(index, below, number) }
    }

    fn known(netns: u64, index: u32) -> Option<LinkEnd> {
        Some(LinkEnd::Known(LinkPlace { netns, index }))
    }

    fn unseen(index: u32) -> Option<LinkEnd> {
        Some(LinkEnd::Unseen { index: Some(index) })
    }

    fn said(numbers: &[(u64, i32, u64)]) -> NetnsNumbers {
        let mut all = NetnsNumbers::default();
        numbers.iter().for_each(|(asked, number, meant)| all.say(*asked, *number, *meant));
        all
    }

    fn ends(namespaces: &mut [MappedNetns], numbers: &mut NetnsNumbers) -> Vec<Vec<Option<LinkEnd>>> {
        connect(namespaces, numbers);
        namespaces.iter().map(|netns| netns.links.iter().map(|link| link.end).collect()).collect()
    }

    #[test]
    fn the_hosts_numbers_alone_tell_both_ends_of_its_cables() {
        // Each container has the same index and the same number for the host, as Docker's have.
        let mut map = [
            netns(HOST, [veth(7, Some(2), Some(0)), veth(8, Some(2), Some(1))]),
            netns(WEB, [veth(2, Some(7), Some(0))]),
            netns(DB, [veth(2, Some(8), Some(0))]),
        ];
        let mut numbers = said(&[(HOST, 0, WEB), (HOST, 1, DB)]);
        let expected = [vec![known(WEB, 2), known(DB, 2)], vec![known(HOST, 7)], vec![known(HOST, 8)]];
        assert_eq!(ends(&mut map, &mut numbers), expected);
        assert_eq!(questions(&map, &numbers), []);
    }

    #[test]
    fn an_index_that_is_left_out_for_it_is_the_links_own_is_no_riddle() {
        let mut map =
            [netns(HOST, [veth(77, None, Some(0))]), netns(WEB, []), netns(DB, [veth(77, None, Some(4))])];
        let mut numbers = said(&[(HOST, 0, DB)]);
        assert_eq!(ends(&mut map, &mut numbers), [vec![known(DB, 77)], vec![], vec![known(HOST, 77)]]);
    }

    #[test]
    fn equal_indices_are_no_proof() {
        // Two containers on one cable, a third with the same indices, and nobody knows the numbers yet.
        let mut map = [
            netns(HOST, [veth(2, Some(2), Some(9))]),
            netns(WEB, [veth(2, Some(2), Some(0))]),
            netns(DB, [veth(2, Some(2), Some(0))]),
        ];
        let mut numbers = NetnsNumbers::default();
        assert_eq!(ends(&mut map, &mut numbers), [[unseen(2)], [unseen(2)], [unseen(2)]]);
        let asked: Vec<_> = questions(&map, &numbers).iter().map(|one| (one.asked, one.number)).collect();
        assert_eq!(asked, [(HOST, 9), (WEB, 0), (DB, 0)]);
        numbers.say(WEB, 0, DB);
        assert_eq!(ends(&mut map, &mut numbers), [[unseen(2)], [known(DB, 2)], [known(WEB, 2)]]);
    }

    #[test]
    fn what_does_not_name_us_is_not_our_other_end() {
        let cases = [
            // It was replaced between two dumps: another veth, another kind, a cable inside its own namespace.
            veth(2, Some(8), Some(0)),
            link("macvlan", 2, Some(7), Some(0)),
            veth(2, Some(7), None),
            veth(2, Some(7), Some(-1)),
            // The kernel has said that its number means another namespace.
            veth(2, Some(7), Some(5)),
        ];
        for there in cases {
            let mut map = [netns(HOST, [veth(7, Some(2), Some(0))]), netns(WEB, [there.clone()])];
            let mut numbers = said(&[(HOST, 0, WEB), (WEB, 5, DB)]);
            assert_eq!(ends(&mut map, &mut numbers)[0], [unseen(2)], "{there:?}");
        }
    }

    #[test]
    fn both_ends_in_one_namespace_need_no_number() {
        let mut map = [netns(HOST, [veth(3, Some(4), None), veth(4, Some(3), None), veth(5, Some(9), None)])];
        let expected = [[known(HOST, 4), known(HOST, 3), unseen(9)]];
        assert_eq!(ends(&mut map, &mut NetnsNumbers::default()), expected);
    }

    #[test]
    fn a_link_below_in_another_namespace_takes_the_kernels_own_word() {
        let mut map = [
            netns(HOST, [link("bridge", 2, None, None), veth(7, Some(3), Some(0))]),
            netns(WEB, [veth(3, Some(7), Some(1)), link("macvlan", 4, Some(2), Some(1))]),
        ];
        let mut numbers = said(&[(HOST, 0, WEB)]);
        let found = ends(&mut map, &mut numbers);
        assert_eq!(found, [vec![None, known(WEB, 3)], vec![known(HOST, 7), unseen(2)]]);
        assert_eq!(questions(&map, &numbers), [NumberQuestion { asked: WEB, number: 1, far_index: 2 }]);
        numbers.say(WEB, 1, HOST);
        assert_eq!(ends(&mut map, &mut numbers)[1][1], known(HOST, 2));
        assert_eq!(questions(&map, &numbers), []);
    }

    #[test]
    fn links_that_stand_on_nothing_have_no_end() {
        let alone = [
            link("bridge", 2, None, None),
            // Moved to another namespace: the kernel gives the link's own index then.
            link("wireguard", 5, Some(5), Some(0)),
            link("gre", 6, Some(0), Some(0)),
            link("vxlan", 7, None, Some(0)),
        ];
        let mut map = [netns(HOST, alone), netns(WEB, [])];
        let mut numbers = said(&[(HOST, 0, WEB)]);
        assert_eq!(ends(&mut map, &mut numbers)[0], [None; 4]);
        let vlan = EndClaim::of(&link("vlan", 9, None, Some(3)));
        assert_eq!(vlan, Some(EndClaim { number: Some(3), index: 9, is_cable: false }));
    }

    #[test]
    fn an_end_whose_namespace_is_being_torn_down_is_unseen_and_nobody_is_asked() {
        let mut map = [netns(HOST, [veth(7, Some(2), Some(-1)), veth(8, Some(0), None)])];
        let mut numbers = NetnsNumbers::default();
        assert_eq!(ends(&mut map, &mut numbers), [[unseen(2), Some(LinkEnd::Unseen { index: None })]]);
        assert_eq!(questions(&map, &numbers), []);
    }
}
