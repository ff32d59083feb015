//! netns-trace: shows where a packet from a container dies, why, and the command that fixes it.
#![forbid(unsafe_code)]

mod cli;
mod jobs;
mod model;
mod report;
mod request;
mod state;
mod tool;
mod verdict;
mod walk;

use std::process::ExitCode;

use cli::Cli;
use common::cli::parse;
use common::failure::{self, Failure, Status};
use request::TraceRequest;
use tool::TOOL;

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let cli: Cli = parse()?;
    jobs::explain(&TraceRequest::of(&cli)?)
}
