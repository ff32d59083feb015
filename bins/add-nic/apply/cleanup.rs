//! Every call that changes something first finishes what others could not: NICs left half made or half removed by one
//! that was killed, and what is left of those whose container has ended.

use common::failure;
use common::namespace::NamespaceId;

use crate::apply;
use crate::apply::executor::Executor;
use crate::check::is_there;
use crate::journal::Journal;
use crate::model::netns::Netns;
use crate::model::record::Record;
use crate::model::snapshot::Side;
use crate::read::sockets::Sockets;
use crate::tool::TOOL;
use common::failure::Failure;

/// The records about the namespace that we run in.
pub fn ours(records: Vec<Record>, home: NamespaceId) -> Vec<Record> {
    records.into_iter().filter(|record| record.outside_inode == home.inode).collect()
}

/// Those that are whole and there.
pub fn living(records: Vec<Record>, outside: &Side) -> Vec<Record> {
    records.into_iter().filter(|record| lives(record, outside)).collect()
}

/// Whether a NIC is whole and there. Where the host has no end of it, its containers' networks are asked; one that cannot
/// be asked may well have it still.
pub fn lives(record: &Record, outside: &Side) -> bool {
    if !record.is_whole {
        return false;
    }
    let nothing = Side::default();
    if record.plan.nic.other_end.port().is_some() {
        return is_there(record, outside, &nothing, &nothing);
    }
    let links_within = || -> Result<[Side; 2], Failure> {
        let mut sockets = Sockets::of_record(record)?;
        Ok([Side::links_of(sockets.of(Netns::Container))?, Side::links_of(sockets.of(Netns::Peer))?])
    };
    links_within().map_or(true, |[inside, peer]| is_there(record, outside, &inside, &peer))
}

/// Undoes what is dead, and gives back what lives. Of what is there, `is_over` may say that it is dead too.
pub fn sweep(
    journal: &Journal,
    sockets: &mut Sockets,
    is_over: impl Fn(&Record) -> bool,
) -> Result<Vec<Record>, Failure> {
    let records = ours(journal.records()?, sockets.home.identity());
    if records.is_empty() {
        return Ok(records);
    }
    let outside = Side::links_of(Some(&mut sockets.outside))?;
    Ok(sweep_from(records, &outside, journal, is_over).living)
}

/// What a sweep comes to.
#[derive(Debug)]
pub struct Swept {
    pub living: Vec<Record>,
    /// Whether something was undone, or was to be.
    pub has_changed: bool,
}

/// The same where all of ours are known, and what the host has.
pub fn sweep_from(
    records: Vec<Record>,
    outside: &Side,
    journal: &Journal,
    is_over: impl Fn(&Record) -> bool,
) -> Swept {
    let (mut living, mut dead): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| lives(record, outside) && !is_over(record));
    let has_changed = !dead.is_empty();
    // The last first, as when they are removed. Those that are yet to be swept need what they share as little as this
    // one, and whoever is last undoes it.
    while let Some(record) = dead.pop() {
        let undone = apply::hand_over(&record, &mut living, journal).and_then(|()| {
            let others: Vec<&Record> = living.iter().chain(&dead).collect();
            let mut executor = Executor::new(Sockets::of_record(&record)?);
            apply::undo(&record, &others, journal, &mut executor)
        });
        if let Err(failure) = undone {
            failure::report(TOOL, &failure);
        }
    }
    Swept { living, has_changed }
}
