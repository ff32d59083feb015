//! A plan: the steps that will be done, and the NIC that results.

use common::target::IfName;
use serde::{Deserialize, Serialize};

use crate::model::change::{MovedNic, PlanStep, StackedKind, StackedLink, Undo, Veth, VethIndices};
use crate::model::identity::LinkIdentity;
use crate::model::netns::Netns;
use crate::model::nic::{Nic, OtherEnd};
use crate::model::sysctl::{SwitchWitness, SysctlKey};

/// The steps that will be done, and the NIC that results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub nic: Nic,
    pub steps: Vec<(PlanStep, Undo)>,
    /// The links that there were before, of those that steps name: undoing knows them by this, and by no name.
    #[serde(default)]
    pub links: Vec<LinkIdentity>,
}

impl Plan {
    /// The NIC's link, if it is stacked on a link of the host.
    pub fn stacked_link(&self) -> Option<&StackedLink> {
        self.steps.iter().find_map(|(step, _)| match step {
            PlanStep::AddStackedLink(stacked) if stacked.netns == Netns::Container => Some(stacked),
            _ => None,
        })
    }

    /// The host interface that is moved in.
    pub fn moved(&self) -> Option<&MovedNic> {
        self.steps.iter().find_map(|(step, _)| match step {
            PlanStep::TakeNic(moved) => Some(moved),
            _ => None,
        })
    }

    /// The link that checks for duplicates, where that is possible only once the NIC is up because the host is not on its
    /// segment. For an ipvlan it is the parent, which passes it only packets for addresses that it has already.
    pub fn duplicate_prober(&self) -> Option<(Netns, IfName)> {
        let other_end = &self.nic.other_end;
        match other_end {
            OtherEnd::Bridge { vlan: None, .. } => None,
            OtherEnd::On(parent) if matches!(parent.on, StackedKind::Ipvlan(_)) => {
                parent.link().map(|link| (Netns::Host, link))
            }
            _ => Some((Netns::Container, self.nic.name.clone())),
        }
        .filter(|_| other_end.has_neighbours())
    }

    /// The veth pair.
    pub fn veth(&self) -> Option<&Veth> {
        self.steps.iter().find_map(|(step, _)| match step {
            PlanStep::AddVeth(veth) => Some(veth),
            _ => None,
        })
    }

    /// Records the indices of the pair's ends, now that it was created.
    pub fn remember_pair(&mut self, indices: VethIndices) {
        for (step, undoing) in &mut self.steps {
            if let (PlanStep::AddVeth(veth), Undo::By(PlanStep::DelVeth(same))) = (step, undoing) {
                (veth.indices, same.indices) = (Some(indices), Some(indices));
            }
        }
    }

    /// Records what there was when a switch was set.
    pub fn remember_witness(&mut self, key: &SysctlKey, witness: &SwitchWitness) {
        for (step, undoing) in &mut self.steps {
            if let (PlanStep::SetSysctl(set), Undo::WhenUnused(PlanStep::ResetSysctl(same))) = (step, undoing)
                && set.netns == Netns::Host
                && set.key == *key
                && set.witness.is_none()
            {
                (set.witness, same.witness) = (Some(witness.clone()), Some(witness.clone()));
            }
        }
    }

    /// Its links were deleted, and others are made of the same plan: these have other indices.
    pub fn forget_indices(&mut self) {
        for (step, undoing) in &mut self.steps {
            match (step, undoing) {
                (PlanStep::AddVeth(veth), Undo::By(PlanStep::DelVeth(same))) => {
                    (veth.indices, same.indices) = (None, None);
                }
                (PlanStep::AddStackedLink(stacked), Undo::By(PlanStep::DelStackedLink(same))) => {
                    (stacked.index, same.index) = (None, None);
                }
                _ => {}
            }
        }
    }

    /// Records the index of that link, now that it was created.
    pub fn remember_index(&mut self, index: u32) {
        for (step, undoing) in &mut self.steps {
            if let (PlanStep::AddStackedLink(stacked), Undo::By(PlanStep::DelStackedLink(same))) =
                (step, undoing)
            {
                (stacked.index, same.index) = (Some(index), Some(index));
            }
        }
    }

    /// Whether another NIC's plan may have done this step already: those about the bridge or the VLAN interface below, and
    /// settings of a whole namespace.
    pub fn is_shared(&self, step: &PlanStep) -> bool {
        match step {
            PlanStep::AddBridge(_) => true,
            PlanStep::AddStackedLink(stacked) => stacked.netns == Netns::Host,
            PlanStep::SetSysctl(sysctl) => sysctl.before.is_some(),
            PlanStep::AddAccept(accept) => accept.what.shared_on().is_some(),
            PlanStep::AddAddress(spec) => {
                spec.netns == Netns::Host && Some(&spec.link) == self.nic.other_end.bridge()
            }
            _ => false,
        }
    }

    /// The steps that undo it, last first, without those that a plan in `others` still needs.
    pub fn undoing<'a>(&'a self, others: &'a [&'a Plan]) -> impl Iterator<Item = &'a PlanStep> {
        let needed =
            |step: &PlanStep| others.iter().any(|plan| plan.steps.iter().any(|(other, _)| other == step));
        self.steps.iter().rev().filter_map(move |(step, undoing)| match undoing {
            Undo::WithItsLink | Undo::Stays => None,
            Undo::By(undo) => Some(undo),
            Undo::WhenUnused(undo) => (!needed(step)).then_some(undo),
        })
    }
}
