//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

mod apply;
mod capabilities;
mod cgroup;
mod cli;
mod confine;
mod credentials;
mod descriptors;
mod each;
mod elsewhere;
mod environment;
mod explain;
mod exposure;
mod facts;
mod hardening;
mod label;
mod limits;
mod passwd;
mod plan;
mod pty;
mod refused;
mod rules;
mod run;
mod sealed;
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
use label::Module;
use plan::Plan;
use pty::Pty;
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
            if wanted.comes_near_target() {
                sealed::run_from_copy();
            }
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
    if cli.find.verbose && cli.identity.follow_context && !Module::SELinux.is_on() {
        failure::say(TOOL, "SELinux is not in use here: there is no context to follow");
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
    if leash.is_none() && plan.comes_near_target() && may_be_reached(&source, wanted) {
        sealed::run_from_copy();
    }
    let pty = if plan.pty { Some(Pty::open()?) } else { None };
    if let Some(pty) = &pty {
        pty.give(&plan, &source);
    }
    let inside = apply::enter(&plan, source)?;
    if plan.confinement.as_ref().is_some_and(|confinement| confinement.seccomp) {
        failure::say(TOOL, "note: the container's seccomp filter is not applied to the program");
    }
    run::program(&wanted.program, &plan, &inside, leash, pty)
}

/// Whether somebody in there may take hold of us; where nobody can tell, as of a namespace without its process, they may.
fn may_be_reached(source: &Source, wanted: &Wanted) -> bool {
    source.standing(wanted).map_or(true, |standing| !Exposure::of(&standing).is_safe())
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
