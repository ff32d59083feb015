//! Every call that changes something first cleans up: NICs that were left incomplete by a call that was killed, and what
//! remains of NICs whose container has exited.

use common::failure;
use common::namespace::NamespaceId;

use crate::apply;
use crate::apply::executor::Executor;
use crate::check::is_there;
use crate::journal::LockedJournal;
use crate::model::netns::Netns;
use crate::model::record::NicRecord;
use crate::model::snapshot::NetnsState;
use crate::read::sockets::Sockets;
use crate::tool::TOOL;
use common::failure::Failure;

/// The records about the namespace that we run in.
pub fn ours(records: Vec<NicRecord>, home: NamespaceId) -> Vec<NicRecord> {
    records.into_iter().filter(|record| record.outside_inode == home.inode).collect()
}

/// Those that are complete and exist.
pub fn alive(records: Vec<NicRecord>, host: &NetnsState) -> Vec<NicRecord> {
    records.into_iter().filter(|record| is_alive(record, host)).collect()
}

/// Whether a NIC is complete and exists. If the host has no end of it, its containers' networks are read; one that cannot be
/// read may still have it.
pub fn is_alive(record: &NicRecord, host: &NetnsState) -> bool {
    if !record.is_whole {
        return false;
    }
    let nothing = NetnsState::default();
    if record.plan.nic.other_end.port().is_some() {
        return is_there(record, host, &nothing, &nothing);
    }
    let links_within = || -> Result<[NetnsState; 2], Failure> {
        let mut sockets = Sockets::for_record(record)?;
        Ok([
            NetnsState::read_links(sockets.socket(Netns::Container))?,
            NetnsState::read_links(sockets.socket(Netns::Peer))?,
        ])
    };
    links_within().map_or(true, |[inside, peer]| is_there(record, host, &inside, &peer))
}

/// Undoes incomplete and lost NICs, and returns the others. `is_over` may declare existing ones lost too.
pub fn clean_up(
    journal: &LockedJournal<'_>,
    sockets: &mut Sockets,
    is_over: impl Fn(&NicRecord) -> bool,
) -> Result<Vec<NicRecord>, Failure> {
    let records = ours(journal.records()?, sockets.home.identity());
    if records.is_empty() {
        return Ok(records);
    }
    let host = NetnsState::read_links(Some(&mut sockets.host))?;
    Ok(clean_up_known(records, &host, journal, is_over).alive)
}

/// The result of a clean-up.
#[derive(Debug)]
pub struct Cleanup {
    pub alive: Vec<NicRecord>,
    /// Whether something was undone, or was to be.
    pub has_changed: bool,
}

/// The same with records and links that were read already.
pub fn clean_up_known(
    records: Vec<NicRecord>,
    host: &NetnsState,
    journal: &LockedJournal<'_>,
    is_over: impl Fn(&NicRecord) -> bool,
) -> Cleanup {
    let (mut alive, mut dead): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| is_alive(record, host) && !is_over(record));
    let has_changed = !dead.is_empty();
    // Last first, as when they are removed. What several of them share is undone with the last one.
    while let Some(record) = dead.pop() {
        let undone = apply::hand_over_routes(&record, &mut alive, journal).and_then(|()| {
            let others: Vec<&NicRecord> = alive.iter().chain(&dead).collect();
            let mut executor = Executor::new(Sockets::for_record(&record)?);
            apply::undo(&record, &others, journal, &mut executor)
        });
        if let Err(failure) = undone {
            failure::report(TOOL, &failure);
        }
    }
    Cleanup { alive, has_changed }
}
