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
use crate::step::Files;
use crate::sweep::{living, ours, sweep};
use crate::view::View;
use crate::wanted::Wanted;
use crate::wires::Wires;

/// Does it, unless it is done already.
pub fn add(target: &Target, wanted: Wanted, cli: &Cli, began: Instant) -> Result<Status, Failure> {
    let (ends, mut sockets) = Ends::open(pin(target, cli)?, &wanted, cli)?;
    if cli.dry_run {
        return show(&wanted, &ends, &mut sockets, cli);
    }
    ask_at_length(&wanted, &ends, &mut sockets, cli)?;
    let order = Order { wanted, ends, watched: None };
    let (record, outcome, mut wires) = plug(order, sockets, Journal::open()?, cli)?;
    report::nic(View::near(&record), outcome, began.elapsed(), Form::of(cli))?;
    if let Outcome::Added(_) = outcome {
        ready::announce_again(&record.plan.nic, &mut wires, cli.announcements().saturating_sub(1))?;
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
    cli: &Cli,
) -> Result<(Record, Outcome, Wires), Failure> {
    let is_over = |record: &Record| leftover::is_over(record, &wanted, &ends.inside);
    let mut records = sweep(&journal, &mut sockets, is_over)?;
    let snapshot = Snapshot::take(&mut sockets)?;
    if let Some(at) = same_call(&records, &wanted, &ends, &snapshot)? {
        return Ok((records.swap_remove(at), Outcome::Unchanged, Wires::new(sockets)));
    }
    leftover::refuse(&records, &wanted, &ends.inside, &cli.find)?;
    let random: [u8; 18] = random()?;
    let basis = ends.basis(&wanted, &snapshot, &records, random);
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
        inside: ends.inside,
        peer: ends.peer,
        wanted,
        plan,
        watched,
    };
    let mut wires = Wires::new(sockets);
    let reachable = apply::add(&mut record, &records, &journal, &mut wires, cli.announcements() > 0)?;
    Ok((record, Outcome::Added(reachable), wires))
}

/// Asks who has the addresses for as long as the RFCs have it, if that is wanted. Nothing is made yet, and nobody else is
/// kept waiting: a signal ends us, and that is all.
pub fn ask_at_length(wanted: &Wanted, ends: &Ends, sockets: &mut Sockets, cli: &Cli) -> Result<(), Failure> {
    if cli.dad() != Some(Dad::Full) {
        return Ok(());
    }
    match foresee(wanted, ends, sockets, cli)? {
        Some((plan, snapshot)) => {
            probe::refuse_duplicates(&plan, &snapshot.outside, &probe::full(random()?), &cli.find)
        }
        None => Ok(()),
    }
}

/// Whose networks are plugged together.
#[derive(Debug)]
pub struct Ends {
    pub inside: Inside,
    pub peer: Option<Inside>,
}

impl Ends {
    /// The container's, and that of the other one if there is one; with sockets in all of them.
    pub fn open(
        Pinned { netns, inside }: Pinned,
        wanted: &Wanted,
        cli: &Cli,
    ) -> Result<(Self, Sockets), Failure> {
        let other = wanted.other_end.peer().map(|peer| pin_peer(&peer, &inside, cli)).transpose()?;
        let (peer_netns, peer) = other.map(|Pinned { netns, inside }| (netns, inside)).unzip();
        Ok((Ends { inside, peer }, Sockets::open(Some(netns), peer_netns)?))
    }

    /// Whether `record` is of the NIC that is wanted between them.
    pub fn have(&self, record: &Record, wanted: &Wanted) -> bool {
        record.is_between(&self.inside, self.peer.as_ref()) && record.wanted == *wanted
    }

    fn basis<'a>(
        &'a self,
        wanted: &'a Wanted,
        snapshot: &'a Snapshot,
        records: &'a [Record],
        random: [u8; 18],
    ) -> Basis<'a> {
        Basis { wanted, snapshot, records, inside: &self.inside, peer: self.peer.as_ref(), random }
    }

    fn files(&self) -> Files<'_> {
        self.inside.files(self.peer.as_ref())
    }
}

/// The other container, which must be another one.
fn pin_peer(peer: &Target, inside: &Inside, cli: &Cli) -> Result<Pinned, Failure> {
    let pinned = pin(peer, cli)?;
    if pinned.inside.is_same_as(inside) {
        return Err(Failure::trouble(
            format_args!("--peer {peer}"),
            format_args!("is in the same network as {}: a cable has two ends", inside.name),
        ));
    }
    Ok(pinned)
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
                format_args!("is not as this call made it before: {difference}"),
            )
            .hint(format_args!("add-nic --rm {who} {nic}, and then this call again")))
        }
    }
}

/// The commands that would do it.
fn show(wanted: &Wanted, ends: &Ends, sockets: &mut Sockets, cli: &Cli) -> Result<Status, Failure> {
    let Some((plan, snapshot)) = foresee(wanted, ends, sockets, cli)? else {
        report::commands([].iter(), &ends.files(), cli.json)?;
        return Ok(Status::Yes);
    };
    let steps = plan.steps.iter().map(|(step, _)| step);
    // What is shared and there would be an error of the command.
    let missing = steps.filter(|step| !plan.is_shared(step) || !snapshot.has(step));
    report::commands(missing, &ends.files(), cli.json)?;
    Ok(Status::Yes)
}

/// What would be done if it were done now, and what that is made from; `None` if it is done already. Waits for nobody.
fn foresee(
    wanted: &Wanted,
    ends: &Ends,
    sockets: &mut Sockets,
    cli: &Cli,
) -> Result<Option<(Plan, Snapshot)>, Failure> {
    let records = ours(journal::look()?, sockets.home.identity());
    let snapshot = Snapshot::take(sockets)?;
    let is_over = |record: &Record| leftover::is_over(record, wanted, &ends.inside);
    let mut living = living(records, &snapshot.outside);
    living.retain(|record| !is_over(record));
    if same_call(&living, wanted, ends, &snapshot)?.is_some() {
        return Ok(None);
    }
    leftover::refuse(&living, wanted, &ends.inside, &cli.find)?;
    let basis = ends.basis(wanted, &snapshot, &living, random()?);
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
