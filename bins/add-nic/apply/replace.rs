//! `--replace`: a NIC takes the place of another one. What fails, or is killed, is rolled back to the old one: until the new one works,
//! the record has both.

use common::failure::Failure;

use crate::apply::executor::{Executor, StepError};
use crate::apply::proof::Reachability;
use crate::apply::signals::BlockedSignals;
use crate::apply::{ConflictPolicy, Stop, carry_out, probe, ready, remember, undo, undo_steps};
use crate::check::differences;
use crate::journal::LockedJournal;
use crate::model::change::PlanStep;
use crate::model::netns::Netns;
use crate::model::nic::Nic;
use crate::model::plan::Plan;
use crate::model::record::NicRecord;
use crate::model::snapshot::Snapshot;
use crate::plan::transition::{self, Transition, makes_a_link};
use crate::read::container::{has_ended, has_lost_its_network};
use crate::read::sockets::Sockets;
use crate::tool::TOOL;

/// Replaces the NIC in `record.replaced` by the one that `record` plans: by `transition` in place, or by a new one. `others` are all
/// other NICs of ours.
pub fn replace(
    record: &mut NicRecord,
    transition: Option<&Transition>,
    others: &[NicRecord],
    journal: &LockedJournal<'_>,
    executor: &mut Executor,
    policy: &ConflictPolicy<'_>,
) -> Result<Reachability, Failure> {
    let others: Vec<&NicRecord> = others.iter().collect();
    refuse_impossible(record, transition, &others, executor)?;
    let signals = BlockedSignals::new()?;
    journal.write(record)?;
    let done = match transition {
        Some(transition) => change(record, transition, executor, policy, &signals),
        None => make_anew(record, &others, executor, policy, &signals),
    };
    let done = done.and_then(|reachable| {
        remember(record, executor)?;
        let whole = NicRecord { is_whole: true, replaced: None, ..record.clone() };
        journal.write(&whole)?;
        *record = whole;
        Ok(reachable)
    });
    let stop = match done {
        Ok(reachable) => return Ok(reachable),
        Err(stop) => stop,
    };
    let back = put_back(record, &others, journal);
    let name = record.plan.nic.name.clone();
    match stop {
        Stop::Failed(failure) => Err(with_rollback(failure, back, record)),
        Stop::Signalled(signal) => {
            let failure = Failure::failed(&name, "interrupted");
            common::failure::report(TOOL, &with_rollback(failure, back, record));
            signals.die_of(signal);
            Err(Failure::already_said(common::failure::Status::Failed))
        }
    }
}

/// Refuses what could not be undone, before anything is changed.
fn refuse_impossible(
    record: &NicRecord,
    transition: Option<&Transition>,
    others: &[&NicRecord],
    executor: &mut Executor,
) -> Result<(), Failure> {
    let others: Vec<&Plan> = others.iter().flat_map(|other| other.plans()).collect();
    let undoing: Vec<&PlanStep> = match (transition, record.replaced.as_deref()) {
        (Some(transition), _) => transition.undoing.iter().chain(&transition.adapting).collect(),
        (None, old) => old.into_iter().flat_map(|old| old.plan.undoing(&others)).collect(),
    };
    undoing.into_iter().try_for_each(|step| {
        let refused = executor.can_undo(step).map_err(|error| failed(step, error, record));
        refused.map_err(|failure| failure.and_lines([format!("{TOOL}: nothing was changed")]))
    })
}

/// The failure, and whether the old NIC is back.
fn with_rollback(failure: Failure, back: Result<Option<NicRecord>, Failure>, record: &NicRecord) -> Failure {
    let (container, name) = (&record.inside.name, &record.plan.nic.name);
    match back {
        Ok(Some(old)) => {
            let old = &old.plan.nic.name;
            failure.and_lines([format!("{TOOL}: rolled back: {old} of {container} is as it was before")])
        }
        Ok(None) => failure.and_lines([format!("{TOOL}: the container exited: nothing is left of {name}")]),
        Err(second) => {
            let why = (!second.is_already_said()).then(|| format!("{TOOL}: rolling back: {second}"));
            let next = format!("{TOOL}: the next call of add-nic tries to roll it back again");
            failure.and_lines(why.into_iter().chain([next])).hint(common::hint!("add-nic --check"))
        }
    }
}

/// Removes the old one, and adds the new one.
fn make_anew(
    record: &NicRecord,
    others: &[&NicRecord],
    executor: &mut Executor,
    policy: &ConflictPolicy<'_>,
    signals: &BlockedSignals,
) -> Result<Reachability, Stop> {
    let Some(old) = record.replaced.as_deref() else { return carry_out(record, executor, policy, signals) };
    undo_steps(old, others, executor)?;
    executor.forget();
    carry_out(record, executor, policy, signals)
}

