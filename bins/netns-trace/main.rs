//! netns-trace: shows where a packet from a container dies, why, and the command that fixes it.
#![forbid(unsafe_code)]

mod cli;
mod evidence;
mod follow;
mod jobs;
mod model;
mod probe;
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
use request::Request;
use tool::{MANUAL, TOOL};

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let cli: Cli = parse(MANUAL)?;
    match Request::of(&cli)? {
        Request::Trace(request) if request.explain => jobs::explain(&request),
        Request::Trace(request) if request.mtu => jobs::mtu(&request),
        Request::Trace(request) => jobs::trace(&request),
        Request::Reverse(request) => jobs::reverse(&request),
        Request::Drops(request) => jobs::drops(&request),
    }
}
