//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

mod apply;
mod cli;
mod descriptors;
mod environment;
mod exposure;
mod hardening;
mod passwd;
mod plan;
mod pty;
mod run;
mod sealed;
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
use pty::Pty;
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
    if wanted.comes_near_target() {
        sealed::run_from_copy();
    }
    let source = Source::open(cli, &wanted)?;
    let plan = Plan::make(&wanted, &source.snapshot(&wanted)?);
    if let Some(note) = plan.note {
        failure::say(TOOL, note);
    }
    if cli.find.verbose && plan.comes_near_target() {
        failure::say(TOOL, Exposure::of(&source.standing(&wanted)?));
    }
    let pty = if plan.pty { Some(Pty::open()?) } else { None };
    if let Some(pty) = &pty {
        pty.give(&plan, &source);
    }
    let inside = apply::enter(&plan, source)?;
    run::program(&wanted.program, &plan, &inside, pty)
}
