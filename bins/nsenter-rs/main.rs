//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

mod apply;
mod capabilities;
mod cgroup;
mod cli;
mod confine;
mod credentials;
mod exposure;
mod label;
mod limits;
mod plan;
mod run;
mod source;
mod supervise;
mod wanted;
mod words;

use std::process::ExitCode;

use cli::Cli;
use common::cli::parse_from;
use common::failure::{self, Failure};
use exposure::Exposure;
use label::Module;
use plan::Plan;
use source::Source;
use wanted::Wanted;

const TOOL: &str = "nsenter-rs";

/// Statuses other than this one belong to the program that we run, as in util-linux.
const OWN_FAILURE: u8 = 1;

fn main() -> ExitCode {
    parse_from(words::with_equals(std::env::args_os())).and_then(|cli| enter_and_run(&cli)).unwrap_or_else(
        |failure| {
            failure::report(TOOL, &failure);
            ExitCode::from(OWN_FAILURE)
        },
    )
}

fn enter_and_run(cli: &Cli) -> Result<ExitCode, Failure> {
    let wanted = Wanted::new(cli)?;
    let source = Source::open(cli, &wanted)?;
    let plan = Plan::make(&wanted, &source.snapshot(&wanted)?);
    if let Some(note) = plan.note {
        failure::say(TOOL, note);
    }
    if cli.find.verbose && cli.identity.follow_context && !Module::SELinux.is_on() {
        failure::say(TOOL, "SELinux is not in use here: there is no context to follow");
    }
    if cli.find.verbose && plan.comes_near_target() {
        failure::say(TOOL, Exposure::of(&source.standing(&wanted)?));
    }
    let inside = apply::enter(&plan, source)?;
    if plan.confinement.as_ref().is_some_and(|confinement| confinement.seccomp) {
        failure::say(TOOL, "note: the container's seccomp filter is not applied to the program");
    }
    run::program(&wanted.program, &plan, &inside)
}
