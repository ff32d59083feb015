//! Decides what will be, from what is wanted and what is. Pure. A file for each place where the other end can go.

mod addressing;
mod basis;
mod bridge;
mod cable;
mod nic;
mod phys;
mod stacked;

use common::failure::Failure;
use common::target::IfName;
use serde::{Deserialize, Serialize};

use crate::firewall;
use crate::journal::Record;
use crate::routes::routes;
use crate::sbr::sbr;
use crate::step::{Moved, On, Place, Step, Undoing, Upper};
use crate::sysctl;
use crate::wanted::WantedEnd;
pub use basis::Basis;
pub use bridge::{NO_VLAN_FILTERING, Plugged};
pub use nic::{Nic, OtherEnd, Parent, Port};

/// What will be done, step by step, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub nic: Nic,
    pub steps: Vec<(Step, Undoing)>,
}

impl Plan {
    /// The plan, or why there can be none.
    pub fn make(basis: &Basis<'_>) -> Result<Plan, Failure> {
        let name = basis.name()?;
        let Plan { nic, mut steps } = match &basis.wanted.other_end {
            WantedEnd::Host | WantedEnd::Bridge(_) | WantedEnd::Peer(_) => cable::cable(name, basis)?,
            WantedEnd::Phys(nic) => phys::phys(name, nic, basis)?,
            WantedEnd::On(parent) => stacked::stacked(name, parent, basis)?,
        };
        // Before anything can come in.
        let up = steps.iter().position(|(step, _)| matches!(step, Step::SetUp { .. })).unwrap_or(steps.len());
        steps.splice(up..up, sysctl::asked_for(&nic, basis)?);
        steps.extend(routes(&nic, basis)?);
        steps.extend(sbr(&nic, basis)?);
        steps.extend(firewall::steps(&nic, basis)?);
        Ok(Plan { nic, steps })
    }

    /// The NIC's link, if it stands on one of the host's.
    pub fn upper(&self) -> Option<&Upper> {
        self.steps.iter().find_map(|(step, _)| match step {
            Step::AddUpper(upper) if upper.place == Place::Inside => Some(upper),
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
    pub fn late_asker(&self) -> Option<(Place, IfName)> {
        let other_end = &self.nic.other_end;
        match other_end {
            OtherEnd::Bridge { vlan: None, .. } => None,
            OtherEnd::On(parent) if matches!(parent.on, On::Ipvlan(_)) => {
                parent.link().map(|link| (Place::Outside, link))
            }
            _ => Some((Place::Inside, self.nic.name.clone())),
        }
        .filter(|_| other_end.has_neighbours())
    }

    /// Remembers the index of that link, which is made now.
    pub fn remember_index(&mut self, index: u32) {
        for (step, undoing) in &mut self.steps {
            if let (Step::AddUpper(upper), Undoing::By(Step::DelUpper(same))) = (step, undoing) {
                (upper.index, same.index) = (Some(index), Some(index));
            }
        }
    }

    /// Whether others may have done a step of it already: what is about the bridge or the VLAN's link below, and settings of a
    /// whole namespace.
    pub fn is_shared(&self, step: &Step) -> bool {
        match step {
            Step::AddBridge(_) => true,
            Step::AddUpper(upper) => upper.place == Place::Outside,
            Step::SetSysctl(sysctl) => sysctl.before.is_some(),
            Step::AddAddress(held) => {
                held.place == Place::Outside && Some(&held.link) == self.nic.other_end.bridge()
            }
            _ => false,
        }
    }

    /// The steps that undo it, last first; without those that others still need.
    pub fn undoing<'a>(&'a self, others: &'a [&'a Record]) -> impl Iterator<Item = &'a Step> {
        undoing(&self.steps, others)
    }
}

/// The steps that undo `steps`, last first; without those that one of `others` still needs.
pub fn undoing<'a>(steps: &'a [(Step, Undoing)], others: &'a [&'a Record]) -> impl Iterator<Item = &'a Step> {
    let needed =
        |step: &Step| others.iter().any(|record| record.plan.steps.iter().any(|(other, _)| other == step));
    steps.iter().rev().filter_map(move |(step, undoing)| match undoing {
        Undoing::WithItsLink => None,
        Undoing::By(undo) => Some(undo),
        Undoing::ByTheLast(undo) => (!needed(step)).then_some(undo),
    })
}
