//! Every call but --dry-run and --preflight cleans up: NICs that were left incomplete by a call that was killed, and what
//! remains of NICs whose container has exited. It says what it removed.

use common::failure;
use common::namespace::NamespaceId;

use crate::apply::executor::Executor;
use crate::apply::{self, UndoneSteps, replace};
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

/// Undoes those NICs of which `is_over` says so, and returns the others. It is told whether a NIC is alive.
pub fn clean_up(
    journal: &LockedJournal<'_>,
    sockets: &mut Sockets,
    is_over: impl Fn(&NicRecord, bool) -> bool,
) -> Result<Vec<NicRecord>, Failure> {
    let records = ours(journal.records()?, sockets.home.identity());
    if records.is_empty() {
        return Ok(records);
    }
    let host = NetnsState::read_links(Some(&mut sockets.host))?;
    let Cleanup { alive, swept } = clean_up_known(records, &host, journal, is_over);
    swept.iter().for_each(SweptNic::say);
    Ok(alive)
}

/// The result of a clean-up.
#[derive(Debug)]
pub struct Cleanup {
    pub alive: Vec<NicRecord>,
    /// Those that are undone, or were to be.
    pub swept: Vec<SweptNic>,
}

/// A NIC that was no longer there, or not whole.
#[derive(Debug)]
pub struct SweptNic {
    pub record: NicRecord,
    /// What was left of it and is removed now; why not, if that failed.
    pub undone: Result<UndoneSteps, Failure>,
    /// Whether it was about to be replaced, and is back.
    pub is_back: bool,
}

impl SweptNic {
    /// What became of it, in one line.
    pub fn words(&self) -> String {
        if self.is_back {
            return "its replacement was interrupted: add-nic was killed; it is back as it was before"
                .to_owned();
        }
        let became = match self.record.is_whole {
            true => "no longer exists",
            false => "incomplete: add-nic was killed or failed",
        };
        match self.undone.as_ref().map(UndoneSteps::words) {
            Ok(Some(words)) => format!("{became}; removed what was left of it: {words}"),
            Ok(None) => format!("{became}; nothing was left of it but its record, which is removed"),
            Err(_) => format!("{became}, and could not be removed"),
        }
    }

    /// Says what was removed, if that was more than a record; and what was not.
    pub fn say(&self) {
        match &self.undone {
            Ok(undone) if undone.words().is_none() && !self.is_back => {}
            Ok(_) => self.say_all(),
            Err(failure) => failure::report(TOOL, failure),
        }
    }

    /// The same also if only a record was removed.
    pub fn say_all(&self) {
        let (container, nic) = (&self.record.inside.name, &self.record.plan.nic.name);
        failure::say(TOOL, format_args!("{container}: {nic}: {}", self.words()));
        if let Err(failure) = &self.undone {
            failure::report(TOOL, failure);
        }
    }
}

/// The same with records and links that were read already.
pub fn clean_up_known(
    records: Vec<NicRecord>,
    host: &NetnsState,
    journal: &LockedJournal<'_>,
    is_over: impl Fn(&NicRecord, bool) -> bool,
) -> Cleanup {
    let (mut alive, mut dead): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| !is_over(record, is_alive(record, host)));
    let mut swept = Vec::new();
    // Last first, as when they are removed. What several of them share is undone with the last one.
    while let Some(record) = dead.pop() {
        if record.replaced.is_some() {
            let others: Vec<&NicRecord> = alive.iter().chain(&dead).collect();
            let back = replace::put_back(&record, &others, journal);
            let is_back = !matches!(back, Ok(None));
            let undone = back.map(|old| {
                alive.extend(old);
                UndoneSteps::default()
            });
            swept.push(SweptNic { record, undone, is_back });
            continue;
        }
        let undone = apply::hand_over_routes(&record, &mut alive, journal).and_then(|()| {
            let others: Vec<&NicRecord> = alive.iter().chain(&dead).collect();
            let mut executor = Executor::new(Sockets::for_record(&record)?);
            apply::undo(&record, &others, journal, &mut executor)
        });
        swept.push(SweptNic { record, undone, is_back: false });
    }
    Cleanup { alive, swept }
}
