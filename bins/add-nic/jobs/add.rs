//! Adds a NIC: read, plan, check for duplicates, apply, report.

use std::time::Instant;

use common::failure::{Failure, Status};
use common::target::IfName;
use common::typed::then_again;

use crate::apply::cleanup::{Cleanup, SweptNic, alive, clean_up_known, ours};
use crate::apply::executor::Executor;
use crate::apply::replace::only_new_addresses;
use crate::apply::{self, ConflictPolicy, filter, probe, ready, stale};
use crate::jobs::task::{AddTask, random, random_bytes, waits};
use crate::jobs::{docker_names, replace};
use crate::journal::{Journal, LockedJournal};
use crate::model::change::PlanStep;
use crate::model::plan::Plan;
use crate::model::record::NicRecord;
use crate::model::request::{AddMode, AddOptions, AddRequest, DuplicateCheck, OutputForm};
use crate::model::shell::NetnsFiles;
use crate::model::snapshot::Snapshot;
use crate::model::view::NicView;
use crate::model::wanted::Wanted;
use crate::parse::watch_file::WatchEntry;
use crate::plan::input::PlanInput;
use crate::plan::transition::Transition;
use crate::preflight::warning::Warning;
use crate::read::container::pin;
use crate::read::endpoints::Endpoints;
use crate::read::sockets::Sockets;
use crate::report::{self, Outcome};
use crate::tool::TOOL;
use crate::{check, preflight};

/// Adds the NIC, unless it exists already; or shows what would be done.
pub fn add(request: AddRequest, began: Instant) -> Result<Status, Failure> {
    let AddRequest { target, wanted, options, mode, form } = request;
    let (ends, mut sockets) = Endpoints::open(pin(&target, &options.search)?, &wanted, &options.search)?;
    match mode {
        AddMode::Preflight { typed } => {
            return run_preflight(&wanted, &ends, (&mut sockets, &options), &typed, form);
        }
        AddMode::DryRun => return dry_run(&wanted, &ends, &mut sockets, &options, form),
        AddMode::Add => {}
    }
    let journal = Journal::default();
    check_duplicates_fully(&wanted, &ends, &mut sockets, &options, &journal)?;
    let task = AddTask { wanted, ends, watched: None };
    let (record, outcome, mut executor) = add_nic(task, sockets, journal.lock()?, &options, Warning::say)?;
    let shown = report::nic(NicView::from_first(&record), outcome, began.elapsed(), form);
    shown.map_err(|failure| but_done(failure, &record, "is there"))?;
    if outcome.is_news() {
        ready::announce_again(&record.plan.nic, &mut executor, options.announcements.saturating_sub(1))?;
    }
    Ok(Status::Yes)
}

/// What could not be told was done all the same.
pub fn but_done(failure: Failure, record: &NicRecord, what: &str) -> Failure {
    let (container, nic) = (&record.inside.name, &record.plan.nic.name);
    failure.and_lines([format!("{TOOL}: {nic} of {container} {what}")])
}

