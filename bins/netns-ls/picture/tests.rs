//! The pictures of the map of `sample.rs`, and of one in which everything is plugged into everything.

use common::map::{HostMap, LinkEnd, MappedLink, MappedNetns};
use common::netlink::PortState;

use super::layout::{PictureLayout, layout};
use super::model::{CableKind, FindingBox, MapPicture};
use super::order::owners;
use super::{dot, picture, svg};
use crate::sample::{container, host, link, named, netns, with_address, with_end, with_master};

/// A host with two bridges, one of which has `eth1`; `web10` and `web9` at both; a node with a bridge of its own and a pod at it;
/// two that are on one cable; a macvlan, a VLAN, something that was not seen, and names that are markup.
fn crowded() -> HostMap {
    let lo = || with_address(link(1, "lo", "loopback"), "127.0.0.1/8");
    let end = |mapped: MappedLink, netns, index| with_end(mapped, netns, index);
    let mut own = vec![
        lo(),
        with_address(link(2, "eth0", ""), "192.168.7.5/24"),
        with_master(link(3, "eth1", ""), 5),
        with_address(link(4, "docker0", "bridge"), "172.17.0.1/16"),
        link(5, "br-lan", "bridge"),
        with_end(with_address(link(6, "eth0.7", "vlan"), "10.7.0.1/24"), 10, 2),
    ];
    let mut all = vec![];
    for (at, name) in [(0, "web10"), (1, "web9"), (2, "<b>node&amp;\"'</b>")] {
        let (index, inode) = (10 + at, 20 + u64::from(at));
        own.push(end(with_master(link(index, &format!("veth{at}"), "veth"), 4), inode, 2));
        let mut links = vec![
            lo(),
            end(with_address(link(2, "eth0", "veth"), &format!("172.17.0.{}/16", at + 2)), 10, index),
        ];
        if at < 2 {
            own.push(end(with_master(link(20 + at, &format!("lan{at}"), "veth"), 5), inode, 3));
            links.push(end(link(3, "eth1", "veth"), 10, 20 + at));
        } else {
            links.push(with_address(link(4, "cni0", "bridge"), "10.42.0.1/24"));
            links.push(end(with_master(link(5, "vp", "veth"), 4), 30, 2));
        }
        all.push(MappedNetns { containers: vec![container(name)], ..netns(inode, links) });
    }
    own.sort_by_key(|mapped| mapped.link.index);
    own[6].link.port_state = Some(PortState::Blocking);
    let pod = vec![
        lo(),
        end(with_address(link(2, "eth0", "veth"), "10.42.0.2/24"), 22, 5),
        end(link(3, "pair0", "veth"), 40, 2),
        MappedLink { end: Some(LinkEnd::Unseen { index: Some(9) }), ..link(4, "gone", "veth") },
    ];
    let side = vec![lo(), end(link(2, "pair1", "veth"), 30, 3), end(link(3, "mac0", "macvlan"), 10, 2)];
    all.push(MappedNetns { containers: vec![container("pod")], ..netns(30, pod) });
    all.push(MappedNetns { containers: vec![container("side")], ..netns(40, side) });
    all.push(MappedNetns { containers: vec![container("none")], ..netns(50, vec![lo()]) });
    all.insert(0, MappedNetns { is_own: true, ..netns(10, own) });
    HostMap { namespaces: all, ..HostMap::default() }
}

fn of(map: HostMap) -> MapPicture {
    picture(&named(map))
}

/// Each cable as the names of what it connects, the kind, and whether it is up.
fn cables(picture: &MapPicture) -> Vec<String> {
    let mut names = std::collections::HashMap::new();
    for one in picture.boxes.iter().chain(&picture.host) {
        names.extend(one.rows.iter().map(|row| (row.id, format!("{}/{}", one.title, row.ifname))));
    }
    for bridge in &picture.bridges {
        names.insert(bridge.own.id, format!("[{}]", bridge.own.ifname));
        let port =
            |port: &super::model::InterfaceBox| (port.id, format!("[{}]{}", bridge.own.ifname, port.ifname));
        names.extend(bridge.ports.iter().map(port));
    }
    let word = |cable: &super::model::Cable| {
        let state = if cable.is_up { "" } else { " down" };
        format!("{} - {} {}{state}", names[&cable.from], names[&cable.to], cable.kind.as_str())
    };
    picture.cables.iter().map(word).collect()
}

