//! What the program would find, seen from outside: its root, its working directory, and whether both can be had.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use common::failure::Failure;
use common::namespace::{NamespaceId, NamespaceKind};
use common::process::Process;
use nix::errno::Errno;
use nix::sys::stat::stat;
use nix::unistd::Pid;

use crate::enter::descriptors;
use crate::enter::lookup::{Directory, Inside, Tree, open_below};
use crate::enter::opened::Opened;
use crate::enter::place::{self, DIRECTORY};
use crate::enter::source::Source;
use crate::identity::cgroup;
use crate::judge::rules::Rule;
use crate::plan::Plan;
use crate::run::pty::Pty;

/// Looks, and says which rules hold.
pub fn look(plan: &Plan, source: &Source) -> (Inside, Vec<Rule>) {
    let mut rules = Vec::new();
    let mut rule = |what, result: Result<(), Failure>| {
        rules.push(Rule::Ahead { what, failure: result.err() });
    };
    let mut opened = Opened::open(plan, source);
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
    if let (Some(wd), Tree::Below(root)) = (wd.as_ref().filter(|_| plan.keeps_to_root()), &tree) {
        let outside = "the directory is outside of the program's root";
        let lies = if place::is_below(wd, root) { Ok(()) } else { Err(Failure::trouble("--wd", outside)) };
        rule("the working directory is below the root", lies);
    }
    let directory = match (&plan.wdns, wd) {
        (_, Some(wd)) => Directory::Opened(wd),
        (Some(path), None) => Directory::Inside(inside(path, plan)),
        (None, None) if plan.to_root || plan.changes_root() => Directory::Inside("/".into()),
        (None, None) => Directory::Ours,
    };
    let environment = opened.ok().and_then(|opened| opened.environment);
    (Inside { tree, directory, environment }, rules)
}

/// Where the program's names begin.
fn tree(plan: &Plan, source: &Source, opened: Option<&mut Opened>) -> Tree {
    let Some(opened) = opened else { return Tree::Unseen };
    let root = opened.root.take().or_else(|| opened.own_root.take());
    match root {
        Some(root) => Tree::Below(root),
        None if !plan.changes_root() => Tree::Host,
        None => top_of_mounts(source).map_or(Tree::Unseen, Tree::Below),
    }
}

/// The root of the mount namespace that is joined, through a process that is in it.
fn top_of_mounts(source: &Source) -> Option<OwnedFd> {
    let wanted = source.identity(NamespaceKind::Mnt).ok()?;
    let top = |process: &Process| place::top(&process.open_file("root", DIRECTORY).ok()?);
    let is_in = |process: &Process| {
        process.namespace_identity(NamespaceKind::Mnt).is_ok_and(|mounts| mounts == wanted)
    };
    match source.process() {
        Ok(process) if is_in(process) => top(process),
        _ => processes_in(wanted).filter(is_in).find_map(|process| top(&process)),
    }
}

fn processes_in(mounts: NamespaceId) -> impl Iterator<Item = Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_there = move |pid: &i32| {
        stat(format!("/proc/{pid}/ns/mnt").as_str()).is_ok_and(|stat| NamespaceId::from(&stat) == mounts)
    };
    pids.filter(is_there).filter_map(|pid| Process::open(Pid::from_raw(pid)).ok())
}

/// The path from the root on.
fn inside(path: &Path, plan: &Plan) -> PathBuf {
    if plan.to_root || plan.changes_root() { Path::new("/").join(path) } else { path.to_owned() }
}

fn exists_inside(tree: &Tree, path: &Path, plan: &Plan) -> Option<Result<(), Failure>> {
    let path_inside = inside(path, plan);
    let found = match tree {
        Tree::Unseen => return None,
        Tree::Host => nix::fcntl::open(&path_inside, DIRECTORY, nix::sys::stat::Mode::empty()).map(drop),
        Tree::Below(root) => open_below(root, &path_inside, DIRECTORY).map(drop),
    };
    match found {
        // A link of /proc, or a kernel without openat2(2).
        Err(Errno::ELOOP | Errno::ENOSYS) => None,
        found => Some(found.map_err(|errno| Failure::trouble(path.display(), errno.desc()))),
    }
}
