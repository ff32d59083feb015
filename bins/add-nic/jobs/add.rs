//! Plugs a NIC in: look, plan, ask, apply, report.

use std::io;
use std::time::Instant;

use common::failure::{Failure, Status};
use common::packet;
use jiff::Timestamp;

use crate::apply::cleanup::{Swept, living, ours, sweep_from};
use crate::apply::executor::Executor;
use crate::apply::{self, ConflictPolicy, filter, probe, ready, stale};
use crate::journal::{self, Journal};
use crate::model::plan::Plan;
use crate::model::record::{Record, Watched};
use crate::model::request::{AddMode, AddOptions, AddRequest, Dad, Form};
use crate::model::snapshot::Snapshot;
use crate::model::view::View;
use crate::model::wanted::Wanted;
use crate::plan::input::Random;
use crate::preflight::warning::Warning;
use crate::read::container::pin;
use crate::read::endpoints::Ends;
use crate::read::sockets::Sockets;
use crate::report::{self, Outcome};
use crate::{check, preflight};

/// Does it, unless it is done already.
pub fn add(request: AddRequest, began: Instant) -> Result<Status, Failure> {
    let AddRequest { target, wanted, options, mode, form } = request;
    let (ends, mut sockets) = Ends::open(pin(&target, &options.search)?, &wanted, &options.search)?;
    match mode {
        AddMode::Preflight { typed } => return warn(&wanted, &ends, &mut sockets, &typed, form),
        AddMode::DryRun => return show(&wanted, &ends, &mut sockets, &options, form),
        AddMode::Add => {}
    }
    ask_at_length(&wanted, &ends, &mut sockets, &options)?;
    let order = Order { wanted, ends, watched: None };
    let (record, outcome, mut executor) = plug(order, sockets, Journal::open()?, &options)?;
    report::nic(View::near(&record), outcome, began.elapsed(), form)?;
    if let Outcome::Added(_) = outcome {
        ready::announce_again(&record.plan.nic, &mut executor, options.announcements.saturating_sub(1))?;
    }
    Ok(Status::Yes)
}

/// What is to be plugged in, where, and on whose behalf.
#[derive(Debug)]
pub struct Order {
    pub wanted: Wanted,
    pub ends: Ends,
    pub watched: Option<Watched>,
}

/// Plugs it in, unless it is there already. `sockets` are in all networks, and are given back. Who waits for the journal
/// has it when this returns: the next one may go on while we talk.
pub fn plug(
    Order { wanted, ends, watched }: Order,
    mut sockets: Sockets,
    journal: Journal,
    options: &AddOptions,
) -> Result<(Record, Outcome, Executor), Failure> {
    let is_over = |record: &Record| stale::is_over(record, &wanted, &ends.inside);
    let mut snapshot = Snapshot::take(&mut sockets)?;
    let records = ours(journal.records()?, sockets.home.identity());
    let Swept { living: mut records, has_changed } =
        sweep_from(records, &snapshot.outside, &journal, is_over);
    if has_changed {
        snapshot = Snapshot::take(&mut sockets)?;
    }
    snapshot.look_closer(Some(&wanted), ends.same(&records, &wanted), &sockets)?;
    if let Some(at) = same_call(&records, &wanted, &ends, &snapshot)? {
        return Ok((records.swap_remove(at), Outcome::Unchanged, Executor::new(sockets)));
    }
    stale::refuse(&records, &wanted, &ends.inside, &options.search.find)?;
    let random = made_up()?;
    let input = ends.plan_input(&wanted, &snapshot, &records, random);
    let (plan, id) = (Plan::make(&input)?, input.id());
    filter::rehearse(&plan)?;
    preflight::look(&mut snapshot, &plan.nic, &wanted, &sockets)?;
    let input = ends.plan_input(&wanted, &snapshot, &records, random);
    preflight::warnings(&plan.nic, &input).iter().for_each(Warning::say);
    if options.dad.is_some() {
        probe::refuse_duplicates(&plan, &snapshot.outside, &probe::QUICK, &options.search.find)?;
    }
    let mut record = Record {
        id,
        made_by: concat!("add-nic ", env!("CARGO_PKG_VERSION")).to_owned(),
        since: Timestamp::now(),
        is_whole: false,
        outside_inode: sockets.home.identity().inode,
        inside: ends.inside,
        peer: ends.peer,
        wanted,
        plan,
        watched,
    };
    let mut executor = Executor::new(sockets);
    let waits = match options.dad {
        Some(Dad::Full) => probe::full(self::random()?).to_vec(),
        Some(Dad::Quick) if record.plan.nic.other_end.parent().is_some() => probe::QUICK_ON_A_PARENT.to_vec(),
        Some(Dad::Quick) => probe::QUICK.to_vec(),
        None => vec![],
    };
    let policy =
        ConflictPolicy { ask: Some((&waits, &options.search.find)), announce: options.announcements > 0 };
    let reachable = apply::add(&mut record, &records, &journal, &mut executor, &policy)?;
    Ok((record, Outcome::Added(reachable), executor))
}

