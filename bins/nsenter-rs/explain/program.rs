//! Where the program would be found, without going there: in the host's tree, or in the one below the target's root.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::namespace::Kind;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{AccessFlags, access};

use crate::apply;
use crate::host_tools::{self, Trust};
use crate::plan::Plan;
use crate::run::users_shell;
use crate::source::Source;
use crate::wanted::{From, Wanted};

/// What confstr(3) gives for _CS_PATH, which exec goes by where there is no $PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What came of looking.
#[derive(Debug)]
pub enum Lookup {
    Found(PathBuf),
    /// It is not there, or cannot be run; why.
    Missing(String),
    /// It cannot be known without entering.
    Unknown,
}

/// The tree in which the program is looked up.
enum Tree {
    Host,
    Below(OwnedFd),
    /// A mount namespace that came from a file: what is its root is seen from inside only.
    Unseen,
}

/// The $PATH that programs are looked up by.
pub fn path(plan: &Plan, source: &Source) -> OsString {
    path_of(apply::environment(plan, source).ok().flatten().as_deref())
}

fn path_of(environment: Option<&[(OsString, OsString)]>) -> OsString {
    let path = match environment {
        Some(theirs) => theirs.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone()),
        None => env::var_os("PATH"),
    };
    path.unwrap_or_else(|| OsString::from(DEFAULT_PATH))
}

/// Where `wanted` finds its program, or the user's shell.
pub fn look_up(wanted: &Wanted, plan: &Plan, source: &Source) -> Lookup {
    let environment = apply::environment(plan, source).ok().flatten();
    let path = match plan.host_tools {
        Some(_) => host_tools::path(Trust::of(wanted)),
        None => path_of(environment.as_deref()),
    };
    let tree = tree(wanted, plan, source);
    let in_tree = |name: &OsStr| match &tree {
        Tree::Host => find(name, &path, None),
        Tree::Below(root) => find(name, &path, Some(root.as_fd())),
        Tree::Unseen => Lookup::Unknown,
    };
    match wanted.program.first() {
        // It is relative to a directory that is not ours.
        Some(name)
            if is_relative_path(name) && (plan.wd.is_some() || plan.wdns.is_some() || tree.is_other()) =>
        {
            Lookup::Unknown
        }
        Some(name) => in_tree(name),
        None => match in_tree(&users_shell(environment.as_deref(), plan.changes_root())) {
            Lookup::Missing(_) => in_tree(OsStr::new("/bin/sh")),
            found => found,
        },
    }
}

impl Tree {
    fn is_other(&self) -> bool {
        !matches!(self, Tree::Host)
    }
}

fn tree(wanted: &Wanted, plan: &Plan, source: &Source) -> Tree {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let of_target = || source.process().ok()?.open_file("root", flags).ok();
    let joins_mounts = plan.join.kinds().contains(&Kind::Mnt);
    if plan.host_tools.is_some() {
        return Tree::Host;
    }
    let root = match &plan.root {
        Some(From::Target) => of_target(),
        Some(From::Named(dir)) => nix::fcntl::open(dir, flags, Mode::empty()).ok(),
        None if !joins_mounts => return Tree::Host,
        // With --no-root it is the namespace's root, of which its process may show a part only.
        None if wanted.namespaces[&Kind::Mnt] == From::Target && plan.own_root => of_target(),
        None => None,
    };
    root.map_or(Tree::Unseen, Tree::Below)
}

fn is_relative_path(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'/') && !name.as_bytes().starts_with(b"/")
}

/// As execvp(3) does: what is there and cannot be run does not end the search.
fn find(name: &OsStr, path: &OsStr, root: Option<BorrowedFd<'_>>) -> Lookup {
    let candidates: Vec<PathBuf> = if name.as_bytes().contains(&b'/') {
        vec![PathBuf::from(name)]
    } else {
        env::split_paths(path).map(|directory| directory.join(name)).collect()
    };
    let mut why = "there is no such program";
    for candidate in candidates {
        match can_run(&candidate, root) {
            Ok(()) => return Lookup::Found(candidate),
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(Errno::ENOSYS) => return Lookup::Unknown,
            Err(_) => why = "it is there, and cannot be run",
        }
    }
    Lookup::Missing(why.to_owned())
}

fn can_run(file: &Path, root: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let Some(root) = root else {
        let stat = nix::sys::stat::stat(file)?;
        return is_program(stat.st_mode).and_then(|()| access(file, AccessFlags::X_OK));
    };
    // The links of an image lead to where they lead inside of it.
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let opened = openat2(root, file, how)?;
    is_program(fstat(&opened)?.st_mode)
}

fn is_program(mode: u32) -> Result<(), Errno> {
    let is_file = SFlag::from_bits_truncate(mode).contains(SFlag::S_IFREG);
    if is_file && mode & 0o111 != 0 { Ok(()) } else { Err(Errno::EACCES) }
}

impl Lookup {
    pub fn file(&self) -> Option<&Path> {
        match self {
            Lookup::Found(file) => Some(file),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_exec_finds_it() {
        let found = |name: &str, path: &str, root: Option<BorrowedFd<'_>>| {
            find(OsStr::new(name), OsStr::new(path), root).file().map(Path::to_owned)
        };
        let root = nix::fcntl::open("/", OFlag::O_PATH, Mode::empty()).unwrap();
        for root in [None, Some(root.as_fd())] {
            assert_eq!(found("sh", "/nowhere:/bin", root), Some(PathBuf::from("/bin/sh")));
            assert_eq!(found("/bin/sh", "", root), Some(PathBuf::from("/bin/sh")));
            assert_eq!(found("sh", "/etc", root), None);
            assert!(
                matches!(find(OsStr::new("/etc/passwd"), OsStr::new(""), root), Lookup::Missing(why) if why.contains("cannot be run"))
            );
            assert!(matches!(find(OsStr::new("/etc"), OsStr::new(""), root), Lookup::Missing(_)));
        }
    }
}
