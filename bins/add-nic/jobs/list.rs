//! `--list` and `--check`: the NICs that add-nic created, and how they differ by now. What is left of a NIC that no longer exists
//! is removed; for that alone they take the lock. For a NIC whose link is gone they wait for another add-nic that has it: that one
//! may be about another network, or have looked before. What is only not whole may be what that one is making.

use std::time::Duration;

use common::failure::{self, Failure, Status, say};
use common::netlink::Socket;

use crate::apply::cleanup::{SweptNic, clean_up_known, is_alive, ours};
use crate::check::{differences, is_there};
use crate::journal::{Journal, NewerRecord};
use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::request::ListRequest;
use crate::model::snapshot::{NetnsState, Snapshot};
use crate::model::view::NicView;
use crate::plan::input::{PlanInput, RandomBytes};
use crate::preflight::warning::Warning;
use crate::preflight::{self, SilentAddresses};
use crate::read::container::pin;
use crate::read::sockets::Sockets;
use crate::report;
use crate::tool::TOOL;

/// How long another add-nic may be at work before what is left of a NIC stays for a later call to remove.
const PATIENCE: Duration = Duration::from_secs(5);

/// All of ours, or those of one container.
pub fn list(request: &ListRequest) -> Result<Status, Failure> {
    let inside = one_of(request)?;
    let journal = Journal::default();
    let swept = sweep(&journal)?;
    swept.iter().for_each(SweptNic::say_all);
    let records = records(&journal, inside.as_ref())?;
    let drift = with_drift(&records, &|_, _| Ok(vec![]))?;
    let seen =
        |view: &NicView<'_>| inside.as_ref().is_none_or(|inside| view.here.container.is_same_as(inside));
    let views = |(record, differs)| NicView::all(record).filter(seen).map(move |view| (view, differs));
    let rows: Vec<_> =
        drift.iter().map(|(record, differs)| (*record, &differs[..])).flat_map(views).collect();
    report::list(&rows, request.form.is_json())?;
    Ok(Status::Yes)
}

/// Only what differs.
pub fn check(request: &ListRequest) -> Result<Status, Failure> {
    let inside = one_of(request)?;
    let journal = Journal::default();
    let swept = sweep(&journal)?;
    let is_asked = |swept: &&SweptNic| inside.as_ref().is_none_or(|inside| swept.record.is_about(inside));
    let (asked, others): (Vec<_>, Vec<_>) = swept.iter().partition(is_asked);
    others.into_iter().for_each(SweptNic::say);
    for failure in asked.iter().filter_map(|swept| swept.undone.as_ref().err()) {
        failure::report(TOOL, failure);
    }
    let gone: Vec<_> = asked.into_iter().filter(|swept| swept.undone.is_ok()).collect();
    let words: Vec<_> = gone.iter().map(|swept| [swept.words()]).collect();
    let records = records(&journal, inside.as_ref())?;
    let silent = silent_addresses(&records)?;
    let drift = with_drift(&records, &|record, snapshot| unreached(record, &records, &silent, snapshot))?;
    let differing = drift.iter().filter(|(_, differs)| !differs.is_empty());
    let rows = differing.map(|(record, differs)| (NicView::seen_from(record, inside.as_ref()), &differs[..]));
    let gone = gone.iter().zip(&words);
    let gone = gone.map(|(swept, words)| (NicView::seen_from(&swept.record, inside.as_ref()), &words[..]));
    let rows: Vec<_> = gone.chain(rows).collect();
    report::drift(&rows, request.form.is_json())?;
    // Those that only a newer add-nic understands were named, and not looked at.
    let is_unread = |newer: &NewerRecord| inside.as_ref().is_none_or(|inside| inside.name == newer.container);
    Ok(match (rows.is_empty(), journal.newer().iter().any(is_unread)) {
        (false, _) => Status::No,
        (true, true) => Status::Failed,
        (true, false) => Status::Yes,
    })
}

