//! One pass over everything that a watch keeps: removes outdated NICs, and adds missing ones.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use common::cidr::Cidr;
use common::failure::{self, Failure, Status, say};
use common::find::{FindError, FoundTarget, Purpose, find};
use common::netlink::Socket;
use common::netns::Home;
use common::target::IfName;

use crate::apply::cleanup::{clean_up, is_alive, ours};
use crate::apply::executor::Executor;
use crate::apply::ready;
use crate::apply::repair::{self, Repair};
use crate::jobs::add::{add_nic, check_duplicates_fully};
use crate::jobs::remove::take_out;
use crate::jobs::task::AddTask;
use crate::journal::{Journal, LockedJournal};
use crate::model::record::NicRecord;
use crate::model::request::{AddOptions, OutputForm, WatchRequest};
use crate::model::snapshot::NetnsState;
use crate::model::view::NicView;
use crate::parse::watch_file::WatchEntry;
use crate::preflight::warning::Warning;
use crate::read::container::{PinnedNetns, has_lost_its_network, hold, reopen};
use crate::read::endpoints::Endpoints;
use crate::read::sockets::Sockets;
use crate::report::{self, Outcome};
use crate::tool::TOOL;
use crate::watch::drift::RepairState;
use crate::watch::not_found::{may_pass, not_found};
use crate::watch::retry::{RetryState, without_macs};
use crate::watch::signals::WatchSignals;

/// How many containers are found ahead: engines are slow to answer, and an old answer may be outdated.
const FOUND_AHEAD: usize = 4;

/// The NICs that a file describes, each with what keeps it from being added.
pub struct WatchedNics<'a> {
    file: PathBuf,
    entries: Vec<(WatchEntry, RetryState)>,
    /// For failures that belong to no entry.
    retry: RetryState,
    session: WatchSession<'a>,
}

/// What stays the same for as long as the watch runs.
struct WatchSession<'a> {
    journal: Journal,
    signals: &'a WatchSignals,
    request: &'a WatchRequest,
    /// The warnings that were printed, with their entries: each once, not at each restart of a container.
    warned: RefCell<HashSet<String>>,
}

/// The state before a pass: our NICs, and the links of the host.
struct CurrentNics {
    records: Vec<NicRecord>,
    host: NetnsState,
}

impl<'a> WatchedNics<'a> {
    pub fn new(
        file: &Path,
        entries: Vec<WatchEntry>,
        signals: &'a WatchSignals,
        request: &'a WatchRequest,
    ) -> Self {
        let session =
            WatchSession { journal: Journal::default(), signals, request, warned: RefCell::default() };
        let (file, retry) = (file.to_owned(), RetryState::default());
        let mut nics = WatchedNics { file, entries: vec![], retry, session };
        nics.set(entries);
        nics
    }

    fn set(&mut self, entries: Vec<WatchEntry>) {
        self.entries = entries.into_iter().map(|entry| (entry, RetryState::default())).collect();
    }

    /// Takes a new version of the file; with an error in it, the previous one stays in effect.
    pub fn replace(&mut self, read: Result<Vec<WatchEntry>, Failure>) {
        match read {
            Ok(entries) => self.set(entries),
            Err(failure) => {
                failure::report(TOOL, &failure);
                say(TOOL, format_args!("{}: the previous version stays in effect", self.file.display()));
            }
        }
    }

    /// Something has changed, somewhere: whatever failed may work now.
    pub fn retry_soon(&mut self) {
        self.retries().for_each(RetryState::retry_soon);
    }

    /// When the next pass is due without any event.
    pub fn next(&mut self) -> Option<Instant> {
        self.retries().filter_map(|retry| retry.next()).min()
    }

    /// When a repair is due that had to wait.
    pub fn next_repair(&mut self) -> Option<Instant> {
        self.retries().filter_map(|retry| retry.repairs.next()).min()
    }

    /// Repairs NICs that others changed.
    ///
    /// # Errors
    /// As [`WatchedNics::update`].
    pub fn repair(&mut self) -> Result<(), Failure> {
        let records = match CurrentNics::read(&self.session.journal) {
            Ok(current) => current.records,
            // The next pass reports it.
            Err(_) => return Ok(()),
        };
        for (entry, RetryState { repairs, .. }) in &mut self.entries {
            let is_its = |record: &&NicRecord| record.is_whole && entry.is_met_by(record);
            let Some(record) = records.iter().find(is_its) else { continue };
            match self.session.repair(entry, record, repairs) {
                Ok(()) => {}
                Err(failure) if failure.is_already_said() => return Err(failure),
                // Its container has exited in between.
                Err(_) if has_lost_its_network(record) => repairs.is_as_made(),
                Err(failure) => repairs.failed(&*entry, failure.map_hints(|hint| entry.hint(hint))),
            }
        }
        Ok(())
    }

