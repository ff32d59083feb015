//! One look at everything that a watch keeps: takes out what is out of date, and plugs in what is not there.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use common::engine::EngineError;
use common::failure::{self, Failure, Status, say};
use common::find::{FindError, Found, Purpose, find};
use common::netlink::Socket;
use common::netns::Home;

use crate::apply::cleanup::{clean_up, is_alive, ours};
use crate::apply::executor::Executor;
use crate::apply::ready;
use crate::jobs::add::{AddTask, add_nic, check_duplicates_fully};
use crate::jobs::remove::take_out;
use crate::journal::{self, Journal};
use crate::model::record::NicRecord;
use crate::model::request::{OutputForm, WatchRequest};
use crate::model::snapshot::NetnsState;
use crate::model::view::NicView;
use crate::parse::watch_file::WatchEntry;
use crate::read::container::{has_lost_its_network, hold};
use crate::read::endpoints::Endpoints;
use crate::read::sockets::Sockets;
use crate::report::{self, Outcome};
use crate::tool::TOOL;
use crate::watch::signals::WatchSignals;
use crate::watch::trouble::RetryState;

/// How many containers are found before it is their turn: engines take their time to answer, and what they say grows old.
const FEW: usize = 4;

/// What is to be there, and what stands in the way of it.
pub struct WatchedNics<'a> {
    file: PathBuf,
    entries: Vec<(WatchEntry, RetryState)>,
    /// Of no entry.
    trouble: RetryState,
    signals: &'a WatchSignals,
    request: &'a WatchRequest,
}

/// What is there: our NICs, and the links of the host.
struct CurrentNics {
    records: Vec<NicRecord>,
    outside: NetnsState,
}

impl<'a> WatchedNics<'a> {
    pub fn new(
        file: &Path,
        entries: Vec<WatchEntry>,
        signals: &'a WatchSignals,
        request: &'a WatchRequest,
    ) -> Self {
        let mut kept = WatchedNics {
            file: file.to_owned(),
            entries: vec![],
            trouble: RetryState::default(),
            signals,
            request,
        };
        kept.set(entries);
        kept
    }

    fn set(&mut self, entries: Vec<WatchEntry>) {
        self.entries = entries.into_iter().map(|entry| (entry, RetryState::default())).collect();
    }

    /// The file was read again.
    pub fn replace(&mut self, read: Result<Vec<WatchEntry>, Failure>) {
        match read {
            Ok(entries) => self.set(entries),
            Err(failure) => {
                failure::report(TOOL, &failure);
                say(TOOL, format_args!("{}: the previous version stays in effect", self.file.display()));
            }
        }
    }

    /// Something has changed, somewhere.
    pub fn retry_soon(&mut self) {
        self.troubles().for_each(RetryState::retry_soon);
    }

    /// When to look again though there is no news.
    pub fn next(&mut self) -> Option<Instant> {
        self.troubles().filter_map(|trouble| trouble.next()).min()
    }

    /// Whether the last look left nothing to be desired.
    pub fn is_complete(&mut self) -> bool {
        self.troubles().all(|trouble| trouble.is_clear())
    }

    fn troubles(&mut self) -> impl Iterator<Item = &mut RetryState> {
        self.entries.iter_mut().map(|(_, trouble)| trouble).chain(std::iter::once(&mut self.trouble))
    }

    /// Looks at everything. What cannot be done is said, and keeps nothing else from being done.
    pub fn update(&mut self) -> Result<(), Failure> {
        let seen = match self.remove_outdated() {
            Ok(seen) => seen,
            Err(failure) if failure.message.is_none() => return Err(failure),
            Err(failure) => {
                self.trouble.failed(self.file.display(), failure);
                return Ok(());
            }
        };
        self.trouble.succeeded();
        let WatchedNics { entries, signals, request, .. } = self;
        // First those that nobody has plugged in yet: they are why we were woken.
        let (there, not_there): (Vec<_>, Vec<_>) = entries.iter_mut().partition(|(entry, _)| seen.has(entry));
        let ordered: Vec<&mut (WatchEntry, RetryState)> = not_there.into_iter().chain(there).collect();
        let targets = ordered.iter().map(|(entry, _)| entry.target.clone()).collect();
        let timeout = request.find.engine_timeout;
        find_ahead(
            targets,
            move |target| find(&target, Purpose::Act, timeout),
            |found| {
                for ((entry, trouble), found) in ordered.into_iter().zip(found) {
                    match ensure(entry, trouble, found, &seen, signals, request.form) {
                        Ok(true) => trouble.succeeded(),
                        Ok(false) => {}
                        Err(failure) if failure.message.is_none() => return Err(failure),
                        Err(failure) if failure.status == Status::No => {
                            trouble.waits_for(entry, failure, request)
                        }
                        Err(failure) => trouble.failed(entry, failure),
                    }
                }
                Ok(())
            },
        )
    }

