//! One network namespace in full: whose it is, what holds it, and everything that is in it.

use common::map::{MappedNetns, NetnsHolder};
use common::netlink::Address;
use common::output::{self, one_line};

use super::interfaces::shown;
use super::link_words::{NOTHING, address, bridge, ifname, kind, mac, plugged_into, state};
use crate::named_map::{LinkAt, NamedMap, links_of};

const HEADER: [&str; 8] = ["INTERFACE", "ADDRESS", "PLUGGED-INTO", "BRIDGE", "STATE", "MTU", "MAC", "KIND"];

/// The columns that a narrow terminal omits, in this order: KIND, MTU, MAC, STATE, BRIDGE, PLUGGED-INTO.
const SPARED: [usize; 6] = [7, 5, 6, 4, 3, 2];

/// No more names of holders than these.
const MOST_HOLDERS: usize = 4;

/// The lines before the tables: what it is called, its containers, what holds it.
pub fn head(map: &NamedMap, netns: &MappedNetns) -> String {
    let mut lines = vec![format!("{}: network namespace {}", one_line(&map.who(netns)), netns.inode)];
    for container in &netns.containers {
        let pid = container.pid.map(|pid| format!(", PID {pid}")).unwrap_or_default();
        lines.push(format!("  {container}, {}{pid}", container.state));
    }
    let owner = netns.owner.filter(|owner| !owner.is_root());
    lines.extend(owner.map(|owner| format!("  belongs to user {owner}")));
    lines.push(format!("  held by {}", held_by(netns)));
    lines.join("\n")
}

/// What keeps it alive: `3 processes, /run/netns/blue`.
pub fn held_by(netns: &MappedNetns) -> String {
    let mut words: Vec<String> = netns.held_by.iter().map(|holder| holder_words(holder, netns)).collect();
    let more = words.len().saturating_sub(MOST_HOLDERS);
    words.truncate(MOST_HOLDERS);
    match (words.is_empty(), more) {
        (true, _) => "nothing that was seen".to_owned(),
        (false, 0) => words.join(", "),
        (false, more) => format!("{} and {more} more", words.join(", ")),
    }
}

fn holder_words(holder: &NetnsHolder, netns: &MappedNetns) -> String {
    match holder {
        NetnsHolder::Processes => match netns.processes.as_slice() {
            [only] => format!("PID {only}"),
            all => format!("{} processes", all.len()),
        },
        NetnsHolder::Thread { pid, tid } => format!("thread {tid} of PID {pid}"),
        NetnsHolder::Mount(path) => one_line(&path.to_string_lossy()).into_owned(),
        NetnsHolder::ForeignMount { pid, path } => {
            format!("{}, mounted where PID {pid} is", one_line(&path.to_string_lossy()))
        }
        NetnsHolder::Descriptor { pid, fd } => format!("descriptor {fd} of PID {pid}"),
        NetnsHolder::Socket { pid, fd } => format!("socket {fd} of PID {pid}"),
        NetnsHolder::Unknown => "something that cannot be seen".to_owned(),
    }
}

/// Its interfaces, all of them, a line for each address.
pub fn interfaces(map: &NamedMap, netns: &MappedNetns, quiet: bool) -> String {
    let mut table = output::table(HEADER, &[5]);
    for link in links_of(netns) {
        let mut addresses = link.mapped.addresses.iter();
        table.add_row(first_row(map, link, addresses.next()));
        for more in addresses {
            let mut row = [(); HEADER.len()].map(|()| String::new());
            row[1] = address(more);
            table.add_row(row);
        }
    }
    shown(table, &SPARED, quiet)
}

fn first_row(map: &NamedMap, link: LinkAt<'_>, first: Option<&Address>) -> [String; HEADER.len()] {
    let own = &link.mapped.link;
    [
        ifname(link),
        first.map_or_else(|| NOTHING.to_owned(), address),
        plugged_into(map, link),
        bridge(map, link),
        state(own).to_owned(),
        own.mtu_bytes.to_string(),
        mac(own),
        kind(own),
    ]
}
