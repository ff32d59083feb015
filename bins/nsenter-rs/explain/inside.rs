//! What the program would find, seen from outside: its root, its working directory, and whether both can be had.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use common::failure::Failure;
use common::namespace::NamespaceKind;
use common::process::Process;
use nix::errno::Errno;

use crate::enter::descriptors;
use crate::enter::lookup::{LookupRoot, ProgramSurroundings, StartDirectory, open_below};
use crate::enter::neighbours::processes_in;
use crate::enter::opened::OpenedFiles;
use crate::enter::place::{self, DIRECTORY};
use crate::enter::source::EntrySource;
use crate::identity::cgroup;
use crate::judge::rules::EntryRule;
use crate::plan::Plan;
use crate::run::pty::Pty;

/// Looks, and says which rules hold.
pub fn look(plan: &Plan, source: &EntrySource) -> (ProgramSurroundings, Vec<EntryRule>) {
    let mut rules = Vec::new();
    let mut rule = |what, result: Result<(), Failure>| {
        rules.push(EntryRule::Ahead { what, failure: result.err() });
    };
    let mut opened = OpenedFiles::open(plan, source);
    if plan.root.is_some() || plan.own_root || plan.wd.is_some() || plan.environment {
        let result = opened.as_ref().map(|_| ()).map_err(Failure::clone);
        rule("root, working directory and environment can be opened", result);
    }
    if !plan.cgroups.is_empty() {
        let doors = source.process().and_then(|process| cgroup::open_all(&plan.cgroups, process));
        rule("its control groups can be joined", doors.map(drop));
    }
    if plan.comes_near_target() && !plan.kept_descriptors.is_empty() {
        rule("the descriptors of --keep-fd are open", descriptors::are_open(&plan.kept_descriptors));
    }
    if plan.pty {
        rule("a terminal can be opened for the program", Pty::open().map(drop));
    }
    let tree = tree(plan, source, opened.as_mut().ok());
    if let Some(path) = &plan.wdns {
        // Where that cannot be known, nothing is said.
        if let Some(result) = exists_inside(&tree, path, plan) {
            rule("the working directory exists inside", result);
        }
    }
    let wd = opened.as_mut().ok().and_then(|opened| opened.wd.take());
    if let (Some(wd), LookupRoot::Below(root)) = (wd.as_ref().filter(|_| plan.keeps_to_root()), &tree) {
        let outside = "the directory is outside of the program's root";
        let lies = if place::is_below(wd, root) { Ok(()) } else { Err(Failure::failed("--wd", outside)) };
        rule("the working directory is below the root", lies);
    }
    let directory = match (&plan.wdns, wd) {
        (_, Some(wd)) => StartDirectory::Opened(wd),
        (Some(path), None) => StartDirectory::Inside(inside(path, plan)),
        (None, None) if plan.to_root || plan.changes_root() => StartDirectory::Inside("/".into()),
        (None, None) => StartDirectory::Ours,
    };
    let environment = opened.ok().and_then(|opened| opened.environment);
    (ProgramSurroundings { tree, directory, environment }, rules)
}

/// Where the program's names begin.
fn tree(plan: &Plan, source: &EntrySource, opened: Option<&mut OpenedFiles>) -> LookupRoot {
    let Some(opened) = opened else { return LookupRoot::Unseen };
    let root = opened.root.take().or_else(|| opened.own_root.take());
    match root {
        Some(root) => LookupRoot::Below(root),
        None if !plan.changes_root() => LookupRoot::Host,
        None => top_of_mounts(source).map_or(LookupRoot::Unseen, LookupRoot::Below),
    }
}

/// The root of the mount namespace that is joined, through a process that is in it.
fn top_of_mounts(source: &EntrySource) -> Option<OwnedFd> {
    let wanted = source.identity(NamespaceKind::Mnt).ok()?;
    let top = |process: &Process| place::top(&process.open_file("root", DIRECTORY).ok()?);
    let is_in = |process: &Process| {
        process.namespace_identity(NamespaceKind::Mnt).is_ok_and(|mounts| mounts == wanted)
    };
    match source.process() {
        Ok(process) if is_in(process) => top(process),
        _ => processes_in(NamespaceKind::Mnt, wanted).find_map(|process| top(&process)),
    }
}

/// The path from the root on.
fn inside(path: &Path, plan: &Plan) -> PathBuf {
    if plan.to_root || plan.changes_root() { Path::new("/").join(path) } else { path.to_owned() }
}

fn exists_inside(tree: &LookupRoot, path: &Path, plan: &Plan) -> Option<Result<(), Failure>> {
    let path_inside = inside(path, plan);
    let found = match tree {
        LookupRoot::Unseen => return None,
        LookupRoot::Host => {
            nix::fcntl::open(&path_inside, DIRECTORY, nix::sys::stat::Mode::empty()).map(drop)
        }
        LookupRoot::Below(root) => open_below(root, &path_inside, DIRECTORY).map(drop),
    };
    match found {
        // A link of /proc, or a kernel without openat2(2).
        Err(Errno::ELOOP | Errno::ENOSYS) => None,
        found => Some(found.map_err(|errno| Failure::failed(path.display(), errno.desc()))),
    }
}
