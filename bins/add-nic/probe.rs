//! Asks everybody on a bridge whether somebody has the addresses already, before anything is made.

use std::time::Duration;

use common::cli::FindOptions;
use common::failure::Failure;
use common::map;
use common::packet::{Claim, Segment};

use crate::plan::Plan;
use crate::snapshot::Side;
use crate::whose::{Whose, whose};

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
    let whose = owner(claim, find);
    let name = whose.as_ref().map_or(String::new(), |whose| format!(" ({})", whose.name));
    let hint = whose
        .and_then(|whose| whose.hint)
        .unwrap_or_else(|| format!("cpid --of $(cpid mac:{mac}) says whose it is; --no-dad does not ask"));
    Failure::trouble(address, format_args!("{mac}{name} on {bridge} has it already")).hint(hint)
}

/// Who has this link-layer address, if he is on this host.
fn owner(claim: &Claim, find: &FindOptions) -> Option<Whose> {
    let owners = map::owners_of_mac(claim.mac).ok()?;
    Some(whose(&owners.owners.first()?.spot, find))
}
