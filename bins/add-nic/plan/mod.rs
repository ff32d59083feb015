//! Decides what will be, from what is wanted and what is. Pure. A file for each place where the other end can go.

mod addresses;
mod addressing;
pub mod bridge;
mod cable;
mod conflicts;
pub mod filter;
#[cfg(test)]
mod filter_tests;
pub mod input;
mod names;
mod phys;
mod refuse;
pub mod routes;
mod sbr;
mod site;
mod stacked;
pub mod sysctl;
pub mod sysctl_forwarding;
#[cfg(test)]
mod tests;

use common::failure::Failure;

use crate::model::change::Step;
use crate::model::plan::Plan;
use crate::model::wanted::WantedEnd;
use input::Basis;
use routes::routes;
use sbr::sbr;

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
        steps.extend(filter::steps(&nic, basis)?);
        Ok(Plan { nic, steps })
    }
}
