//! `--replace`: the NIC whose place another one takes, and what changes.

use common::failure::{Failure, say};
use common::hint;

use crate::apply::executor::Executor;
use crate::apply::replace::only_new_addresses;
use crate::apply::{self, ConflictPolicy, filter, probe, stale};
use crate::jobs::task::{AddTask, random_bytes, waits};
use crate::journal::LockedJournal;
use crate::model::request::AddOptions;
use crate::plan::transition;
use crate::preflight::{self, warning::Warning};
use crate::read::sockets::Sockets;
use crate::report::Outcome;
use crate::tool::TOOL;

use crate::model::change::PlanStep;
use crate::model::plan::Plan;
use crate::model::record::NicRecord;
use crate::model::snapshot::Snapshot;
use crate::model::wanted::Wanted;
use crate::plan::input::RandomBytes;
use crate::plan::simulation::Sides;
use crate::plan::transition::{Transition, makes_a_link};
use crate::read::endpoints::Endpoints;

/// A NIC in the place of another one.
#[derive(Debug)]
pub struct Replacement {
    pub old: NicRecord,
    pub plan: Plan,
    /// The snapshot without the old one.
    pub without: Snapshot,
    /// The changes in place; `None` if the old NIC is removed and the new one added.
    pub transition: Option<Transition>,
}

/// The NIC of ours whose place the wanted one takes: the one of its name or, if none is called so, the one that has an address of it.
pub fn old_of(
    records: &[NicRecord],
    wanted: &Wanted,
    ends: &Endpoints,
    options: &AddOptions,
) -> Result<Option<usize>, Failure> {
    if !options.replace {
        return Ok(None);
    }
    let is_here = |record: &NicRecord| record.is_whole && record.inside.is_same_as(&ends.inside);
    let has_address = |record: &NicRecord| {
        let mut addresses = wanted.addresses.iter().map(common::cidr::Cidr::address);
        addresses.any(|address| record.plan.nic.addresses.iter().any(|has| has.address() == address))
    };
    let has_name = |record: &NicRecord| wanted.name.as_ref() == Some(&record.plan.nic.name);
    let here: Vec<usize> = (0..records.len()).filter(|at| is_here(&records[*at])).collect();
    if let Some(at) = here.iter().find(|at| has_name(&records[**at])) {
        return Ok(Some(*at));
    }
    let mut found = here.into_iter().filter(|at| has_address(&records[*at]));
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => {
            let name = |at: usize| records[at].plan.nic.name.to_string();
            let what = format!("these are addresses of both {} and {}", name(one), name(other));
            Err(Failure::failed("--replace", what).hint(common::same_with!("--name {}", name(one))))
        }
        (at, _) => Ok(at),
    }
}

/// Reads what a plan needs: for what is wanted, and about the same NIC or the one whose place it takes.
pub fn read_details(
    snapshot: &mut Snapshot,
    wanted: &Wanted,
    ends: &Endpoints,
    records: &[NicRecord],
    old: Option<usize>,
    sockets: &Sockets,
) -> Result<(), Failure> {
    let is_about = |(at, record): &(usize, &NicRecord)| Some(*at) == old || ends.have(record, wanted);
    let about = records.iter().enumerate().filter(is_about).map(|(_, record)| record);
    snapshot.read_details(Some(wanted), about, sockets)?;
    for (netns, key) in old.map(|at| transition::needed(&records[at].plan)).unwrap_or_default() {
        snapshot.settings.read(netns, vec![key], sockets)?;
    }
    Ok(())
}

/// Puts the wanted NIC into the place of `records[at]`: in place, or by removing that one first.
pub fn replace(
    (task, at): (AddTask, usize),
    sockets: Sockets,
    (mut records, snapshot): (Vec<NicRecord>, Snapshot),
    journal: &LockedJournal<'_>,
    options: &AddOptions,
    warn: impl Fn(&Warning),
) -> Result<(NicRecord, Outcome, Executor), Failure> {
    let AddTask { wanted, ends, .. } = &task;
    let old = records.remove(at);
    stale::refuse(&records, wanted, &ends.inside, options.search.find)?;
    let random = random_bytes()?;
    let Replacement { old, plan, mut without, transition } =
        self::plan(old, wanted, ends, &records, &snapshot, random)?;
    filter::rehearse(&plan)?;
    preflight::read_needed(&mut without, &plan.nic, wanted, &sockets)?;
    let input = ends.plan_input(wanted, &without, &records, random);
    if !options.quiet {
        let silent = preflight::silent_addresses(&plan.nic, &input)?;
        preflight::warnings(&plan.nic, &input, &silent).iter().for_each(warn);
    }
    if options.dad.is_some() {
        let plan = only_new_addresses(&plan, &old.plan.nic);
        probe::refuse_duplicates(&plan, &snapshot.host, &probe::QUICK, options.search.find)?;
    }
    let waits = waits(options, &plan)?;
    let mut record = task.record(old.id.clone(), plan, &sockets);
    if transition.is_some() {
        record.since = old.since;
    }
    if let Some(watched) = old.watched.as_ref().filter(|_| record.watched.is_none()) {
        let what = "lists the NIC that this one replaces: a running watch says how they differ";
        say(TOOL, format_args!("{} {what}", watched.file.display()));
    }
    record.replaced = Some(Box::new(old));
    let mut executor = Executor::new(sockets);
    let policy = ConflictPolicy {
        ask: options.dad.map(|_| (&waits[..], options.search.find)),
        announce: options.announcements > 0,
    };
    let changes = transition.as_ref();
    let reachable = apply::replace::replace(&mut record, changes, &records, journal, &mut executor, &policy)?;
    let outcome = if changes.is_some() { Outcome::Changed(reachable) } else { Outcome::Replaced(reachable) };
    Ok((record, outcome, executor))
}

