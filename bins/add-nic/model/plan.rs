//! A plan: what will be done, step by step, and what comes of it.

use common::target::IfName;
use serde::{Deserialize, Serialize};

use crate::model::change::{MovedNic, PlanStep, StackedKind, StackedLink, Undo};
use crate::model::netns::Netns;
use crate::model::nic::{Nic, OtherEnd};

/// What will be done, step by step, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub nic: Nic,
    pub steps: Vec<(PlanStep, Undo)>,
}

impl Plan {
    /// The NIC's link, if it stands on one of the host's.
    pub fn stacked_link(&self) -> Option<&StackedLink> {
        self.steps.iter().find_map(|(step, _)| match step {
            PlanStep::AddStackedLink(upper) if upper.place == Netns::Container => Some(upper),
            _ => None,
        })
    }

    /// The host's NIC that is moved in.
    pub fn moved(&self) -> Option<&MovedNic> {
        self.steps.iter().find_map(|(step, _)| match step {
            PlanStep::TakeNic(moved) => Some(moved),
            _ => None,
        })
    }

    /// The link that asks who has the NIC's addresses, where that can only be done once the NIC is up: the host is not on its
    /// segment. An ipvlan asks through its parent, which hands it only what is for an address that it has already.
    pub fn late_asker(&self) -> Option<(Netns, IfName)> {
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

    /// Remembers the index of that link, which is made now.
    pub fn remember_index(&mut self, index: u32) {
        for (step, undoing) in &mut self.steps {
            if let (PlanStep::AddStackedLink(upper), Undo::By(PlanStep::DelStackedLink(same))) =
                (step, undoing)
            {
                (upper.index, same.index) = (Some(index), Some(index));
            }
        }
    }

    /// Whether others may have done a step of it already: what is about the bridge or the VLAN's link below, and settings of a
    /// whole namespace.
    pub fn is_shared(&self, step: &PlanStep) -> bool {
        match step {
            PlanStep::AddBridge(_) => true,
            PlanStep::AddStackedLink(upper) => upper.place == Netns::Host,
            PlanStep::SetSysctl(sysctl) => sysctl.before.is_some(),
            PlanStep::AddAddress(held) => {
                held.place == Netns::Host && Some(&held.link) == self.nic.other_end.bridge()
            }
            _ => false,
        }
    }

    /// The steps that undo it, last first; without those that one of `others` still needs.
    pub fn undoing<'a>(&'a self, others: &'a [&'a Plan]) -> impl Iterator<Item = &'a PlanStep> {
        let needed =
            |step: &PlanStep| others.iter().any(|plan| plan.steps.iter().any(|(other, _)| other == step));
        self.steps.iter().rev().filter_map(move |(step, undoing)| match undoing {
            Undo::WithItsLink => None,
            Undo::By(undo) => Some(undo),
            Undo::WhenUnused(undo) => (!needed(step)).then_some(undo),
        })
    }
}
