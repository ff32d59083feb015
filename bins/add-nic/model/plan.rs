//! A plan: what will be done, step by step, and what comes of it.

use common::target::IfName;
use serde::{Deserialize, Serialize};

use crate::model::change::{Moved, StackedKind, StackedLink, Step, Undo};
use crate::model::netns::Netns;
use crate::model::nic::{Nic, OtherEnd};

/// What will be done, step by step, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub nic: Nic,
    pub steps: Vec<(Step, Undo)>,
}

impl Plan {
    /// The NIC's link, if it stands on one of the host's.
    pub fn stacked_link(&self) -> Option<&StackedLink> {
        self.steps.iter().find_map(|(step, _)| match step {
            Step::AddStackedLink(upper) if upper.place == Netns::Container => Some(upper),
            _ => None,
        })
    }

    /// The host's NIC that is moved in.
    pub fn moved(&self) -> Option<&Moved> {
        self.steps.iter().find_map(|(step, _)| match step {
            Step::TakeNic(moved) => Some(moved),
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
            if let (Step::AddStackedLink(upper), Undo::By(Step::DelStackedLink(same))) = (step, undoing) {
                (upper.index, same.index) = (Some(index), Some(index));
            }
        }
    }

    /// Whether others may have done a step of it already: what is about the bridge or the VLAN's link below, and settings of a
    /// whole namespace.
    pub fn is_shared(&self, step: &Step) -> bool {
        match step {
            Step::AddBridge(_) => true,
            Step::AddStackedLink(upper) => upper.place == Netns::Host,
            Step::SetSysctl(sysctl) => sysctl.before.is_some(),
            Step::AddAddress(held) => {
                held.place == Netns::Host && Some(&held.link) == self.nic.other_end.bridge()
            }
            _ => false,
        }
    }

    /// The steps that undo it, last first; without those that one of `others` still needs.
    pub fn undoing<'a>(&'a self, others: &'a [&'a Plan]) -> impl Iterator<Item = &'a Step> {
        let needed =
            |step: &Step| others.iter().any(|plan| plan.steps.iter().any(|(other, _)| other == step));
        self.steps.iter().rev().filter_map(move |(step, undoing)| match undoing {
            Undo::WithItsLink => None,
            Undo::By(undo) => Some(undo),
            Undo::WhenUnused(undo) => (!needed(step)).then_some(undo),
        })
    }
}
