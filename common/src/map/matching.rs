//! What fits what was asked for: pure, without looking anywhere.

use std::ffi::OsStr;
use std::net::IpAddr;

use crate::netlink::{Address, Link};
use crate::target::Mac;

/// Why no namespace, or every namespace, owns an address.
pub(super) fn nobodys_ip(address: IpAddr) -> Option<&'static str> {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_loopback() {
        Some("is a loopback address, which every network namespace has")
    } else if address.is_unspecified() {
        Some("is the unspecified address, which no host has")
    } else if address.is_multicast() || is_broadcast {
        Some("is a multicast or broadcast address, which no single host has")
    } else {
        None
    }
}

/// The same of a MAC.
pub(super) fn nobodys_mac(mac: Mac) -> Option<&'static str> {
    let group = 1; // IEEE 802: the lowest bit of the first byte
    if mac.0 == [0; 6] {
        Some("is the address of loopback in every network namespace")
    } else if mac.0[0] & group != 0 {
        Some("is a multicast or broadcast address, which no single host has")
    } else {
        None
    }
}

/// The address as the kernel keeps it: one of IPv4, written in IPv6's way, is one of IPv4.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The indices of the links that have `address` as their own: one of a link-local one can be several.
pub(super) fn links_with_ip(addresses: &[Address], address: IpAddr) -> impl Iterator<Item = u32> {
    addresses.iter().filter(move |own| own.address == address).map(|own| own.index)
}

/// The link that has `mac`.
pub(super) fn link_with_mac(links: &[Link], mac: Mac) -> Option<&Link> {
    links.iter().find(|link| link.mac == Some(mac))
}

/// Where the other end of a veth is, as far as its own namespace knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerNetns {
    /// In the same namespace.
    Here,
    /// In the namespace with this number, as the veth's own namespace numbers it.
    Numbered(i32),
    /// In a namespace that has no number: one that is being torn down, or a kernel older than 4.0.
    Somewhere,
}

/// Where the other end of the veth `near` is, `links` being those of its namespace. `None` if it is no veth.
pub(super) fn peer_netns(links: &[Link], near: &Link) -> Option<PeerNetns> {
    near.other_end()?;
    let is_here = || links.iter().any(|link| link.index != near.index && are_a_pair(near, link));
    Some(match near.link_netnsid {
        Some(nsid) if nsid >= 0 => PeerNetns::Numbered(nsid),
        None if is_here() => PeerNetns::Here,
        _ => PeerNetns::Somewhere,
    })
}

/// Whether two veths name each other. Of two links of one namespace it is proof. Of two namespaces it is not:
/// other pairs can have the same two indices.
pub(super) fn are_a_pair(near: &Link, far: &Link) -> bool {
    near.other_end() == Some(far.index) && far.other_end() == Some(near.index)
}

/// The link of that name.
pub(super) fn link_named<'a>(links: &'a [Link], name: &str) -> Option<&'a Link> {
    links.iter().find(|link| link.name.as_os_str() == OsStr::new(name))
}

/// The link with that name, or else with that index.
pub(super) fn link_called<'a>(links: &'a [Link], word: &str) -> Option<&'a Link> {
    let with_index = || index(word).and_then(|index| links.iter().find(|link| link.index == index));
    link_named(links, word).or_else(with_index)
}

/// The index that these digits are, as the kernel writes it.
pub(super) fn index(digits: &str) -> Option<u32> {
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::netlink::OperState;

    pub fn veth(index: u32, link: Option<u32>, link_netnsid: Option<i32>) -> Link {
        Link {
            name: format!("veth{index}").into(),
            mac: Some(Mac([2, 0, 0, 0, 0, index as u8])),
            kind: Some("veth".to_owned()),
            mtu_bytes: 1500,
            operstate: OperState::Up,
            link,
            link_netnsid,
            ..Link::plain(index)
        }
    }

    #[test]
    fn another_netns_has_its_number() {
        let near = veth(7, None, Some(3));
        assert_eq!(peer_netns(&[], &near), Some(PeerNetns::Numbered(3)));
        assert_eq!(peer_netns(&[], &veth(7, Some(2), Some(0))), Some(PeerNetns::Numbered(0)));
    }

    #[test]
    fn the_same_netns_needs_no_number() {
        let pair = [veth(3, Some(4), None), veth(4, Some(3), None)];
        assert_eq!(peer_netns(&pair, &pair[0]), Some(PeerNetns::Here));
    }

    #[test]
    fn two_ends_with_the_same_index_are_a_pair_although_the_kernel_leaves_the_index_out() {
        let (near, far) = (veth(7, None, Some(0)), veth(7, None, Some(1)));
        assert!(are_a_pair(&near, &far) && are_a_pair(&far, &near));
        assert!(!are_a_pair(&near, &veth(8, None, Some(1))));
    }

    #[test]
    fn a_netns_without_a_number_is_somewhere() {
        let stranger = veth(4, Some(9), None);
        assert_eq!(peer_netns(&[stranger], &veth(3, Some(4), None)), Some(PeerNetns::Somewhere));
        assert_eq!(peer_netns(&[], &veth(3, Some(4), Some(-1))), Some(PeerNetns::Somewhere));
        let alone = veth(3, None, None);
        assert_eq!(peer_netns(std::slice::from_ref(&alone), &alone), Some(PeerNetns::Somewhere));
    }

    #[test]
    fn what_is_no_veth_has_no_peer() {
        let vlan = Link { kind: Some("vlan".to_owned()), ..veth(3, Some(2), None) };
        assert_eq!(peer_netns(&[], &vlan), None);
    }

    #[test]
    fn the_own_address_of_a_point_to_point_link_counts_and_not_the_peers() {
        let [own, peer] = ["198.18.0.1", "198.18.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
        let addresses = [Address { peer: Some(peer), ..Address::plain(5, own, 32) }];
        assert_eq!(links_with_ip(&addresses, own).collect::<Vec<_>>(), [5]);
        assert_eq!(links_with_ip(&addresses, peer).count(), 0);
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() {
        assert_eq!(canonical("::ffff:172.17.0.5".parse().unwrap()), "172.17.0.5".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn addresses_that_everybody_or_nobody_has_are_refused() {
        let why = |text: &str| nobodys_ip(text.parse().unwrap());
        for nobodys in
            ["127.0.0.1", "127.0.0.11", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"]
        {
            assert!(why(nobodys).is_some(), "{nobodys}");
        }
        for somebodys in ["172.17.0.5", "169.254.1.1", "fe80::42:acff:fe11:2", "2001:db8::1"] {
            assert_eq!(why(somebodys), None, "{somebodys}");
        }
        assert!(nobodys_mac(Mac([0; 6])).is_some());
        assert!(nobodys_mac(Mac([0xff; 6])).is_some());
        assert_eq!(nobodys_mac(Mac([2, 0x42, 0xac, 0x11, 0, 2])), None);
    }
}
