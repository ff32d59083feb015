//! Plugs a NIC in: look, plan, ask, apply, report.

use std::time::Instant;

use common::failure::{Failure, Status};
use common::target::Target;
use jiff::Timestamp;

use crate::apply;
use crate::check;
use crate::cli::{Cli, Dad};
use crate::inside::{Pinned, pin};
use crate::journal::{self, Inside, Journal, Record, Watched};
use crate::leftover;
use crate::plan::{Basis, Plan};
use crate::probe;
use crate::ready;
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
    ask_at_length(&wanted, &inside, &mut sockets, cli)?;
    let order = Order { wanted, inside, watched: None };
    let (record, outcome, mut wires) = plug(order, sockets, Journal::open()?, cli)?;
    report::nic(&record, outcome, began.elapsed(), Form::of(cli))?;
    if let Outcome::Added(_) = outcome {
        ready::announce_again(&record.plan.nic, &mut wires, cli.announcements().saturating_sub(1))?;
    }
    Ok(Status::Yes)
}

/// What is to be plugged in, where, and on whose behalf.
#[derive(Debug)]
pub struct Order {
    pub wanted: Wanted,
    pub inside: Inside,
    pub watched: Option<Watched>,
}

/// Plugs it in, unless it is there already. `sockets` are in both networks, and are given back. Who waits for the journal
/// has it when this returns: the next one may go on while we talk.
pub fn plug(
    Order { wanted, inside, watched }: Order,
    mut sockets: Sockets,
    journal: Journal,
    cli: &Cli,
) -> Result<(Record, Outcome, Wires), Failure> {
    let mut records = sweep(&journal, &mut sockets, |record| leftover::is_over(record, &wanted, &inside))?;
    let snapshot = Snapshot::take(&mut sockets)?;
    if let Some(at) = same_call(&records, &wanted, &inside, &snapshot)? {
        return Ok((records.swap_remove(at), Outcome::Unchanged, Wires::new(sockets)));
    }
    leftover::refuse(&records, &wanted, &inside, &cli.find)?;
    let random: [u8; 18] = random()?;
    let basis = Basis { wanted: &wanted, snapshot: &snapshot, records: &records, inside: &inside, random };
    let plan = Plan::make(&basis)?;
    if cli.dad().is_some() {
        probe::refuse_duplicates(&plan, &snapshot.outside, &probe::QUICK, &cli.find)?;
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
    let mut wires = Wires::new(sockets);
    let reachable = apply::add(&mut record, &records, &journal, &mut wires, cli.announcements() > 0)?;
    Ok((record, Outcome::Added(reachable), wires))
}

/// Asks who has the addresses for as long as the RFCs have it, if that is wanted. Nothing is made yet, and nobody else is kept waiting: a
/// signal ends us, and that is all.
pub fn ask_at_length(
    wanted: &Wanted,
    inside: &Inside,
    sockets: &mut Sockets,
    cli: &Cli,
) -> Result<(), Failure> {
    if cli.dad() != Some(Dad::Full) {
        return Ok(());
    }
    match foresee(wanted, inside, sockets, cli)? {
        Some((plan, snapshot)) => {
            probe::refuse_duplicates(&plan, &snapshot.outside, &probe::full(random()?), &cli.find)
        }
        None => Ok(()),
    }
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
    let Some((plan, snapshot)) = foresee(wanted, inside, sockets, cli)? else {
        report::commands([].iter(), &inside.files(), cli.json)?;
        return Ok(Status::Yes);
    };
    let steps = plan.steps.iter().map(|(step, _)| step);
    // What is shared and there would be an error of the command.
    let missing = steps.filter(|step| !plan.is_shared(step) || !snapshot.has(step));
    report::commands(missing, &inside.files(), cli.json)?;
    Ok(Status::Yes)
}

/// What would be done if it were done now, and what that is made from; `None` if it is done already. Waits for nobody.
fn foresee(
    wanted: &Wanted,
    inside: &Inside,
    sockets: &mut Sockets,
    cli: &Cli,
) -> Result<Option<(Plan, Snapshot)>, Failure> {
    let records = ours(journal::look()?, sockets.home.identity());
    let snapshot = Snapshot::take(sockets)?;
    let is_living =
        |record: &Record| is_alive(record, &snapshot) && !leftover::is_over(record, wanted, inside);
    let living: Vec<Record> = records.into_iter().filter(is_living).collect();
    if same_call(&living, wanted, inside, &snapshot)?.is_some() {
        return Ok(None);
    }
    leftover::refuse(&living, wanted, inside, &cli.find)?;
    let basis = Basis { wanted, snapshot: &snapshot, records: &living, inside, random: random()? };
    let plan = Plan::make(&basis)?;
    Ok(Some((plan, snapshot)))
}

/// For link-layer addresses, the record's name, and waits.
fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    let mut bytes = [0; BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| Failure::trouble("random numbers", errno))?;
    }
    Ok(bytes)
}
