//! What is no longer as we made it. Pure. A file for each thing that is compared.

mod address;
mod link;
mod route;

use crate::journal::Record;
use crate::plan::OtherEnd;
use crate::snapshot::Snapshot;
use crate::step::Step;

/// Whether the NIC is there at all, by what no container can forge.
pub fn is_there(record: &Record, snapshot: &Snapshot) -> bool {
    match &record.plan.nic.other_end {
        OtherEnd::Host(port) | OtherEnd::Bridge { port, .. } => snapshot.outside.veth(port.mac).is_some(),
    }
}

/// A line for each thing that differs.
pub fn drift(record: &Record, snapshot: &Snapshot) -> Vec<String> {
    if !record.is_whole {
        return vec!["was left half made".to_owned()];
    }
    if !is_there(record, snapshot) {
        return vec!["is gone".to_owned()];
    }
    // Every network has at least lo. A network that nobody can open any more takes its links with it a moment later.
    if snapshot.inside.links.is_empty() {
        return vec!["is going: its container has ended".to_owned()];
    }
    record.plan.steps.iter().filter_map(|(step, _)| differs(step, snapshot)).collect()
}

impl Snapshot {
    /// Whether a step is done.
    pub fn has(&self, step: &Step) -> bool {
        differs(step, self).is_none()
    }
}

fn differs(step: &Step, snapshot: &Snapshot) -> Option<String> {
    match step {
        Step::AddVeth(veth) => link::veth_differs(veth, snapshot),
        Step::AddBridge(bridge) => link::bridge_differs(bridge, &snapshot.outside),
        Step::AddAddress(held) => address::differs(held, snapshot.side(held.place)),
        Step::SetUp { place, link } => {
            let found = snapshot.side(*place).link(link.as_str());
            found.filter(|found| !found.is_set_up()).map(|_| format!("{link} is down"))
        }
        Step::AddRoute(way) => route::is_gone(way, snapshot.side(way.place)),
        Step::DelRoute(way) => route::is_back(way, snapshot.side(way.place)),
        // For people, or seen by what it is for.
        Step::SetAlias { .. } | Step::AllowIpv6 { .. } => None,
        Step::DelBridge(_) | Step::DelVeth(_) | Step::DelLink { .. } | Step::DelAddress(_) => None,
    }
}