#[test]
fn every_cable_of_the_map_is_in_the_picture_once() {
    let found = cables(&of(host()));
    assert_eq!(
        found,
        ["host/docker0 - [docker0] own", "[docker0]veth1 - web/eth0 pair", "lan/mac0 - host/eth0 stacked"]
    );
    let mut found = cables(&of(crowded()));
    found.sort();
    let node = "<b>node&amp;\"'</b>";
    let mut expected = [
        "host/docker0 - [docker0] own".to_owned(),
        "host/eth1 - [br-lan] port".to_owned(),
        "[docker0]veth0 - web10/eth0 pair down".to_owned(),
        "[docker0]veth1 - web9/eth0 pair".to_owned(),
        format!("[docker0]veth2 - {node}/eth0 pair"),
        "[br-lan]lan0 - web10/eth1 pair".to_owned(),
        "[br-lan]lan1 - web9/eth1 pair".to_owned(),
        format!("{node}/cni0 - [cni0] own"),
        "[cni0]vp - pod/eth0 pair".to_owned(),
        "pod/pair0 - side/pair1 pair".to_owned(),
        "side/mac0 - host/eth0 stacked".to_owned(),
    ];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn what_no_cable_shows_is_said_in_words() {
    let picture = of(crowded());
    let host = picture.host.as_ref().unwrap();
    let remarks = |ifname: &str| {
        let rows = host.rows.iter().chain(picture.boxes.iter().flat_map(|one| &one.rows));
        rows.filter(|row| row.ifname == ifname).map(|row| row.remarks.join("; ")).collect::<String>()
    };
    assert_eq!(remarks("eth0.7"), "vlan on eth0");
    assert_eq!(remarks("eth1"), "in br-lan");
    assert_eq!(remarks("gone"), "→ ? (index 9)");
    assert_eq!(remarks("mac0"), "macvlan");
    assert_eq!(remarks("pair0"), "");
}

#[test]
fn boxes_are_beside_what_they_are_plugged_into() {
    let picture = of(crowded());
    let titles =
        |at: &[usize]| at.iter().map(|at| picture.boxes[*at].title.as_str()).collect::<Vec<_>>().join(" ");
    let bands: Vec<(Option<&str>, String)> = picture
        .bands
        .iter()
        .map(|band| (band.bridge.map(|at| picture.bridges[at].own.ifname.as_str()), titles(&band.boxes)))
        .collect();
    let expected = [
        (Some("docker0"), "<b>node&amp;\"'</b> web9 web10"),
        (Some("br-lan"), ""),
        (Some("cni0"), "pod"),
        (None, "side"),
        (None, "none"),
    ];
    assert_eq!(bands, expected.map(|(bridge, boxes)| (bridge, boxes.to_owned())));
    assert!(picture.bands[4].is_unplugged);
}

/// The rectangles of all texts.
fn texts(layout: &PictureLayout) -> Vec<(i32, i32, i32, i32, String)> {
    let mut texts = Vec::new();
    for one in &layout.boxes {
        for (y, line) in &one.lines {
            for piece in &line.pieces {
                let x =
                    one.x + super::layout::PAD + super::layout::CELL * i32::try_from(piece.at_cell).unwrap();
                let width = super::layout::CELL * i32::try_from(super::escape::cells(&piece.text)).unwrap();
                assert!(x + width <= one.x + one.width, "{} is wider than its box", piece.text);
                assert!(
                    y - 9 >= one.y && y + 9 <= one.y + one.height,
                    "{} is outside of its box",
                    piece.text
                );
                texts.push((x, x + width, y - 9, y + 9, piece.text.clone()));
            }
        }
    }
    texts
}

#[test]
fn no_text_overlaps_another_and_no_box_another() {
    for map in [host(), crowded(), HostMap::default()] {
        let layout = layout(&of(map));
        let texts = texts(&layout);
        for (at, one) in texts.iter().enumerate() {
            for other in &texts[at + 1..] {
                let overlaps = one.0 < other.1 && other.0 < one.1 && one.2 < other.3 && other.2 < one.3;
                assert!(!overlaps, "{one:?} {other:?}");
            }
        }
        for (at, one) in layout.boxes.iter().enumerate() {
            for other in &layout.boxes[at + 1..] {
                let beside = one.x + one.width <= other.x || other.x + other.width <= one.x;
                let below = one.y + one.height <= other.y || other.y + other.height <= one.y;
                assert!(beside || below, "{one:?} {other:?}");
            }
        }
    }
}

#[test]
fn what_was_not_read_is_not_said_to_be_empty() {
    let mut map = host();
    map.namespaces[3].links.clear();
    let picture = of(map);
    let emptiness = |title: &str| picture.boxes.iter().find(|one| one.title == title).unwrap().emptiness();
    assert_eq!(emptiness("netns:blue"), Some("could not be read"));
    assert_eq!(emptiness("web"), None);
    for text in [svg(&picture), dot(&picture)] {
        assert!(text.contains("could not be read") && !text.contains("nothing but loopback"), "{text}");
    }
}

#[test]
fn a_finding_is_shown_where_it_is() {
    let mut picture = of(crowded());
    let about = |ifname: Option<&str>, text: &str| FindingBox {
        ifname: ifname.map(str::to_owned),
        text: text.to_owned(),
        ..FindingBox::default()
    };
    picture.add_finding(10, about(Some("docker0"), "a bridge"));
    picture.add_finding(10, about(Some("lan0"), "a port"));
    picture.add_finding(10, about(Some("eth0"), "the host"));
    picture.add_finding(20, about(Some("eth0"), "a container"));
    picture.add_finding(99, about(None, "nowhere"));
    let texts =
        |found: &[FindingBox]| found.iter().map(|one| one.text.clone()).collect::<Vec<_>>().join(", ");
    let bridge = |ifname: &str| picture.bridges.iter().find(|bridge| bridge.own.ifname == ifname).unwrap();
    assert_eq!(texts(&bridge("docker0").findings), "a bridge");
    assert_eq!(texts(&bridge("br-lan").findings), "a port");
    assert_eq!(texts(&picture.host.as_ref().unwrap().findings), "the host, nowhere");
    assert_eq!(texts(&picture.boxes.iter().find(|one| one.inode == 20).unwrap().findings), "a container");
}

#[test]
fn every_cable_is_drawn_and_its_ends_are_somewhere() {
    let picture = of(crowded());
    assert_eq!(layout(&picture).cables.len(), picture.cables.len());
    let owners = owners(&picture);
    for cable in &picture.cables {
        assert!(owners.contains_key(&cable.from) && owners.contains_key(&cable.to), "{cable:?}");
        assert!(cable.kind != CableKind::Own || cable.is_up);
    }
}

#[test]
fn one_map_has_one_picture_and_no_name_is_markup() {
    let [one, other] = [of(crowded()), of(crowded())];
    assert_eq!(svg(&one), svg(&other));
    assert_eq!(dot(&one), dot(&other));
    for text in [svg(&one), dot(&one)] {
        assert!(!text.contains("<b>node"), "{text}");
        assert!(text.contains("&lt;b&gt;node&amp;amp;&quot;&#39;&lt;/b&gt;"), "{text}");
    }
    let svg = svg(&one);
    for reference in ["href", "url(", "@import", "<script", "http"] {
        assert!(!svg.replace("http://www.w3.org/2000/svg", "").contains(reference), "{reference}");
    }
}

/// For people to look at: `NETNS_TOOLBOX_PICTURES=DIR` keeps the pictures.
#[test]
fn pictures_can_be_kept() {
    let Some(dir) = std::env::var_os("NETNS_TOOLBOX_PICTURES").map(std::path::PathBuf::from) else { return };
    for (name, map) in [("host", host()), ("crowded", crowded())] {
        let picture = of(map);
        std::fs::write(dir.join(format!("{name}.svg")), svg(&picture)).unwrap();
        let page = super::MapPage { host_name: name.to_owned(), taken_at: String::new(), picture: &picture };
        std::fs::write(dir.join(format!("{name}.html")), page.html("nonce").unwrap()).unwrap();
        std::fs::write(dir.join(format!("{name}.dot")), dot(&picture)).unwrap();
    }
}
