//! Settings below `/proc/sys/net` of the namespace that this thread is in, and how full its tables are:
//! Documentation/networking/ip-sysctl.rst, nf_conntrack-sysctl.rst.

use std::fs;
use std::path::{Path, PathBuf};

use common::diagnose::host::{LinkSettings, NetnsFacts, PortUse, TableUse};
use common::map::{MappedLink, MappedNetns};
use common::netlink::busiest_destination;

/// Where the kernel has them: for each thread those of its own namespace.
const NET: &str = "/proc/sys/net";

/// Reads them into `facts`. What the kernel does not have stays unknown.
pub fn read(facts: &mut NetnsFacts, netns: &MappedNetns) {
    let of_links = netns.links.iter().filter(|link| !link.link.is_loopback());
    facts.links = of_links.map(|link| (link.link.index, of_link(link))).collect();
    facts.bridge_calls =
        ["iptables", "ip6tables"].map(|program| flag(&format!("bridge/bridge-nf-call-{program}")));
    facts.ipv6_disabled = flag("ipv6/conf/all/disable_ipv6");
    facts.conntrack = conntrack();
    facts.local_ports = local_ports();
}

fn of_link(link: &MappedLink) -> LinkSettings {
    let of = |family: &str, key: &str| {
        flag_of(&Path::new(NET).join(family).join("conf").join(&link.link.name).join(key))
    };
    LinkSettings {
        forwards: [of("ipv4", "forwarding"), of("ipv6", "forwarding")],
        ipv6_disabled: of("ipv6", "disable_ipv6"),
        proxy_arp: of("ipv4", "proxy_arp"),
    }
}

fn flag(key: &str) -> Option<bool> {
    flag_of(&Path::new(NET).join(key))
}

fn flag_of(file: &PathBuf) -> Option<bool> {
    Some(fs::read_to_string(file).ok()?.trim() != "0")
}

fn number(key: &str) -> Option<u64> {
    fs::read_to_string(Path::new(NET).join(key)).ok()?.trim().parse().ok()
}

fn conntrack() -> Option<TableUse> {
    let (used, most) = (number("netfilter/nf_conntrack_count")?, number("netfilter/nf_conntrack_max")?);
    Some(TableUse { used, most })
}

/// The destination to which most local ports are in use. Where there are fewer connections in all than would be too many to
/// one, nobody is asked.
fn local_ports() -> Option<PortUse> {
    let range = fs::read_to_string(Path::new(NET).join("ipv4/ip_local_port_range")).ok()?;
    let mut ends = range.split_whitespace().map(str::parse::<u16>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    let most = u64::from(last.checked_sub(first)?) + 1;
    if connections()? * 10 < most * 9 {
        return None;
    }
    let (to, used) = busiest_destination(first..=last).ok()??;
    Some(PortUse { to, range: (first, last), ports: TableUse { used, most } })
}

/// TCP connections of the namespace, those that wait for their end included: `TCP: inuse 5 orphan 0 tw 2 …`.
fn connections() -> Option<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/sockstat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP: "))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    Some(value("inuse")? + value("tw").unwrap_or(0))
}
