//! Executes the plan: record it in the journal, act, and on an error undo.

pub mod cleanup;
pub mod executor;
pub mod filter;
pub mod probe;
pub mod proof;
pub mod ready;
pub mod repair;
pub mod replace;
mod route_check;
mod signals;
pub mod stale;
mod sysctl;
mod undone;

use std::time::Duration;

use common::cli::FindConfig;
use common::failure::Failure;
use nix::sys::signal::Signal;

use crate::journal::LockedJournal;
use crate::model::change::PlanStep;
use crate::model::netns::Netns;
use crate::model::plan::Plan;
use crate::model::record::NicRecord;
use crate::plan::routes;
use crate::read::container::has_ended;
use crate::tool::TOOL;
use executor::Executor;
use proof::Reachability;
use ready::LinkStatus;
use signals::BlockedSignals;
pub use undone::UndoneSteps;

/// Why it is rolled back.
#[derive(Debug)]
enum Stop {
    Failed(Failure),
    Signalled(Signal),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

/// What is done about other hosts on the segment.
#[derive(Debug, Clone, Copy)]
pub struct ConflictPolicy<'a> {
    /// The waits of duplicate address detection, one per probe, and how the owner of an address is found.
    pub ask: Option<(&'a [Duration], FindConfig)>,
    pub announce: bool,
}

/// Adds the NIC that `record` plans: when this returns, it works, or nothing of it is left. `others` are all other NICs of
/// ours.
pub fn add(
    record: &mut NicRecord,
    others: &[NicRecord],
    journal: &LockedJournal<'_>,
    executor: &mut Executor,
    policy: &ConflictPolicy<'_>,
) -> Result<Reachability, Failure> {
    let signals = BlockedSignals::new()?;
    journal.write(record)?;
    let done = carry_out(record, executor, policy, &signals).and_then(|reachable| {
        remember(record, executor)?;
        record.is_whole = true;
        journal.write(record)?;
        Ok(reachable)
    });
    let stop = match done {
        Ok(reachable) => return Ok(reachable),
        Err(stop) => stop,
    };
    let others: Vec<&NicRecord> = others.iter().collect();
    let undone = undo(record, &others, journal, executor).map(drop);
    match stop {
        Stop::Failed(failure) => Err(with_undoing(failure, undone, record)),
        Stop::Signalled(signal) => {
            let failure = Failure::failed(&record.plan.nic.name, "interrupted; rolled back");
            common::failure::report(TOOL, &with_undoing(failure, undone, record));
            signals.die_of(signal);
            Err(Failure::already_said(common::failure::Status::Failed))
        }
    }
}

/// Records what identifies what was made.
fn remember(record: &mut NicRecord, executor: &mut Executor) -> Result<(), Failure> {
    let name = record.plan.nic.name.clone();
    let index = executor.index(Netns::Container, &name).map_err(|error| Failure::failed(&name, error))?;
    record.plan.remember_index(index);
    let indices = record.plan.veth().and_then(|veth| executor.indices_of(veth));
    indices.into_iter().for_each(|indices| record.plan.remember_pair(indices));
    for (key, witness) in &executor.witnesses {
        record.plan.remember_witness(key, witness);
    }
    Ok(())
}

fn carry_out(
    record: &NicRecord,
    executor: &mut Executor,
    policy: &ConflictPolicy<'_>,
    signals: &BlockedSignals,
) -> Result<Reachability, Stop> {
    let check_signals = || signals.received().map_or(Ok(()), |signal| Err(Stop::Signalled(signal)));
    let plan = &record.plan;
    let mut asking = policy.ask.filter(|_| plan.duplicate_prober().is_some());
    let mut works = None;
    for (step, _) in &plan.steps {
        check_signals()?;
        // Without an address it cannot cause a conflict.
        if let (Some((waits, find)), PlanStep::AddAddress(spec)) = (asking, step)
            && spec.netns == Netns::Container
        {
            asking = None;
            works = Some(ready::wait_for_links(plan, executor)?);
            if works == Some(LinkStatus::Ready) {
                probe::refuse_duplicates_late(plan, executor, waits, signals.as_fd(), find)?;
                check_signals()?;
            }
        }
        let done = if plan.is_shared(step) { executor.act_unless_done(step) } else { executor.act(step) };
        done.map_err(|error| Failure::failed(step.as_command(&record.files()), error))?;
    }
    check_signals()?;
    let reachable = ready::finish(plan, executor, policy.announce, works)?;
    let mut containers = std::iter::once(&record.inside).chain(&record.peer);
    if let Some(ended) = containers.find(|container| has_ended(container)) {
        return Err(Failure::no(&ended.name, "exited while the NIC was added; rolled back").into());
    }
    check_signals().map(|()| reachable)
}

/// The failure, and the failure of rolling back, if that failed too.
fn with_undoing(failure: Failure, undone: Result<(), Failure>, record: &NicRecord) -> Failure {
    match undone {
        Ok(()) => failure,
        Err(second) => {
            let why = (!second.is_already_said()).then(|| format!("{TOOL}: rolling back: {second}"));
            failure.and_lines(why).hint(common::hint!(
                "add-nic --rm {} {}",
                record.inside.name,
                record.plan.nic.name
            ))
        }
    }
}

/// Refuses a removal that could be done only in part. Changes nothing.
pub fn refuse_impossible(
    record: &NicRecord,
    others: &[&NicRecord],
    executor: &mut Executor,
) -> Result<(), Failure> {
    let others: Vec<&Plan> = others.iter().map(|record| &record.plan).collect();
    record.plan.undoing(&others).try_for_each(|step| {
        let command = || step.as_command(&record.files());
        executor.can_undo(step).map_err(|error| error.into_failure(command()))
    })
}

/// Undoes all that `record` plans, as far as it was done, and deletes the record. What is gone already, or was changed
/// since, is left alone.
///
/// After a step that fails, the others are undone all the same; then the record is kept for the next call.
pub fn undo(
    record: &NicRecord,
    others: &[&NicRecord],
    journal: &LockedJournal<'_>,
    executor: &mut Executor,
) -> Result<UndoneSteps, Failure> {
    let undone = undo_steps(record, others, executor)?;
    journal.remove(record).map(|()| undone)
}

/// The same, and the record stays as it is.
fn undo_steps(
    record: &NicRecord,
    others: &[&NicRecord],
    executor: &mut Executor,
) -> Result<UndoneSteps, Failure> {
    let others: Vec<&Plan> = others.iter().flat_map(|record| record.plans()).collect();
    let (mut first, mut undone) = (None, UndoneSteps::default());
    for of_one in std::iter::once(record).chain(record.replaced.as_deref()) {
        executor.undo_only(of_one);
        for step in of_one.plan.undoing(&others) {
            match executor.act_as_undoing(step) {
                Ok(true) => undone.add(step),
                Ok(false) => {}
                Err(error) => {
                    first.get_or_insert(error.into_failure(step.as_command(&of_one.files())));
                }
            }
        }
    }
    match first {
        Some(failure) => {
            Err(failure.and_lines(undone.words().map(|words| format!("{TOOL}: was done: {words}"))))
        }
        None => Ok(undone),
    }
}

/// Before a NIC is removed: later NICs in the same container take over the routes that it would restore.
pub fn hand_over_routes(
    gone: &NicRecord,
    others: &mut [NicRecord],
    journal: &LockedJournal<'_>,
) -> Result<(), Failure> {
    for above in others.iter_mut().filter(|other| other.inside.is_same_as(&gone.inside)) {
        if routes::hand_over_routes(&gone.plan, &mut above.plan) {
            journal.write(above)?;
        }
    }
    Ok(())
}
