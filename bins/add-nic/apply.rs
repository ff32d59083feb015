//! Does what the plan says: journal, act, and on trouble undo.

use common::failure::Failure;
use nix::sys::signal::Signal;

use crate::TOOL;
use crate::journal::{Journal, Record};
use crate::ready::{self, Announce};
use crate::routes;
use crate::signals::Kept;
use crate::wires::Wires;

/// Why it came to nothing.
#[derive(Debug)]
enum Stop {
    Failed(Failure),
    Told(Signal),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

/// Makes the NIC that `record` plans: when this returns it is there and works, or nothing is. `others` are all other
/// NICs of ours.
pub fn add(
    record: &mut Record,
    others: &[Record],
    journal: &Journal,
    wires: &mut Wires,
    announce: Announce,
) -> Result<(), Failure> {
    let kept = Kept::new()?;
    journal.write(record)?;
    let done = carry_out(record, wires, announce, &kept).and_then(|()| {
        record.is_whole = true;
        Ok(journal.write(record)?)
    });
    let Err(stop) = done else { return Ok(()) };
    let others: Vec<&Record> = others.iter().collect();
    let undone = undo(record, &others, journal, wires);
    match stop {
        Stop::Failed(failure) => Err(with_undoing(failure, undone, record)),
        Stop::Told(signal) => {
            let failure = Failure::trouble(&record.plan.nic.name, "interrupted, and undone");
            common::failure::report(TOOL, &with_undoing(failure, undone, record));
            kept.obey(signal);
            Err(Failure { status: common::failure::Status::Trouble, message: None, hint: None })
        }
    }
}

fn carry_out(record: &Record, wires: &mut Wires, announce: Announce, kept: &Kept) -> Result<(), Stop> {
    let told = || kept.come().map_or(Ok(()), |signal| Err(Stop::Told(signal)));
    let plan = &record.plan;
    for (step, _) in &plan.steps {
        told()?;
        let done = if plan.is_shared(step) { wires.act_unless_done(step) } else { wires.act(step) };
        done.map_err(|error| Failure::trouble(step.as_command(&record.files()), error))?;
    }
    told()?;
    ready::make(plan, wires, announce)?;
    told()
}

/// What went wrong, and, if that is so, that not even undoing went well.
fn with_undoing(failure: Failure, undone: Result<(), Failure>, record: &Record) -> Failure {
    match undone {
        Ok(()) => failure,
        Err(second) => {
            let why = second.message.unwrap_or_default();
            let first = failure.message.unwrap_or_default();
            Failure::said(failure.status, format_args!("{first}\n{TOOL}: undoing it: {why}"))
                .hint(format_args!("add-nic --rm {} {}", record.inside.name, record.plan.nic.name))
        }
    }
}

/// Undoes all that `record` plans, whatever of it was done, and forgets it. What is gone already, or is no longer what
/// we made of it, stays as it is.
///
/// A step that fails does not keep the others from being undone; the record stays then, for the next call.
pub fn undo(
    record: &Record,
    others: &[&Record],
    journal: &Journal,
    wires: &mut Wires,
) -> Result<(), Failure> {
    let mut first = None;
    for step in record.plan.undoing(others) {
        if let Err(error) = wires.act_as_undoing(step) {
            first.get_or_insert(Failure::trouble(step.as_command(&record.files()), error));
        }
    }
    match first {
        Some(failure) => Err(failure),
        None => journal.remove(record),
    }
}

/// Before a NIC goes: those that came after it in the same container put back in its place what it would have.
pub fn hand_over(gone: &Record, others: &mut [Record], journal: &Journal) -> Result<(), Failure> {
    for above in others.iter_mut().filter(|other| other.inside.is_same_as(&gone.inside)) {
        if routes::hand_over(&gone.plan, &mut above.plan) {
            journal.write(above)?;
        }
    }
    Ok(())
}
