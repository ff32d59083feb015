//! Decides what will be, from what is wanted and what is. Pure. A file for each place where the other end can go.

mod addresses;
mod addressing;
pub mod bridge;
pub mod conflicts;
pub mod filter;
mod filter_point;
#[cfg(test)]
mod filter_tests;
pub mod input;
mod marks;
mod names;
mod phys;
mod refuse;
pub mod routes;
mod sbr;
pub mod simulation;
mod stacked;
pub mod sysctl;
pub mod sysctl_forwarding;
#[cfg(test)]
mod tests;
pub mod transition;
pub mod uplinks;
mod veth;

use common::failure::Failure;

use crate::model::change::PlanStep;
use crate::model::identity::LinkIdentity;
use crate::model::plan::Plan;
use crate::model::wanted::WantedEnd;
use input::PlanInput;
use routes::routes;
use sbr::sbr;

impl Plan {
    /// The plan, or why there can be none.
    pub fn make(input: &PlanInput<'_>) -> Result<Plan, Failure> {
        conflicts::refuse_own(input)?;
        let name = input.name()?;
        let Plan { nic, mut steps, .. } = match &input.wanted.other_end {
            WantedEnd::Host | WantedEnd::Bridge(_) | WantedEnd::Peer(_) => veth::veth(name, input)?,
            WantedEnd::Phys(nic) => phys::phys(name, nic, input)?,
            WantedEnd::On(parent) => stacked::stacked(name, parent, input)?,
        };
        // Before anything can come in.
        let up =
            steps.iter().position(|(step, _)| matches!(step, PlanStep::SetUp { .. })).unwrap_or(steps.len());
        steps.splice(up..up, sysctl::asked_for(&nic, input)?);
        steps.extend(routes(&nic, input)?);
        steps.extend(sbr(&nic, input)?);
        steps.extend(filter::steps(&nic, input)?);
        let links = LinkIdentity::of_all(&steps, input.snapshot);
        Ok(Plan { nic, steps, links })
    }
}
