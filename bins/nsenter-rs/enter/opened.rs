//! What is opened and read before the namespaces are joined, beside those: root, working directory, environment.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::failure::Failure;
use common::namespace::{self, NamespaceKind};
use common::process::Process;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::enter::source::EntrySource;
use crate::identity::environment::{for_program_of_host, of_caller};
use crate::judge::refused;
use crate::plan::Plan;
use crate::wanted::TakenFrom;

/// What comes from the host or from the target's `/proc` beside namespaces: it is opened before those are joined, for
/// inside both may be out of reach.
#[derive(Debug)]
pub struct OpenedFiles {
    pub root: Option<OwnedFd>,
    pub own_root: Option<OwnedFd>,
    pub wd: Option<OwnedFd>,
    pub environment: Option<Vec<(OsString, OsString)>>,
}

impl OpenedFiles {
    pub fn open(plan: &Plan, source: &EntrySource) -> Result<Self, Failure> {
        Ok(OpenedFiles {
            root: plan.root.as_ref().map(|from| directory(from, "root", source)).transpose()?,
            own_root: if plan.own_root { Some(directory(&TakenFrom::Target, "root", source)?) } else { None },
            wd: plan.wd.as_ref().map(|from| directory(from, "cwd", source)).transpose()?,
            environment: environment(plan, source)?,
        })
    }
}

fn directory(from: &TakenFrom, link: &'static str, source: &EntrySource) -> Result<OwnedFd, Failure> {
    // O_PATH asks nobody: a file system in user space (FUSE) would have to answer for the directory to be read.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match from {
        TakenFrom::Target => {
            let process = source.process()?;
            process.open_file(link, flags).map_err(|error| refused::reading(process, error))
        }
        TakenFrom::Named(path) => open(path, flags),
    }
}

pub fn open(path: &Path, flags: OFlag) -> Result<OwnedFd, Failure> {
    nix::fcntl::open(path, flags, Mode::empty())
        .map_err(|errno| Failure::failed(path.display(), errno.desc()))
}

/// What the program gets of the target's environment, where that was asked for.
pub fn environment(plan: &Plan, source: &EntrySource) -> Result<Option<Vec<(OsString, OsString)>>, Failure> {
    if !plan.environment {
        let ours = || of_caller(std::env::vars_os(), &plan.variables);
        return Ok(plan.fence.as_ref().map(|_| ours()));
    }
    let theirs = theirs(source.process()?)?;
    let ours = |name: &str| std::env::var_os(name);
    Ok(Some(match program_is_targets(plan, source)? {
        true => theirs,
        false => for_program_of_host(theirs, ours, &plan.variables),
    }))
}

/// Whether the program comes from the target's own files. Where its mounts are ours, so are the files that it has,
/// and the owner of the process decides nothing about them; nor about a root that the user named.
fn program_is_targets(plan: &Plan, source: &EntrySource) -> Result<bool, Failure> {
    let mounts = source.process()?.namespace_identity(NamespaceKind::Mnt)?;
    let is_other = mounts != namespace::own_identity(NamespaceKind::Mnt)?;
    let takes_them = match &plan.root {
        Some(from) => *from == TakenFrom::Target,
        None => plan.joins(NamespaceKind::Mnt) && source.identity(NamespaceKind::Mnt)? == mounts,
    };
    Ok(is_other && takes_them && plan.host_tools.is_none())
}

fn theirs(process: &Process) -> Result<Vec<(OsString, OsString)>, Failure> {
    let bytes = process.read("environ").map_err(|error| refused::reading(process, error))?;
    // An entry without '=' is none that a program could ask for.
    let entries = bytes.split(|&byte| byte == 0).filter_map(|entry| {
        let at = entry.iter().skip(1).position(|&byte| byte == b'=')? + 1;
        Some((OsStr::from_bytes(&entry[..at]).to_owned(), OsStr::from_bytes(&entry[at + 1..]).to_owned()))
    });
    Ok(entries.collect())
}
