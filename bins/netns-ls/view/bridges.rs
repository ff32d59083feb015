//! Bridges, as `brctl show` showed them: a line for each port, and what is at the other end of it.

use common::output;

use super::interfaces::shown;
use super::link_words::{NOTHING, addresses, ifname, plugged_into, port_state, who};
use crate::named_map::{LinkAt, NamedMap};

const HEADER: [&str; 8] = ["BRIDGE", "PORT", "STATE", "WHO", "INTERFACE", "ADDRESS", "STP", "IN"];

/// The columns that a narrow terminal omits, in this order: STP, IN, STATE, ADDRESS, INTERFACE.
const SPARED: [usize; 5] = [6, 7, 2, 5, 4];

/// All bridges of all namespaces, each with its ports; one without ports has one line.
pub fn table(map: &NamedMap, quiet: bool) -> String {
    let mut table = output::table(HEADER, &[]);
    for bridge in map.links().filter(|link| link.mapped.link.is_bridge()) {
        let mut ports = bridge.netns.ports_of(bridge.mapped.link.index).peekable();
        if ports.peek().is_none() {
            table.add_row(row(map, bridge, None));
        }
        for mapped in ports {
            table.add_row(row(map, bridge, Some(LinkAt { netns: bridge.netns, mapped })));
        }
    }
    match table.row_count() {
        0 => String::new(),
        _ => shown(table, &SPARED, quiet),
    }
}

fn row(map: &NamedMap, bridge: LinkAt<'_>, port: Option<LinkAt<'_>>) -> [String; HEADER.len()] {
    let or_dash = |words: Option<String>| words.unwrap_or_else(|| NOTHING.to_owned());
    let end = port.and_then(|port| map.end(port));
    // Of an end that was not seen, what is known of it.
    let unseen =
        port.filter(|port| end.is_none() && port.mapped.end.is_some()).map(|port| plugged_into(map, port));
    [
        ifname(bridge),
        or_dash(port.map(ifname)),
        port.and_then(|port| port.mapped.link.port_state).map_or(NOTHING, port_state).to_owned(),
        or_dash(end.map(|end| who(map, end)).or(unseen)),
        or_dash(end.map(ifname)),
        end.map_or_else(|| NOTHING.to_owned(), |end| addresses(end.mapped)),
        if bridge.mapped.link.spanning_tree { "yes" } else { "no" }.to_owned(),
        who(map, bridge),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{host, link, named};

    #[test]
    fn a_port_is_shown_with_what_is_at_its_other_end_also_where_that_was_not_seen() {
        let mut map = host();
        map.namespaces[0].links.push(link(6, "br-empty", "bridge"));
        let text = table(&named(map), true);
        let rows: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            rows,
            [
                "docker0 veth1 - web eth0 172.17.0.2/16 no host",
                "docker0 veth2 - → ? (index 9) - - no host",
                "br-empty - - - - - no host",
            ]
        );
        assert_eq!(table(&NamedMap::default(), false), "");
    }
}
