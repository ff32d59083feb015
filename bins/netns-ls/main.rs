//! netns-ls: shows all network namespaces of the host, their interfaces, and what each is plugged into.
#![forbid(unsafe_code)]

mod changes;
mod cli;
mod document;
mod draw;
mod evidence;
mod jobs;
mod kinds;
mod look;
mod meaning;
mod named_map;
mod picture;
mod ports;
mod request;
#[cfg(test)]
mod sample;
mod saved;
mod stack;
mod stack_entry;
mod tool;
mod view;
mod watch;
mod why;

use std::process::ExitCode;

use cli::Cli;
use common::cli::parse;
use common::failure::{self, Failure, Status};
use request::{Job, Request};
use tool::{MANUAL, TOOL};

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let cli: Cli = parse(MANUAL)?;
    let request = Request::of(cli)?;
    match &request.job {
        Job::Interfaces { all } => jobs::interfaces(*all, &request),
        Job::Words(words) => jobs::words(words, &request),
        Job::Bridges => jobs::bridges(&request),
        Job::Path(ends) => jobs::path(ends, &request),
        Job::Tree => jobs::tree(&request),
        Job::Ports(words) => ports::ports(words, &request),
        Job::Draw(format) => draw::draw(*format, &request),
        Job::Namespaces => jobs::namespaces(&request),
        Job::Why => why::why(&request),
        Job::Watch => watch::watch(&request),
        Job::Diff(file) => jobs::diff(file, &request),
    }
}