/// What is planned for its place. `snapshot` has the old NIC in it, `others` has not.
pub fn plan(
    old: NicRecord,
    wanted: &Wanted,
    ends: &Endpoints,
    others: &[NicRecord],
    snapshot: &Snapshot,
    random: RandomBytes,
) -> Result<Replacement, Failure> {
    refuse_displaced(&old, others)?;
    let plans: Vec<&Plan> = others.iter().flat_map(NicRecord::plans).collect();
    let without = without(&old, &plans, ends, snapshot);
    let asked = as_before(wanted, &old);
    let random = random_as_before(random, &old);
    let mut plan = Plan::make(&ends.plan_input(&asked, &without, others, random))?;
    plan.take_over(&old.plan);
    let is_as_made = |(step, _): &(PlanStep, _)| !makes_a_link(step) || snapshot.has(step);
    let is_as_made = old.plan.steps.iter().all(is_as_made);
    let is_in_place = is_as_made && old.is_between(&ends.inside, ends.peer.as_ref());
    let transition = Transition::between(&old.plan, &plan, &plans, &snapshot.settings);
    let transition = transition.filter(|_| is_in_place);
    let transition = transition.map(|changes| changes.repairing(&plan, snapshot, Snapshot::has));
    if transition.is_none() {
        plan.forget_indices();
    }
    Ok(Replacement { old, plan, without, transition })
}

/// The snapshot without that NIC.
fn without(old: &NicRecord, others: &[&Plan], ends: &Endpoints, snapshot: &Snapshot) -> Snapshot {
    let sides = Sides::new(old, &ends.inside, ends.peer.as_ref());
    snapshot.clone().after(old.plan.undoing(others), sides)
}

/// What the request leaves open stays as it was: its names.
fn as_before(wanted: &Wanted, old: &NicRecord) -> Wanted {
    let mut asked = wanted.clone();
    if asked.name.is_none() && asked.name_prefix == old.wanted.name_prefix {
        asked.name = Some(old.plan.nic.name.clone());
    }
    let is_same_kind = asked.other_end.peer().is_some() == old.wanted.other_end.peer().is_some();
    if asked.other_name.is_none() && asked.name.as_ref() == Some(&old.plan.nic.name) && is_same_kind {
        asked.other_name = old.plan.veth().map(|veth| veth.other.name.clone());
    }
    asked
}

/// And its MAC addresses, and the name of its record, which its firewall rules have too.
fn random_as_before(random: RandomBytes, old: &NicRecord) -> RandomBytes {
    let veth = old.plan.veth();
    let own = veth.map(|veth| veth.inside.mac).or(old.plan.stacked_link().and_then(|stacked| stacked.mac));
    let bridge = old.plan.steps.iter().find_map(|(step, _)| match step {
        PlanStep::AddBridge(bridge) => Some(bridge.mac),
        _ => None,
    });
    let byte = |at: usize| old.id.get(2 * at..2 * at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
    let id: Option<Vec<u8>> = (0..6).map(byte).collect();
    RandomBytes {
        nic: own.map_or(random.nic, |mac| mac.0),
        port: veth.map_or(random.port, |veth| veth.other.mac.0),
        bridge: bridge.map_or(random.bridge, |mac| mac.0),
        id: id.and_then(|id| id.try_into().ok()).unwrap_or(random.id),
    }
}

/// Another NIC of ours that replaced a default route of this one would put it back later.
fn refuse_displaced(old: &NicRecord, others: &[NicRecord]) -> Result<(), Failure> {
    let is_its = |step: &PlanStep| matches!(step, PlanStep::DelRoute(route) if old.plan.has(&PlanStep::AddRoute(route.clone())));
    let mut here = others.iter().filter(|other| other.inside.is_same_as(&old.inside));
    match here.find(|other| other.plan.steps.iter().any(|(step, _)| is_its(step))) {
        None => Ok(()),
        Some(above) => {
            let (name, nic) = (&above.plan.nic.name, &old.plan.nic.name);
            let what = format!("{name} replaced the default route of {nic} after it was added");
            Err(Failure::failed("--replace", what).hint(hint!("add-nic --rm {} {}", above.inside.name, name)))
        }
    }
}