/// Adds it, unless it exists already. `sockets` are in all networks, and are returned in the executor. The journal's lock is
/// released when this returns: another add-nic may continue while this one announces and reports.
pub fn add_nic(
    AddTask { wanted, ends, watched }: AddTask,
    mut sockets: Sockets,
    journal: LockedJournal<'_>,
    options: &AddOptions,
    warn: impl Fn(&Warning),
) -> Result<(NicRecord, Outcome, Executor), Failure> {
    let is_over =
        |record: &NicRecord, is_alive: bool| !is_alive || stale::is_over(record, &wanted, &ends.inside);
    let mut snapshot = Snapshot::read(&mut sockets)?;
    let records = ours(journal.records()?, sockets.home.identity());
    let Cleanup { alive: mut records, swept } = clean_up_known(records, &snapshot.host, &journal, is_over);
    swept.iter().for_each(SweptNic::say);
    if !swept.is_empty() {
        snapshot = Snapshot::read(&mut sockets)?;
    }
    let old = replace::old_of(&records, &wanted, &ends, options)?;
    replace::read_details(&mut snapshot, &wanted, &ends, &records, old, &sockets)?;
    match (same_call(&records, &wanted, &ends, &snapshot), old) {
        (Ok(Some(at)), _) => {
            return Ok((records.swap_remove(at), Outcome::Unchanged, Executor::new(sockets)));
        }
        (_, Some(at)) => {
            let task = AddTask { wanted, ends, watched };
            return replace::replace((task, at), sockets, (records, snapshot), &journal, options, warn);
        }
        (other, None) => other?,
    };
    stale::refuse(&records, &wanted, &ends.inside, options.search.find)?;
    let random = random_bytes()?;
    let names_before = options.names_before;
    let input = PlanInput { names_before, ..ends.plan_input(&wanted, &snapshot, &records, random) };
    let (plan, id) = (Plan::make(&input)?, input.id());
    filter::rehearse(&plan)?;
    preflight::read_needed(&mut snapshot, &plan.nic, &wanted, &sockets)?;
    let input = ends.plan_input(&wanted, &snapshot, &records, random);
    if !options.quiet {
        let silent = preflight::silent_addresses(&plan.nic, &input)?;
        preflight::warnings(&plan.nic, &input, &silent).iter().for_each(warn);
    }
    if watched.is_none() && !options.quiet {
        docker_names::note(&plan.nic.name, &input);
    }
    if options.dad.is_some() {
        probe::refuse_duplicates(&plan, &snapshot.host, &probe::QUICK, options.search.find)?;
    }
    let mut record = AddTask { wanted, ends, watched }.record(id, plan, &sockets);
    let mut executor = Executor::new(sockets);
    let waits = waits(options, &record.plan)?;
    let policy =
        ConflictPolicy { ask: Some((&waits, options.search.find)), announce: options.announcements > 0 };
    let reachable = apply::add(&mut record, &records, &journal, &mut executor, &policy)?;
    Ok((record, Outcome::Added(reachable), executor))
}

/// With `--dad=full`, checks the addresses for as long as the RFCs say. Nothing is changed yet and no lock is held: a signal
/// simply ends the process, and others do not wait.
pub fn check_duplicates_fully(
    wanted: &Wanted,
    ends: &Endpoints,
    sockets: &mut Sockets,
    options: &AddOptions,
    journal: &Journal,
) -> Result<(), Failure> {
    if options.dad != Some(DuplicateCheck::Full) {
        return Ok(());
    }
    let Some(planned) = plan_only(wanted, ends, sockets, options, journal)? else { return Ok(()) };
    let plan = match &planned.old {
        Some(OldNic { record, .. }) => only_new_addresses(&planned.plan, &record.plan.nic),
        None => planned.plan,
    };
    probe::refuse_duplicates(&plan, &planned.snapshot.host, &probe::full(random()?), options.search.find)
}

/// The record of the NIC that the same command added before, if that NIC is unchanged.
fn same_call(
    records: &[NicRecord],
    wanted: &Wanted,
    ends: &Endpoints,
    snapshot: &Snapshot,
) -> Result<Option<usize>, Failure> {
    let Some(at) = records.iter().position(|record| ends.have(record, wanted)) else { return Ok(None) };
    let record = &records[at];
    match check::differences(record, snapshot).first() {
        None => Ok(Some(at)),
        Some(difference) => {
            let (container, nic) = (&record.inside.name, &record.plan.nic.name);
            Err(Failure::failed(
                format_args!("{nic} of {container}"),
                format_args!("exists, but was changed: {difference}"),
            )
            .hint(then_again(common::hint!("add-nic --rm {} {}", container, nic))))
        }
    }
}

