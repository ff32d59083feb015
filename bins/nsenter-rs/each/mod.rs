//! One command in many containers: who fits, once a place, so many at a time, each through the same way in as a
//! single TARGET.

mod active;
mod child;
mod choice;
mod glob;
mod lines;
mod pattern;
mod report;
mod signals;
mod sink;
mod watch;

use std::collections::HashMap;
use std::process::ExitCode;

use common::engine::Container;
use common::failure::{self, Failure};
use common::find::{Listing, list_with};
use common::namespace::{Identity, Kind, NamespaceError};
use common::output::quotable;
use common::process::Process;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;

pub use pattern::Pattern;

use crate::cli::Cli;
use crate::source::Source;
use crate::supervise::{Leash, die_of};
use crate::wanted::Wanted;
use crate::{OWN_FAILURE, TOOL};
use choice::{Place, Run};
use report::Report;
use watch::{Enter, Outcome, Watch};

/// Where those that do not run are to be seen.
const ALL: &str = "cpid --list --all";

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
    let go_in = |run: &Run| enter(Source::around(run.known.hold()?, wanted)?, &leash);
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
fn find(cli: &Cli, wanted: &Wanted, pattern: &Pattern) -> Result<(Vec<Run>, bool), Failure> {
    let mut places = HashMap::new();
    let listing = listing(cli, pattern, |container, process| {
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
    let runs = choice::runs(pattern, running, &places);
    if runs.is_empty() {
        let stopped = stopped.iter().filter(|known| pattern.fits(&known.container)).count();
        return Err(nobody(cli, stopped));
    }
    if cli.find.verbose {
        for run in runs.iter().filter(|run| !run.also.is_empty()) {
            let also = run.also.join(", ");
            failure::say(TOOL, format_args!("{}: the namespaces are those of {also} too", run.name));
        }
    }
    Ok((runs, all_were_asked))
}

fn nobody(cli: &Cli, stopped: usize) -> Failure {
    let pattern = cli.each.each.as_deref().unwrap_or_default();
    let about = quotable(pattern);
    match stopped {
        0 if is_plain(pattern) => Failure::no(about, "no running container fits")
            .hint("cpid --list; and a PATTERN with * goes in quotes, or the shell may put file names there"),
        0 => Failure::no(about, "no running container fits").hint("cpid --list"),
        1 => Failure::no(about, "no running container fits, only 1 that does not run").hint(ALL),
        more => Failure::no(about, format_args!("no running container fits, only {more} that do not run"))
            .hint(ALL),
    }
}

/// Whether it has no wildcard, or has none any more because the shell found files that fit.
fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '['])
}

/// All containers of the engines that the pattern is about. `look` is shown those that run.
fn listing(
    cli: &Cli,
    pattern: &Pattern,
    mut look: impl FnMut(&Container, &Process),
) -> Result<Listing, Failure> {
    let listings =
        pattern.engines().into_iter().map(|engine| list_with(engine, cli.find.engine_timeout, &mut look));
    let (listings, errors): (Vec<_>, Vec<_>) = listings.partition(Result::is_ok);
    // One of several that is not here is no error; none of them is.
    let merged = listings.into_iter().flatten().reduce(|mut all, one| {
        all.containers.extend(one.containers);
        all.troubles.extend(one.troubles);
        all.silences.extend(one.silences);
        all
    });
    match (merged, errors.into_iter().find_map(Result::err)) {
        (Some(listing), _) => Ok(listing),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Ok(Listing { containers: Vec::new(), troubles: Vec::new(), silences: Vec::new() }),
    }
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

#[cfg(test)]
mod tests {
    use common::engine::{Container, EngineName, Pod, Proof, Source, State};

    /// A container of Docker that runs.
    pub fn container(name: &str) -> Container {
        Container {
            engine: EngineName::Docker,
            id: format!("{name:0<64}"),
            name: name.to_owned(),
            pid: Some(nix::unistd::Pid::from_raw(1)),
            state: State::Running,
            exit_code: None,
            started_at: None,
            finished_at: None,
            image: None,
            source: Source::Api,
            pod: None,
            proof: Proof::word_of(nix::unistd::Uid::from_raw(0)),
        }
    }

    /// A container of that pod, or with no name the pod's sandbox.
    pub fn in_pod(namespace: &str, pod: &str, name: &str) -> Container {
        Container {
            engine: EngineName::Containerd,
            id: format!("{:0<64}", format!("{namespace}{pod}{name}")),
            pod: Some(Pod {
                namespace: namespace.to_owned(),
                name: pod.to_owned(),
                is_sandbox: name.is_empty(),
            }),
            ..container(if name.is_empty() { pod } else { name })
        }
    }
}
