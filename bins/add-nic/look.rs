//! `--list` and `--check`: what we made, and what has become of it. Changes nothing, and waits for nobody.

use common::failure::{Failure, Status};
use common::target::Target;

use crate::check::drift;
use crate::cli::Cli;
use crate::inside::{pin, reopen};
use crate::journal::{self, Inside, Record};
use crate::report;
use crate::snapshot::{Snapshot, Sockets};
use crate::sweep::ours;

/// All of ours, or those of one container.
pub fn list(target: Option<&Target>, cli: &Cli) -> Result<Status, Failure> {
    let records = records(target, cli)?;
    report::list(&with_drift(&records)?, cli.json)?;
    Ok(Status::Yes)
}

/// Only what differs.
pub fn check(target: Option<&Target>, cli: &Cli) -> Result<Status, Failure> {
    let records = records(target, cli)?;
    let mut rows = with_drift(&records)?;
    rows.retain(|(_, differs)| !differs.is_empty());
    report::drift(&rows, cli.json)?;
    Ok(if rows.is_empty() { Status::Yes } else { Status::No })
}

fn records(target: Option<&Target>, cli: &Cli) -> Result<Vec<Record>, Failure> {
    let inside = target.map(|target| pin(target, cli)).transpose()?.map(|pinned| pinned.inside);
    let home = common::netns::Home::current()?.identity();
    let is_wanted = |record: &Record| inside.as_ref().is_none_or(|inside| record.inside.is_same_as(inside));
    Ok(ours(journal::look()?, home).into_iter().filter(is_wanted).collect())
}

/// Each with what differs. A container with several NICs is looked at once.
fn with_drift(records: &[Record]) -> Result<Vec<(&Record, Vec<String>)>, Failure> {
    let mut seen: Vec<(&Inside, Snapshot)> = Vec::new();
    let mut rows = Vec::new();
    for record in records {
        let known = seen.iter().position(|(inside, _)| inside.is_same_as(&record.inside));
        let at = match known {
            Some(at) => at,
            None => {
                let mut sockets = Sockets::open(reopen(&record.inside))?;
                let mut snapshot = Snapshot::take(&mut sockets)?;
                let same = records.iter().filter(|other| other.inside.is_same_as(&record.inside));
                snapshot.look_closer(None, same, &sockets)?;
                seen.push((&record.inside, snapshot));
                seen.len() - 1
            }
        };
        rows.push((record, drift(record, &seen[at].1)));
    }
    Ok(rows)
}
