//! cpid: prints the PID of a container's first process.
#![forbid(unsafe_code)]

mod cli;
mod complete;
mod listening;
mod report;
mod request;
mod tool;
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use cli::Cli;
use common::cli::{FindSession, parse};
use common::failure::{self, Failure, Status};
use common::find::{FindError, FoundTarget, list, list_with_idle, owner};
use common::target::Target;
use report::Report;
use request::{Job, Request, WantedPid};
use tool::{MANUAL, TOOL};
use wait::Waiter;

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let cli: Cli = parse(MANUAL)?;
    let request = Request::of(cli);
    match &request.job {
        Job::Find { wanted, wait } => find_each(wanted, *wait, &request),
        Job::List { all } => print_all(*all, &request),
        Job::Complete(kind) => complete::print(kind, &request.find.session()).map(|()| Status::Yes),
        Job::OwnerOf(process) => print_owner(process, &request),
    }
}

/// Prints what is found, in the order of the arguments, and reports why each of the others was not. The status is the worst.
fn find_each(wanted: &[WantedPid], wait: Option<Duration>, request: &Request) -> Result<Status, Failure> {
    let mut report = Report::new(request.format);
    let mut status = Status::Yes;
    let new = |limit| Waiter::new(limit, request.engine, request.find.engine_timeout);
    let mut waiter = wait.map(new).transpose()?;
    let session = request.find.session();
    for one in wanted {
        match print_one(one, (request, &session), waiter.as_mut(), &mut report) {
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

fn print_one(
    wanted: &WantedPid,
    (request, session): (&Request, &FindSession),
    waiter: Option<&mut Waiter>,
    report: &mut Report,
) -> Result<(), Failure> {
    match wanted {
        WantedPid::Of(target) => report.found(target, find(target, (request, session), waiter)?),
        WantedPid::Listening(place) => {
            let owner = listening::find(place, (request, session), waiter)?;
            let container = listening::container(&owner, (request, session))?;
            report.listening(place, &owner, container)
        }
    }
}

fn find(
    target: &Target,
    (request, session): (&Request, &FindSession),
    waiter: Option<&mut Waiter>,
) -> Result<FoundTarget, Failure> {
    match waiter {
        // An engine that was silent may answer the next time.
        Some(waiter) => waiter.find(|| request.find.session().find(TOOL, target)),
        None => Ok(session.find(TOOL, target)?),
    }
}

fn print_all(with_stopped: bool, request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    let list = if with_stopped { list_with_idle } else { list };
    let listing = list(request.engine, &session.engines)?;
    if request.find.verbose {
        session.say_heard(TOOL);
        listing.api_errors.iter().for_each(|why| failure::say(TOOL, why));
    }
    let status = if listing.errors.is_empty() { Status::Yes } else { Status::Failed };
    failure::report_all(TOOL, listing.errors.into_iter().map(Failure::from));
    let shown = listing.containers.into_iter().filter(|known| with_stopped || known.container.pid.is_some());
    report::list(&shown.collect::<Vec<_>>(), request.format.json)?;
    Ok(status)
}

fn print_owner(process: &Target, request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    let found = session.find(TOOL, process)?;
    let process = found.process().ok_or_else(|| FindError::NoProcess(process.clone()))?;
    match owner(process, request.engine, &session.engines) {
        Err(FindError::Unplaced(unplaced, doubt)) => {
            report::unplaced(&unplaced, request.format)?;
            Err(FindError::Unplaced(unplaced, doubt).into())
        }
        known => report::owner(&known?, request.format).map(|()| Status::Yes),
    }
}
