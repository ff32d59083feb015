//! cpid: prints the PID of a container's first process.
#![forbid(unsafe_code)]

mod cli;

use std::io::Write;
use std::process::ExitCode;

use cli::Cli;
use common::cli::{FindOptions, parse};
use common::failure::{self, Failure, Status};
use common::find::{FindError, find};
use common::target::Target;
use nix::unistd::Pid;

const TOOL: &str = "cpid";

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

/// Prints what is found, in the order asked for, and says of each of the others why not. The status is the
/// worst of them.
fn run() -> Result<Status, Failure> {
    let wanted: Cli = parse()?;
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
    let found = find(target, options.engine_timeout)?;
    if let (true, Some(container)) = (options.verbose, &found.container) {
        failure::say(TOOL, format_args!("{target} is {container}, says its {}", container.source));
    }
    match found.process() {
        Some(process) => Ok(process.pid()),
        None => Err(FindError::NoProcess(target.clone()).into()),
    }
}