/// Asks who has the addresses for as long as the RFCs have it, if that is wanted. Nothing is made yet, and nobody else is
/// kept waiting: a signal ends us, and that is all.
pub fn ask_at_length(
    wanted: &Wanted,
    ends: &Ends,
    sockets: &mut Sockets,
    options: &AddOptions,
) -> Result<(), Failure> {
    if options.dad != Some(Dad::Full) {
        return Ok(());
    }
    match foresee(wanted, ends, sockets, options)? {
        Some((plan, snapshot)) => {
            probe::refuse_duplicates(&plan, &snapshot.outside, &probe::full(random()?), &options.search.find)
        }
        None => Ok(()),
    }
}

/// Which of `records` the same call made before, if that is all there still.
fn same_call(
    records: &[Record],
    wanted: &Wanted,
    ends: &Ends,
    snapshot: &Snapshot,
) -> Result<Option<usize>, Failure> {
    let Some(at) = records.iter().position(|record| ends.have(record, wanted)) else { return Ok(None) };
    let record = &records[at];
    match check::drift(record, snapshot).first() {
        None => Ok(Some(at)),
        Some(difference) => {
            let (who, nic) = (&record.inside.name, &record.plan.nic.name);
            Err(Failure::trouble(
                format_args!("{nic} of {who}"),
                format_args!("exists, but was changed: {difference}"),
            )
            .hint(common::hint!("add-nic --rm {} {}, then repeat this command", who, nic)))
        }
    }
}

/// The commands that would do it.
fn show(
    wanted: &Wanted,
    ends: &Ends,
    sockets: &mut Sockets,
    options: &AddOptions,
    form: Form,
) -> Result<Status, Failure> {
    let Some((plan, snapshot)) = foresee(wanted, ends, sockets, options)? else {
        report::commands([].iter(), &ends.files(), form.is_json())?;
        return Ok(Status::Yes);
    };
    let steps = plan.steps.iter().map(|(step, _)| step);
    // What is shared and there would be an error of the command.
    let missing = steps.filter(|step| !plan.is_shared(step) || !snapshot.has(step));
    report::commands(missing, &ends.files(), form.is_json())?;
    Ok(Status::Yes)
}

/// What would be done if it were done now, and what that is made from; `None` if it is done already. Waits for nobody.
fn foresee(
    wanted: &Wanted,
    ends: &Ends,
    sockets: &mut Sockets,
    options: &AddOptions,
) -> Result<Option<(Plan, Snapshot)>, Failure> {
    let (living, snapshot) = look(wanted, ends, sockets)?;
    if same_call(&living, wanted, ends, &snapshot)?.is_some() {
        return Ok(None);
    }
    stale::refuse(&living, wanted, &ends.inside, &options.search.find)?;
    let input = ends.plan_input(wanted, &snapshot, &living, made_up()?);
    let plan = Plan::make(&input)?;
    Ok(Some((plan, snapshot)))
}

/// What would be said about it.
fn warn(
    wanted: &Wanted,
    ends: &Ends,
    sockets: &mut Sockets,
    typed: &[String],
    form: Form,
) -> Result<Status, Failure> {
    let (living, mut snapshot) = look(wanted, ends, sockets)?;
    let random = made_up()?;
    let nic = match ends.same(&living, wanted).next() {
        Some(record) => record.plan.nic.clone(),
        None => Plan::make(&ends.plan_input(wanted, &snapshot, &living, random))?.nic,
    };
    preflight::look(&mut snapshot, &nic, wanted, sockets)?;
    let warnings = preflight::warnings(&nic, &ends.plan_input(wanted, &snapshot, &living, random));
    report::warnings(&warnings, typed, form.is_json())?;
    Ok(if warnings.is_empty() { Status::Yes } else { Status::No })
}

/// The NICs of ours that live, and all that a plan is made from. Waits for nobody.
fn look(wanted: &Wanted, ends: &Ends, sockets: &mut Sockets) -> Result<(Vec<Record>, Snapshot), Failure> {
    let records = ours(journal::look()?, sockets.home.identity());
    let mut snapshot = Snapshot::take(sockets)?;
    snapshot.look_closer(Some(wanted), ends.same(&records, wanted), sockets)?;
    let mut living = living(records, &snapshot.outside);
    living.retain(|record| !stale::is_over(record, wanted, &ends.inside));
    Ok((living, snapshot))
}

/// What is made up for a NIC.
fn made_up() -> Result<Random, Failure> {
    let bytes: [u8; 24] = random()?;
    let from = |first: usize| std::array::from_fn(|at| bytes[first + at]);
    Ok(Random { nic: from(0), port: from(6), bridge: from(12), id: from(18) })
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    packet::random().map_err(|errno| Failure::trouble("random numbers", io::Error::from(errno)))
}
