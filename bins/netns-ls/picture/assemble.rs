//! From the map to the picture: every namespace a box, every bridge a bridge, and the cables between them.

use std::collections::BTreeMap;

use common::map::{AttachedProgram, MappedNetns, NetnsHolder};
use common::netlink::Link;
use common::output::one_line;
use common::sign::ARROW;

use super::model::{BridgeBox, Cable, CableKind, InterfaceBox, MapPicture, NetnsBox, PlugId};
use super::order;
use super::seats::{LinkSeat, LinkSeats, bridge_of_port, is_bridge, is_hardware};
use crate::named_map::{LinkAt, NamedMap, links_of};
use crate::view::link_words::{self, address, ifname, is_global, plugged_by, port_state, state, who};

/// The picture of `map`: the same one for the same map.
pub fn picture(map: &NamedMap) -> MapPicture {
    let seats = LinkSeats::of(map);
    let boxes = |is_own| map.map.namespaces.iter().filter(move |netns| netns.is_own == is_own);
    let mut picture = MapPicture {
        host: boxes(true).next().map(|netns| netns_box(map, &seats, netns)),
        boxes: boxes(false).map(|netns| netns_box(map, &seats, netns)).collect(),
        bridges: bridges(map, &seats),
        cables: cables(map, &seats),
        bands: Vec::new(),
        unseen: Some(map.map.unseen.to_string()).filter(|unseen| !unseen.is_empty()),
    };
    order::arrange(&mut picture);
    picture
}

fn netns_box(map: &NamedMap, seats: &LinkSeats, netns: &MappedNetns) -> NetnsBox {
    let rows = links_of(netns).filter_map(|link| match seats.at(link.place())? {
        LinkSeat::Row(id) => Some(interface(map, link, id)),
        // One without an address is nothing that its namespace could be reached at.
        LinkSeat::Bridge { row, .. } if has_own_row(link) => Some(interface(map, link, row)),
        LinkSeat::Bridge { .. } | LinkSeat::Port(..) => None,
    });
    let mut rows: Vec<InterfaceBox> = rows.collect();
    // A namespace that has nothing else shows that it has nothing else.
    rows.sort_by_key(|row| row.is_quiet);
    NetnsBox {
        inode: netns.inode,
        title: one_line(&map.who(netns)).into_owned(),
        facts: facts(netns),
        findings: Vec::new(),
        ports: Vec::new(),
        rows,
    }
}

fn has_own_row(bridge: LinkAt<'_>) -> bool {
    bridge.mapped.addresses.iter().any(is_global)
}

/// What is known of a namespace besides its links, each with its name in the page.
fn facts(netns: &MappedNetns) -> BTreeMap<&'static str, Vec<String>> {
    let safe = |text: String| one_line(&text).into_owned();
    let containers = netns.containers.iter().map(|container| {
        let image = container.image.as_ref().map(|image| format!(", {image}")).unwrap_or_default();
        safe(format!("{} ({}{image})", container.target(), container.state))
    });
    let processes = netns.processes.iter().map(|pid| pid.to_string());
    let names = netns.names.iter().map(|path| safe(path.display().to_string()));
    let held_by = netns.held_by.iter().filter_map(holder).map(safe);
    let owner = netns.owner.filter(|owner| !owner.is_root()).map(|owner| format!("user {owner}"));
    let facts = [
        ("containers", containers.collect::<Vec<_>>()),
        ("processes", processes.collect()),
        ("names", names.collect()),
        ("held by", held_by.collect()),
        ("owner", owner.into_iter().collect()),
    ];
    facts.into_iter().filter(|(_, words)| !words.is_empty()).collect()
}

/// What else keeps it alive than processes and names.
fn holder(holder: &NetnsHolder) -> Option<String> {
    Some(match holder {
        NetnsHolder::Processes | NetnsHolder::Mount(_) => return None,
        NetnsHolder::Thread { pid, tid } => format!("thread {tid} of process {pid}"),
        NetnsHolder::ForeignMount { pid, path } => {
            format!("the mount {} in the mount namespace of process {pid}", path.display())
        }
        NetnsHolder::Descriptor { pid, fd } => format!("descriptor {fd} of process {pid}"),
        NetnsHolder::Socket { pid, fd } => format!("a socket, descriptor {fd} of process {pid}"),
        NetnsHolder::Unknown => "nothing that is visible from here".to_owned(),
    })
}

