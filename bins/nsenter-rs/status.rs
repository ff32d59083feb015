//! Exit statuses that are our own, and what is said where a program was not run.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use common::failure::{Failure, report};
use common::hint::Hint;

use crate::tool::TOOL;

/// Statuses other than this one belong to the program that we run, as in util-linux.
pub const OWN_FAILURE: u8 = 1;

/// What shells say of a program that exists but cannot be run, and of one that does not exist.
pub const CANNOT_RUN: u8 = 126;
pub const NOT_FOUND: u8 = 127;

/// What helps where a program is missing that the host has.
pub fn from_the_root() -> Option<Hint> {
    common::sentence!("the program is looked up in the container: with -H the host's is run")
}

/// Says why a program could not be run, and gives the status that shells give for that.
pub fn not_run(name: &Path, error: &io::Error, hint: Option<Hint>) -> ExitCode {
    not_run_or("no such program", name, error, hint)
}

/// The same of a program that was looked for on the host.
pub fn not_run_on_host(name: &Path, error: &io::Error, hint: Option<Hint>) -> ExitCode {
    not_run_or("no such program on the host", name, error, hint)
}

fn not_run_or(missing: &str, name: &Path, error: &io::Error, hint: Option<Hint>) -> ExitCode {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let why = if is_missing { missing.to_owned() } else { error.to_string() };
    let failure = Failure::failed(name.display(), why);
    report(TOOL, &failure.hint(hint));
    ExitCode::from(if is_missing { NOT_FOUND } else { CANNOT_RUN })
}