/// Prints the commands that would do it.
fn dry_run(
    wanted: &Wanted,
    ends: &Endpoints,
    sockets: &mut Sockets,
    options: &AddOptions,
    form: OutputForm,
) -> Result<Status, Failure> {
    let Some(planned) = plan_only(wanted, ends, sockets, options, &Journal::read_only())? else {
        report::commands([].iter(), &ends.files(), form.is_json())?;
        return Ok(Status::Yes);
    };
    planned.refuse_renamed()?;
    report::all_commands(planned.steps(ends), form.is_json())?;
    Ok(Status::Yes)
}

/// A plan as it would be now.
pub struct PlannedNic {
    pub plan: Plan,
    /// What it is made from.
    pub snapshot: Snapshot,
    /// The NIC whose place it takes.
    pub old: Option<OldNic>,
}

/// A NIC that another one replaces, for a dry run.
pub struct OldNic {
    record: NicRecord,
    /// The changes in place, if it can be changed so.
    transition: Option<Transition>,
    /// How it is removed otherwise, without what others need.
    removing: Vec<PlanStep>,
    /// A link of it that has another name by now.
    renamed: Option<(IfName, String)>,
}

/// Commands name links, and a link that has the name of another one by now would be meant: they are not shown then.
pub fn refuse_renamed(renamed: Option<&(IfName, String)>) -> Result<(), Failure> {
    renamed.map_or(Ok(()), |(made, now)| {
        let what = format_args!(
            "was renamed to {now}, and commands would be about what is called {made} now; without --dry-run, add-nic \
             finds it by its index"
        );
        Err(Failure::failed(made, what))
    })
}

impl PlannedNic {
    /// As the journal would have it, once it is added.
    pub fn record(self, entry: &WatchEntry, ends: Endpoints, sockets: &Sockets) -> NicRecord {
        let rules = self.plan.steps.iter().find_map(|(step, _)| match step {
            PlanStep::AddRules(rules) => Some(rules.id.clone()),
            _ => None,
        });
        // Of one that is not there yet, any that no other has.
        let id = self.old.as_ref().map(|old| old.record.id.clone()).or(rules);
        let id = id.unwrap_or_else(|| format!("line {}", entry.line));
        let task = AddTask { wanted: entry.wanted.clone(), ends, watched: Some(entry.watched.clone()) };
        NicRecord { is_whole: true, ..task.record(id, self.plan, sockets) }
    }

    /// Refuses to show commands for it that would be about other links.
    pub fn refuse_renamed(&self) -> Result<(), Failure> {
        refuse_renamed(self.old.as_ref().and_then(|old| old.renamed.as_ref()))
    }

    /// What would be done.
    pub fn steps<'a>(&'a self, ends: &'a Endpoints) -> impl Iterator<Item = (&'a PlanStep, NetnsFiles<'a>)> {
        // A command for something shared that exists already would fail.
        let is_missing = |step: &&PlanStep| !self.plan.is_shared(step) || !self.snapshot.has(step);
        let (removing, steps): (Vec<_>, Vec<_>) = match &self.old {
            None => (vec![], self.plan.steps.iter().map(|(step, _)| step).collect()),
            Some(OldNic { transition: Some(transition), .. }) => (vec![], transition.steps().collect()),
            Some(OldNic { record, removing, .. }) => {
                let removing = removing.iter().map(|step| (step, record.files())).collect();
                (removing, self.plan.steps.iter().map(|(step, _)| step).collect())
            }
        };
        let adding = steps.into_iter().filter(is_missing).map(|step| (step, ends.files()));
        removing.into_iter().chain(adding.collect::<Vec<_>>())
    }
}

/// The plan as it would be now; `None` if the NIC exists already. Takes no lock.
fn plan_only(
    wanted: &Wanted,
    ends: &Endpoints,
    sockets: &mut Sockets,
    options: &AddOptions,
    journal: &Journal,
) -> Result<Option<PlannedNic>, Failure> {
    let (records, snapshot) = read_state(wanted, ends, sockets, options, journal)?;
    plan_on(records, snapshot, wanted, ends, options)
}

