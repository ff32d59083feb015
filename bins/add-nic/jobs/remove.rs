//! Removes a NIC, and everything that was configured for it.

use std::time::Instant;

use common::failure::{Failure, Status, say};
use common::netns::Home;

use crate::apply::cleanup::{SweptNic, clean_up, is_alive, ours};
use crate::apply::executor::Executor;
use crate::apply::{self, UndoneSteps};
use crate::check::renamed;
use crate::jobs::add::{but_done, refuse_renamed};
use crate::jobs::chosen::ChosenNics;
use crate::journal::{Journal, LockedJournal};
use crate::model::change::PlanStep;
use crate::model::netns::Netns;
use crate::model::plan::Plan;
use crate::model::record::NicRecord;
use crate::model::request::RemoveRequest;
use crate::model::snapshot::{NetnsState, Snapshot};
use crate::model::wanted::NicSelector;
use crate::read::container::PinnedNetns;
use crate::read::sockets::Sockets;
use crate::report::{self, Outcome};
use crate::tool::TOOL;

/// Removes one NIC of ours, or all of a container. A NIC that does not exist is no error.
pub fn remove(request: &RemoveRequest, began: Instant) -> Result<Status, Failure> {
    let journal = if request.dry_run { Journal::read_only() } else { Journal::default() };
    let home = Home::current()?.identity();
    let records = ours(journal.records()?, home);
    let chosen = match ChosenNics::find(request, &records, &journal.newer()) {
        Ok(chosen) => chosen,
        Err(failure) if failure.status == Status::No => return nothing_there(&failure, request, &journal),
        Err(failure) => return Err(failure),
    };
    if request.dry_run {
        let (mut chosen, others): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| chosen.has(record, request));
        while let Some(record) = chosen.pop() {
            let snapshot = Snapshot::read(&mut Sockets::for_record(record)?)?;
            refuse_renamed(renamed(&record.plan, &snapshot).as_ref())?;
            let others: Vec<&Plan> = others.iter().chain(&chosen).map(|record| &record.plan).collect();
            report::commands(record.plan.undoing(&others), &record.files(), request.form.is_json())?;
        }
    }
    // Nothing is created, not even the directory, in order to find nothing in it.
    if !records.iter().any(|record| chosen.has(record, request)) {
        if !request.dry_run && !records.is_empty() {
            clean_up(&journal.lock()?, &mut Sockets::open(None, None)?, |_, is_alive| !is_alive)?;
        }
        return match chosen.pinned {
            Some(pinned) => remove_foreign(request, pinned),
            None => Ok(Status::Yes),
        };
    }
    if !request.dry_run {
        remove_chosen(&chosen, request, &journal.lock()?, began)?;
    }
    Ok(Status::Yes)
}

fn remove_chosen(
    chosen: &ChosenNics,
    request: &RemoveRequest,
    journal: &LockedJournal<'_>,
    began: Instant,
) -> Result<(), Failure> {
    let mut sockets = Sockets::open(None, None)?;
    let is_over = |record: &NicRecord, is_alive: bool| !is_alive && !chosen.has(record, request);
    let mut records = clean_up(journal, &mut sockets, is_over)?;
    let host = NetnsState::read_links(Some(&mut sockets.host))?;
    // All of it, or nothing.
    for record in records.iter().filter(|record| chosen.has(record, request)) {
        let mut executor = Executor::new(Sockets::for_record(record)?);
        let refused = apply::refuse_impossible(record, &[], &mut executor);
        refused.map_err(|failure| failure.and_lines([format!("{TOOL}: nothing was removed")]))?;
    }
    // Last first: each finds the network as it was when it was added.
    while let Some(at) = records.iter().rposition(|record| chosen.has(record, request)) {
        let mut record = records.remove(at);
        let was_alive = is_alive(&record, &host);
        let swept = NicRecord { is_whole: record.is_whole, ..record.clone() };
        let mut executor = Executor::new(Sockets::for_record(&record)?);
        let undone = take_out(&mut record, &mut records, journal, &mut executor)?;
        if !was_alive {
            SweptNic { record: swept, undone: Ok(undone), is_back: false }.say_all();
        }
        let view = chosen.view(&record);
        let shown = report::nic(view, Outcome::Removed, began.elapsed(), request.form);
        shown.map_err(|failure| but_done(failure, &record, "was removed"))?;
        if let Some(watched) = &record.watched {
            let file = watched.file.display();
            say(TOOL, format_args!("{file} lists this NIC: a running watch adds it again at the next event"));
        }
    }
    Ok(())
}

/// Removes one NIC, or changes nothing if that could be done only in part; `others` are all other NICs of ours.
pub fn take_out(
    record: &mut NicRecord,
    others: &mut [NicRecord],
    journal: &LockedJournal<'_>,
    executor: &mut Executor,
) -> Result<UndoneSteps, Failure> {
    apply::refuse_impossible(record, &others.iter().collect::<Vec<_>>(), executor)?;
    apply::hand_over_routes(record, others, journal)?;
    // If we are killed from now on, the next call completes the removal.
    record.is_whole = false;
    journal.write(record)?;
    let others: Vec<&NicRecord> = others.iter().collect();
    apply::undo(record, &others, journal, executor)
}

/// Neither a record nor an engine has it; what remains of others is cleaned up.
fn nothing_there(failure: &Failure, request: &RemoveRequest, journal: &Journal) -> Result<Status, Failure> {
    if !request.dry_run && !journal.records()?.is_empty() {
        clean_up(&journal.lock()?, &mut Sockets::open(None, None)?, |_, is_alive| !is_alive)?;
    }
    if !failure.is_already_said() {
        say(TOOL, format_args!("{failure}; no NIC was added to it: nothing to remove"));
    }
    Ok(Status::Yes)
}

/// No NIC of ours: either there is nothing to remove, or add-nic did not create it.
fn remove_foreign(
    request: &RemoveRequest,
    PinnedNetns { netns, inside }: PinnedNetns,
) -> Result<Status, Failure> {
    let mut sockets = Sockets::open(Some(netns), None)?;
    let side = Snapshot::read(&mut sockets)?.inside;
    let found = match &request.which {
        Some(NicSelector::Name(name)) => side.link(name.as_str()),
        Some(NicSelector::Address(address)) => {
            side.holder(*address).and_then(|held| side.links.iter().find(|link| link.index == held.index))
        }
        None => None,
    };
    let name = found.and_then(|link| link.name.to_str()?.parse().ok());
    let Some(name) = name else {
        match &request.which {
            Some(NicSelector::Name(name)) => {
                say(TOOL, format_args!("{}: no interface {name}: nothing to remove", inside.name));
            }
            Some(NicSelector::Address(address)) => {
                say(TOOL, format_args!("{}: no interface with {address}: nothing to remove", inside.name));
            }
            None if request.search.find.verbose => {
                say(TOOL, format_args!("{}: nothing to remove", inside.name));
            }
            None => {}
        }
        return Ok(Status::Yes);
    };
    if !request.force {
        return Err(Failure::failed(
            &name,
            format_args!("exists in {}, but was not created by add-nic", inside.name),
        )
        .hint(common::hint!("add-nic --rm --force {} {}", inside.name, name)));
    }
    let step = PlanStep::DelLink { netns: Netns::Container, link: name };
    if request.dry_run {
        report::commands([&step].into_iter(), &inside.files(None), request.form.is_json())?;
        return Ok(Status::Yes);
    }
    let done = Executor::new(sockets).act(&step);
    done.map(|()| Status::Yes).map_err(|error| Failure::failed(step.as_command(&inside.files(None)), error))
}
