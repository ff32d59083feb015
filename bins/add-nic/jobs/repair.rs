//! `--repair`: makes NICs as they were added, after others changed them.

use std::time::Instant;

use common::failure::{self, Failure, Status};
use common::netns::Home;

use crate::apply::cleanup::ours;
use crate::apply::repair::{self, Repair};
use crate::jobs::chosen::ChosenNics;
use crate::journal::Journal;
use crate::model::record::NicRecord;
use crate::model::request::RemoveRequest;
use crate::report::{self, Outcome};
use crate::tool::TOOL;

/// Repairs one NIC of ours, or all of a container: all that can be.
pub fn repair(request: &RemoveRequest, began: Instant) -> Result<Status, Failure> {
    let journal = Journal::default();
    let home = Home::current()?.identity();
    let chosen = ChosenNics::find(request, &ours(journal.records()?, home), &journal.newer())?;
    let is_chosen = |record: &NicRecord| chosen.has(record, request);
    if !journal.records()?.iter().any(is_chosen) {
        let which = request.which.as_ref().map_or("no NIC of add-nic", |_| "no such NIC of add-nic");
        return Err(Failure::no(&request.target, which).hint(common::hint!("add-nic --list")));
    }
    let journal = journal.lock()?;
    let mut status = Status::Yes;
    for record in ours(journal.records()?, home).into_iter().filter(is_chosen) {
        let outcome = match repair::repair(&record, true) {
            Ok(Repair::Done(differed)) if differed.is_empty() => Outcome::Unchanged,
            Ok(Repair::Done(differed)) => {
                let (container, nic) = (&record.inside.name, &record.plan.nic.name);
                failure::say(TOOL, format_args!("{container}: {nic}: {}; repaired", differed.join("; ")));
                Outcome::Repaired
            }
            Ok(Repair::Impossible(differs)) => {
                failure::report(TOOL, &impossible(&record, &differs));
                status = status.max(Status::No);
                continue;
            }
            Err(failure) => {
                let about = format!("{} of {}", record.plan.nic.name, record.inside.name);
                failure::report(TOOL, &failure.within(about));
                status = Status::Failed;
                continue;
            }
        };
        report::nic(chosen.view(&record), outcome, began.elapsed(), request.form)?;
    }
    Ok(status)
}

/// Why a NIC cannot be repaired, and what helps.
pub fn impossible(record: &NicRecord, differs: &[String]) -> Failure {
    let (container, nic) = (&record.inside.name, &record.plan.nic.name);
    let what =
        format!("{}: this cannot be repaired in place: remove it, and add it again", differs.join("; "));
    Failure::no(format_args!("{nic} of {container}"), what).hint(common::hint!(
        "add-nic --rm {} {}",
        container,
        nic
    ))
}
