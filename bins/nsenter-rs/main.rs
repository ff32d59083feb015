//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

mod apply;
mod capabilities;
mod cgroup;
mod cli;
mod confine;
mod credentials;
mod each;
mod elsewhere;
mod explain;
mod exposure;
mod facts;
mod label;
mod limits;
mod plan;
mod refused;
mod rules;
mod run;
mod source;
mod steps;
mod supervise;
mod view;
mod wanted;
mod words;

use std::process::ExitCode;

use cli::Cli;
use common::cli::parse_from;
use common::failure::{self, Failure};
use common::view::Resolver;
use exposure::Exposure;
use plan::Plan;
use source::Source;
use supervise::Leash;
use wanted::Wanted;

const TOOL: &str = "nsenter-rs";

/// Statuses other than this one belong to the program that we run, as in util-linux.
const OWN_FAILURE: u8 = 1;

fn main() -> ExitCode {
    parse_from(words::as_clap_reads_them(std::env::args_os()))
        .and_then(|cli| enter_and_run(&cli))
        .unwrap_or_else(|failure| {
            failure::report(TOOL, &failure);
            ExitCode::from(OWN_FAILURE)
        })
}

fn enter_and_run(cli: &Cli) -> Result<ExitCode, Failure> {
    let wanted = Wanted::new(cli)?;
    match &wanted.each {
        Some(pattern) => {
            each::run(cli, &wanted, pattern, |source, leash| enter(source, &wanted, cli, Some(leash)))
        }
        None => enter(Source::open(cli, &wanted)?, &wanted, cli, None),
    }
}

/// The way in, the same for one TARGET and for each of many.
fn enter(source: Source, wanted: &Wanted, cli: &Cli, leash: Option<&Leash>) -> Result<ExitCode, Failure> {
    if cli.running.explain {
        return explain::explain(cli, wanted, &source);
    }
    let plan = Plan::make(wanted, &source.snapshot(wanted)?);
    if let Some(note) = plan.note {
        failure::say(TOOL, note);
    }
    if cli.find.verbose {
        names(&plan, &source)?;
    }
    if cli.find.verbose && plan.comes_near_target() {
        failure::say(TOOL, Exposure::of(&source.standing(wanted)?));
    }
    for note in source.resolver().filter(|_| cli.find.verbose).into_iter().flat_map(Resolver::notes) {
        failure::say(TOOL, note);
    }
    let inside = apply::enter(&plan, source)?;
    if plan.confinement.as_ref().is_some_and(|confinement| confinement.seccomp) {
        failure::say(TOOL, "note: TARGET's seccomp filter does not hold for the program");
    }
    run::program(&wanted.program, &plan, &inside, leash)
}

/// Says what the namespaces of the plan can be named by, besides a file.
fn names(plan: &Plan, source: &Source) -> Result<(), Failure> {
    for &kind in plan.join.kinds() {
        if let Some(handle) = source.handle(kind)? {
            let inode = source.identity(kind)?.inode;
            failure::say(
                TOOL,
                format_args!("{kind}:[{inode}] has the ID {}, the handle {handle}", handle.id()),
            );
        }
    }
    Ok(())
}
