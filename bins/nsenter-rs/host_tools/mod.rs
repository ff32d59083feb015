//! `--host-tools`: a program of the host, and its children, in a root that has no tools. Why it is done so, and what limits
//! it: docs/decisions/host-tools-fence.md.

mod c_library;
mod elf;
mod execution;
mod fixed;
mod furnish;
mod graft;
mod hold;
mod kit;
mod kit_place;
mod loader;
mod loaders;
mod needs;
mod overlay;
mod own_loaders;
mod parts;
mod privileges;
mod program;
mod root;
pub mod shim;
mod special;
mod surroundings;
mod tree;
mod trust;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use common::failure::{Failure, say};
use common::output::quotable;
use execution::Execution;
use graft::{Graft, GraftedKit};
use hold::HostRoot;
use surroundings::Environment;

pub use elf::Elf;
pub use kit::KitLifetime;
pub use loaders::loaders;
pub use program::Program;
pub use root::Root;
pub use trust::Trust;

use crate::identity::passwd::users_shell;
use crate::identity::power::ProgramPower;
use crate::plan::host_tools_mode::HostToolsMode;
use crate::tool::TOOL;

/// Where execvp(3) searches without a PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What was built with `cargo install` and no --target.
const NOT_STATIC: &str =
    "--host-tools: this nsenter-rs is not a static binary: programs that PROGRAM starts are the container's";

/// A program of the host and all that it needs, opened before any namespace is entered.
#[derive(Debug)]
pub struct HostTools {
    root: Root,
    program: Program,
    arguments: Vec<OsString>,
    prepared: PreparedTools,
}

#[derive(Debug)]
enum PreparedTools {
    Graft(Box<Graft>),
    Hold(HostRoot),
}

/// The same once we are inside.
#[derive(Debug)]
pub struct EnteredTool {
    root: Root,
    program: Program,
    arguments: Vec<OsString>,
    site: ToolsSite,
}

/// The same with all decided, so that nothing of the host need be open any more.
#[derive(Debug)]
pub struct StartableTool {
    name: PathBuf,
    /// Whether it is started as the user `nobody`.
    suits_nobody: bool,
    execution: io::Result<Execution>,
}

#[derive(Debug)]
enum ToolsSite {
    Grafted(GraftedKit),
    Hold(HostRoot),
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
    /// `target` is the root in which the target's own programs are found, where those may be run.
    ///
    /// # Errors
    /// When there is none, or the host's tree cannot be taken along.
    pub fn open(
        mode: HostToolsMode,
        words: &[OsString],
        trust: Trust,
        target: Option<OwnedFd>,
        keep: KitLifetime,
    ) -> Result<Self, NotOpened> {
        let failed = |error: io::Error| NotOpened::Failed(Failure::failed("--host-tools", error));
        let path = path(trust);
        let (root, program, arguments) = find(words, &path)?;
        let prepared = match mode {
            HostToolsMode::Graft => {
                let target = target.map(Root::from);
                let graft = Graft::open(&root, &program, &path, trust, target.as_ref(), keep)
                    .map_err(NotOpened::Failed)?;
                if !graft.for_children() && keep == KitLifetime::Kept {
                    say(TOOL, NOT_STATIC);
                }
                PreparedTools::Graft(Box::new(graft))
            }
            HostToolsMode::Hold(why) if trust != Trust::All => return Err(NotOpened::Failed(why.refused())),
            HostToolsMode::Hold(_) => PreparedTools::Hold(HostRoot::open(&root).map_err(failed)?),
        };
        Ok(HostTools { root, program, arguments, prepared })
    }

    /// Why the program is not to be started with that power, where that would be in vain or worse. `target` is what the
    /// operator calls it.
    pub fn refused(&self, power: ProgramPower, target: Option<&str>) -> Option<Failure> {
        refused(&self.program, &self.arguments, power, target)
    }

