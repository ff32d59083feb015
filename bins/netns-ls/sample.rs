//! A map made by hand, for unit tests: a host with a bridge, containers at it, a macvlan, and ends that nobody saw.

use std::collections::HashMap;
use std::path::PathBuf;

use common::engine::Container;
use common::map::{HostMap, LinkEnd, LinkPlace, MappedLink, MappedNetns, NetnsHolder, NetnsNames};
use common::netlink::{Address, Link, OperState};
use common::target::{EngineName, Mac};
use nix::unistd::{Pid, Uid};

use crate::named_map::NamedMap;

/// A link that is up, of this kind; loopback for `loopback`, hardware for nothing.
pub fn link(index: u32, name: &str, kind: &str) -> MappedLink {
    let is_loopback = kind == "loopback";
    let flags = libc::IFF_UP | libc::IFF_LOWER_UP | if is_loopback { libc::IFF_LOOPBACK } else { 0 };
    let link = Link {
        name: name.into(),
        mac: Some(if is_loopback { Mac([0; 6]) } else { Mac([2, 0, 0, 0, 0, index as u8]) }),
        kind: Some(kind.to_owned()).filter(|kind| !is_loopback && !kind.is_empty()),
        mtu_bytes: 1500,
        flags: flags.cast_unsigned(),
        operstate: if is_loopback { OperState::Unknown } else { OperState::Up },
        ..Link::plain(index)
    };
    MappedLink { link, addresses: Vec::new(), end: None, programs: Vec::new() }
}

/// The same with this address, `172.17.0.1/16`.
pub fn with_address(mut mapped: MappedLink, cidr: &str) -> MappedLink {
    let (address, prefix_len) = cidr.split_once('/').unwrap();
    let index = mapped.link.index;
    mapped.addresses.push(Address::plain(index, address.parse().unwrap(), prefix_len.parse().unwrap()));
    mapped
}

/// The same with this end.
pub fn with_end(mapped: MappedLink, netns: u64, index: u32) -> MappedLink {
    MappedLink { end: Some(LinkEnd::Known(LinkPlace { netns, index })), ..mapped }
}

/// The same as a port of the bridge with that index.
pub fn with_master(mut mapped: MappedLink, master: u32) -> MappedLink {
    mapped.link.master = Some(master);
    mapped
}

/// A container of Docker.
pub fn container(name: &str) -> Container {
    let pid = Some(Pid::from_raw(40));
    Container {
        name: name.to_owned(),
        pid,
        ..Container::unknown(EngineName::Docker, &format!("{name}id"), Uid::from_raw(0))
    }
}

/// A namespace with these links.
pub fn netns(inode: u64, links: Vec<MappedLink>) -> MappedNetns {
    MappedNetns {
        inode,
        links,
        held_by: vec![NetnsHolder::Processes],
        processes: vec![Pid::from_raw(40)],
        ..MappedNetns::default()
    }
}

/// The host: `eth0`, `docker0` with `veth1` (web) and `veth2` (something that was not seen); `vlan`, a macvlan on `eth0` in `lan`;
/// `blue`, which has only loopback.
pub fn host() -> HostMap {
    let lo = || with_address(link(1, "lo", "loopback"), "127.0.0.1/8");
    let unseen = MappedLink {
        end: Some(LinkEnd::Unseen { index: Some(9) }),
        ..with_master(link(5, "veth2", "veth"), 3)
    };
    let own = vec![
        lo(),
        with_address(link(2, "eth0", ""), "192.168.7.5/24"),
        with_address(link(3, "docker0", "bridge"), "172.17.0.1/16"),
        with_end(with_master(link(4, "veth1", "veth"), 3), 20, 2),
        unseen,
    ];
    let web = vec![lo(), with_end(with_address(link(2, "eth0", "veth"), "172.17.0.2/16"), 10, 4)];
    let lan = vec![lo(), with_end(with_address(link(2, "mac0", "macvlan"), "192.168.7.50/24"), 10, 2)];
    HostMap {
        namespaces: vec![
            MappedNetns { is_own: true, ..netns(10, own) },
            MappedNetns { containers: vec![container("web")], ..netns(20, web) },
            MappedNetns { containers: vec![container("lan")], ..netns(30, lan) },
            MappedNetns { names: vec![PathBuf::from("/run/netns/blue")], ..netns(40, vec![lo()]) },
        ],
        ..HostMap::default()
    }
}

/// The same with names.
pub fn named(map: HostMap) -> NamedMap {
    let names = NetnsNames::of(&map, &HashMap::new());
    NamedMap::new(map, names)
}
