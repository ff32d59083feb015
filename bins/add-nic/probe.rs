//! Asks everybody on a bridge whether somebody has the addresses already, before anything is made.

use std::time::Duration;

use common::cli::FindOptions;
use common::failure::Failure;
use common::find::owner;
use common::map;
use common::packet::{Claim, Segment};

use crate::plan::{Parent, Plan};
use crate::snapshot::{Side, enter};
use crate::step::Place;
use crate::wires::Wires;

/// Who is on this host answers within tens of microseconds, and who is behind one switch within one or two of these.
const PATIENCE: Duration = Duration::from_millis(5);

/// Refuses an address that somebody on the bridge says is his. Of a VLAN that it only switches, it hears nothing itself.
pub fn refuse_duplicates(plan: &Plan, outside: &Side, find: &FindOptions) -> Result<(), Failure> {
    let bridge = plan
        .nic
        .other_end
        .bridge()
        .filter(|_| !plan.is_asked_inside())
        .and_then(|bridge| outside.link(bridge.as_str()));
    // A bridge that is yet to be made has nobody on it.
    let Some((bridge, mac)) = bridge.and_then(|bridge| Some((bridge, bridge.mac?))) else { return Ok(()) };
    let addresses: Vec<_> = plan.nic.addresses.iter().map(|cidr| cidr.address()).collect();
    let segment = Segment { index: bridge.index, mac };
    match segment.who_has(&addresses, PATIENCE)?.first() {
        None => Ok(()),
        Some(claim) => Err(refused(claim, &bridge.name.to_string_lossy(), find)),
    }
}

/// The same, asked by the NIC, which is there and up: of those who stand on the same parent the host reaches none.
pub fn refuse_duplicates_inside(plan: &Plan, wires: &mut Wires, find: &FindOptions) -> Result<(), Failure> {
    let nic = &plan.nic;
    let below = nic.other_end.parent().and_then(Parent::link);
    let on = below.as_ref().or(nic.other_end.bridge()).unwrap_or(&nic.name).as_str();
    let index = wires.index(Place::Inside, &nic.name).map_err(|error| Failure::trouble(&nic.name, error))?;
    let Some((_, namespace)) = &wires.sockets.inside else { return Ok(()) };
    let addresses: Vec<_> = nic.addresses.iter().map(|cidr| cidr.address()).collect();
    let segment = Segment { index, mac: nic.mac };
    let claims = enter(&wires.sockets.home, namespace, || segment.who_has(&addresses, PATIENCE))??;
    claims.first().map_or(Ok(()), |claim| Err(refused(claim, on, find)))
}

fn refused(claim: &Claim, bridge: &str, find: &FindOptions) -> Failure {
    let Claim { address, mac } = claim;
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