/// Removes what is left of NICs that no longer exist, or are not whole.
fn sweep(journal: &Journal) -> Result<Vec<SweptNic>, Failure> {
    let home = common::netns::Home::current()?.identity();
    let links = || NetnsState::read_links(Some(&mut Socket::open()?));
    let records = ours(journal.records()?, home);
    if records.is_empty() {
        return Ok(vec![]);
    }
    let host = links()?;
    let dead: Vec<&NicRecord> = records.iter().filter(|record| !is_alive(record, &host)).collect();
    if dead.is_empty() {
        return Ok(vec![]);
    }
    let gone = dead.iter().find(|record| record.is_whole);
    // Under the lock, what is not whole was left so.
    let locked = match (journal.lock_within(gone.map_or(Duration::ZERO, |_| PATIENCE))?, gone) {
        (Ok(locked), _) => locked,
        (Err(holder), Some(gone)) => {
            let (container, nic) = (&gone.inside.name, &gone.plan.nic.name);
            let what = "is at work on NICs, so the next call removes what is left";
            say(TOOL, format_args!("{container}: {nic}: {holder} {what}"));
            return Ok(vec![]);
        }
        (Err(_), None) => return Ok(vec![]),
    };
    let records = ours(locked.records()?, home);
    Ok(clean_up_known(records, &links()?, &locked, |_, is_alive| !is_alive).swept)
}

fn one_of(request: &ListRequest) -> Result<Option<ContainerNetns>, Failure> {
    let target = request.target.as_ref();
    Ok(target.map(|target| pin(target, &request.search)).transpose()?.map(|pinned| pinned.inside))
}

fn records(journal: &Journal, inside: Option<&ContainerNetns>) -> Result<Vec<NicRecord>, Failure> {
    let home = common::netns::Home::current()?.identity();
    let is_wanted = |record: &NicRecord| inside.is_none_or(|inside| record.is_about(inside));
    Ok(ours(journal.records()?, home).into_iter().filter(is_wanted).collect())
}

/// Those that answer nobody, of the addresses to be asked for because of NICs on bridges.
fn silent_addresses(records: &[NicRecord]) -> Result<SilentAddresses, Failure> {
    let is_asked = |record: &&NicRecord| record.is_whole && record.plan.nic.other_end.bridge().is_some();
    let asked: Vec<&NicRecord> = records.iter().filter(is_asked).collect();
    if asked.is_empty() {
        return Ok(SilentAddresses::default());
    }
    let host =
        Snapshot { host: Snapshot::read(&mut Sockets::open(None, None)?)?.host, ..Snapshot::default() };
    SilentAddresses::ask(asked.iter().map(|record| (&record.plan.nic, input(record, records, &host))))
}

fn input<'a>(record: &'a NicRecord, records: &'a [NicRecord], snapshot: &'a Snapshot) -> PlanInput<'a> {
    PlanInput {
        wanted: &record.wanted,
        snapshot,
        records,
        inside: &record.inside,
        peer: record.peer.as_ref(),
        random: RandomBytes::default(),
        names_before: 0,
    }
}

/// What keeps a NIC that is there from being reached, whether that was so when it was added or not.
fn unreached(
    record: &NicRecord,
    records: &[NicRecord],
    silent: &SilentAddresses,
    snapshot: &mut Snapshot,
) -> Result<Vec<String>, Failure> {
    let nic = &record.plan.nic;
    if !record.is_whole
        || snapshot.inside.links.is_empty()
        || !is_there(record, &snapshot.host, &snapshot.inside, &snapshot.peer)
    {
        return Ok(vec![]);
    }
    preflight::read_needed(snapshot, nic, &record.wanted, &Sockets::for_record(record)?)?;
    let input = input(record, records, snapshot);
    let silent = silent.of(nic, &input);
    Ok(preflight::unreached(nic, &input, &silent).iter().map(Warning::as_difference).collect())
}

/// What else there is to say about a NIC.
type NicLook<'a> = dyn Fn(&NicRecord, &mut Snapshot) -> Result<Vec<String>, Failure> + 'a;

/// Each with what differs. Containers with several NICs are looked at once.
fn with_drift<'a>(
    records: &'a [NicRecord],
    look: &NicLook<'_>,
) -> Result<Vec<(&'a NicRecord, Vec<String>)>, Failure> {
    let mut seen: Vec<(&NicRecord, Snapshot)> = Vec::new();
    let mut rows = Vec::new();
    for record in records {
        let known = seen.iter().position(|(other, _)| record.is_between(&other.inside, other.peer.as_ref()));
        let at = match known {
            Some(at) => at,
            None => {
                let mut sockets = Sockets::for_record(record)?;
                let mut snapshot = Snapshot::read(&mut sockets)?;
                let same =
                    records.iter().filter(|other| other.is_between(&record.inside, record.peer.as_ref()));
                snapshot.read_details(None, same, &sockets)?;
                seen.push((record, snapshot));
                seen.len() - 1
            }
        };
        let mut differs = differences(record, &seen[at].1);
        differs.extend(look(record, &mut seen[at].1)?);
        rows.push((record, differs));
    }
    Ok(rows)
}
