//! Differences from the state in which a NIC was added. Pure. A file for each kind of object.

mod address;
mod link;
mod phys;
mod route;
mod rule;
mod rules;
mod stacked;
mod sysctl;

use common::netlink::Link;

use crate::model::change::{PlanStep, Veth};
use crate::model::nic::OtherEnd;
use crate::model::record::NicRecord;
use crate::model::snapshot::{NetnsState, Snapshot};
use crate::plan::uplinks;
pub use link::renamed;

/// Whether the NIC exists, by what no container can forge.
///
/// Each container of a veth pair between two can rename its end, change its address or create a look-alike, but only in its
/// own network, where it could delete the real one too. So either end identifies the pair, and a look-alike that is
/// deleted belongs to the container that created it.
pub fn is_there(record: &NicRecord, host: &NetnsState, inside: &NetnsState, peer: &NetnsState) -> bool {
    let has = |side: &NetnsState, is_end: fn(&Veth, &Link) -> bool| {
        let veth = record.plan.veth();
        veth.is_some_and(|veth| side.links.iter().any(|link| is_end(veth, link)))
    };
    match &record.plan.nic.other_end {
        OtherEnd::Host(_) | OtherEnd::Bridge { .. } => has(host, Veth::is_other_end),
        OtherEnd::Phys(_) => {
            record.plan.moved().is_some_and(|moved| inside.links.iter().any(|link| moved.looks_like(link)))
        }
        OtherEnd::On(_) => record
            .plan
            .stacked_link()
            .is_some_and(|stacked| inside.links.iter().any(|link| stacked.matches(link))),
        OtherEnd::Peer(_) => has(peer, Veth::is_other_end) || has(inside, Veth::is_inside_end),
    }
}

/// A line for each difference.
pub fn differences(record: &NicRecord, snapshot: &Snapshot) -> Vec<String> {
    if !record.is_whole {
        return vec!["incomplete: add-nic was killed or failed".to_owned()];
    }
    if !is_there(record, &snapshot.host, &snapshot.inside, &snapshot.peer) {
        return vec!["no longer exists".to_owned()];
    }
    // Every network has at least lo. One that cannot be opened any more is about to be deleted with its links.
    if snapshot.inside.links.is_empty() {
        return vec!["about to disappear: its container exited".to_owned()];
    }
    if let Some(peer) = record.peer.as_ref().filter(|_| snapshot.peer.links.is_empty()) {
        return vec![format!("about to disappear: {} exited", peer.name)];
    }
    let named = link::with_made_names(&record.plan, snapshot);
    let steps = record.plan.steps.iter().filter_map(|(step, _)| match step {
        PlanStep::AddVeth(_) | PlanStep::AddStackedLink(_) | PlanStep::TakeNic(_) => differs(step, snapshot),
        // That a link was renamed is one difference: what it has is compared by the name that it was made with.
        step => differs(step, named.as_ref().unwrap_or(snapshot)),
    });
    let moved = uplinks::moved(&record.wanted, &record.plan, &snapshot.host);
    let mut lines: Vec<String> = Vec::new();
    for line in steps.chain(rules::unguarded(record, &snapshot.filters)).chain(moved) {
        // Several rules of one chain differ in the same way.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

impl Snapshot {
    /// Whether a step is done.
    pub fn has(&self, step: &PlanStep) -> bool {
        differs(step, self).is_none()
    }
}

fn differs(step: &PlanStep, snapshot: &Snapshot) -> Option<String> {
    match step {
        PlanStep::AddVeth(veth) => link::veth_differs(veth, snapshot),
        PlanStep::AddBridge(bridge) => link::bridge_differs(bridge, &snapshot.host),
        PlanStep::SetAccessPort(port) => link::access_port_differs(port, &snapshot.host),
        PlanStep::TakeNic(moved) => phys::differs(moved, &snapshot.inside),
        PlanStep::AddStackedLink(stacked) => stacked::differs(stacked, snapshot.side(stacked.netns)),
        PlanStep::AddAddress(spec) => address::differs(spec, snapshot.side(spec.netns)),
        PlanStep::SetUp { netns, link } => {
            let found = snapshot.side(*netns).link(link.as_str());
            found.filter(|found| !found.is_set_up()).map(|_| format!("{link} is down"))
        }
        PlanStep::AddRoute(spec) => route::is_gone(spec, snapshot.side(spec.netns)),
        PlanStep::DelRoute(spec) => route::is_back(spec, snapshot.side(spec.netns)),
        // Undoes another step.
        PlanStep::GiveNicBack(_) => None,
        PlanStep::AddRule(rule) => rule::is_gone(rule, snapshot.side(rule.netns)),
        PlanStep::SetSysctl(sysctl) => sysctl::differs(sysctl, &snapshot.settings),
        PlanStep::AddAnchor(anchor) => rules::anchor_is_gone(anchor, &snapshot.host),
        PlanStep::AddRules(rules) => rules::differ(rules, &snapshot.filters, &snapshot.host),
        PlanStep::AddAccept(accept) => rules::accept_differs(accept, &snapshot.filters),
        // For people, or seen by what it is for.
        PlanStep::SetAlias { .. }
        | PlanStep::SetHairpin { .. }
        | PlanStep::PinMac(_)
        | PlanStep::AllowIpv6 { .. }
        | PlanStep::AddTable => None,
        PlanStep::DelBridge(_)
        | PlanStep::DelVeth(_)
        | PlanStep::DelStackedLink(_)
        | PlanStep::DelLink { .. }
        | PlanStep::DelAddress(_) => None,
        PlanStep::DelRule(_)
        | PlanStep::ResetSysctl(_)
        | PlanStep::DelTable
        | PlanStep::DelRules(_)
        | PlanStep::DelAccept(_) => None,
        PlanStep::SetMac { .. }
        | PlanStep::SetMtu { .. }
        | PlanStep::DelAnchor(_)
        | PlanStep::ClearHairpin { .. }
        | PlanStep::ForbidIpv6 { .. }
        | PlanStep::ExchangeRules { .. } => None,
    }
}
