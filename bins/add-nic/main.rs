//! add-nic: plugs a cable into a running container's network, all of it or nothing, and takes it out again.
#![forbid(unsafe_code)]

mod apply;
mod check;
mod cli;
mod jobs;
mod journal;
mod model;
mod parse;
mod plan;
mod preflight;
mod read;
mod report;
mod tool;
mod watch;

use std::process::ExitCode;
use std::time::Instant;

use cli::Cli;
use common::cli::parse;
use common::failure::{self, Failure, Status};
use jobs::{add, list, remove};
use parse::Job;
use tool::TOOL;

fn main() -> ExitCode {
    failure::exit(TOOL, run(Instant::now()))
}

fn run(began: Instant) -> Result<Status, Failure> {
    let cli: Cli = parse()?;
    match Job::of(&cli)? {
        Job::Add(target, wanted) => add::add(&target, *wanted, &cli, began),
        Job::Remove(target, which) => remove::remove(&target, which.as_ref(), &cli, began),
        Job::List(target) => list::list(target.as_ref(), &cli),
        Job::Check(target) => list::check(target.as_ref(), &cli),
        Job::Watch(file) => watch::watch(&file, &cli),
    }
}
