//! Every call that changes something first finishes what others could not: NICs left half made or half removed by one
//! that was killed, and what is left of those whose container has ended.

use common::failure;
use common::namespace::Identity;

use crate::TOOL;
use crate::apply;
use crate::check::is_there;
use crate::inside::reopen;
use crate::journal::{Journal, Record};
use crate::snapshot::{Side, Snapshot, Sockets};
use crate::wires::Wires;
use common::failure::Failure;

/// The records about the namespace that we run in.
pub fn ours(records: Vec<Record>, home: Identity) -> Vec<Record> {
    records.into_iter().filter(|record| record.outside_inode == home.inode).collect()
}

/// Undoes what is dead, and gives back what lives.
pub fn sweep(journal: &Journal, sockets: &mut Sockets) -> Result<Vec<Record>, Failure> {
    let records = ours(journal.records()?, sockets.home.identity());
    if records.is_empty() {
        return Ok(records);
    }
    let outside = Side { links: sockets.outside.links()?, ..Side::default() };
    let snapshot = Snapshot { outside, ..Snapshot::default() };
    let (mut living, mut dead): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.is_whole && is_there(record, &snapshot));
    // The last first, as when they are removed. Those that are yet to be swept need what they share as little as this
    // one, and whoever is last undoes it.
    while let Some(record) = dead.pop() {
        let undone = apply::hand_over(&record, &mut living, journal).and_then(|()| {
            let others: Vec<&Record> = living.iter().chain(&dead).collect();
            let sockets = Sockets::open(reopen(&record.inside))?;
            apply::undo(&record, &others, journal, &mut Wires::new(sockets))
        });
        if let Err(failure) = undone {
            failure::report(TOOL, &failure);
        }
    }
    Ok(living)
}
