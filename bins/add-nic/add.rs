//! Plugs a NIC in: look, plan, ask, apply, report.

use std::time::Instant;

use common::failure::{Failure, Status};
use common::target::Target;
use jiff::Timestamp;

use crate::apply;
use crate::check;
use crate::cli::Cli;
use crate::inside::{Pinned, pin};
use crate::journal::{self, Inside, Journal, Record};
use crate::plan::{Basis, Plan};
use crate::probe;
use crate::ready::Announce;
use crate::report::{self, Outcome};
use crate::snapshot::{Snapshot, Sockets};
use crate::sweep::{ours, sweep};
use crate::wanted::Wanted;
use crate::wires::Wires;

/// Does it, unless it is done already.
pub fn add(target: &Target, wanted: Wanted, cli: &Cli, began: Instant) -> Result<Status, Failure> {
    let Pinned { netns, inside } = pin(target, cli)?;
    let mut sockets = Sockets::open(Some(netns))?;
    if cli.dry_run {
        return show(&wanted, &inside, &mut sockets, cli);
    }
    let journal = Journal::open()?;
    let records = sweep(&journal, &mut sockets)?;
    let snapshot = Snapshot::take(&mut sockets)?;
    if let Some(same) = same_call(&records, &wanted, &inside, &snapshot)? {
        report::nic(same, Outcome::Unchanged, began.elapsed(), cli.json)?;
        return Ok(Status::Yes);
    }
    let random = random()?;
    let basis = Basis { wanted: &wanted, snapshot: &snapshot, records: &records, inside: &inside, random };
    let plan = Plan::make(&basis)?;
    if !cli.no_dad {
        probe::refuse_duplicates(&plan, &snapshot.outside, &cli.find)?;
    }
    let mut record = Record {
        id: random[6..12].iter().map(|byte| format!("{byte:02x}")).collect(),
        made_by: concat!("add-nic ", env!("CARGO_PKG_VERSION")).to_owned(),
        since: Timestamp::now(),
        is_whole: false,
        outside_inode: sockets.home.identity().inode,
        inside,
        wanted,
        plan,
    };
    let announce = if cli.no_announce { Announce::No } else { Announce::Yes };
    apply::add(&mut record, &records, &journal, &mut Wires::new(sockets), announce)?;
    // The next one may go on while we talk.
    drop(journal);
    report::nic(&record, Outcome::Added, began.elapsed(), cli.json)?;
    Ok(Status::Yes)
}

/// What the same call made before, if it is all there still.
fn same_call<'a>(
    records: &'a [Record],
    wanted: &Wanted,
    inside: &Inside,
    snapshot: &Snapshot,
) -> Result<Option<&'a Record>, Failure> {
    let same = |record: &&Record| record.inside.is_same_as(inside) && record.wanted == *wanted;
    let Some(record) = records.iter().find(same) else { return Ok(None) };
    match check::drift(record, snapshot).first() {
        None => Ok(Some(record)),
        Some(difference) => {
            let (who, nic) = (&record.inside.name, &record.plan.nic.name);
            Err(Failure::trouble(
                format_args!("{nic} of {who}"),
                format_args!("is not as this call made it before: {difference}"),
            )
            .hint(format_args!("add-nic --rm {who} {nic}, and then this call again")))
        }
    }
}

/// The commands that would do it.
fn show(wanted: &Wanted, inside: &Inside, sockets: &mut Sockets, cli: &Cli) -> Result<Status, Failure> {
    let records = ours(journal::look()?, sockets.home.identity());
    let snapshot = Snapshot::take(sockets)?;
    let living = records.into_iter().filter(|record| record.is_whole && check::is_there(record, &snapshot));
    let living: Vec<Record> = living.collect();
    if same_call(&living, wanted, inside, &snapshot)?.is_some() {
        report::commands([].iter(), &inside.files(), cli.json)?;
        return Ok(Status::Yes);
    }
    let basis = Basis { wanted, snapshot: &snapshot, records: &living, inside, random: random()? };
    let plan = Plan::make(&basis)?;
    let steps = plan.steps.iter().map(|(step, _)| step);
    // What is shared and there would be an error of the command.
    let missing = steps.filter(|step| !plan.is_shared(step) || !snapshot.has(step));
    report::commands(missing, &inside.files(), cli.json)?;
    Ok(Status::Yes)
}

/// For link-layer addresses and the record's name.
fn random() -> Result<[u8; 18], Failure> {
    let mut bytes = [0; 18];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| Failure::trouble("random numbers", errno))?;
    }
    Ok(bytes)
}
