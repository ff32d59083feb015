//! A link in words: its state, its addresses, what it is plugged into; all of them safe to show.

use std::net::IpAddr;

use common::map::{LinkEnd, MappedLink};
use common::netlink::{Address, Link, OperState, PortState};
use common::output::one_line;
use common::sign::ARROW;

use crate::named_map::{LinkAt, NamedMap};

/// What a table has where there is nothing.
pub const NOTHING: &str = "-";

/// What it has where nobody could look.
pub const UNSEEN: &str = "?";

/// Its name.
pub fn ifname(link: LinkAt<'_>) -> String {
    one_line(&link.name()).into_owned()
}

/// What its namespace is called.
pub fn who(map: &NamedMap, link: LinkAt<'_>) -> String {
    one_line(&map.who(link.netns)).into_owned()
}

/// Whether it carries packets, in a word: `up`, `down` (nobody set it up), `no-carrier`, `dormant`, `testing`.
pub fn state(link: &Link) -> &'static str {
    match link.operstate {
        _ if !link.is_set_up() => "down",
        OperState::Up => "up",
        // Loopback and tunnels do not say more than that.
        OperState::Unknown if link.has_carrier() => "up",
        OperState::Dormant => "dormant",
        OperState::Testing => "testing",
        OperState::Unknown | OperState::NotPresent | OperState::Down | OperState::LowerLayerDown => {
            "no-carrier"
        }
    }
}

/// An address with its prefix length, and where it has one the peer's.
pub fn address(address: &Address) -> String {
    match address.peer {
        Some(peer) => format!("{} peer {peer}/{}", address.address, address.prefix_len),
        None => format!("{}/{}", address.address, address.prefix_len),
    }
}

/// Whether others can reach it by this address: neither loopback nor link-local of IPv6, which every link has.
pub fn is_global(address: &Address) -> bool {
    match address.address {
        IpAddr::V4(address) => !address.is_loopback(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

/// Its addresses without those that every link has; of a loopback interface all.
pub fn addresses(mapped: &MappedLink) -> String {
    let is_shown = |address: &&Address| mapped.link.is_loopback() || is_global(address);
    let shown: Vec<String> = mapped.addresses.iter().filter(is_shown).map(address).collect();
    if shown.is_empty() { NOTHING.to_owned() } else { shown.join(",") }
}

/// What it is plugged into: `→ veth077b91e` for an interface of the host, `→ web eth0` for one of another namespace, `on eth0`
/// for the one below a macvlan or a VLAN.
pub fn plugged_into(map: &NamedMap, link: LinkAt<'_>) -> String {
    plugged_by(map, link, ARROW.text())
}

/// The same with `arrow` for the arrow.
pub fn plugged_by(map: &NamedMap, link: LinkAt<'_>, arrow: &str) -> String {
    let sign = if link.mapped.link.is_veth() { arrow } else { "on" };
    match link.mapped.end {
        None => NOTHING.to_owned(),
        Some(LinkEnd::Unseen { index: Some(index) }) => format!("{sign} ? (index {index})"),
        Some(LinkEnd::Unseen { index: None }) => format!("{sign} ?"),
        Some(LinkEnd::Known(place)) => match map.at(place) {
            Some(end) => format!("{sign} {}", seen_from(map, end, link)),
            None => format!("{sign} ? (index {})", place.index),
        },
    }
}

/// An interface as its name, and before that its namespace, unless that is the host's or where we look from.
pub fn seen_from(map: &NamedMap, link: LinkAt<'_>, from: LinkAt<'_>) -> String {
    let is_plain = link.netns.is_own || (link.netns.inode == from.netns.inode && !link.mapped.link.is_veth());
    match is_plain {
        true => ifname(link),
        false => format!("{} {}", who(map, link), ifname(link)),
    }
}

/// The name of the bridge that it, or the other end of its veth pair, is a port of.
pub fn bridge(map: &NamedMap, link: LinkAt<'_>) -> String {
    map.bridge_of(link).map_or_else(|| NOTHING.to_owned(), ifname)
}

/// What made it: `veth`, `bridge`; nothing for hardware and loopback.
pub fn kind(link: &Link) -> String {
    let vlan = link.vlan.map(|vlan| format!(" {vlan}")).unwrap_or_default();
    match &link.kind {
        Some(kind) => one_line(kind).into_owned() + &vlan,
        None if link.is_loopback() => "loopback".to_owned(),
        None => NOTHING.to_owned(),
    }
}

/// Its MAC, where it has one.
pub fn mac(link: &Link) -> String {
    match link.mac {
        Some(mac) if mac.0 != [0; 6] => mac.to_string(),
        _ => NOTHING.to_owned(),
    }
}

/// Whether the bridge forwards through the port, in a word.
pub fn port_state(state: PortState) -> &'static str {
    match state {
        PortState::Forwarding => "forwarding",
        PortState::Blocking => "blocking",
        PortState::Waiting => "waiting",
        PortState::Disabled => "disabled",
    }
}
