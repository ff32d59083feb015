//! add-nic: adds a network interface to a running container, completely or not at all; and removes it again.
#![forbid(unsafe_code)]

mod apply;
mod check;
#[allow(rustdoc::broken_intra_doc_links, reason = "help texts put what is optional into brackets")]
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
use common::netns::run_of_a_container;
use jobs::{add, list, remove, repair};
use model::request::Job;
use tool::{MANUAL, TOOL};

fn main() -> ExitCode {
    failure::exit(TOOL, run(Instant::now()))
}

fn run(began: Instant) -> Result<Status, Failure> {
    let cli: Cli = parse(MANUAL)?;
    let typed = || std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let job = Job::from_cli(&cli, typed)?;
    run_of_a_container().into_iter().for_each(|what| failure::say(TOOL, what));
    match job {
        Job::Add(request) => add::add(*request, began),
        Job::Remove(request) => remove::remove(&request, began),
        Job::Repair(request) => repair::repair(&request, began),
        Job::List(request) => list::list(&request),
        Job::Check(request) => list::check(&request),
        Job::Watch(request) => watch::watch(&request),
    }
}