fn interface(map: &NamedMap, link: LinkAt<'_>, id: PlugId) -> InterfaceBox {
    let own = &link.mapped.link;
    let program = |program: &AttachedProgram| {
        let name = program.name.as_deref().unwrap_or("program");
        let id = program.id.map(|id| format!(" {id}")).unwrap_or_default();
        one_line(&format!("{}: {name}{id}", program.hook)).into_owned()
    };
    let (global, local): (Vec<_>, Vec<_>) =
        link.mapped.addresses.iter().partition(|address| is_global(address));
    InterfaceBox {
        id,
        ifname: ifname(link),
        ifindex: own.index,
        state: word(own),
        addresses: global.into_iter().map(address).collect(),
        local_addresses: local.into_iter().map(address).collect(),
        remarks: remarks(map, link),
        kind: Some(link_words::kind(own)).filter(|kind| kind != link_words::NOTHING),
        mac: Some(link_words::mac(own)).filter(|mac| mac != link_words::NOTHING),
        mtu: own.mtu_bytes,
        alias: own.alias.as_ref().map(|alias| one_line(alias).into_owned()),
        programs: link.mapped.programs.iter().map(program).collect(),
        is_quiet: own.is_loopback() && !link.mapped.addresses.iter().any(is_global),
        is_way_out: is_hardware(own),
    }
}

/// Whether it carries packets, in a word; of a bridge's port, whether the bridge lets them through.
fn word(link: &Link) -> &'static str {
    match link.port_state.map(port_state) {
        Some(port) if state(link) == "up" && port != "forwarding" => port,
        _ => state(link),
    }
}

/// What a reader has to know of an interface that no cable shows.
fn remarks(map: &NamedMap, link: LinkAt<'_>) -> Vec<String> {
    let own = &link.mapped.link;
    let mut end = Vec::new();
    if !(own.is_veth() || is_bridge(own) || own.is_loopback() || is_hardware(own)) {
        end.push(link_words::kind(own));
    }
    let has_cable = map.end(link).is_some_and(|end| !is_within_box(map, link, end));
    if link.mapped.end.is_some() && !has_cable {
        end.push(plugged_by(map, link, ARROW.utf8));
    }
    let end = Some(end.join(" ")).filter(|end| !end.is_empty());
    // Of a port in the middle column the bridge is around it.
    let is_line = is_hardware(own) || bridge_of_port(map, link).is_none();
    let master = map.master(link).filter(|_| is_line).map(|master| format!("in {}", ifname(master)));
    end.into_iter().chain(master).collect()
}

/// Whether both are lines of one box, between which no cable is drawn.
fn is_within_box(map: &NamedMap, link: LinkAt<'_>, end: LinkAt<'_>) -> bool {
    let is_line = |link: LinkAt<'_>| {
        let own = &link.mapped.link;
        !is_bridge(own) && (is_hardware(own) || bridge_of_port(map, link).is_none())
    };
    link.netns.inode == end.netns.inode && is_line(link) && is_line(end)
}

fn bridges(map: &NamedMap, seats: &LinkSeats) -> Vec<BridgeBox> {
    let all = map.links().filter_map(|link| match seats.at(link.place())? {
        LinkSeat::Bridge { bridge, .. } => Some(bridge_box(map, seats, link, bridge)),
        _ => None,
    });
    all.collect()
}

fn bridge_box(map: &NamedMap, seats: &LinkSeats, bridge: LinkAt<'_>, id: PlugId) -> BridgeBox {
    let ports = bridge.netns.ports_of(bridge.mapped.link.index).filter_map(|mapped| {
        let port = LinkAt { netns: bridge.netns, mapped };
        match seats.at(port.place())? {
            LinkSeat::Port(id, _) => Some(interface(map, port, id)),
            _ => None,
        }
    });
    BridgeBox {
        own: interface(map, bridge, id),
        netns: bridge.netns.inode,
        inside: (!bridge.netns.is_own).then(|| who(map, bridge)),
        findings: Vec::new(),
        ports: ports.collect(),
    }
}

fn cables(map: &NamedMap, seats: &LinkSeats) -> Vec<Cable> {
    map.links().flat_map(|link| cables_of(map, seats, link)).collect()
}

/// The cables that begin at this link.
fn cables_of(map: &NamedMap, seats: &LinkSeats, link: LinkAt<'_>) -> Vec<Cable> {
    let Some(seat) = seats.at(link.place()) else { return Vec::new() };
    let is_up =
        |one: LinkAt<'_>, other: LinkAt<'_>| [one, other].iter().all(|at| word(&at.mapped.link) == "up");
    let mut cables = Vec::new();
    if let LinkSeat::Bridge { bridge, row } = seat
        && has_own_row(link)
    {
        cables.push(Cable { from: row, to: bridge, kind: CableKind::Own, is_up: is_up(link, link) });
    }
    if let (LinkSeat::Row(from), Some(bridge)) = (seat, bridge_of_port(map, link))
        && let Some(to) = seats.at(bridge.place())
    {
        cables.push(Cable { from, to: to.plug(), kind: CableKind::Port, is_up: is_up(link, bridge) });
    }
    // A pair is drawn once: both ends say that it is one.
    if let Some(end) = map.end(link)
        && let Some(to) = seats.at(end.place())
        && !(link.mapped.link.is_veth() && end.place() < link.place())
        && !is_within_box(map, link, end)
    {
        let kind = if link.mapped.link.is_veth() { CableKind::Pair } else { CableKind::Stacked };
        cables.push(Cable { from: seat.plug(), to: to.plug(), kind, is_up: is_up(link, end) });
    }
    cables
}
