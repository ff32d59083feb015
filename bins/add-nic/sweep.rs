//! Every call that changes something first finishes what others could not: NICs left half made or half removed by one
//! that was killed, and what is left of those whose container has ended.

use common::failure;
use common::namespace::Identity;
use common::netlink::{NetlinkError, Socket};

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

/// As much of what is now as it takes to tell what is alive.
pub fn glance(outside: &mut Socket) -> Result<Snapshot, NetlinkError> {
    let outside = Side { links: outside.links()?, ..Side::default() };
    Ok(Snapshot { outside, ..Snapshot::default() })
}

/// Whether nothing of it is left to be finished or undone.
pub fn is_alive(record: &Record, glance: &Snapshot) -> bool {
    record.is_whole && is_there(record, glance)
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
    let snapshot = glance(&mut sockets.outside)?;
    let (mut living, mut dead): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| is_alive(record, &snapshot) && !is_over(record));
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
