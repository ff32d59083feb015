//! Plugs a NIC in: look, plan, ask, apply, report.

use std::time::Instant;

use common::failure::{Failure, Status};
use common::target::Target;
use jiff::Timestamp;

use crate::apply;
use crate::check;
use crate::cli::Cli;
use crate::inside::{Pinned, pin};
use crate::journal::{self, Inside, Journal, Record, Watched};
use crate::leftover;
use crate::plan::{Basis, Plan};
use crate::probe;
use crate::ready::Announce;
use crate::report::{self, Form, Outcome};
use crate::snapshot::{Snapshot, Sockets};
use crate::sweep::{is_alive, ours, sweep};
use crate::wanted::Wanted;
use crate::wires::Wires;

/// Does it, unless it is done already.
pub fn add(target: &Target, wanted: Wanted, cli: &Cli, began: Instant) -> Result<Status, Failure> {
    let Pinned { netns, inside } = pin(target, cli)?;
    let mut sockets = Sockets::open(Some(netns))?;
    if cli.dry_run {
        return show(&wanted, &inside, &mut sockets, cli);
    }
    let order = Order { wanted, inside, watched: None };
    let (record, outcome) = plug(order, sockets, Journal::open()?, cli)?;
    report::nic(&record, outcome, began.elapsed(), Form::of(cli))?;
    Ok(Status::Yes)
}

/// What is to be plugged in, where, and on whose behalf.
#[derive(Debug)]
pub struct Order {
    pub wanted: Wanted,
    pub inside: Inside,
    pub watched: Option<Watched>,
}

/// Plugs it in, unless it is there already. `sockets` are in both networks. Who waits for the journal has it when this
/// returns.
pub fn plug(
    Order { wanted, inside, watched }: Order,
    mut sockets: Sockets,
    journal: Journal,
    cli: &Cli,
) -> Result<(Record, Outcome), Failure> {
    let mut records = sweep(&journal, &mut sockets, |record| leftover::is_over(record, &wanted, &inside))?;
    let snapshot = Snapshot::take(&mut sockets)?;
    if let Some(at) = same_call(&records, &wanted, &inside, &snapshot)? {
        return Ok((records.swap_remove(at), Outcome::Unchanged));
    }
    leftover::refuse(&records, &wanted, &inside, &cli.find)?;
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
        watched,
    };
    let announce = if cli.no_announce { Announce::No } else { Announce::Yes };
    apply::add(&mut record, &records, &journal, &mut Wires::new(sockets), announce)?;
    Ok((record, Outcome::Added))
}

/// Which of `records` the same call made before, if that is all there still.
fn same_call(
    records: &[Record],
    wanted: &Wanted,
    inside: &Inside,
    snapshot: &Snapshot,
) -> Result<Option<usize>, Failure> {
    let Some(at) = records.iter().position(|record| record.is_of(wanted, inside)) else { return Ok(None) };
    let record = &records[at];
    match check::drift(record, snapshot).first() {
        None => Ok(Some(at)),
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
    let living = records
        .into_iter()
        .filter(|record| is_alive(record, &snapshot) && !leftover::is_over(record, wanted, inside));
    let living: Vec<Record> = living.collect();
    if same_call(&living, wanted, inside, &snapshot)?.is_some() {
        report::commands([].iter(), &inside.files(), cli.json)?;
        return Ok(Status::Yes);
    }
    leftover::refuse(&living, wanted, inside, &cli.find)?;
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
