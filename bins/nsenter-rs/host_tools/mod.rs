//! `--host-tools`: a program of the host, and its children, in a root that has no tools.

mod elf;
mod execution;
mod graft;
mod hold;
mod kit;
mod loader;
mod place;
mod privileges;
mod program;
mod root;
pub mod shim;
mod surroundings;
mod tree;
mod way;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use common::failure::{Failure, say};
use execution::Execution;
use graft::{Graft, Grafted};
use hold::Hold;
use program::Program;
use root::Root;
use surroundings::Environment;

pub use way::{Footing, Way};

use crate::TOOL;
use crate::run::users_shell;

/// Where execvp(3) looks when nobody says where.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What was built with `cargo install` and no --target.
const NOT_STATIC: &str =
    "--host-tools: this is no static binary, so children of the program are the container's";

/// A program of the host and all that it needs, taken hold of before any namespace is entered.
#[derive(Debug)]
pub struct HostTools {
    root: Root,
    program: Program,
    arguments: Vec<OsString>,
    prepared: Prepared,
}

#[derive(Debug)]
enum Prepared {
    Graft(Box<Graft>),
    Hold(Hold),
}

/// The same once we are inside.
#[derive(Debug)]
pub struct Settled {
    root: Root,
    program: Program,
    arguments: Vec<OsString>,
    site: Site,
}

#[derive(Debug)]
enum Site {
    Grafted(Grafted),
    Hold(Hold),
}

/// Why there is nothing to take along.
#[derive(Debug)]
pub enum NotOpened {
    /// The program is not there, or cannot be executed.
    Program(OsString, io::Error),
    /// All else.
    Failed(Failure),
}

impl HostTools {
    /// Finds the program that the words of the command line begin with, or the user's shell, on the host.
    ///
    /// # Errors
    /// When there is none, or the host's tree cannot be taken along.
    pub fn open(way: Way, words: &[OsString]) -> Result<Self, NotOpened> {
        let failed = |error: io::Error| NotOpened::Failed(Failure::trouble("--host-tools", error));
        let root = Root::open(Path::new("/")).map_err(failed)?;
        let path = std::env::var_os("PATH").unwrap_or(DEFAULT_PATH.into());
        let (program, arguments) = match words.split_first() {
            Some((name, arguments)) => {
                let found = Program::find(&root, name, &path);
                (found.map_err(|error| NotOpened::Program(name.clone(), error))?, arguments.to_vec())
            }
            None => shell(&root, &path)?,
        };
        let prepared = match way {
            Way::Graft => {
                let graft = Graft::open(&root, &program, &path).map_err(failed)?;
                if !graft.for_children() {
                    say(TOOL, NOT_STATIC);
                }
                Prepared::Graft(Box::new(graft))
            }
            Way::Hold(_) => Prepared::Hold(Hold::open(&root).map_err(failed)?),
        };
        Ok(HostTools { root, program, arguments, prepared })
    }

    /// Puts it where the program will find it, now that we are inside. `top` is the root of the mount namespace,
    /// where ours is another one.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn settle(self, top: Option<&OwnedFd>) -> Result<Settled, Failure> {
        let HostTools { root, program, arguments, prepared } = self;
        let site = match prepared {
            Prepared::Graft(graft) => Site::Grafted(
                graft
                    .attach(top)
                    .map_err(|error| Failure::trouble("--host-tools: the host's tree", error))?,
            ),
            Prepared::Hold(hold) => Site::Hold(hold),
        };
        Ok(Settled { root, program, arguments, site })
    }
}

impl Settled {
    /// What was asked for, or the shell.
    pub fn name(&self) -> &Path {
        Path::new(&self.program.zeroth)
    }

    /// Becomes whom the program has to be started as.
    pub fn become_somebody(&self) {
        privileges::suit(&self.program, &self.arguments);
    }

    /// Becomes the program; what comes back is why not.
    pub fn run(self, environment: Vec<(OsString, OsString)>) -> io::Error {
        let environment: Environment = environment.into_iter().collect();
        let Settled { root, program, arguments, site } = self;
        let execution = match site {
            Site::Grafted(grafted) => Execution::grafted(&root, program, &arguments, environment, &grafted),
            Site::Hold(hold) => {
                hold.settle().and_then(|held| Execution::held(&root, program, &arguments, environment, &held))
            }
        };
        match execution {
            Ok(execution) => execution.run(),
            Err(error) => error,
        }
    }
}

/// Where on the host the words' program, or the user's shell, is found; nothing is made or opened for it.
///
/// # Errors
/// As [`HostTools::open`].
pub fn look_up(words: &[OsString]) -> Result<PathBuf, NotOpened> {
    let failed = |error: io::Error| NotOpened::Failed(Failure::trouble("--host-tools", error));
    let root = Root::open(Path::new("/")).map_err(failed)?;
    let path = std::env::var_os("PATH").unwrap_or(DEFAULT_PATH.into());
    match words.first() {
        Some(name) => Program::find(&root, name, &path)
            .map(|program| program.file)
            .map_err(|error| NotOpened::Program(name.clone(), error)),
        None => shell(&root, &path).map(|(program, _)| program.file),
    }
}

/// The user's shell, and what keeps it from reading its configuration, which would be the container's.
fn shell(root: &Root, path: &OsStr) -> Result<(Program, Vec<OsString>), NotOpened> {
    let program = Program::find(root, &users_shell(None, false), path)
        .or_else(|_| Program::find(root, OsStr::new("/bin/sh"), path))
        .map_err(|error| NotOpened::Program("/bin/sh".into(), error))?;
    let plain = match program.name.to_str() {
        Some("bash") => vec!["--norc".into()],
        Some("zsh") => vec!["-f".into()],
        Some("fish") => vec!["--no-config".into()],
        _ => Vec::new(),
    };
    Ok((program, plain))
}