/// Changes the old one in place.
fn change(
    record: &NicRecord,
    transition: &Transition,
    executor: &mut Executor,
    policy: &ConflictPolicy<'_>,
    signals: &BlockedSignals,
) -> Result<Reachability, Stop> {
    let check_signals = || signals.received().map_or(Ok(()), |signal| Err(Stop::Signalled(signal)));
    let Some(old) = record.replaced.as_deref() else { return carry_out(record, executor, policy, signals) };
    executor.know(&old.plan).map_err(|error| Failure::failed(&old.plan.nic.name, error))?;
    executor.undo_only(old);
    for step in &transition.undoing {
        check_signals()?;
        executor.act_as_undoing(step).map_err(|error| failed(step, error, record))?;
    }
    executor.go_by_names();
    for step in &transition.adapting {
        check_signals()?;
        executor.act(step).map_err(|error| failed(step, error, record))?;
    }
    let snapshot = look(record, executor)?;
    let mut new_addresses = Some(only_new_addresses(&record.plan, &old.plan.nic))
        .filter(|plan| !plan.nic.addresses.is_empty() && plan.duplicate_prober().is_some());
    for (step, _) in &record.plan.steps {
        check_signals()?;
        if let (Some((waits, find)), PlanStep::AddAddress(spec)) = (policy.ask, step)
            && spec.netns == Netns::Container
            && let Some(plan) = new_addresses.take()
        {
            probe::refuse_duplicates_late(&plan, executor, waits, signals.as_fd(), find)?;
            check_signals()?;
        }
        redo(step, transition.adding.contains(step), &snapshot, record, executor)?;
    }
    check_signals()?;
    let reachable = ready::finish(&record.plan, executor, policy.announce, None)?;
    let mut containers = std::iter::once(&record.inside).chain(&record.peer);
    if let Some(ended) = containers.find(|container| has_ended(container)) {
        return Err(Failure::no(&ended.name, "exited while the NIC was changed").into());
    }
    check_signals().map(|()| reachable)
}

/// The plan with those addresses only that the NIC had not before.
pub fn only_new_addresses(plan: &Plan, old: &Nic) -> Plan {
    let mut plan = plan.clone();
    let had = |address| old.addresses.iter().any(|cidr| cidr.address() == address);
    plan.nic.addresses.retain(|cidr| !had(cidr.address()));
    plan
}

/// Does a step of the plan, if it is not done. That some are done no snapshot shows: these only if they `are_new`.
fn redo(
    step: &PlanStep,
    is_new: bool,
    snapshot: &Snapshot,
    record: &NicRecord,
    executor: &mut Executor,
) -> Result<(), Failure> {
    if is_done(step, is_new, snapshot) {
        return Ok(());
    }
    if makes_a_link(step) {
        let what = "was changed by another program meanwhile";
        return Err(Failure::failed(&record.plan.nic.name, what));
    }
    if let PlanStep::AddRules(rules) = step {
        // The table may be gone with them, or only some of them be left.
        let anew = PlanStep::ExchangeRules { from: rules.clone(), to: rules.clone() };
        return executor.act(&anew).map_err(|error| failed(&anew, error, record));
    }
    let done = if record.plan.is_shared(step) { executor.act_unless_done(step) } else { executor.act(step) };
    done.map_err(|error| failed(step, error, record))
}

fn is_done(step: &PlanStep, is_new: bool, snapshot: &Snapshot) -> bool {
    let is_unseen = matches!(
        step,
        PlanStep::SetAlias { .. }
            | PlanStep::SetHairpin { .. }
            | PlanStep::PinMac(_)
            | PlanStep::AllowIpv6 { .. }
            | PlanStep::AddTable
    );
    snapshot.has(step) && !(is_unseen && is_new)
}

fn failed(step: &PlanStep, error: StepError, record: &NicRecord) -> Failure {
    error.into_failure(step.as_command(&record.files()))
}

/// The networks of `record`, and all that its plan changes.
fn look(record: &NicRecord, executor: &mut Executor) -> Result<Snapshot, Failure> {
    let mut snapshot = Snapshot::read(&mut executor.sockets)?;
    snapshot.read_details(None, std::iter::once(record), &executor.sockets)?;
    Ok(snapshot)
}

