//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

mod apply;
mod cli;
mod exposure;
mod host_tools;
mod plan;
mod run;
mod source;
mod supervise;
mod wanted;
mod words;

use std::path::Path;
use std::process::ExitCode;

use cli::Cli;
use common::cli::parse_from;
use common::failure::{self, Failure};
use exposure::Exposure;
use host_tools::{HostTools, NotOpened};
use plan::Plan;
use source::Source;
use wanted::Wanted;

const TOOL: &str = "nsenter-rs";

/// Statuses other than this one belong to the program that we run, as in util-linux.
const OWN_FAILURE: u8 = 1;

fn main() -> ExitCode {
    if let Some(status) = host_tools::shim::program_behind_our_name() {
        return status;
    }
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
    if let (true, Some(way)) = (cli.find.verbose, plan.host_tools) {
        failure::say(TOOL, format_args!("--host-tools: {way}"));
    }
    let host_tools = match host_tools(&plan, &wanted, &source) {
        Ok(host_tools) => host_tools,
        Err(NotOpened::Failed(failure)) => return Err(failure),
        Err(NotOpened::Program(name, error)) => return Ok(run::not_run_on_host(Path::new(&name), &error)),
    };
    let inside = apply::enter(&plan, source, host_tools)?;
    run::program(&wanted.program, &plan, inside)
}

/// What is taken along of the host, where the program is to be the host's in another root.
fn host_tools(plan: &Plan, wanted: &Wanted, source: &Source) -> Result<Option<HostTools>, NotOpened> {
    let Some(way) = plan.host_tools else { return Ok(None) };
    if !wanted.trust_target {
        let nobody = |_| {
            let why = "without a TARGET nobody can tell whether its processes could read the host's files";
            NotOpened::Failed(Failure::trouble("--host-tools", why).hint("-t NAME, or --trust-target"))
        };
        source.process().map_err(nobody)?;
        let exposure = Exposure::of(&source.standing(wanted).map_err(NotOpened::Failed)?);
        if !exposure.is_safe() {
            let refused = Failure::trouble("--host-tools", exposure);
            return Err(NotOpened::Failed(refused.hint(
                "without -p no process of the container sees the program; --trust-target if it may read the host",
            )));
        }
    }
    HostTools::open(way, &wanted.program).map(Some)
}
