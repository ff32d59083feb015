//! Plugs a NIC in: look, plan, ask, apply, report.

use std::time::Instant;

use common::failure::{Failure, Status};
use common::target::Target;
use jiff::Timestamp;

use crate::apply::{self, Manners};
use crate::check;
use crate::cli::{Cli, Dad};
use crate::firewall;
use crate::inside::{Pinned, pin};
use crate::journal::{self, Inside, Journal, Record};
use crate::plan::{Basis, Plan};
use crate::preflight::{self, Warning};
use crate::probe;
use crate::ready;
use crate::report::{self, Outcome};
use crate::snapshot::{Snapshot, Sockets};
use crate::step::Files;
use crate::sweep::{living, ours, sweep};
use crate::view::View;
use crate::wanted::Wanted;
use crate::wires::Wires;

/// Does it, unless it is done already.
pub fn add(target: &Target, wanted: Wanted, cli: &Cli, began: Instant) -> Result<Status, Failure> {
    let (ends, mut sockets) = Ends::pin(target, &wanted, cli)?;
    if cli.preflight {
        return warn(&wanted, &ends, &mut sockets, cli);
    }
    if cli.dry_run {
        return show(&wanted, &ends, &mut sockets, cli);
    }
    if cli.dad() == Some(Dad::Full) {
        ask_at_length(&wanted, &ends, &mut sockets, cli)?;
    }
    let journal = Journal::open()?;
    let records = sweep(&journal, &mut sockets)?;
    let mut snapshot = Snapshot::take(&mut sockets)?;
    snapshot.look_closer(Some(&wanted), ends.same(&records, &wanted), &sockets)?;
    if let Some(same) = same_call(&records, &wanted, &ends, &snapshot)? {
        report::nic(View::near(same), Outcome::Unchanged, began.elapsed(), cli.json)?;
        return Ok(Status::Yes);
    }
    let random: [u8; 18] = random()?;
    let basis = ends.basis(&wanted, &snapshot, &records, random);
    let (plan, id) = (Plan::make(&basis)?, basis.id());
    firewall::rehearse(&plan)?;
    preflight::look(&mut snapshot, &plan.nic, &wanted, &sockets)?;
    let basis = ends.basis(&wanted, &snapshot, &records, random);
    preflight::warnings(&plan.nic, &basis).iter().for_each(Warning::say);
    if cli.dad().is_some() {
        probe::refuse_duplicates(&plan, &snapshot.outside, &probe::QUICK, &cli.find)?;
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
    };
    let mut wires = Wires::new(sockets);
    let announcements = cli.announcements();
    let waits = match cli.dad() {
        Some(Dad::Full) => probe::full(self::random()?).to_vec(),
        Some(Dad::Quick) => probe::QUICK.to_vec(),
        None => vec![],
    };
    let manners = Manners { ask: Some((&waits, &cli.find)), announce: announcements > 0 };
    let reachable = apply::add(&mut record, &records, &journal, &mut wires, &manners)?;
    // The next one may go on while we talk.
    drop(journal);
    report::nic(View::near(&record), Outcome::Added(reachable), began.elapsed(), cli.json)?;
    ready::announce_again(&record.plan.nic, &mut wires, announcements.saturating_sub(1))?;
    Ok(Status::Yes)
}

/// Asks who has the addresses for as long as the RFCs have it. Nothing is made yet, and nobody else is kept waiting: a
/// signal ends us, and that is all.
fn ask_at_length(wanted: &Wanted, ends: &Ends, sockets: &mut Sockets, cli: &Cli) -> Result<(), Failure> {
    match foresee(wanted, ends, sockets)? {
        Some((plan, snapshot)) => {
            probe::refuse_duplicates(&plan, &snapshot.outside, &probe::full(random()?), &cli.find)
        }
        None => Ok(()),
    }
}

/// Whose networks are plugged together.
struct Ends {
    inside: Inside,
    peer: Option<Inside>,
}

impl Ends {
    /// Both networks, held, and a socket in each.
    fn pin(target: &Target, wanted: &Wanted, cli: &Cli) -> Result<(Self, Sockets), Failure> {
        let Pinned { netns, inside } = pin(target, cli)?;
        let other = wanted.other_end.peer().map(|peer| pin_peer(&peer, &inside, cli)).transpose()?;
        let (peer_netns, peer) = other.map(|Pinned { netns, inside }| (netns, inside)).unzip();
        Ok((Ends { inside, peer }, Sockets::open(Some(netns), peer_netns)?))
    }

    /// What the same call made before.
    fn same<'a>(&self, records: &'a [Record], wanted: &Wanted) -> impl Iterator<Item = &'a Record> + Clone {
        let same = |record: &&Record| {
            record.is_between(&self.inside, self.peer.as_ref()) && record.wanted == *wanted
        };
        records.iter().filter(same)
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

/// What the same call made before, if it is all there still.
fn same_call<'a>(
    records: &'a [Record],
    wanted: &Wanted,
    ends: &Ends,
    snapshot: &Snapshot,
) -> Result<Option<&'a Record>, Failure> {
    let Some(record) = ends.same(records, wanted).next() else { return Ok(None) };
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
fn show(wanted: &Wanted, ends: &Ends, sockets: &mut Sockets, cli: &Cli) -> Result<Status, Failure> {
    let Some((plan, snapshot)) = foresee(wanted, ends, sockets)? else {
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
fn foresee(wanted: &Wanted, ends: &Ends, sockets: &mut Sockets) -> Result<Option<(Plan, Snapshot)>, Failure> {
    let (living, snapshot) = look(wanted, ends, sockets)?;
    if same_call(&living, wanted, ends, &snapshot)?.is_some() {
        return Ok(None);
    }
    let basis = ends.basis(wanted, &snapshot, &living, random()?);
    let plan = Plan::make(&basis)?;
    Ok(Some((plan, snapshot)))
}

/// What would be said about it.
fn warn(wanted: &Wanted, ends: &Ends, sockets: &mut Sockets, cli: &Cli) -> Result<Status, Failure> {
    let (living, mut snapshot) = look(wanted, ends, sockets)?;
    let random = random()?;
    let nic = match ends.same(&living, wanted).next() {
        Some(record) => record.plan.nic.clone(),
        None => Plan::make(&ends.basis(wanted, &snapshot, &living, random))?.nic,
    };
    preflight::look(&mut snapshot, &nic, wanted, sockets)?;
    let warnings = preflight::warnings(&nic, &ends.basis(wanted, &snapshot, &living, random));
    report::warnings(&warnings, cli.json)?;
    Ok(if warnings.is_empty() { Status::Yes } else { Status::No })
}

/// The NICs of ours that live, and all that a plan is made from. Waits for nobody.
fn look(wanted: &Wanted, ends: &Ends, sockets: &mut Sockets) -> Result<(Vec<Record>, Snapshot), Failure> {
    let records = ours(journal::look()?, sockets.home.identity());
    let mut snapshot = Snapshot::take(sockets)?;
    snapshot.look_closer(Some(wanted), ends.same(&records, wanted), sockets)?;
    Ok((living(records, &snapshot.outside), snapshot))
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
