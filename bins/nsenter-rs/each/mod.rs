//! One command in many containers: who fits, once a place, so many at a time, each through the same way in as a
//! single TARGET.

mod active;
mod child;
mod lines;
mod report;
mod signals;
mod sink;
mod watch;

use std::collections::HashMap;
use std::process::ExitCode;

use common::each::{self, Chosen, Place};
use common::failure::{self, Failure};
use common::namespace::{Identity, Kind, NamespaceError};
use common::process::Process;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;

pub use common::each::Pattern;

use crate::cli::Cli;
use crate::source::Source;
use crate::supervise::{Leash, die_of};
use crate::wanted::Wanted;
use crate::{OWN_FAILURE, TOOL};
use report::Report;
use watch::{Enter, Outcome, Watch};

/// Runs PROGRAM in every container that fits: `enter` is what a single run does with its target. The status is the
/// highest.
pub fn run(
    cli: &Cli,
    wanted: &Wanted,
    pattern: &Pattern,
    enter: impl Fn(Source, &Leash) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let (runs, all_were_asked) = find(cli, wanted, pattern)?;
    let leash = Leash::of_this_process()?;
    let (jobs, report) = (usize::from(cli.each.jobs), Report::new(cli.running.json));
    let go_in = |run: &Chosen| enter(Source::around(run.known.hold()?, wanted)?, &leash);
    let borrowing: Option<Enter<'_>> = if wanted.is_light() { Some(&go_in) } else { None };
    match Watch::new(runs, jobs, report, borrowing)?.over()? {
        Outcome::Child(run, inside) => Ok(inside.run(|| go_in(&run))),
        Outcome::Over(worst) if all_were_asked => Ok(ExitCode::from(worst)),
        Outcome::Over(worst) => Ok(ExitCode::from(worst.max(OWN_FAILURE))),
        Outcome::Signalled(signal) => Ok(die_of(signal)),
        Outcome::Unwritable(Errno::EPIPE) => Ok(ExitCode::SUCCESS),
        Outcome::Unwritable(why) => Err(Failure::trouble("standard output", why.desc())),
    }
}

/// The runs there will be, and whether every engine could be asked.
fn find(cli: &Cli, wanted: &Wanted, pattern: &Pattern) -> Result<(Vec<Chosen>, bool), Failure> {
    let mut places = HashMap::new();
    let listing = each::listing(pattern, cli.find.engine_timeout, |container, process| {
        if wanted.differs_by_namespaces_alone() && pattern.fits(container) {
            places.extend(place(process, wanted).map(|place| (container.id.clone(), place)));
        }
    })?;
    let all_were_asked = listing.troubles.is_empty();
    if cli.find.verbose {
        listing.silences.iter().for_each(|why| failure::say(TOOL, why));
    }
    failure::report_all(TOOL, listing.troubles.into_iter().map(Failure::from));
    let (running, stopped): (Vec<_>, Vec<_>) =
        listing.containers.into_iter().partition(|known| known.container.pid.is_some());
    let runs = each::chosen(pattern, running, &places);
    if runs.is_empty() {
        let stopped = stopped.iter().filter(|known| pattern.fits(&known.container)).count();
        return Err(each::nobody(cli.each.each.as_deref().unwrap_or_default(), stopped));
    }
    if cli.find.verbose {
        for run in runs.iter().filter(|run| !run.also.is_empty()) {
            let also = run.also.join(", ");
            failure::say(TOOL, format_args!("{}: the namespaces are those of {also} too", run.name));
        }
    }
    Ok((runs, all_were_asked))
}

/// The namespaces that a run for `process` would be in; `None` where they may not be looked at.
fn place(process: &Process, wanted: &Wanted) -> Option<Place> {
    let mut place = Place::new();
    for kind in wanted.kinds_of_target() {
        match process.namespace_identity(kind) {
            Err(NamespaceError::Unknown { .. }) if wanted.all => {}
            identity => place.push(identity.ok()?),
        }
        // Where a process has a root of its own, that is where a run ends up.
        if kind == Kind::Mnt && wanted.own_root {
            let root = process.open_file("root", OFlag::O_PATH).ok()?;
            place.push(Identity::from(&fstat(&root).ok()?));
        }
    }
    Some(place)
}
