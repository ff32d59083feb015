//! Repairs a NIC in place: does those steps again that were undone since it was added. Its record stays as it is, and so a repair
//! that is killed is a difference again.

use common::failure::Failure;

use crate::apply::executor::Executor;
use crate::apply::ready;
use crate::check::{differences, is_there};
use crate::model::change::PlanStep;
use crate::model::netns::Netns;
use crate::model::record::NicRecord;
use crate::model::snapshot::Snapshot;
use crate::read::sockets::Sockets;

/// What became of a NIC.
#[derive(Debug)]
pub enum Repair {
    /// It is as it was added. This differed before.
    Done(Vec<String>),
    /// This differs, and no step can be done again for it: only a new NIC helps.
    Impossible(Vec<String>),
}

/// What differs now.
pub fn drift(record: &NicRecord) -> Result<Vec<String>, Failure> {
    Ok(differences(record, &look(record)?.0))
}

/// Makes it as it was added, and announces its addresses if asked. The journal must be locked: others must not remove it meanwhile.
pub fn repair(record: &NicRecord, announce: bool) -> Result<Repair, Failure> {
    let (snapshot, sockets) = look(record)?;
    let differs = differences(record, &snapshot);
    if differs.is_empty() {
        return Ok(Repair::Done(differs));
    }
    // The steps go by the names of the links: each must be the one that was made.
    let is_as_made = |step: &PlanStep| !makes_a_link(step) || snapshot.has(step);
    let is_whole = record.is_whole
        && is_there(record, &snapshot.host, &snapshot.inside, &snapshot.peer)
        && record.plan.steps.iter().all(|(step, _)| is_as_made(step));
    if !is_whole {
        return Ok(Repair::Impossible(differs));
    }
    let mut executor = Executor::new(sockets);
    for (step, _) in &record.plan.steps {
        do_again(step, record, &snapshot, &mut executor)?;
    }
    ready::finish(&record.plan, &mut executor, announce, None)?;
    let left = drift(record)?;
    Ok(if left.is_empty() { Repair::Done(differs) } else { Repair::Impossible(left) })
}

fn makes_a_link(step: &PlanStep) -> bool {
    match step {
        PlanStep::AddVeth(_) | PlanStep::AddBridge(_) | PlanStep::TakeNic(_) => true,
        PlanStep::AddStackedLink(stacked) => stacked.netns == Netns::Container,
        _ => false,
    }
}

fn do_again(
    step: &PlanStep,
    record: &NicRecord,
    snapshot: &Snapshot,
    executor: &mut Executor,
) -> Result<(), Failure> {
    // No snapshot shows whether a link may have IPv6 addresses.
    if snapshot.has(step) && !matches!(step, PlanStep::AllowIpv6 { .. }) {
        return Ok(());
    }
    let rules = match step {
        // Some of them may be left.
        PlanStep::AddRules(rules) => vec![PlanStep::DelRules(rules.clone()), PlanStep::AddTable],
        _ => vec![],
    };
    for step in rules.iter().chain([step]) {
        // What is there already, or has lost its link meanwhile, shows when the NIC is compared again.
        executor
            .act_as_undoing(step)
            .map_err(|error| error.into_failure(step.as_command(&record.files())))?;
    }
    Ok(())
}

fn look(record: &NicRecord) -> Result<(Snapshot, Sockets), Failure> {
    let mut sockets = Sockets::for_record(record)?;
    let mut snapshot = Snapshot::read(&mut sockets)?;
    snapshot.read_details(None, std::iter::once(record), &sockets)?;
    Ok((snapshot, sockets))
}