    /// Whether the last pass found or added all NICs, and all are as they were added.
    pub fn is_complete(&mut self) -> bool {
        self.retries().all(|retry| retry.is_clear())
    }

    fn retries(&mut self) -> impl Iterator<Item = &mut RetryState> {
        self.entries.iter_mut().map(|(_, retry)| retry).chain(std::iter::once(&mut self.retry))
    }

    /// One pass. What fails is reported, and does not affect other entries.
    ///
    /// # Errors
    /// Only when standard output has no reader any more.
    pub fn update(&mut self) -> Result<(), Failure> {
        let current = match self.remove_outdated() {
            Ok(current) => current,
            Err(failure) if failure.is_already_said() => return Err(failure),
            Err(failure) => {
                self.retry.failed(self.file.display(), failure);
                return Ok(());
            }
        };
        self.retry.succeeded();
        let WatchedNics { entries, session, .. } = self;
        // Containers with missing NICs first: they are the reason for the pass. Those of one container stay in their order.
        let is_missing = |(entry, _): &&(WatchEntry, RetryState)| !current.has(entry);
        let incomplete: Vec<String> =
            entries.iter().filter(is_missing).map(|(entry, _)| entry.watched.target.clone()).collect();
        let (missing, present): (Vec<_>, Vec<_>) =
            entries.iter_mut().partition(|(entry, _)| incomplete.contains(&entry.watched.target));
        let ordered: Vec<&mut (WatchEntry, RetryState)> = missing.into_iter().chain(present).collect();
        let mut absent = AbsentNics::default();
        let targets = ordered.iter().map(|(entry, _)| entry.target.clone()).collect();
        // Each pass asks all engines again.
        let engines = session.request.find.session().engines;
        find_ahead(
            targets,
            move |target| find(&target, Purpose::Act, &engines),
            |found| {
                for ((entry, retry), found) in ordered.into_iter().zip(found) {
                    entry.options.names_before = absent.before(entry);
                    let is_undecided = found.as_ref().is_err_and(may_pass) && !session.request.once;
                    let ensured = session.ensure(entry, retry, found, &current);
                    if !matches!(ensured, Ok(true)) {
                        absent.add(entry);
                    }
                    match ensured {
                        Ok(true) => retry.succeeded(),
                        Ok(false) => {}
                        Err(failure) if failure.is_already_said() => return Err(failure),
                        Err(failure) if failure.status == Status::No => {
                            retry.waits_for(entry, failure, session.request)
                        }
                        Err(failure) if is_undecided => retry.undecided(entry, failure),
                        Err(failure) => retry.failed(&*entry, failure.map_hints(|hint| entry.hint(hint))),
                    }
                }
                Ok(())
            },
        )
    }

    /// Removes the NICs of entries that are no longer in the file, and what remains of those whose container has exited.
    fn remove_outdated(&self) -> Result<CurrentNics, Failure> {
        let current = CurrentNics::read(&self.session.journal)?;
        let is_ours =
            |record: &NicRecord| record.watched.as_ref().is_some_and(|watched| watched.file == self.file);
        let is_over = |record: &NicRecord| is_ours(record) && has_lost_its_network(record);
        let is_wanted = |record: &NicRecord| {
            self.entries.iter().any(|(entry, _)| entry.made(record) || entry.replaces(record))
        };
        let is_unwanted = |record: &NicRecord| is_ours(record) && !is_wanted(record);
        let is_current =
            |record: &NicRecord| is_alive(record, &current.host) && !is_over(record) && !is_unwanted(record);
        if current.records.iter().all(is_current) {
            return Ok(current);
        }
        self.session.remove(is_over, is_unwanted)?;
        CurrentNics::read(&self.session.journal)
    }
}

impl CurrentNics {
    fn read(journal: &Journal) -> Result<Self, Failure> {
        let records = ours(journal.records()?, Home::current()?.identity());
        Ok(CurrentNics { records, host: NetnsState::read_links(Some(&mut Socket::open()?))? })
    }

    fn has(&self, entry: &WatchEntry) -> bool {
        self.records.iter().any(|record| entry.made(record))
    }
}

