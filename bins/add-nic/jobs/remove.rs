//! Takes a NIC out, and with it all that came with it.

use std::time::Instant;

use common::failure::{self, Failure, Status, say};

use crate::apply;
use crate::apply::cleanup::{ours, sweep};
use crate::apply::executor::Executor;
use crate::journal::{self, Journal};
use crate::model::change::Step;
use crate::model::netns::Netns;
use crate::model::plan::Plan;
use crate::model::record::{Inside, Record};
use crate::model::request::RemoveRequest;
use crate::model::snapshot::Snapshot;
use crate::model::view::View;
use crate::model::wanted::Which;
use crate::read::container::{Pinned, pin};
use crate::read::sockets::Sockets;
use crate::report::{self, Outcome};
use crate::tool::TOOL;

/// Removes one NIC of ours, or all of them. What is gone is no error.
pub fn remove(request: &RemoveRequest, began: Instant) -> Result<Status, Failure> {
    let which = request.which.as_ref();
    let Pinned { netns, inside } = match pin(&request.target, &request.search) {
        Ok(pinned) => pinned,
        Err(failure) if failure.status == Status::No => return with_its_container(&failure, request),
        Err(failure) => return Err(failure),
    };
    let mut sockets = Sockets::open(Some(netns), None)?;
    // Nothing is made, not even the directory, in order to find nothing in it.
    if request.dry_run || journal::look()?.is_empty() {
        let records = ours(journal::look()?, sockets.home.identity());
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
    let journal = Journal::open()?;
    let mut records = sweep(&journal, &mut sockets, |_| false)?;
    if choose(&records, which, &inside).0.is_empty() {
        return remove_foreign(request, &inside, sockets);
    }
    let mut executor = Executor::new(sockets);
    // The last first: so each finds the network as it left it.
    while let Some(at) = records.iter().rposition(|record| is_chosen(record, which, &inside)) {
        let mut record = records.remove(at);
        if record.peer.is_some() {
            // Of a cable between two, this container may have either end.
            let mut executor = Executor::new(Sockets::of_record(&record)?);
            take_out(&mut record, &mut records, &journal, &mut executor)?;
        } else {
            take_out(&mut record, &mut records, &journal, &mut executor)?;
        }
        report::nic(View::from(&record, Some(&inside)), Outcome::Removed, began.elapsed(), request.form)?;
        if let Some(watched) = &record.watched {
            let file = watched.file.display();
            say(TOOL, format_args!("{file} lists this NIC: a running watch adds it again at the next event"));
        }
    }
    Ok(Status::Yes)
}

/// Takes out one NIC; `others` are all other ones of ours.
pub fn take_out(
    record: &mut Record,
    others: &mut [Record],
    journal: &Journal,
    executor: &mut Executor,
) -> Result<(), Failure> {
    apply::hand_over(record, others, journal)?;
    // From now on it is the next call's to finish, if we are killed.
    record.is_whole = false;
    journal.write(record)?;
    let others: Vec<&Record> = others.iter().collect();
    apply::undo(record, &others, journal, executor)
}

fn is_chosen(record: &Record, which: Option<&Which>, inside: &Inside) -> bool {
    View::all(record)
        .any(|view| view.here.container.is_same_as(inside) && which.is_none_or(|which| view.is(which)))
}

fn choose<'a>(
    records: &'a [Record],
    which: Option<&Which>,
    inside: &Inside,
) -> (Vec<&'a Record>, Vec<&'a Record>) {
    records.iter().partition(|record| is_chosen(record, which, inside))
}

/// A container that is gone took its end with it; what else came with that is swept.
fn with_its_container(failure: &Failure, request: &RemoveRequest) -> Result<Status, Failure> {
    if !request.dry_run && !journal::look()?.is_empty() {
        sweep(&Journal::open()?, &mut Sockets::open(None, None)?, |_| false)?;
    }
    if let Some(why) = &failure.message {
        say(TOOL, format_args!("{why}; nothing to remove"));
    }
    Ok(Status::Yes)
}

/// None of ours: nothing at all, or somebody else's.
fn remove_foreign(request: &RemoveRequest, inside: &Inside, mut sockets: Sockets) -> Result<Status, Failure> {
    let side = Snapshot::take(&mut sockets)?.inside;
    let found = match &request.which {
        Some(Which::Name(name)) => side.link(name.as_str()),
        Some(Which::Address(address)) => {
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
        return Err(Failure::trouble(
            &name,
            format_args!("exists in {}, but was not created by add-nic", inside.name),
        )
        .hint(common::hint!("add-nic --rm --force {} {}", inside.name, name)));
    }
    let step = Step::DelLink { place: Netns::Container, link: name };
    if request.dry_run {
        report::commands([&step].into_iter(), &inside.files(None), request.form.is_json())?;
        return Ok(Status::Yes);
    }
    let done = Executor::new(sockets).act(&step);
    done.map(|()| Status::Yes).map_err(|error| Failure::trouble(step.as_command(&inside.files(None)), error))
}
