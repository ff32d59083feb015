//! Decides what will be, from what is wanted and what is. Pure. A file for each place where the other end can go.

mod addressing;
mod basis;
mod bridge;
mod cable;
mod nic;

use common::failure::Failure;
use serde::{Deserialize, Serialize};

use crate::journal::Record;
use crate::routes::routes;
use crate::step::{Place, Step, Undoing};
pub use basis::Basis;
pub use bridge::Plugged;
pub use nic::{Nic, OtherEnd, Port};

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
        let Plan { nic, mut steps } = cable::cable(name, basis)?;
        steps.extend(routes(&nic, basis)?);
        Ok(Plan { nic, steps })
    }

    /// Whether a step of it is about the bridge, which others may have done already.
    pub fn is_shared(&self, step: &Step) -> bool {
        match step {
            Step::AddBridge(_) => true,
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
