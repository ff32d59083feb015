//! One command in many containers: which containers match, each set of namespaces once, N at a time. Each is entered as a
//! single TARGET is.

mod active;
mod child;
mod lines;
mod report;
mod signals;
mod sink;
mod watch;

use std::process::ExitCode;

use common::each::NamespaceSet;
use common::failure::Failure;
use common::namespace::{NamespaceError, NamespaceId, NamespaceKind};
use common::process::Process;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;

use crate::enter::source::EntrySource;
use crate::run::ended::die_of;
use crate::run::parent_death::ParentDeathSignal;
use crate::status::OWN_FAILURE;
use crate::tool::TOOL;
use crate::wanted::{EachWanted, Wanted};
use report::Report;
use watch::{ActiveRuns, Outcome};

/// Runs PROGRAM in every container that matches: `enter` is what a single run does with its target. The status is the
/// highest.
pub fn run(
    each: &EachWanted,
    wanted: &Wanted,
    enter: impl Fn(EntrySource, &ParentDeathSignal) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let EachWanted { pattern, word, jobs } = each;
    let what = (TOOL, word.as_str(), "shares all requested namespaces with");
    let (runs, all_were_asked) = common::each::find(what, pattern, wanted.find, |container, process| {
        let is_wanted = wanted.differs_by_namespaces_alone() && pattern.fits(container);
        namespaces_of_run(process, wanted).filter(|_| is_wanted)
    })?;
    let parent = ParentDeathSignal::of_this_process()?;
    let report = Report::new(wanted.json);
    match ActiveRuns::new(runs, *jobs, report)?.over()? {
        Outcome::Child(run, inside) => {
            Ok(inside.run(|| enter(EntrySource::for_process(run.known.hold()?, wanted)?, &parent)))
        }
        Outcome::Over(worst) if all_were_asked => Ok(ExitCode::from(worst)),
        Outcome::Over(worst) => Ok(ExitCode::from(worst.max(OWN_FAILURE))),
        Outcome::Signalled(signal) => Ok(die_of(signal as i32)),
        Outcome::Unwritable(Errno::EPIPE) => Ok(ExitCode::SUCCESS),
        Outcome::Unwritable(why) => Err(Failure::failed("standard output", why.desc())),
    }
}

/// The namespaces that a run for `process` would be in; `None` where they may not be looked at.
fn namespaces_of_run(process: &Process, wanted: &Wanted) -> Option<NamespaceSet> {
    let mut namespaces = NamespaceSet::new();
    for kind in wanted.kinds_of_target() {
        match process.namespace_identity(kind) {
            Err(NamespaceError::Unknown { .. }) if wanted.all => {}
            identity => namespaces.push(identity.ok()?),
        }
        // Where a process has a root of its own, that is where a run ends up.
        if kind == NamespaceKind::Mnt && wanted.own_root {
            let root = process.open_file("root", OFlag::O_PATH).ok()?;
            namespaces.push(NamespaceId::from(&fstat(&root).ok()?));
        }
    }
    Some(namespaces)
}
