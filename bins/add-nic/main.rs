//! add-nic: plugs a cable into a running container's network, all of it or nothing, and takes it out again.
#![forbid(unsafe_code)]

mod add;
mod addresses;
mod apply;
mod check;
mod cli;
mod ends;
mod firewall;
mod inside;
mod journal;
mod leftover;
mod look;
mod names;
mod plan;
mod preflight;
mod probe;
mod ready;
#[cfg(test)]
mod record_format;
mod remove;
mod report;
mod roads;
mod routes;
mod sbr;
mod signals;
mod snapshot;
mod step;
mod sweep;
mod sysctl;
mod taken;
#[cfg(test)]
mod tests;
mod view;
mod wanted;
mod watch;
mod whose;
mod wires;

use std::process::ExitCode;
use std::time::Instant;

use cli::Cli;
use common::cli::parse;
use common::failure::{self, Failure, Status};
use wanted::Job;

const TOOL: &str = "add-nic";

fn main() -> ExitCode {
    failure::exit(TOOL, run(Instant::now()))
}

fn run(began: Instant) -> Result<Status, Failure> {
    let cli: Cli = parse()?;
    match Job::of(&cli)? {
        Job::Add(target, wanted) => add::add(&target, *wanted, &cli, began),
        Job::Remove(target, which) => remove::remove(&target, which.as_ref(), &cli, began),
        Job::List(target) => look::list(target.as_ref(), &cli),
        Job::Check(target) => look::check(target.as_ref(), &cli),
        Job::Watch(file) => watch::watch(&file, &cli),
    }
}
