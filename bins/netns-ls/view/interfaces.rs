//! A line for each interface: which container, its addresses, what it is plugged into on the host, and the bridge there.

use comfy_table::Table;
use common::map::{LinkEnd, MappedNetns};
use common::output;

use super::link_words::{UNSEEN, addresses, bridge, ifname, is_global, kind, mac, plugged_into, state, who};
use crate::named_map::{LinkAt, NamedMap, links_of};

const HEADER: [&str; 9] =
    ["WHO", "INTERFACE", "ADDRESS", "PLUGGED-INTO", "BRIDGE", "STATE", "MTU", "MAC", "KIND"];

/// The columns that a narrow terminal omits, in this order: KIND, MAC, MTU, STATE, BRIDGE, PLUGGED-INTO. Whose address it is
/// is what people came for; `--json` has all.
const SPARED: [usize; 6] = [8, 7, 6, 5, 4, 3];

/// The interfaces that the list has: `all` of them, or those that somebody would look for.
pub fn listed(map: &NamedMap, all: bool) -> Vec<LinkAt<'_>> {
    let namespaces = map.map.namespaces.iter();
    let of = |netns| {
        let shown: Vec<LinkAt<'_>> = links_of(netns).filter(|link| all || is_of_interest(*link)).collect();
        // No namespace is left out.
        if shown.is_empty() { links_of(netns).take(1).collect() } else { shown }
    };
    namespaces.flat_map(of).collect()
}

/// Neither a loopback interface as every namespace has it, nor the host's end of a veth pair, which the line of the other end
/// names.
fn is_of_interest(link: LinkAt<'_>) -> bool {
    let has_address = link.mapped.addresses.iter().any(is_global);
    let leads_away =
        matches!(link.mapped.end, Some(LinkEnd::Known(place)) if place.netns != link.netns.inode);
    let is_near_end = link.netns.is_own && link.mapped.link.is_veth() && leads_away;
    has_address || !(link.mapped.link.is_loopback() || is_near_end)
}

/// A table of these interfaces, and of the `empty` namespaces, whose interfaces could not be looked at.
pub fn table(map: &NamedMap, links: &[LinkAt<'_>], empty: &[&MappedNetns], quiet: bool) -> String {
    let mut table = output::table(HEADER, &[6]);
    for link in links {
        table.add_row(row(map, *link));
    }
    for netns in empty {
        // Each has loopback at least: this one was not looked at.
        let mut row = [UNSEEN; HEADER.len()].map(str::to_owned);
        row[0] = output::one_line(&map.who(netns)).into_owned();
        table.add_row(row);
    }
    shown(table, &SPARED, quiet)
}

/// The table as text: without its header if it is to be `quiet`.
pub fn shown(mut table: Table, spared: &[usize], quiet: bool) -> String {
    if quiet {
        // Its words take no room either.
        let columns = table.column_count();
        table.set_header(vec![""; columns]);
    }
    output::leave_out(&mut table, spared);
    let text = table.trim_fmt();
    match quiet {
        true => text.split_once('\n').map_or_else(String::new, |(_, rows)| rows.to_owned()),
        false => text,
    }
}

fn row(map: &NamedMap, link: LinkAt<'_>) -> [String; HEADER.len()] {
    let own = &link.mapped.link;
    [
        who(map, link),
        ifname(link),
        addresses(link.mapped),
        plugged_into(map, link),
        bridge(map, link),
        state(own).to_owned(),
        own.mtu_bytes.to_string(),
        mac(own),
        kind(own),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{host, link, named, netns, with_address, with_end};

    fn shown(map: &NamedMap, all: bool) -> Vec<String> {
        let text = table(map, &listed(map, all), &[], true);
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn each_line_says_whose_interface_it_is_and_what_it_is_plugged_into() {
        assert_eq!(
            shown(&named(host()), false),
            [
                "host eth0 192.168.7.5/24 - - up 1500 02:00:00:00:00:02 -",
                "host docker0 172.17.0.1/16 - - up 1500 02:00:00:00:00:03 bridge",
                "host veth2 - → ? (index 9) docker0 up 1500 02:00:00:00:00:05 veth",
                "web eth0 172.17.0.2/16 → veth1 docker0 up 1500 02:00:00:00:00:02 veth",
                "lan mac0 192.168.7.50/24 on eth0 - up 1500 02:00:00:00:00:02 macvlan",
                "netns:blue lo 127.0.0.1/8 - - up 1500 - loopback",
            ]
        );
    }

    #[test]
    fn all_has_loopback_and_both_ends() {
        let map = named(host());
        assert_eq!(shown(&map, true).len(), map.links().count());
        assert!(
            shown(&map, true)
                .contains(&"host veth1 - → web eth0 docker0 up 1500 02:00:00:00:00:04 veth".to_owned())
        );
    }

    #[test]
    fn a_near_end_with_an_address_of_its_own_is_listed() {
        let mut map = host();
        map.namespaces[0].links[3] = with_address(map.namespaces[0].links[3].clone(), "10.1.0.1/24");
        assert!(
            shown(&named(map), false)
                .iter()
                .any(|line| line.starts_with("host veth1 10.1.0.1/24 → web eth0"))
        );
    }

    #[test]
    fn two_ends_outside_the_host_name_each_other_with_their_namespaces() {
        let mut map = host();
        map.namespaces[1].links.push(with_end(link(7, "x1", "veth"), 40, 7));
        map.namespaces[3].links.push(with_end(link(7, "x2", "veth"), 20, 7));
        // Both ends in one.
        map.namespaces[2].links.push(with_end(link(8, "y1", "veth"), 30, 9));
        map.namespaces[2].links.push(with_end(link(9, "y2", "veth"), 30, 8));
        let lines = shown(&named(map), false);
        for start in
            ["web x1 - → netns:blue x2", "netns:blue x2 - → web x1", "lan y1 - → lan y2", "lan y2 - → lan y1"]
        {
            assert!(lines.iter().any(|line| line.starts_with(start)), "{start}: {lines:#?}");
        }
    }

    #[test]
    fn a_namespace_that_could_not_be_looked_at_has_a_line() {
        let empty = netns(50, vec![]);
        let map = named(host());
        assert_eq!(
            table(&map, &[], &[&empty], true).split_whitespace().take(2).collect::<Vec<_>>(),
            ["net:[50]", "?"]
        );
        assert_eq!(table(&map, &[], &[], true), "");
    }
}
