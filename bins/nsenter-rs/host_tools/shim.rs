//! nsenter-rs under another name: what the children of a host's program find on $PATH.
//!
//! Each link in `bin/` of the kit leads to this program. The name by which it was executed says which program of
//! the host is meant, and the directory above says where the host's tree is.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use common::sys;

use super::execution::Execution;
use super::kit::Contents;
use super::privileges;
use super::program::Program;
use super::root::Root;
use crate::run::not_run_on_host;

/// Runs the program whose name we have, if we were executed through the directory of a kit.
pub fn program_behind_our_name() -> Option<ExitCode> {
    let executed_as = Path::new(sys::executed_as()?);
    let (name, programs) = (executed_as.file_name()?, executed_as.parent()?);
    let base = programs.parent().filter(|_| programs.file_name().is_some_and(|name| name == "bin"))?;
    // Wherever else a binary lies, there is no such file beside its directory.
    let contents = std::fs::read(base.join("host-tools.json")).ok()?;
    let contents: Contents = serde_json::from_slice(&contents).ok()?;
    let mut arguments = std::env::args_os();
    let zeroth = arguments.next().unwrap_or(name.to_owned());
    let arguments: Vec<OsString> = arguments.collect();
    let run = || {
        let base = std::path::absolute(base)?;
        let root = Root::open(&base.join("host"))?;
        let path = std::env::join_paths(&contents.path).unwrap_or_default();
        let mut program = Program::find(&root, name, &path)?;
        if program.before.is_empty() {
            program.zeroth = zeroth;
        }
        privileges::suit(&program, &arguments);
        let environment = std::env::vars_os().collect();
        Ok(Execution::of_child(&root, program, &arguments, environment, &base, &contents)?.run())
    };
    let error = match run() {
        Ok(error) | Err(error) => error,
    };
    Some(not_run_on_host(Path::new(name), &error))
}
