//! cpid: prints the PID of a container's first process.
#![forbid(unsafe_code)]

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use cli::Cli;
use common::cli::FindOptions;
use common::failure::{self, Failure, Status};
use common::find::FindError;
use common::target::Target;
use nix::unistd::Pid;

const TOOL: &str = "cpid";

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

/// Prints what is found, in the order asked for, and says of each of the others why not. The status is the
/// worst of them.
fn run() -> Result<Status, Failure> {
    let wanted = Cli::parse();
    let mut out = std::io::stdout().lock();
    let mut status = Status::Yes;
    for target in &wanted.targets {
        match pid(target, &wanted.find) {
            Ok(pid) => writeln!(out, "{pid}")?,
            Err(failure) => {
                failure::report(TOOL, &failure);
                status = status.max(failure.status);
            }
        }
    }
    Ok(status)
}

fn pid(target: &Target, options: &FindOptions) -> Result<Pid, Failure> {
    let found = options.find(TOOL, target)?;
    match found.process() {
        Some(process) => Ok(process.pid()),
        None => Err(FindError::NoProcess(target.clone()).into()),
    }
}
