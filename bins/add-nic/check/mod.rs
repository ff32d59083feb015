//! What is no longer as we made it. Pure. A file for each thing that is compared.

mod address;
mod link;
mod phys;
mod route;
mod rule;
mod rules;
mod stacked;
mod sysctl;

use crate::model::change::Step;
use crate::model::nic::OtherEnd;
use crate::model::record::Record;
use crate::model::snapshot::{Side, Snapshot};

/// Whether the NIC is there at all, by what no container can forge.
///
/// Of a cable between two containers each can rename its end, give it another address or make another link that looks the
/// same, but only in its own network, where it can delete the real one just as well: so either end tells it, and what
/// is deleted for a forged one is the forger's.
pub fn is_there(record: &Record, outside: &Side, inside: &Side, peer: &Side) -> bool {
    match &record.plan.nic.other_end {
        OtherEnd::Host(port) | OtherEnd::Bridge { port, .. } => outside.veth(port.mac).is_some(),
        OtherEnd::Phys(_) => {
            record.plan.moved().is_some_and(|moved| inside.links.iter().any(|link| moved.looks_like(link)))
        }
        OtherEnd::On(_) => record
            .plan
            .stacked_link()
            .is_some_and(|upper| inside.links.iter().any(|link| upper.matches(link))),
        OtherEnd::Peer(port) => peer.veth(port.mac).is_some() || inside.veth(record.plan.nic.mac).is_some(),
    }
}

/// A line for each thing that differs.
pub fn drift(record: &Record, snapshot: &Snapshot) -> Vec<String> {
    if !record.is_whole {
        return vec!["incomplete: add-nic was killed".to_owned()];
    }
    if !is_there(record, &snapshot.outside, &snapshot.inside, &snapshot.peer) {
        return vec!["no longer exists".to_owned()];
    }
    // Every network has at least lo. A network that nobody can open any more takes its links with it a moment later.
    if snapshot.inside.links.is_empty() {
        return vec!["about to disappear: its container exited".to_owned()];
    }
    if let Some(peer) = record.peer.as_ref().filter(|_| snapshot.peer.links.is_empty()) {
        return vec![format!("about to disappear: {} exited", peer.name)];
    }
    let steps = record.plan.steps.iter().filter_map(|(step, _)| differs(step, snapshot));
    steps.chain(rules::unguarded(record, &snapshot.filters)).collect()
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
        Step::SetAccessPort(port) => link::access_port_differs(port, &snapshot.outside),
        Step::TakeNic(moved) => phys::differs(moved, &snapshot.inside),
        Step::AddStackedLink(upper) => stacked::differs(upper, snapshot.side(upper.place)),
        Step::AddAddress(held) => address::differs(held, snapshot.side(held.place)),
        Step::SetUp { place, link } => {
            let found = snapshot.side(*place).link(link.as_str());
            found.filter(|found| !found.is_set_up()).map(|_| format!("{link} is down"))
        }
        Step::AddRoute(way) => route::is_gone(way, snapshot.side(way.place)),
        Step::DelRoute(way) => route::is_back(way, snapshot.side(way.place)),
        // What the host has is given back, and not kept from it meanwhile.
        Step::GiveNicBack(_) => None,
        Step::AddRule(rule) => rule::is_gone(rule, snapshot.side(rule.place)),
        Step::SetSysctl(sysctl) => sysctl::differs(sysctl, &snapshot.settings),
        Step::AddRules(rules) => rules::differ(rules, &snapshot.filters),
        Step::AddAccept(accept) => rules::accept_differs(accept, &snapshot.filters),
        // For people, or seen by what it is for.
        Step::SetAlias { .. } | Step::SetHairpin { .. } | Step::AllowIpv6 { .. } | Step::AddTable => None,
        Step::DelBridge(_)
        | Step::DelVeth(_)
        | Step::DelStackedLink(_)
        | Step::DelLink { .. }
        | Step::DelAddress(_) => None,
        Step::DelRule(_) | Step::ResetSysctl(_) | Step::DelTable | Step::DelRules(_) | Step::DelAccept(_) => {
            None
        }
    }
}