/// Puts the NIC back whose place `record` was to take, and returns its record; `None` if its network is gone, and nothing is left of
/// either. Where that fails, the record keeps both for the next call.
pub fn put_back(
    record: &NicRecord,
    others: &[&NicRecord],
    journal: &LockedJournal<'_>,
) -> Result<Option<NicRecord>, Failure> {
    let Some(old) = record.replaced.as_deref() else { return Ok(None) };
    if has_lost_its_network(record) || has_lost_its_network(old) {
        let mut executor = Executor::new(Sockets::for_record(record)?);
        return undo(record, others, journal, &mut executor).map(|_| None);
    }
    let mut old = old.clone();
    // The other container may be another one.
    let mut executor = Executor::new(Sockets::for_record(&old)?);
    let mut snapshot = look(&old, &mut executor)?;
    let is_as_made = |(step, _): &(PlanStep, _)| !makes_a_link(step) || is_same_link(step, &snapshot);
    let transition = match old.plan.steps.iter().all(is_as_made) {
        true => back_in_place(record, others, &mut snapshot, &executor)?,
        false => None,
    };
    match transition {
        Some(transition) => change_back(record, &old, &transition, &mut executor)?,
        None => {
            undo_steps(record, others, &mut Executor::new(Sockets::for_record(record)?))?;
            // From now on both are told by their MAC addresses.
            old.plan.forget_indices();
            let mut undone = NicRecord { replaced: Some(Box::new(old.clone())), ..record.clone() };
            undone.plan.forget_indices();
            journal.write(&undone)?;
            make_again(&mut old, &mut executor)?;
        }
    }
    old.is_whole = true;
    journal.write(&old)?;
    let left = differences(&old, &look(&old, &mut executor)?);
    match left.is_empty() {
        true => Ok(Some(old)),
        false => Err(Failure::failed(&old.plan.nic.name, left.join("; "))),
    }
}

/// Whether the link that a step made is there: its MTU and MAC address may differ.
fn is_same_link(step: &PlanStep, snapshot: &Snapshot) -> bool {
    match step {
        PlanStep::AddVeth(veth) => {
            let has = |netns, is_end: &dyn Fn(&common::netlink::Link) -> bool, name: &str| {
                snapshot.side(netns).link(name).is_some_and(is_end)
            };
            has(Netns::Container, &|link| veth.is_inside_end(link), veth.inside.name.as_str())
                && has(veth.other_netns, &|link| veth.is_other_end(link), veth.other.name.as_str())
        }
        PlanStep::AddStackedLink(stacked) => snapshot
            .side(stacked.netns)
            .links
            .iter()
            .any(|link| stacked.matches(link) && link.name.to_str() == Some(stacked.name.as_str())),
        step => snapshot.has(step),
    }
}

fn back_in_place(
    record: &NicRecord,
    others: &[&NicRecord],
    snapshot: &mut Snapshot,
    executor: &Executor,
) -> Result<Option<Transition>, Failure> {
    let Some(old) = record.replaced.as_deref() else { return Ok(None) };
    for (netns, key) in transition::needed(&record.plan) {
        snapshot.settings.read(netns, vec![key], &executor.sockets)?;
    }
    let plans: Vec<&Plan> = others.iter().flat_map(|other| other.plans()).collect();
    Ok(Transition::between(&record.plan, &old.plan, &plans, &snapshot.settings))
}

fn change_back(
    record: &NicRecord,
    old: &NicRecord,
    transition: &Transition,
    executor: &mut Executor,
) -> Result<(), Failure> {
    executor.know(&old.plan).map_err(|error| Failure::failed(&old.plan.nic.name, error))?;
    executor.undo_only(record);
    for step in &transition.undoing {
        executor.act_as_undoing(step).map_err(|error| failed(step, error, old))?;
    }
    executor.go_by_names();
    for step in &transition.adapting {
        executor.act_as_undoing(step).map_err(|error| failed(step, error, old))?;
    }
    let snapshot = look(old, executor)?;
    for (step, _) in &old.plan.steps {
        if is_done(step, transition.adding.contains(step), &snapshot) || makes_a_link(step) {
            continue;
        }
        executor.act_as_undoing(step).map_err(|error| failed(step, error, old))?;
    }
    ready::finish(&old.plan, executor, true, None).map(drop)
}

/// All of its steps again, after all of them were undone.
fn make_again(old: &mut NicRecord, executor: &mut Executor) -> Result<(), Failure> {
    for (step, _) in &old.plan.steps {
        let done = match step {
            step if old.plan.is_shared(step) => executor.act_unless_done(step),
            step if makes_a_link(step) => executor.act(step),
            // What it was there for is compared afterwards.
            step => executor.act_as_undoing(step).map(drop),
        };
        done.map_err(|error| failed(step, error, old))?;
    }
    ready::finish(&old.plan, executor, true, None)?;
    remember(old, executor)
}
