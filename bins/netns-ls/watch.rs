//! `--watch`: sleeps until links, addresses or containers may have changed, looks again, and prints what is different.

use std::collections::HashSet;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use common::events::ContainerWatch;
use common::failure::{self, Failure, Status};
use common::find::host;
use common::map::LookDepth;
use common::netlink::ChangeListener;
use common::sys;
use nix::sys::signal::Signal;

use crate::changes::{MapChange, changes};
use crate::look::named;
use crate::request::{MapFormat, Request};
use crate::saved::SavedMap;
use crate::tool::TOOL;

/// What sends no event is seen this much later: a namespace to which no link of ours leads, and a new name under `/run/netns`.
const AT_LEAST_EVERY: Duration = Duration::from_secs(2);
/// What is changed by hand comes as several events: this long after the first of them they are one. It also bounds how often we
/// look.
const BURST: Duration = Duration::from_millis(50);

/// Prints changes until a signal ends it.
///
/// # Errors
/// When the events cannot be listened to, or not even our own network can be read.
pub fn watch(request: &Request) -> Result<Status, Failure> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        sys::exit_on(signal).map_err(|errno| Failure::failed("signals", errno))?;
    }
    // What happens after these exist is not missed.
    let events = ChangeListener::routing()?;
    let mut containers = ContainerWatch::new(None, request.find.engine_timeout)?;
    let mut said = HashSet::new();
    let mut old = see(request, None, &mut said)?;
    if !request.format.quiet {
        let count = old.namespaces.len();
        failure::say(TOOL, format_args!("watching {count} network namespaces"));
    }
    loop {
        containers.wait_also(AT_LEAST_EVERY, &[events.as_fd()])?;
        thread::sleep(BURST);
        let _ = events.heard();
        let new = see(request, Some(&old), &mut said)?;
        print(&changes(&old, &new), request.format)?;
        old = new;
    }
}

/// The map as it is now. What could not be asked for, or not be looked at, is as it was before.
fn see(
    request: &Request,
    before: Option<&SavedMap>,
    said: &mut HashSet<String>,
) -> Result<SavedMap, Failure> {
    let known = match (host(LookDepth::Whole, &request.find.session().engines), before) {
        (Ok(known), _) => known,
        // A moment without memory or descriptors: the next look may see again.
        (Err(error), Some(before)) => {
            report_new(said, vec![error.into()]);
            return Ok(before.clone());
        }
        (Err(error), None) => return Err(error.into()),
    };
    let is_whole = known.errors.is_empty();
    report_new(said, known.errors.into_iter().map(Failure::from).collect());
    let unread: Vec<String> = known.map.unseen.not_read.iter().map(|(which, _)| which.clone()).collect();
    let now = SavedMap::of(&named(known.map));
    let Some(before) = before else { return Ok(now) };
    let now = now.with_unread(before, &unread);
    Ok(if is_whole { now } else { now.with_known_containers(before) })
}

/// Reports each error once, as long as it persists.
fn report_new(said: &mut HashSet<String>, failures: Vec<Failure>) {
    let new = failures.iter().filter(|failure| !said.contains(failure.text()));
    new.for_each(|failure| failure::report(TOOL, failure));
    *said = failures.iter().map(|failure| failure.text().to_owned()).collect();
}

/// A line for each, or an object.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(changes: &[MapChange], format: MapFormat) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for change in changes {
        match format.json {
            true => common::json::line(&mut out, change)?,
            false => writeln!(out, "{}", change.line())?,
        }
    }
    Ok(out.flush()?)
}
