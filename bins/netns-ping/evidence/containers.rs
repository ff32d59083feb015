//! What has become of the containers that are pinged from, and pinged.

use common::cli::FindSession;
use common::diagnose::{DestState, TargetState};
use common::netlink::{NetlinkError, Socket};
use common::netns::Home;
use common::target::{Mac, Target};

use crate::network::netns::TargetNetns;
use crate::request::ProbeEndpoints;
use crate::resolve::destination::{ContainerDest, Destination};
use crate::tool::TOOL;

/// Whether it has ended since, and runs again.
pub(super) fn target_state(inside: &TargetNetns, endpoints: &ProbeEndpoints) -> TargetState {
    let is_of_process = !matches!(inside.target, Target::NamedNetns(_));
    let has_ended = inside.process.as_ref().is_some_and(|process| !process.is_alive());
    if !has_ended || !is_of_process {
        return TargetState::Alive;
    }
    let now = find(&endpoints.find, &inside.target);
    if now.is_some_and(|now| now != inside.netns.identity()) {
        TargetState::Restarted
    } else {
        TargetState::Ended
    }
}

fn find(session: &FindSession, target: &Target) -> Option<common::namespace::NamespaceId> {
    session.find(TOOL, target).ok()?.netns_identity()
}

/// Whether it has ended, is paused, or has lost the address or the link.
pub(super) fn dest_state(to: &Destination) -> DestState {
    let Some(dest) = &to.container else { return DestState::Fine };
    let name = dest.name.clone();
    if dest.process.as_ref().is_some_and(|process| !process.is_alive()) {
        return DestState::Ended { name };
    }
    if let Some(state) = address_state(dest, to) {
        return state;
    }
    match &dest.paused {
        Some(fix) => DestState::Frozen { name, fix: fix.clone() },
        None => DestState::Fine,
    }
}

/// The MAC addresses of its links.
pub(super) fn dest_macs(to: &Destination) -> Option<Vec<Mac>> {
    let dest = to.container.as_ref()?;
    let read = || Socket::open()?.links();
    let links = Home::current().ok()?.inside(&dest.netns, read).ok()?.ok()?;
    Some(links.iter().filter(|link| !link.is_loopback()).filter_map(|link| link.mac).collect())
}

/// `None` where the address is on a link that is up, or nobody can look.
fn address_state(dest: &ContainerDest, to: &Destination) -> Option<DestState> {
    let read = || {
        let mut socket = Socket::open()?;
        Ok::<_, NetlinkError>((socket.links()?, socket.addresses()?))
    };
    let (links, addresses) = Home::current().ok()?.inside(&dest.netns, read).ok()?.ok()?;
    let (name, target) = (dest.name.clone(), dest.target.clone());
    let Some(own) = addresses.iter().find(|own| own.address == to.address) else {
        return Some(DestState::AddressGone { name, target });
    };
    let link = links.iter().find(|link| link.index == own.index)?;
    let link_name = link.name.to_string_lossy().into_owned();
    (!link.is_set_up()).then_some(DestState::LinkDown { name, target, link: link_name })
}
