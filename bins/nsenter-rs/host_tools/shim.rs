//! nsenter-rs under another name: what the children of a host's program find on $PATH, and as their shell.
//!
//! Each link in `bin/` of the kit leads to this program. The name by which it was executed says which program of
//! the host is meant, and the directory above says where the host's tree is. The shell has paths that are fixed in
//! programs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use common::failure::{Failure, report};
use common::output::quotable;
use common::sys;

use super::execution::Execution;
use super::fixed;
use super::furnish::{CONTENTS, Contents};
use super::needs;
use super::privileges;
use super::program::Program;
use super::root::Root;
use crate::identity::power::ProgramPower;
use crate::status::{CANNOT_RUN, not_run_on_host};
use crate::tool::TOOL;

/// Runs the program whose name we have, if we were executed through a kit.
pub fn program_behind_our_name(words: &[OsString]) -> Option<ExitCode> {
    let executed_as = Path::new(sys::executed_as()?);
    let (name, base) =
        of_kit(executed_as).or_else(|| as_shell(executed_as, words.first().map(OsString::as_os_str)))?;
    // Wherever else a binary lies, there is no such file beside its directory.
    let contents = std::fs::read(base.join(CONTENTS)).ok()?;
    let contents: Contents = serde_json::from_slice(&contents).ok()?;
    let arguments = words.get(1..).unwrap_or_default();
    let run = || {
        let base = std::path::absolute(base)?;
        let root = Root::open(&base.join("host"))?;
        let path = std::env::join_paths(&contents.path).unwrap_or_default();
        let mut program = Program::find(&root, name, &path)?;
        if program.before.is_empty() {
            program.zeroth = words.first().map_or(name.to_owned(), OsString::clone);
        }
        if contents.fenced
            && let Some(lacks) = needs::lacks(&program, arguments, ProgramPower::ours())
        {
            let failure = Failure::failed(quotable(&program.zeroth.to_string_lossy()), lacks.what());
            report(TOOL, &failure.hint(lacks.hint(None, &program.zeroth, arguments)));
            return Ok(None);
        }
        if privileges::suits_nobody(&program, arguments) {
            privileges::suit();
        }
        let environment = std::env::vars_os().collect();
        Ok(Some(Execution::of_child(&root, program, arguments, environment, &base, &contents)?.run()))
    };
    match run() {
        Ok(None) => Some(ExitCode::from(CANNOT_RUN)),
        Ok(Some(error)) | Err(error) => Some(not_run_on_host(Path::new(name), &error, None)),
    }
}

/// A program's name, and the kit in whose `bin/` it is.
fn of_kit(executed_as: &Path) -> Option<(&OsStr, PathBuf)> {
    let (name, programs) = (executed_as.file_name()?, executed_as.parent()?);
    let base = programs.parent().filter(|_| programs.file_name().is_some_and(|name| name == "bin"))?;
    // A container may have programs in a `bin/` too, and shells among them.
    base.join(CONTENTS).is_file().then(|| (name, base.to_owned()))
}

/// The shell at a fixed path. The kernel, where it runs a script, says that the script is executed, and the
/// interpreter's path is the first word.
fn as_shell<'a>(executed_as: &Path, zeroth: Option<&OsStr>) -> Option<(&'a OsStr, PathBuf)> {
    let named =
        fixed::is_shell(executed_as) || zeroth.is_some_and(|zeroth| fixed::is_shell(Path::new(zeroth)));
    named.then(|| Some((OsStr::new("sh"), fixed::base()?))).flatten()
}