/// The NICs without a name in the file that a pass could not add: those that follow leave their names to them, so that the
/// order of the file decides.
#[derive(Default)]
struct AbsentNics(Vec<(String, Option<IfName>)>);

impl AbsentNics {
    fn before(&self, entry: &WatchEntry) -> usize {
        let is_like = |(target, prefix): &&(String, Option<IfName>)| {
            *target == entry.watched.target && *prefix == entry.wanted.name_prefix
        };
        self.0.iter().filter(is_like).count()
    }

    fn add(&mut self, entry: &WatchEntry) {
        if entry.wanted.name.is_none() {
            self.0.push((entry.watched.target.clone(), entry.wanted.name_prefix.clone()));
        }
    }
}

impl WatchEntry {
    /// Whether the NIC was added for this entry.
    fn made(&self, record: &NicRecord) -> bool {
        record.watched.as_ref() == Some(&self.watched) && record.wanted == self.wanted
    }

    /// Whether the entry's NIC takes its place, because the file says other options by now.
    fn replaces(&self, record: &NicRecord) -> bool {
        let nic = &record.plan.nic;
        let has = |cidr: &Cidr| nic.addresses.iter().any(|has| has.address() == cidr.address());
        let is_its_place =
            self.wanted.name.as_ref() == Some(&nic.name) || self.wanted.addresses.iter().any(has);
        self.options.replace && record.watched.as_ref() == Some(&self.watched) && is_its_place
    }

    /// Whether it is the entry's NIC, also one that was added by hand.
    fn is_met_by(&self, record: &NicRecord) -> bool {
        self.made(record) || (record.watched.is_none() && record.wanted == self.wanted)
    }
}

