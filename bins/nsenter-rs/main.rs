//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

mod apply;
mod cli;
mod exposure;
mod plan;
mod run;
mod source;
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
    if cli.find.verbose && plan.comes_near_target() {
        failure::say(TOOL, Exposure::of(&source.standing(&wanted)?));
    }
    for note in source.resolver().filter(|_| cli.find.verbose).into_iter().flat_map(Resolver::notes) {
        failure::say(TOOL, note);
    }
    let inside = apply::enter(&plan, source)?;
    run::program(&wanted.program, &plan, &inside)
}
