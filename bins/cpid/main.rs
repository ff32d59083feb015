//! cpid: prints the PID of a container's first process.
#![forbid(unsafe_code)]

mod cli;
mod report;
mod tool;
mod wait;

use std::process::ExitCode;

use cli::Cli;
use common::cli::parse;
use common::failure::{self, Failure, Status};
use common::find::{FindError, Found, list, owner};
use common::target::Target;
use report::Report;
use tool::TOOL;
use wait::Patience;

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let wanted: Cli = parse()?;
    match &wanted.of {
        Some(process) => of(process, &wanted),
        None if wanted.list => all(&wanted),
        None => these(&wanted),
    }
}

/// What is found, in the order asked for, and of each of the others why not. The status is the worst of them.
fn these(wanted: &Cli) -> Result<Status, Failure> {
    let mut report = Report::new(wanted);
    let mut status = Status::Yes;
    let mut patience = wanted.wait.map(|limit| Patience::new(limit, wanted)).transpose()?;
    for target in &wanted.targets {
        match find(target, wanted, patience.as_mut()).and_then(|found| report.found(target, found)) {
            Err(failure) if failure.is_already_said() => return Err(failure),
            Err(failure) => {
                failure::report(TOOL, &failure);
                status = status.max(failure.status);
            }
            Ok(()) => {}
        }
    }
    report.end()?;
    Ok(status)
}

/// A bare name means a container of `--engine`, where one was given.
fn find(target: &Target, wanted: &Cli, patience: Option<&mut Patience>) -> Result<Found, Failure> {
    let target = match target {
        Target::Container { engine: None, within, name } => {
            &Target::Container { engine: wanted.engine, within: within.clone(), name: name.clone() }
        }
        target => target,
    };
    let look = || wanted.find.find(TOOL, target);
    match patience {
        Some(patience) => patience.find(look),
        None => Ok(look()?),
    }
}

fn all(wanted: &Cli) -> Result<Status, Failure> {
    let listing = list(wanted.engine, wanted.find.engine_timeout)?;
    if wanted.find.verbose {
        listing.api_errors.iter().for_each(|why| failure::say(TOOL, why));
    }
    let status = if listing.errors.is_empty() { Status::Yes } else { Status::Trouble };
    failure::report_all(TOOL, listing.errors.into_iter().map(Failure::from));
    let shown = listing.containers.into_iter().filter(|known| wanted.all || known.container.pid.is_some());
    report::list(&shown.collect::<Vec<_>>(), wanted.json)?;
    Ok(status)
}

fn of(process: &Target, wanted: &Cli) -> Result<Status, Failure> {
    let found = wanted.find.find(TOOL, process)?;
    let process = found.process().ok_or_else(|| FindError::NoProcess(process.clone()))?;
    report::owner(&owner(process, wanted.engine, wanted.find.engine_timeout)?, wanted)?;
    Ok(Status::Yes)
}
