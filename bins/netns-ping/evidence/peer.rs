//! The other end of a veth pair of the container: in which network it is, and its name there.

use common::map::walk;
use common::netlink::{Link, Socket};
use common::netns;

use crate::network::netns::TargetNetns;

/// A TARGET that means that network (`None` for the one that this tool runs in), and the link's name.
pub(super) fn of(inside: &TargetNetns, link: &Link) -> Option<(Option<String>, String)> {
    let index = link.other_end()?;
    let number = link.link_netnsid;
    let mut own = inside.open(Socket::open).ok()?;
    let seen = walk(|mut visit| {
        let known = own.nsid(&visit.namespace).ok().flatten();
        let is_it = match number {
            Some(_) => known == number,
            None => visit.entry.identity == inside.netns.identity(),
        };
        if !is_it {
            return Ok(None);
        }
        let Some(peer) = visit.socket.link(index)?.filter(|peer| peer.other_end() == Some(link.index)) else {
            return Ok(None);
        };
        let target = if visit.is_own { None } else { Some(target(visit.entry)) };
        Ok(Some((target, peer.name.to_string_lossy().into_owned())))
    });
    let (target, name) = seen.ok()?.seen.into_iter().next()?;
    match target {
        None => Some((None, name)),
        Some(target) => Some((Some(target?), name)),
    }
}

fn target(entry: &common::map::MapEntry) -> Option<String> {
    let by_hand = entry.name().and_then(|name| name.strip_prefix(netns::DIRECTORY).ok());
    match by_hand {
        Some(name) => Some(format!("netns:{}", name.display())),
        None => entry.tenant().map(|process| format!("pid:{}", process.pid())),
    }
}