    /// Takes out the NICs of entries that are no longer in the file, and what is left of those whose container has ended.
    fn remove_outdated(&self) -> Result<CurrentNics, Failure> {
        let seen = CurrentNics::now()?;
        let is_ours =
            |record: &NicRecord| record.watched.as_ref().is_some_and(|watched| watched.file == self.file);
        let is_over = |record: &NicRecord| is_ours(record) && has_lost_its_network(record);
        let is_unwanted =
            |record: &NicRecord| is_ours(record) && !self.entries.iter().any(|(entry, _)| entry.made(record));
        let is_current =
            |record: &NicRecord| is_alive(record, &seen.outside) && !is_over(record) && !is_unwanted(record);
        if seen.records.iter().all(is_current) {
            return Ok(seen);
        }
        remove(is_over, is_unwanted, self.signals, self.request.form)?;
        CurrentNics::now()
    }
}

impl CurrentNics {
    fn now() -> Result<Self, Failure> {
        let records = ours(journal::read_records()?, Home::current()?.identity());
        Ok(CurrentNics { records, outside: NetnsState::read_links(Some(&mut Socket::open()?))? })
    }

    fn has(&self, entry: &WatchEntry) -> bool {
        self.records.iter().any(|record| entry.made(record))
    }
}

impl WatchEntry {
    /// Whether the NIC was plugged in for this entry.
    fn made(&self, record: &NicRecord) -> bool {
        record.watched.as_ref() == Some(&self.watched) && record.wanted == self.wanted
    }
}

/// Sees to it that one NIC is there, if its container runs; whether it is. `Ok(false)`: not yet, after what went wrong.
fn ensure(
    entry: &WatchEntry,
    trouble: &RetryState,
    found: Result<Found, FindError>,
    seen: &CurrentNics,
    signals: &WatchSignals,
    form: OutputForm,
) -> Result<bool, Failure> {
    let found = found.map_err(not_there)?;
    // Docker answers nobody who asks for a container that it is just starting.
    let began = Instant::now();
    let search = &entry.options.search;
    let pinned = hold(&entry.target, found, search)?;
    let (ends, mut sockets) = Endpoints::open(pinned, &entry.wanted, search)?;
    let is_it = |record: &NicRecord| ends.have(record, &entry.wanted) && is_alive(record, &seen.outside);
    if seen.records.iter().any(is_it) {
        return Ok(true);
    }
    if !trouble.is_due() {
        return Ok(false);
    }
    // What the container had before it was started anew, where a link keeps that network.
    let is_left = |record: &NicRecord| entry.made(record) && !ends.have(record, &entry.wanted);
    if seen.records.iter().any(is_left) {
        remove(|_| false, is_left, signals, form)?;
    }
    signals.interruptible(|| check_duplicates_fully(&entry.wanted, &ends, &mut sockets, &entry.options))?;
    let order = AddTask { wanted: entry.wanted.clone(), ends, watched: Some(entry.watched.clone()) };
    let journal = signals.interruptible(Journal::open)?;
    let (record, outcome, executor) = add_nic(order, sockets, journal, &entry.options)?;
    if let Outcome::Added(_) = outcome {
        show(&record, outcome, began, form)?;
        announce_again(record, executor, entry.options.announcements.saturating_sub(1));
    }
    Ok(true)
}

/// Has `answer` work on the questions, in their order, while `take` works on the answers; a few are kept interruptible.
fn find_ahead<Q: Send, A: Send, T>(
    questions: Vec<Q>,
    answer: impl Fn(Q) -> A + Send,
    take: impl FnOnce(mpsc::IntoIter<A>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (sender, answers) = mpsc::sync_channel(FEW);
    let work = move || questions.into_iter().map(answer).try_for_each(|answer| sender.send(answer));
    thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, work)?;
        take(answers.into_iter())
    })
}

/// Nobody else is to wait for that, least of all the next NIC.
fn announce_again(record: NicRecord, mut executor: Executor, times: u8) {
    if times > 0 {
        thread::spawn(move || {
            if let Err(failure) = ready::announce_again(&record.plan.nic, &mut executor, times) {
                failure::report(TOOL, &failure);
            }
        });
    }
}

/// Engines may come later, and containers with them: that is said by their events.
fn not_there(error: FindError) -> Failure {
    let no_engine = matches!(
        error,
        FindError::NoEngine
            | FindError::Engine(
                EngineError::Absent { .. }
                    | EngineError::Missing { .. }
                    | EngineError::Dead { .. }
                    | EngineError::Stale { .. }
                    | EngineError::Unused { .. }
            )
    );
    let failure = Failure::from(error);
    if no_engine { Failure { status: Status::No, ..failure } } else { failure }
}

/// Sweeps what is over, and takes out what is not wanted any more.
fn remove(
    is_over: impl Fn(&NicRecord) -> bool,
    is_unwanted: impl Fn(&NicRecord) -> bool,
    signals: &WatchSignals,
    form: OutputForm,
) -> Result<(), Failure> {
    let began = Instant::now();
    let journal = signals.interruptible(Journal::open)?;
    let mut records = clean_up(&journal, &mut Sockets::open(None, None)?, is_over)?;
    while let Some(at) = records.iter().rposition(&is_unwanted) {
        let mut record = records.remove(at);
        let mut executor = Executor::new(Sockets::for_record(&record)?);
        take_out(&mut record, &mut records, &journal, &mut executor)?;
        show(&record, Outcome::Removed, began, form)?;
    }
    Ok(())
}

fn show(record: &NicRecord, outcome: Outcome, began: Instant, form: OutputForm) -> Result<(), Failure> {
    report::nic(NicView::from_first(record), outcome, began.elapsed(), form)?;
    Ok(io::stdout().flush()?)
}
