//! Removes a NIC, and everything that was configured for it.

use std::time::Instant;

use common::failure::{self, Failure, Status, say};

use crate::apply;
use crate::apply::cleanup::{clean_up, ours};
use crate::apply::executor::Executor;
use crate::journal::{Journal, LockedJournal};
use crate::model::change::PlanStep;
use crate::model::netns::Netns;
use crate::model::plan::Plan;
use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::request::RemoveRequest;
use crate::model::snapshot::Snapshot;
use crate::model::view::NicView;
use crate::model::wanted::NicSelector;
use crate::read::container::{Pinned, pin};
use crate::read::sockets::Sockets;
use crate::report::{self, Outcome};
use crate::tool::TOOL;

/// Removes one NIC of ours, or all of a container. A NIC that does not exist is no error.
pub fn remove(request: &RemoveRequest, began: Instant) -> Result<Status, Failure> {
    let which = request.which.as_ref();
    let Pinned { netns, inside } = match pin(&request.target, &request.search) {
        Ok(pinned) => pinned,
        Err(failure) if failure.status == Status::No => return with_its_container(&failure, request),
        Err(failure) => return Err(failure),
    };
    let mut sockets = Sockets::open(Some(netns), None)?;
    let journal = Journal::default();
    // Nothing is created, not even the directory, in order to find nothing in it.
    if request.dry_run || journal.records()?.is_empty() {
        let records = ours(journal.records()?, sockets.home.identity());
        let (mut chosen, others) = choose(&records, which, &inside);
        if chosen.is_empty() {
            return remove_foreign(request, &inside, sockets);
        }
        while let Some(record) = chosen.pop() {
            let others: Vec<&Plan> = others.iter().chain(&chosen).map(|record| &record.plan).collect();
            report::commands(record.plan.undoing(&others), &record.files(), request.form.is_json())?;
        }
        return Ok(Status::Yes);
    }
    let journal = journal.lock()?;
    let mut records = clean_up(&journal, &mut sockets, |_| false)?;
    if choose(&records, which, &inside).0.is_empty() {
        return remove_foreign(request, &inside, sockets);
    }
    let mut executor = Executor::new(sockets);
    // Last first: each finds the network as it was when it was added.
    while let Some(at) = records.iter().rposition(|record| is_chosen(record, which, &inside)) {
        let mut record = records.remove(at);
        if record.peer.is_some() {
            // Of a veth pair between two containers, this container may have either end.
            let mut executor = Executor::new(Sockets::for_record(&record)?);
            take_out(&mut record, &mut records, &journal, &mut executor)?;
        } else {
            take_out(&mut record, &mut records, &journal, &mut executor)?;
        }
        report::nic(
            NicView::seen_from(&record, Some(&inside)),
            Outcome::Removed,
            began.elapsed(),
            request.form,
        )?;
        if let Some(watched) = &record.watched {
            let file = watched.file.display();
            say(TOOL, format_args!("{file} lists this NIC: a running watch adds it again at the next event"));
        }
    }
    Ok(Status::Yes)
}

/// Removes one NIC; `others` are all other NICs of ours.
pub fn take_out(
    record: &mut NicRecord,
    others: &mut [NicRecord],
    journal: &LockedJournal<'_>,
    executor: &mut Executor,
) -> Result<(), Failure> {
    apply::hand_over_routes(record, others, journal)?;
    // If we are killed from now on, the next call completes the removal.
    record.is_whole = false;
    journal.write(record)?;
    let others: Vec<&NicRecord> = others.iter().collect();
    apply::undo(record, &others, journal, executor)
}

fn is_chosen(record: &NicRecord, which: Option<&NicSelector>, inside: &ContainerNetns) -> bool {
    NicView::all(record)
        .any(|view| view.here.container.is_same_as(inside) && which.is_none_or(|which| view.matches(which)))
}

fn choose<'a>(
    records: &'a [NicRecord],
    which: Option<&NicSelector>,
    inside: &ContainerNetns,
) -> (Vec<&'a NicRecord>, Vec<&'a NicRecord>) {
    records.iter().partition(|record| is_chosen(record, which, inside))
}

/// The NIC was deleted with its container; what remains on the host is cleaned up.
fn with_its_container(failure: &Failure, request: &RemoveRequest) -> Result<Status, Failure> {
    let journal = Journal::default();
    if !request.dry_run && !journal.records()?.is_empty() {
        clean_up(&journal.lock()?, &mut Sockets::open(None, None)?, |_| false)?;
    }
    if !failure.is_already_said() {
        say(TOOL, format_args!("{failure}; nothing to remove"));
    }
    Ok(Status::Yes)
}

/// No NIC of ours: either there is nothing to remove, or add-nic did not create it.
fn remove_foreign(
    request: &RemoveRequest,
    inside: &ContainerNetns,
    mut sockets: Sockets,
) -> Result<Status, Failure> {
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
        if request.search.find.verbose {
            failure::say(TOOL, format_args!("{}: nothing to remove", inside.name));
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
