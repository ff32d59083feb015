//! `--preflight`, and what is said before every add: what will not work as somebody may expect, and the command that helps.
//! A look only; it stops nothing.

mod bridge;
mod filter;
mod overlap;
mod reverse_path;
mod route;
pub mod warning;

use common::failure::Failure;

use crate::model::filter::{Asked, Wall};
use crate::model::netns::Place;
use crate::model::nic::Nic;
use crate::model::snapshot::Snapshot;
use crate::model::wanted::Wanted;
use crate::plan::input::Basis;
use crate::read::sockets::Sockets;
use warning::Warning;

/// Looks at what the snapshot does not have yet: a few settings, and of packet filters only those that a bridge's packets meet.
pub fn look(snapshot: &mut Snapshot, nic: &Nic, wanted: &Wanted, sockets: &Sockets) -> Result<(), Failure> {
    if let inside @ [_, ..] = &reverse_path::needed(nic, &snapshot.inside)[..] {
        snapshot.settings.read(Place::Inside, inside.to_vec(), sockets)?;
    }
    if nic.other_end.bridge().is_none() || wanted.firewall.forward {
        return Ok(());
    }
    snapshot.settings.read(Place::Outside, [false, true].map(filter::bridge_netfilter).to_vec(), sockets)?;
    let meets = |six| {
        filter::is_on(six, &snapshot.settings)
            && nic.addresses.iter().any(|cidr| cidr.address().is_ipv6() == six)
    };
    let families = [meets(false), meets(true)];
    if families != [false; 2] && snapshot.wall.chains.is_none() {
        snapshot.wall = Wall::look(Asked { families, ..Asked::default() })?;
    }
    Ok(())
}

/// All of it. Pure.
pub fn warnings(nic: &Nic, basis: &Basis<'_>) -> Vec<Warning> {
    let mut warnings = filter::drops(nic, basis);
    warnings.extend(reverse_path::strict(nic, basis));
    warnings.extend(overlap::overlaps(nic, basis));
    warnings.extend(bridge::troubles(nic, basis));
    warnings.extend(route::troubles(nic, basis));
    warnings
}
