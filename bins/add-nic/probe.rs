//! Asks everybody on a bridge whether somebody has the addresses already, before anything is made.

use std::time::Duration;

use common::cli::FindOptions;
use common::failure::Failure;
use common::find::owner;
use common::map;
use common::packet::{Claim, Segment};

use crate::plan::Plan;
use crate::snapshot::Side;

/// Who is on this host answers within tens of microseconds, and who is behind one switch within one or two of these.
const PATIENCE: Duration = Duration::from_millis(5);

/// Refuses an address that somebody on the bridge says is his.
pub fn refuse_duplicates(plan: &Plan, outside: &Side, find: &FindOptions) -> Result<(), Failure> {
    let bridge = plan.nic.other_end.bridge().and_then(|bridge| outside.link(bridge.as_str()));
    // A bridge that is yet to be made has nobody on it.
    let Some((bridge, mac)) = bridge.and_then(|bridge| Some((bridge, bridge.mac?))) else { return Ok(()) };
    let addresses: Vec<_> = plan.nic.addresses.iter().map(|cidr| cidr.address()).collect();
    let segment = Segment { index: bridge.index, mac };
    match segment.who_has(&addresses, &[PATIENCE])? {
        None => Ok(()),
        Some(claim) => Err(refused(&claim, &bridge.name.to_string_lossy(), find)),
    }
}

fn refused(claim: &Claim, bridge: &str, find: &FindOptions) -> Failure {
    let Claim { address, mac, .. } = claim;
    let whose = whose(claim, find).map_or(String::new(), |name| format!(" ({name})"));
    Failure::trouble(address, format_args!("{mac}{whose} on {bridge} has it already"))
        .hint(format_args!("cpid --of $(cpid mac:{mac}) says whose it is; --no-dad does not ask"))
}

/// The container that has this link-layer address, if it is one's of this host.
fn whose(claim: &Claim, find: &FindOptions) -> Option<String> {
    let owners = map::owners_of_mac(claim.mac).ok()?;
    let found = owners.owners.first()?;
    let Some(process) = &found.process else { return Some(found.spot.to_string()) };
    match owner(process, None, find.engine_timeout) {
        Ok(known) => Some(known.container.full_name()),
        Err(_) => Some(format!("pid {}", process.pid())),
    }
}
