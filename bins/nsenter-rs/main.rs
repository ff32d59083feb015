//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

mod apply;
mod cli;
mod each;
mod exposure;
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
use plan::Plan;
use source::Source;
use supervise::Leash;
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
    match &wanted.each {
        Some(pattern) => {
            each::run(cli, &wanted, pattern, |source, leash| enter(source, &wanted, cli, Some(leash)))
        }
        None => enter(Source::open(cli, &wanted)?, &wanted, cli, None),
    }
}

/// The way in, the same for one TARGET and for each of many.
fn enter(source: Source, wanted: &Wanted, cli: &Cli, leash: Option<&Leash>) -> Result<ExitCode, Failure> {
    let plan = Plan::make(wanted, &source.snapshot(wanted)?);
    if let Some(note) = plan.note {
        failure::say(TOOL, note);
    }
    if cli.find.verbose && plan.comes_near_target() {
        failure::say(TOOL, Exposure::of(&source.standing(wanted)?));
    }
    let inside = apply::enter(&plan, source)?;
    run::program(&wanted.program, &plan, &inside, leash)
}
