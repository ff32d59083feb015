//! `--watch`: sleeps until containers start or stop, and then reads all of them and all links.
//!
//! Nothing is kept from one round to the next: what was missed when the watch was killed or an engine restarted, the next
//! round does.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::Duration;

use common::engine::EngineError;
use common::events::ContainerWatch;
use common::failure::{self, Failure, Status};
use common::find::{FindError, VerifiedContainer, hold, host_network};
use common::namespace::NamespaceId;
use common::target::LinkName;

use crate::apply::{self, Wanted};
use crate::changes::{Change, changes};
use crate::links;
use crate::plan::{Plan, default_name, refuse_host};
use crate::report::{LinkChange, change};
use crate::request::Request;
use crate::tool::TOOL;

/// A container whose engine was killed at the same moment may send no event.
const AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// An engine that was too slow to answer is asked again this much later: no event says that it is faster now.
const SLOW: Duration = Duration::from_secs(1);

/// Makes and removes links as containers start and stop, until a signal ends it: between two changes, never within one.
pub fn watch(request: &Request) -> Result<Status, Failure> {
    let host = host_network()?;
    let mut watch = ContainerWatch::new(None, request.find.engine_timeout)?;
    let mut said = HashSet::new();
    loop {
        let (containers, errors) = links::all_containers(&request.find.session().engines);
        let complete = errors.is_empty();
        let slow = errors.iter().any(is_slow);
        let links = links::read_among(&containers)?;
        let mut failures: Vec<Failure> = errors.into_iter().map(Failure::from).collect();
        for change in changes(&links, &containers, Some(host), complete) {
            match make(&change, host, request) {
                Err(failure) if failure.is_already_said() => return Err(failure),
                Err(failure) => failures.push(failure),
                Ok(()) => {}
            }
        }
        report_new(&mut said, &failures);
        watch.wait(if slow { SLOW } else { AT_LEAST_EVERY })?;
    }
}

fn is_slow(error: &FindError) -> bool {
    matches!(error, FindError::Engine(EngineError::Slow { .. }))
}

/// Reports each failure once, as long as it persists.
fn report_new(said: &mut HashSet<String>, failures: &[Failure]) {
    for failure in failures {
        if !said.contains(failure.text()) {
            failure::report(TOOL, failure);
        }
    }
    *said = failures.iter().map(|failure| failure.text().to_owned()).collect();
}

fn make(wanted_change: &Change<'_>, host: NamespaceId, request: &Request) -> Result<(), Failure> {
    match *wanted_change {
        Change::Link(known) => {
            let name = default_name(&known.container.target(), Some(&known.container))?;
            let Some(wanted) = pin(known, host, &name)? else { return Ok(()) };
            match apply::link(&name, &wanted, false)? {
                Plan::Nothing | Plan::Symlink => Ok(()),
                Plan::Link | Plan::Relink => print_change(&name, &wanted, LinkChange::Linked, request),
            }
        }
        Change::Relink(link, known) => {
            let Some(wanted) = pin(known, host, &link.name)? else { return Ok(()) };
            if apply::relink(link, &wanted)? {
                print_change(&link.name, &wanted, LinkChange::Relinked, request)
            } else {
                Ok(())
            }
        }
        Change::Unlink(link) => {
            if !apply::unlink_exactly(link)? {
                return Ok(());
            }
            let owner = link.record.as_ref().and_then(|record| record.container.as_ref());
            let container = owner.map(|owner| (owner.engine, owner.name.as_str()));
            change(&link.name, LinkChange::Unlinked, container, None, request.json)
        }
    }
}

/// Holds the container's network; `None` when the container has ended: its event will come.
fn pin(known: &VerifiedContainer, host: NamespaceId, name: &LinkName) -> Result<Option<Wanted>, Failure> {
    let wanted = hold(known.container.clone()).map_err(Failure::from).and_then(Wanted::of);
    match wanted {
        Ok(wanted) if wanted.netns.identity() == host => Err(refuse_host(name)),
        Ok(wanted) => Ok(Some(wanted)),
        Err(failure) if failure.status == Status::No => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn print_change(
    name: &LinkName,
    wanted: &Wanted,
    what: LinkChange,
    request: &Request,
) -> Result<(), Failure> {
    let full_name = wanted.container.as_ref().map(|container| (container.engine, container.full_name()));
    let container = full_name.as_ref().map(|(engine, name)| (*engine, name.as_str()));
    change(name, what, container, Some(wanted.netns.identity()), request.json)?;
    io::stdout().flush()?;
    Ok(())
}
