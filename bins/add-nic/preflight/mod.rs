//! `--preflight`, and the warnings before each add: what will not work as expected, and the command that fixes it. It
//! changes and stops nothing.

mod bridge;
mod filter;
mod host_address;
mod overlap;
mod reverse_path;
mod route;
pub mod warning;

use std::net::IpAddr;

use common::failure::Failure;

use crate::model::filter::{FilterQuery, FilterState};
use crate::model::netns::Netns;
use crate::model::nic::Nic;
use crate::model::snapshot::Snapshot;
use crate::model::wanted::Wanted;
use crate::plan::input::PlanInput;
use crate::read::sockets::Sockets;
pub use host_address::{SilentAddresses, silent_addresses};
use warning::Warning;

/// Reads what the snapshot does not have yet: a few settings, and the packet filters that bridged packets pass.
pub fn read_needed(
    snapshot: &mut Snapshot,
    nic: &Nic,
    wanted: &Wanted,
    sockets: &Sockets,
) -> Result<(), Failure> {
    if let inside @ [_, ..] = &reverse_path::needed(nic, &snapshot.inside)[..] {
        snapshot.settings.read(Netns::Container, inside.to_vec(), sockets)?;
    }
    if nic.other_end.bridge().is_none() || wanted.firewall.forward {
        return Ok(());
    }
    snapshot.settings.read(Netns::Host, [false, true].map(filter::bridge_netfilter).to_vec(), sockets)?;
    let meets = |six| {
        filter::is_on(six, &snapshot.settings)
            && nic.addresses.iter().any(|cidr| cidr.address().is_ipv6() == six)
    };
    let families = [meets(false), meets(true)];
    if snapshot.filters.chains.is_none() {
        snapshot.filters =
            FilterState::read(FilterQuery { families, rules: true, ..FilterQuery::default() })?;
    }
    Ok(())
}

/// All of it. Pure. `silent` are the addresses asked for that do not answer: [`silent_addresses`].
pub fn warnings(nic: &Nic, input: &PlanInput<'_>, silent: &[IpAddr]) -> Vec<Warning> {
    let mut warnings = unreached(nic, input, silent);
    warnings.extend(reverse_path::strict(nic, input));
    warnings.extend(overlap::overlaps(nic, input));
    warnings.extend(bridge::warnings(nic, input));
    warnings.extend(route::warnings(nic, input));
    warnings
}

/// Who is not reached, or does not reach the NIC, however long it is there: `--check` says that too.
pub fn unreached(nic: &Nic, input: &PlanInput<'_>, silent: &[IpAddr]) -> Vec<Warning> {
    let mut warnings = filter::drops(nic, input);
    warnings.extend(host_address::warnings(nic, input, silent));
    warnings
}