/// The plan on top of this state.
pub fn plan_on(
    mut records: Vec<NicRecord>,
    snapshot: Snapshot,
    wanted: &Wanted,
    ends: &Endpoints,
    options: &AddOptions,
) -> Result<Option<PlannedNic>, Failure> {
    let old = replace::old_of(&records, wanted, ends, options)?;
    let same = same_call(&records, wanted, ends, &snapshot);
    match (same, old) {
        (Ok(Some(_)), _) => return Ok(None),
        (_, Some(at)) => {
            let old = records.remove(at);
            let planned = replace::plan(old, wanted, ends, &records, &snapshot, random_bytes()?)?;
            let replace::Replacement { old: record, plan, without, transition } = planned;
            let others: Vec<&Plan> = records.iter().flat_map(NicRecord::plans).collect();
            let removing = record.plan.undoing(&others).cloned().collect();
            let renamed = check::renamed(&record.plan, &snapshot);
            let old = Some(OldNic { record, transition, removing, renamed });
            return Ok(Some(PlannedNic { plan, snapshot: without, old }));
        }
        (other, None) => other?,
    };
    stale::refuse(&records, wanted, &ends.inside, options.search.find)?;
    let input = PlanInput {
        names_before: options.names_before,
        ..ends.plan_input(wanted, &snapshot, &records, random_bytes()?)
    };
    let plan = Plan::make(&input)?;
    Ok(Some(PlannedNic { plan, snapshot, old: None }))
}

/// Prints the warnings about it.
fn run_preflight(
    wanted: &Wanted,
    ends: &Endpoints,
    (sockets, options): (&mut Sockets, &AddOptions),
    typed: &[String],
    form: OutputForm,
) -> Result<Status, Failure> {
    let (alive, snapshot) = read_state(wanted, ends, sockets, options, &Journal::read_only())?;
    let warnings = warnings_on(alive, snapshot, wanted, ends, (sockets, options))?.0;
    report::warnings(&warnings, typed, form.is_json())?;
    Ok(if warnings.is_empty() { Status::Yes } else { Status::No })
}

/// The warnings about it on top of this state, and its plan, unless it exists already.
pub fn warnings_on(
    mut alive: Vec<NicRecord>,
    mut snapshot: Snapshot,
    wanted: &Wanted,
    ends: &Endpoints,
    (sockets, options): (&Sockets, &AddOptions),
) -> Result<(Vec<Warning>, Option<PlannedNic>), Failure> {
    let random = random_bytes()?;
    let same = ends.same(&alive, wanted).next().map(|record| record.plan.nic.clone());
    let (nic, planned) = match same {
        Some(nic) => (nic, None),
        None => {
            let planned = plan_on(alive.clone(), snapshot.clone(), wanted, ends, options)?;
            let Some(planned) = planned else { return Ok((vec![], None)) };
            if let Some(OldNic { record: old, .. }) = &planned.old {
                alive.retain(|record| record.id != old.id);
            }
            snapshot = planned.snapshot.clone();
            (planned.plan.nic.clone(), Some(planned))
        }
    };
    preflight::read_needed(&mut snapshot, &nic, wanted, sockets)?;
    let input = ends.plan_input(wanted, &snapshot, &alive, random);
    let silent = preflight::silent_addresses(&nic, &input)?;
    Ok((preflight::warnings(&nic, &input, &silent), planned))
}

/// The NICs that exist, and the state that a plan is made from. Takes no lock.
pub fn read_state(
    wanted: &Wanted,
    ends: &Endpoints,
    sockets: &mut Sockets,
    options: &AddOptions,
    journal: &Journal,
) -> Result<(Vec<NicRecord>, Snapshot), Failure> {
    let records = ours(journal.records()?, sockets.home.identity());
    let mut snapshot = Snapshot::read(sockets)?;
    let mut alive = alive(records, &snapshot.host);
    alive.retain(|record| !stale::is_over(record, wanted, &ends.inside));
    let old = replace::old_of(&alive, wanted, ends, options)?;
    replace::read_details(&mut snapshot, wanted, ends, &alive, old, sockets)?;
    Ok((alive, snapshot))
}
