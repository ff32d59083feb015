//! The order of boxes, bridges and ports: what is plugged into a bridge is beside it, so that few cables cross.

use std::collections::HashMap;

use super::model::{CableKind, MapPicture, NetnsBox, PictureBand, PlugId};

/// What a plug belongs to, by its number in the picture's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlugOwner {
    Host,
    Box(usize),
    Bridge(usize),
}

/// Beside what a box is drawn: the lowest that it is plugged into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum BesideWhat {
    Bridge(usize),
    /// Nothing but a bridge of its own.
    OwnBridge(usize),
    /// No bridge: an interface of the host.
    Host(PlugId),
    /// Only another box, by its number.
    Box(usize),
    Nothing,
}

/// Sorts the lists of `picture`, and says which boxes are beside which bridge.
pub fn arrange(picture: &mut MapPicture) {
    picture.bridges.sort_by_key(|bridge| {
        let is_bare = bridge.ports.is_empty();
        (bridge.inside.clone(), is_bare, bridge.own.ifindex, bridge.netns)
    });
    let beside = beside(picture);
    let mut order: Vec<usize> = (0..picture.boxes.len()).collect();
    let natural: Vec<String> = picture.boxes.iter().map(|one| natural(&one.title)).collect();
    order.sort_by_cached_key(|&at| {
        let (what, anchor) = root(&beside, at);
        // A box that only leads to another one follows that.
        (what, natural[anchor].clone(), anchor, anchor != at, natural[at].clone(), picture.boxes[at].inode)
    });
    picture.bands = bands(&order, &beside, picture.bridges.len());
    let mut boxes: Vec<Option<NetnsBox>> = std::mem::take(&mut picture.boxes).into_iter().map(Some).collect();
    picture.boxes = order.iter().filter_map(|&at| boxes[at].take()).collect();
    sort_ports(picture);
}

/// What each plug belongs to.
pub fn owners(picture: &MapPicture) -> HashMap<PlugId, PlugOwner> {
    let mut owners = HashMap::new();
    for row in picture.host.iter().flat_map(|host| &host.rows) {
        owners.insert(row.id, PlugOwner::Host);
    }
    for (at, one) in picture.boxes.iter().enumerate() {
        owners.extend(one.rows.iter().map(|row| (row.id, PlugOwner::Box(at))));
    }
    for (at, bridge) in picture.bridges.iter().enumerate() {
        owners.insert(bridge.own.id, PlugOwner::Bridge(at));
        owners.extend(bridge.ports.iter().map(|port| (port.id, PlugOwner::Bridge(at))));
    }
    owners
}

fn beside(picture: &MapPicture) -> Vec<BesideWhat> {
    let owners = owners(picture);
    let mut beside = vec![BesideWhat::Nothing; picture.boxes.len()];
    for cable in &picture.cables {
        for (near, far) in [(cable.from, cable.to), (cable.to, cable.from)] {
            let (Some(PlugOwner::Box(at)), Some(far_owner)) = (owners.get(&near), owners.get(&far)) else {
                continue;
            };
            let what = match *far_owner {
                PlugOwner::Bridge(bridge) if picture.bridges[bridge].netns == picture.boxes[*at].inode => {
                    BesideWhat::OwnBridge(bridge)
                }
                PlugOwner::Bridge(bridge) => BesideWhat::Bridge(bridge),
                PlugOwner::Host => BesideWhat::Host(far),
                PlugOwner::Box(other) => BesideWhat::Box(other),
            };
            if what < beside[*at] {
                beside[*at] = what;
            }
        }
    }
    // What is in a box leads out of it by its bridge's ports too.
    for cable in picture.cables.iter().filter(|cable| cable.kind == CableKind::Pair) {
        for (near, far) in [(cable.from, cable.to), (cable.to, cable.from)] {
            let (Some(PlugOwner::Bridge(near)), Some(PlugOwner::Bridge(far))) =
                (owners.get(&near), owners.get(&far))
            else {
                continue;
            };
            let inode = picture.bridges[*near].netns;
            let is_inner = |one: &&mut BesideWhat| **one > BesideWhat::Bridge(*far);
            if picture.bridges[*far].netns != inode
                && let Some(at) = picture.boxes.iter().position(|one| one.inode == inode)
                && let Some(one) = beside.get_mut(at).filter(is_inner)
            {
                *one = BesideWhat::Bridge(*far);
            }
        }
    }
    beside
}

