//! netns-link: names a container's network namespace under /run/netns, so that ip(8) knows it.
#![forbid(unsafe_code)]

mod apply;
mod changes;
mod cli;
mod jobs;
mod links;
mod plan;
mod report;
mod request;
mod state;
mod tool;
mod watch;

use std::process::ExitCode;

use cli::Cli;
use common::cli::parse;
use common::failure::{self, Failure, Status};
use common::netns::run_of_a_container;
use request::{Job, Request};
use tool::{MANUAL, TOOL};

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let cli: Cli = parse(MANUAL)?;
    let request = Request::of(cli)?;
    run_of_a_container().into_iter().for_each(|what| failure::say(TOOL, what));
    match &request.job {
        Job::Link { targets, name } => jobs::link_each(targets, name.as_ref(), &request),
        Job::LinkAll => jobs::link_all(&request),
        Job::New { name, lo } => jobs::make(name, *lo),
        Job::Remove(names) => jobs::remove_each(names, &request),
        Job::RemoveAll => jobs::remove_all(&request),
        Job::List => jobs::list(&request),
        Job::Check => jobs::check(&request),
        Job::Prune => jobs::prune(&request),
        Job::Refresh => jobs::refresh(&request),
        Job::Watch => watch::watch(&request),
    }
}
