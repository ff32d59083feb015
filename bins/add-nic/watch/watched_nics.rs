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

use crate::apply::cleanup::{lives, ours, sweep};
use crate::apply::executor::Executor;
use crate::apply::ready;
use crate::jobs::add::{Order, ask_at_length, plug};
use crate::jobs::remove::take_out;
use crate::journal::{self, Journal};
use crate::model::record::Record;
use crate::model::request::{Form, WatchRequest};
use crate::model::snapshot::Side;
use crate::model::view::View;
use crate::parse::watch_file::Entry;
use crate::read::container::{has_lost_its_network, hold};
use crate::read::endpoints::Ends;
use crate::read::sockets::Sockets;
use crate::report::{self, Outcome};
use crate::tool::TOOL;
use crate::watch::signals::Signals;
use crate::watch::trouble::Trouble;

/// How many containers are found before it is their turn: engines take their time to answer, and what they say grows old.
const FEW: usize = 4;

/// What is to be there, and what stands in the way of it.
pub struct WatchedNics<'a> {
    file: PathBuf,
    entries: Vec<(Entry, Trouble)>,
    /// Of no entry.
    trouble: Trouble,
    signals: &'a Signals,
    request: &'a WatchRequest,
}

/// What is there: our NICs, and the links of the host.
struct Seen {
    records: Vec<Record>,
    outside: Side,
}

impl<'a> WatchedNics<'a> {
    pub fn new(file: &Path, entries: Vec<Entry>, signals: &'a Signals, request: &'a WatchRequest) -> Self {
        let mut kept = WatchedNics {
            file: file.to_owned(),
            entries: vec![],
            trouble: Trouble::default(),
            signals,
            request,
        };
        kept.set(entries);
        kept
    }

    fn set(&mut self, entries: Vec<Entry>) {
        self.entries = entries.into_iter().map(|entry| (entry, Trouble::default())).collect();
    }

    /// The file was read again.
    pub fn replace(&mut self, read: Result<Vec<Entry>, Failure>) {
        match read {
            Ok(entries) => self.set(entries),
            Err(failure) => {
                failure::report(TOOL, &failure);
                say(TOOL, format_args!("{}: the previous version stays in effect", self.file.display()));
            }
        }
    }

    /// Something has changed, somewhere.
    pub fn stir(&mut self) {
        self.troubles().for_each(Trouble::stir);
    }

    /// When to look again though there is no news.
    pub fn next(&mut self) -> Option<Instant> {
        self.troubles().filter_map(|trouble| trouble.next()).min()
    }

    /// Whether the last look left nothing to be desired.
    pub fn is_all_there(&mut self) -> bool {
        self.troubles().all(|trouble| trouble.is_none())
    }

    fn troubles(&mut self) -> impl Iterator<Item = &mut Trouble> {
        self.entries.iter_mut().map(|(_, trouble)| trouble).chain(std::iter::once(&mut self.trouble))
    }

    /// Looks at everything. What cannot be done is said, and keeps nothing else from being done.
    pub fn look(&mut self) -> Result<(), Failure> {
        let seen = match self.tidy() {
            Ok(seen) => seen,
            Err(failure) if failure.message.is_none() => return Err(failure),
            Err(failure) => {
                self.trouble.had(self.file.display(), failure);
                return Ok(());
            }
        };
        self.trouble.is_over();
        let WatchedNics { entries, signals, request, .. } = self;
        // First those that nobody has plugged in yet: they are why we were woken.
        let (there, not_there): (Vec<_>, Vec<_>) = entries.iter_mut().partition(|(entry, _)| seen.has(entry));
        let ordered: Vec<&mut (Entry, Trouble)> = not_there.into_iter().chain(there).collect();
        let targets = ordered.iter().map(|(entry, _)| entry.target.clone()).collect();
        let timeout = request.find.engine_timeout;
        ahead(
            targets,
            move |target| find(&target, Purpose::Act, timeout),
            |found| {
                for ((entry, trouble), found) in ordered.into_iter().zip(found) {
                    match keep(entry, trouble, found, &seen, signals, request.form) {
                        Ok(true) => trouble.is_over(),
                        Ok(false) => {}
                        Err(failure) if failure.message.is_none() => return Err(failure),
                        Err(failure) if failure.status == Status::No => {
                            trouble.waits(entry, failure, request)
                        }
                        Err(failure) => trouble.had(entry, failure),
                    }
                }
                Ok(())
            },
        )
    }