/// Beside what a box is drawn, and the box that says so: itself, or that which it leads to, by way of others.
fn root(beside: &[BesideWhat], at: usize) -> (BesideWhat, usize) {
    let mut anchor = at;
    // A ring of boxes ends nowhere.
    for _ in 0..beside.len() {
        match beside[anchor] {
            BesideWhat::Box(next) => anchor = next,
            _ => return (beside[anchor].clone(), anchor),
        }
        if anchor == at {
            break;
        }
    }
    (BesideWhat::Host(PlugId(u32::MAX)), at)
}

fn bands(order: &[usize], beside: &[BesideWhat], bridges: usize) -> Vec<PictureBand> {
    let mut bands: Vec<PictureBand> =
        (0..bridges).map(|bridge| PictureBand { bridge: Some(bridge), ..PictureBand::default() }).collect();
    let mut direct = PictureBand::default();
    let mut unplugged = PictureBand { is_unplugged: true, ..PictureBand::default() };
    for (new, &old) in order.iter().enumerate() {
        match root(beside, old).0 {
            BesideWhat::Bridge(bridge) | BesideWhat::OwnBridge(bridge) => bands[bridge].boxes.push(new),
            BesideWhat::Nothing => unplugged.boxes.push(new),
            BesideWhat::Host(_) | BesideWhat::Box(_) => direct.boxes.push(new),
        }
    }
    bands.extend([direct, unplugged].into_iter().filter(|band| !band.boxes.is_empty()));
    bands
}

/// Ports are in the order of what they lead to: of the left column first.
fn sort_ports(picture: &mut MapPicture) {
    let owners = owners(picture);
    let mut place: HashMap<PlugId, (usize, usize)> = HashMap::new();
    for (at, one) in picture.boxes.iter().enumerate() {
        place.extend(one.rows.iter().enumerate().map(|(line, row)| (row.id, (at, line))));
    }
    let mut leads_to: HashMap<PlugId, (usize, usize)> = HashMap::new();
    for cable in &picture.cables {
        for (near, far) in [(cable.from, cable.to), (cable.to, cable.from)] {
            if let (Some(PlugOwner::Bridge(_)), Some(place)) = (owners.get(&near), place.get(&far)) {
                leads_to.insert(near, *place);
            }
        }
    }
    for bridge in &mut picture.bridges {
        bridge.ports.sort_by_key(|port| {
            let place = leads_to.get(&port.id).copied();
            (place.is_none(), place, port.ifindex)
        });
    }
}

/// `text` so that `web10` sorts after `web9`.
fn natural(text: &str) -> String {
    let mut key = String::with_capacity(text.len() + 20);
    let mut digits = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            key.push_str(&format!("{digits:0>20}"));
            digits.clear();
        }
        key.push(c);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_sort_as_numbers() {
        let mut names = ["web10", "web9", "db", "web", "web1a2", "web1a10"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["db", "web", "web1a2", "web1a10", "web9", "web10"]);
    }

    #[test]
    fn boxes_in_a_ring_come_to_an_end() {
        let ring = [BesideWhat::Box(1), BesideWhat::Box(2), BesideWhat::Box(1), BesideWhat::Bridge(0)];
        for at in 0..3 {
            assert!(matches!(root(&ring, at).0, BesideWhat::Host(_)), "{at}");
        }
        let chain = [BesideWhat::Box(1), BesideWhat::Box(2), BesideWhat::Bridge(4)];
        assert_eq!(root(&chain, 0), (BesideWhat::Bridge(4), 2));
    }
}