impl WatchSession<'_> {
    /// Adds the NIC of one entry if it is missing and its container is running. `Ok(false)`: not yet, after a failure.
    fn ensure(
        &self,
        entry: &WatchEntry,
        retry: &RetryState,
        found: Result<FoundTarget, FindError>,
        current: &CurrentNics,
    ) -> Result<bool, Failure> {
        let found = found.map_err(not_found)?;
        // From here on: Docker gives no answer about a container while it is starting it.
        let began = Instant::now();
        let search = &entry.options.search;
        let pinned = hold(&entry.target, found, search)?;
        let (ends, mut sockets) = Endpoints::open(pinned, &entry.wanted, search)?;
        let is_present =
            |record: &NicRecord| ends.have(record, &entry.wanted) && is_alive(record, &current.host);
        if current.records.iter().any(is_present) {
            return Ok(true);
        }
        if !retry.is_due() {
            return Ok(false);
        }
        // The NIC from before the container was restarted, where a link keeps that network.
        let is_stale = |record: &NicRecord| entry.made(record) && !ends.have(record, &entry.wanted);
        if current.records.iter().any(is_stale) {
            self.remove(|_| false, is_stale)?;
        }
        let check =
            || check_duplicates_fully(&entry.wanted, &ends, &mut sockets, &entry.options, &self.journal);
        self.signals.interruptible(check)?;
        let task = AddTask { wanted: entry.wanted.clone(), ends, watched: Some(entry.watched.clone()) };
        let journal = self.signals.interruptible(|| self.journal.lock())?;
        self.add(entry, &entry.options, (task, sockets), (journal, began))?;
        Ok(true)
    }

    fn add(
        &self,
        entry: &WatchEntry,
        options: &AddOptions,
        (task, sockets): (AddTask, Sockets),
        (journal, began): (LockedJournal<'_>, Instant),
    ) -> Result<(), Failure> {
        let (record, outcome, executor) =
            add_nic(task, sockets, journal, options, |warning| self.warn(entry, warning))?;
        if outcome.is_news() {
            self.show(&record, outcome, began)?;
            announce_again(record, executor, options.announcements.saturating_sub(1));
        }
        Ok(())
    }

    /// Repairs the NIC of one entry; where no step can be done again, another plan takes the place of the old one.
    fn repair(&self, entry: &WatchEntry, record: &NicRecord, state: &mut RepairState) -> Result<(), Failure> {
        let differs = repair::drift(record)?;
        if differs.is_empty() || has_lost_its_network(record) {
            state.is_as_made();
            return Ok(());
        }
        let (container, nic) = (&record.inside.name, &record.plan.nic.name);
        if !entry.made(record) {
            let what = format!("{}; added by hand, and so it is left as it is", differs.join("; "));
            return Err(Failure::failed(nic, what).hint(common::hint!(
                "add-nic --repair {} {}",
                container,
                nic
            )));
        }
        if !state.is_due() {
            return Ok(());
        }
        let began = Instant::now();
        let journal = self.signals.interruptible(|| self.journal.lock())?;
        // It may have been removed since it was read.
        if !journal.records()?.contains(record) {
            return Ok(());
        }
        let repaired = repair::repair(record, entry.options.announcements > 0)?;
        drop(journal);
        match repaired {
            Repair::Done(differed) if differed.is_empty() => state.is_as_made(),
            Repair::Done(differed) => {
                state.repaired(format_args!("{entry}: {nic}"), &differed);
                self.show(record, Outcome::Repaired, began)?;
            }
            Repair::Impossible(differs) => {
                self.plan_anew(entry, record)?;
                state.repaired(format_args!("{entry}: {nic}"), &differs);
            }
        }
        Ok(())
    }

    /// Replaces the NIC by what its entry comes to now: in place if it can be, as when `--nat` has to follow the host's default route.
    /// If that fails it stays as it is.
    fn plan_anew(&self, entry: &WatchEntry, record: &NicRecord) -> Result<(), Failure> {
        let Some(netns) = reopen(&record.inside) else { return Ok(()) };
        let began = Instant::now();
        let pinned = PinnedNetns { netns, inside: record.inside.clone() };
        let (ends, sockets) = Endpoints::open(pinned, &entry.wanted, &entry.options.search)?;
        let task = AddTask { wanted: entry.wanted.clone(), ends, watched: Some(entry.watched.clone()) };
        let options = AddOptions { replace: true, ..entry.options };
        let journal = self.signals.interruptible(|| self.journal.lock())?;
        self.add(entry, &options, (task, sockets), (journal, began))
    }

    fn warn(&self, entry: &WatchEntry, warning: &Warning) {
        if self.warned.borrow_mut().insert(without_macs(&format!("{entry}: {}", warning.message))) {
            let fix = warning.fix.as_ref().and_then(|fix| entry.hint(fix));
            Warning { fix, ..warning.clone() }.say();
        }
    }

    /// Cleans up what is over, and removes the NICs that are not wanted any more.
    fn remove(
        &self,
        is_over: impl Fn(&NicRecord) -> bool,
        is_unwanted: impl Fn(&NicRecord) -> bool,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let journal = self.signals.interruptible(|| self.journal.lock())?;
        let mut records = clean_up(&journal, &mut Sockets::open(None, None)?, |record, is_alive| {
            !is_alive || is_over(record)
        })?;
        // One that cannot be removed now keeps no other.
        let mut refused: Vec<(String, Failure)> = Vec::new();
        let is_next = |record: &NicRecord, refused: &[(String, Failure)]| {
            is_unwanted(record) && refused.iter().all(|(id, _)| *id != record.id)
        };
        while let Some(at) = records.iter().rposition(|record| is_next(record, &refused)) {
            let mut record = records.remove(at);
            let mut executor = Executor::new(Sockets::for_record(&record)?);
            match take_out(&mut record, &mut records, &journal, &mut executor) {
                Ok(_) => self.show(&record, Outcome::Removed, began)?,
                Err(failure) => {
                    refused.push((record.id.clone(), failure));
                    records.insert(at, record);
                }
            }
        }
        refused.into_iter().next().map_or(Ok(()), |(_, failure)| Err(failure))
    }

    fn show(&self, record: &NicRecord, outcome: Outcome, began: Instant) -> Result<(), Failure> {
        let form: OutputForm = self.request.form;
        report::nic(NicView::from_first(record), outcome, began.elapsed(), form)?;
        Ok(io::stdout().flush()?)
    }
}

/// Has `answer` work on the questions, in their order, while `take` works on the answers; a few are kept waiting.
fn find_ahead<Q: Send, A: Send, T>(
    questions: Vec<Q>,
    answer: impl Fn(Q) -> A + Send,
    take: impl FnOnce(mpsc::IntoIter<A>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (sender, answers) = mpsc::sync_channel(FOUND_AHEAD);
    let work = move || questions.into_iter().map(answer).try_for_each(|answer| sender.send(answer));
    thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, work)?;
        take(answers.into_iter())
    })
}

/// In a thread of its own: the next NIC does not wait for it.
fn announce_again(record: NicRecord, mut executor: Executor, times: u8) {
    if times > 0 {
        thread::spawn(move || {
            if let Err(failure) = ready::announce_again(&record.plan.nic, &mut executor, times) {
                failure::report(TOOL, &failure);
            }
        });
    }
}
