//! `--watch`: asleep until containers come or go, and then looks at all of them and all links.
//!
//! There is nothing to remember from one look to the next: a watch that was killed, or an engine that was
//! restarted, is made up for by the next look.

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
use crate::cli::Cli;
use crate::links;
use crate::plan::{Plan, default_name, refuse_host};
use crate::report::{Changed, change};
use crate::tool::TOOL;

/// Nobody may have told of a container whose engine was killed with it.
const AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// An engine that was too slow to answer is asked again this much later: that it is faster is no news to wait for.
const SLOW: Duration = Duration::from_secs(1);

/// Keeps links and containers alike until a signal ends us: between two changes, never within one.
pub fn watch(cli: &Cli) -> Result<Status, Failure> {
    let host = host_network()?;
    let mut watch = ContainerWatch::new(None, cli.find.engine_timeout)?;
    let mut told = HashSet::new();
    loop {
        let (containers, troubles) = links::everybody(cli.find.engine_timeout);
        let complete = troubles.is_empty();
        let slow = troubles.iter().any(is_slow);
        let links = links::among(&containers)?;
        let mut complaints: Vec<Failure> = troubles.into_iter().map(Failure::from).collect();
        for change in changes(&links, &containers, Some(host), complete) {
            match make(&change, host, cli) {
                Err(failure) if failure.is_already_said() => return Err(failure),
                Err(failure) => complaints.push(failure),
                Ok(()) => {}
            }
        }
        complain(&mut told, &complaints);
        watch.wait(if slow { SLOW } else { AT_LEAST_EVERY })?;
    }
}

fn is_slow(trouble: &FindError) -> bool {
    matches!(trouble, FindError::Engine(EngineError::Slow { .. }))
}

/// Says what is wrong, once for as long as it stays wrong.
fn complain(told: &mut HashSet<String>, complaints: &[Failure]) {
    for failure in complaints {
        if !told.contains(failure.text()) {
            failure::report(TOOL, failure);
        }
    }
    *told = complaints.iter().map(|failure| failure.text().to_owned()).collect();
}

fn make(change_: &Change<'_>, host: NamespaceId, cli: &Cli) -> Result<(), Failure> {
    match *change_ {
        Change::Link(known) => {
            let name = default_name(&known.container.target(), Some(&known.container))?;
            let Some(wanted) = pin(known, host, &name)? else { return Ok(()) };
            match apply::link(&name, &wanted, false)? {
                Plan::Nothing => Ok(()),
                Plan::Link | Plan::Relink => tell(&name, &wanted, Changed::Linked, cli),
            }
        }
        Change::Relink(link, known) => {
            let Some(wanted) = pin(known, host, &link.name)? else { return Ok(()) };
            if apply::relink(link, &wanted)? {
                tell(&link.name, &wanted, Changed::Relinked, cli)
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
            change(&link.name, Changed::Unlinked, container, None, cli.json)
        }
    }
}

/// Holds the container's network; `None` when the container ended meanwhile, which will be heard of.
fn pin(known: &VerifiedContainer, host: NamespaceId, name: &LinkName) -> Result<Option<Wanted>, Failure> {
    let wanted = hold(known.container.clone()).map_err(Failure::from).and_then(Wanted::of);
    match wanted {
        Ok(wanted) if wanted.netns.identity() == host => Err(refuse_host(name)),
        Ok(wanted) => Ok(Some(wanted)),
        Err(failure) if failure.status == Status::No => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn tell(name: &LinkName, wanted: &Wanted, what: Changed, cli: &Cli) -> Result<(), Failure> {
    let full_name = wanted.container.as_ref().map(|container| (container.engine, container.full_name()));
    let container = full_name.as_ref().map(|(engine, name)| (*engine, name.as_str()));
    change(name, what, container, Some(wanted.netns.identity()), cli.json)?;
    io::stdout().flush()?;
    Ok(())
}