    /// Puts it where the program will find it, now that we are inside. `top` is the root of the mount namespace,
    /// where ours is another one.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn settle(self, top: Option<&OwnedFd>) -> Result<EnteredTool, Failure> {
        let HostTools { root, program, arguments, prepared } = self;
        let site = match prepared {
            PreparedTools::Graft(graft) => ToolsSite::Grafted(
                graft.attach(top).map_err(|error| Failure::failed("--host-tools: the host's tree", error))?,
            ),
            PreparedTools::Hold(hold) => ToolsSite::Hold(hold),
        };
        Ok(EnteredTool { root, program, arguments, site })
    }
}

impl EnteredTool {
    /// Decides how the program is started, with the power that it will have.
    pub fn ready(self, environment: Vec<(OsString, OsString)>) -> StartableTool {
        let environment: Environment = environment.into_iter().collect();
        let EnteredTool { root, program, arguments, site } = self;
        let name = PathBuf::from(&program.zeroth);
        let suits_nobody = privileges::suits_nobody(&program, &arguments);
        let execution = match site {
            ToolsSite::Grafted(grafted) => {
                Execution::grafted(&root, program, &arguments, environment, &grafted)
            }
            ToolsSite::Hold(hold) => {
                hold.settle().and_then(|held| Execution::held(&root, program, &arguments, environment, &held))
            }
        };
        StartableTool { name, suits_nobody, execution }
    }
}

impl StartableTool {
    /// What was asked for, or the shell.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Becomes the user that the program must be started as.
    pub fn set_user(&self) {
        if self.suits_nobody {
            privileges::suit();
        }
    }

    /// Becomes the program; what comes back is why not.
    pub fn run(self) -> io::Error {
        match self.execution {
            Ok(execution) => execution.run(),
            Err(error) => error,
        }
    }
}

/// Where on the host the words' program, or the user's shell, is found; nothing is made or opened for it.
///
/// # Errors
/// As [`HostTools::open`].
pub fn look_up(words: &[OsString], trust: Trust) -> Result<PathBuf, NotOpened> {
    find(words, &path(trust)).map(|(_, program, _)| program.file)
}

/// The same before anything is opened; none where there is no such program.
pub fn would_be_refused(
    words: &[OsString],
    trust: Trust,
    power: ProgramPower,
    target: Option<&str>,
) -> Option<Failure> {
    let (_, program, arguments) = find(words, &path(trust)).ok()?;
    refused(&program, &arguments, power, target)
}

fn refused(
    program: &Program,
    arguments: &[OsString],
    power: ProgramPower,
    target: Option<&str>,
) -> Option<Failure> {
    let lacks = needs::lacks(program, arguments, power)?;
    let failure = Failure::failed(quotable(&program.zeroth.to_string_lossy()), lacks.what());
    Some(failure.hint(lacks.hint(target, &program.zeroth, arguments)).or_hint(lacks.with_added()))
}

/// The program that the words begin with, or the user's shell, on the host.
fn find(words: &[OsString], path: &OsStr) -> Result<(Root, Program, Vec<OsString>), NotOpened> {
    let root = Root::open(Path::new("/"))
        .map_err(|error| NotOpened::Failed(Failure::failed("--host-tools", error)))?;
    let (program, arguments) = match words.split_first() {
        Some((name, arguments)) => {
            let found = Program::find(&root, name, path);
            (found.map_err(|error| NotOpened::Program(name.clone(), error))?, arguments.to_vec())
        }
        None => shell(&root, path)?,
    };
    Ok((root, program, arguments))
}

/// Where programs are looked for by their names.
pub fn path(trust: Trust) -> OsString {
    searched(&std::env::var_os("PATH").unwrap_or(DEFAULT_PATH.into()), trust)
}

/// The directories of $PATH in which a program is looked for by its name alone. Those of version managers (pyenv, rbenv,
/// asdf, mise) have scripts that start others by their paths, which are the container's; what not every user may search
/// is not shown to a program that is held.
fn searched(path: &OsStr, trust: Trust) -> OsString {
    let is_shown = |directory: &PathBuf| {
        !directory.ends_with("shims") && (trust == Trust::All || parts::is_reachable(directory))
    };
    let all = std::env::split_paths(path).filter(is_shown);
    std::env::join_paths(all).unwrap_or_else(|_| path.to_owned())
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