    /// Takes out the NICs of entries that are no longer in the file, and what is left of those whose container has ended.
    fn tidy(&self) -> Result<Seen, Failure> {
        let seen = Seen::now()?;
        let is_ours =
            |record: &Record| record.watched.as_ref().is_some_and(|watched| watched.file == self.file);
        let is_over = |record: &Record| is_ours(record) && has_lost_its_network(record);
        let is_unwanted =
            |record: &Record| is_ours(record) && !self.entries.iter().any(|(entry, _)| entry.made(record));
        let is_tidy =
            |record: &Record| lives(record, &seen.outside) && !is_over(record) && !is_unwanted(record);
        if seen.records.iter().all(is_tidy) {
            return Ok(seen);
        }
        remove(is_over, is_unwanted, self.signals, self.request.form)?;
        Seen::now()
    }
}

impl Seen {
    fn now() -> Result<Self, Failure> {
        let records = ours(journal::look()?, Home::current()?.identity());
        Ok(Seen { records, outside: Side::links_of(Some(&mut Socket::open()?))? })
    }

    fn has(&self, entry: &Entry) -> bool {
        self.records.iter().any(|record| entry.made(record))
    }
}

impl Entry {
    /// Whether the NIC was plugged in for this entry.
    fn made(&self, record: &Record) -> bool {
        record.watched.as_ref() == Some(&self.watched) && record.wanted == self.wanted
    }
}

/// Sees to it that one NIC is there, if its container runs; whether it is. `Ok(false)`: not yet, after what went wrong.
fn keep(
    entry: &Entry,
    trouble: &Trouble,
    found: Result<Found, FindError>,
    seen: &Seen,
    signals: &Signals,
    form: Form,
) -> Result<bool, Failure> {
    let found = found.map_err(not_there)?;
    // Docker answers nobody who asks for a container that it is just starting.
    let began = Instant::now();
    let search = &entry.options.search;
    let pinned = hold(&entry.target, found, search)?;
    let (ends, mut sockets) = Ends::open(pinned, &entry.wanted, search)?;
    let is_it = |record: &Record| ends.have(record, &entry.wanted) && lives(record, &seen.outside);
    if seen.records.iter().any(is_it) {
        return Ok(true);
    }
    if !trouble.is_due() {
        return Ok(false);
    }
    // What the container had before it was started anew, where a link keeps that network.
    let is_left = |record: &Record| entry.made(record) && !ends.have(record, &entry.wanted);
    if seen.records.iter().any(is_left) {
        remove(|_| false, is_left, signals, form)?;
    }
    signals.waiting(|| ask_at_length(&entry.wanted, &ends, &mut sockets, &entry.options))?;
    let order = Order { wanted: entry.wanted.clone(), ends, watched: Some(entry.watched.clone()) };
    let journal = signals.waiting(Journal::open)?;
    let (record, outcome, executor) = plug(order, sockets, journal, &entry.options)?;
    if let Outcome::Added(_) = outcome {
        tell(&record, outcome, began, form)?;
        announce_again(record, executor, entry.options.announcements.saturating_sub(1));
    }
    Ok(true)
}

/// Has `answer` work on the questions, in their order, while `take` works on the answers; a few are kept waiting.
fn ahead<Q: Send, A: Send, T>(
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
fn announce_again(record: Record, mut executor: Executor, times: u8) {
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
    is_over: impl Fn(&Record) -> bool,
    is_unwanted: impl Fn(&Record) -> bool,
    signals: &Signals,
    form: Form,
) -> Result<(), Failure> {
    let began = Instant::now();
    let journal = signals.waiting(Journal::open)?;
    let mut records = sweep(&journal, &mut Sockets::open(None, None)?, is_over)?;
    while let Some(at) = records.iter().rposition(&is_unwanted) {
        let mut record = records.remove(at);
        let mut executor = Executor::new(Sockets::of_record(&record)?);
        take_out(&mut record, &mut records, &journal, &mut executor)?;
        tell(&record, Outcome::Removed, began, form)?;
    }
    Ok(())
}

fn tell(record: &Record, outcome: Outcome, began: Instant, form: Form) -> Result<(), Failure> {
    report::nic(View::near(record), outcome, began.elapsed(), form)?;
    Ok(io::stdout().flush()?)
}
