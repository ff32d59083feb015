//! Where the program would be found, without going there: in the host's tree, or in the one below the target's root.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{AccessFlags, access};

use crate::host_tools::{self, NotOpened, Trust};
use crate::identity::passwd::users_shell;
use crate::plan::Plan;
use crate::wanted::Wanted;

/// What confstr(3) gives for _CS_PATH, which exec goes by where there is no $PATH.
pub const DEFAULT_PATH: &str = "/bin:/usr/bin";

const MISSING: &str = "no such program";

/// The tree in which names are looked up.
#[derive(Debug)]
pub enum LookupRoot {
    Host,
    Below(OwnedFd),
    /// A mount namespace that no process is in: what is its root is seen from inside only.
    Unseen,
}

/// Where a name without a slash in front begins.
#[derive(Debug)]
pub enum StartDirectory {
    /// Ours.
    Ours,
    /// This one of the tree.
    Inside(PathBuf),
    /// Opened before, wherever it is.
    Opened(OwnedFd),
}

/// What there will be.
#[derive(Debug)]
pub struct ProgramSurroundings {
    pub tree: LookupRoot,
    pub directory: StartDirectory,
    pub environment: Option<Vec<(OsString, OsString)>>,
}

impl ProgramSurroundings {
    /// For a program of the host that starts in `directory`, ours if there is none.
    pub fn on_the_host(directory: Option<PathBuf>, environment: Option<Vec<(OsString, OsString)>>) -> Self {
        let directory = directory.map_or(StartDirectory::Ours, StartDirectory::Inside);
        ProgramSurroundings { tree: LookupRoot::Host, directory, environment }
    }
}

/// What came of looking.
#[derive(Debug)]
pub enum Lookup {
    Found(PathBuf),
    /// It is not there, or cannot be run; why.
    Missing(String),
    /// It cannot be known without entering.
    Unknown,
}

/// The $PATH that programs are looked up by.
pub fn path(inside: &ProgramSurroundings) -> OsString {
    let path = match &inside.environment {
        Some(theirs) => theirs.iter().rev().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone()),
        None => env::var_os("PATH"),
    };
    path.unwrap_or_else(|| OsString::from(DEFAULT_PATH))
}

/// Where `wanted` finds its program, or the user's shell.
pub fn look_up(wanted: &Wanted, plan: &Plan, inside: &ProgramSurroundings) -> Lookup {
    if plan.host_tools.is_some() {
        return on_the_host(wanted);
    }
    let environment = &inside.environment;
    let path = path(inside);
    match wanted.program.first() {
        Some(name) => find(name, &path, inside),
        None => match find(&users_shell(environment.as_deref(), plan.changes_root()), &path, inside) {
            Lookup::Missing(_) => find(OsStr::new("/bin/sh"), &path, inside),
            found => found,
        },
    }
}

/// As the host's tools are found, scripts and their interpreters too.
fn on_the_host(wanted: &Wanted) -> Lookup {
    match host_tools::look_up(&wanted.program, Trust::of(wanted)) {
        Ok(file) => Lookup::Found(file),
        Err(NotOpened::Program(_, error)) if error.kind() == io::ErrorKind::NotFound => {
            Lookup::Missing(MISSING.to_owned())
        }
        Err(NotOpened::Program(_, error)) => {
            Lookup::Missing(format!("it exists, but cannot be run: {error}"))
        }
        Err(NotOpened::Failed(failure)) => Lookup::Missing(failure.text().to_owned()),
    }
}

/// As execvp(3) does: what is there and cannot be run does not end the search.
fn find(name: &OsStr, path: &OsStr, inside: &ProgramSurroundings) -> Lookup {
    let candidates: Vec<PathBuf> = if name.as_bytes().contains(&b'/') {
        vec![PathBuf::from(name)]
    } else {
        env::split_paths(path).map(|directory| directory.join(name)).collect()
    };
    let mut why = MISSING;
    for candidate in candidates {
        match can_run(&candidate, inside) {
            Ok(()) => return Lookup::Found(candidate),
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(Errno::ENOSYS) => return Lookup::Unknown,
            Err(_) => why = "it exists, but cannot be run",
        }
    }
    Lookup::Missing(why.to_owned())
}

/// ENOSYS where that cannot be known.
fn can_run(file: &Path, inside: &ProgramSurroundings) -> Result<(), Errno> {
    let opened = match (&inside.tree, &inside.directory) {
        (LookupRoot::Unseen, _) => return Err(Errno::ENOSYS),
        (_, StartDirectory::Opened(directory)) if file.is_relative() => {
            nix::fcntl::openat(directory, file, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?
        }
        (LookupRoot::Below(root), StartDirectory::Inside(directory)) => {
            open_below(root, &directory.join(file), OFlag::O_PATH)?
        }
        (LookupRoot::Below(root), _) => open_below(root, file, OFlag::O_PATH)?,
        (LookupRoot::Host, directory) => {
            let file = match directory {
                StartDirectory::Inside(directory) => directory.join(file),
                _ => file.to_owned(),
            };
            let stat = nix::sys::stat::stat(&file)?;
            return is_program(stat.st_mode).and_then(|()| access(&file, AccessFlags::X_OK));
        }
    };
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

/// Opens it with the links of an image leading to where they lead inside of it.
pub fn open_below(root: &OwnedFd, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    openat2(root.as_fd(), path, how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_exec_finds_it() {
        let root = || nix::fcntl::open("/", OFlag::O_PATH, Mode::empty()).unwrap();
        let inside = |tree, directory: &str| ProgramSurroundings {
            tree,
            directory: StartDirectory::Inside(directory.into()),
            environment: None,
        };
        for inside in [inside(LookupRoot::Host, "/"), inside(LookupRoot::Below(root()), "/")] {
            let found = |name: &str, path: &str| {
                find(OsStr::new(name), OsStr::new(path), &inside).file().map(Path::to_owned)
            };
            assert_eq!(found("sh", "/nowhere:/bin"), Some(PathBuf::from("/bin/sh")));
            assert_eq!(found("/bin/sh", ""), Some(PathBuf::from("/bin/sh")));
            assert_eq!(found("bin/sh", ""), Some(PathBuf::from("bin/sh")));
            assert_eq!(found("sh", "/etc"), None);
            let why = |name: &str| find(OsStr::new(name), OsStr::new(""), &inside);
            assert!(matches!(why("/etc/passwd"), Lookup::Missing(why) if why.contains("cannot be run")));
            assert!(matches!(why("/etc"), Lookup::Missing(_)));
        }
        let elsewhere = inside(LookupRoot::Below(root()), "/etc");
        assert!(matches!(find(OsStr::new("bin/sh"), OsStr::new(""), &elsewhere), Lookup::Missing(_)));
        assert!(matches!(find(OsStr::new("../bin/sh"), OsStr::new(""), &elsewhere), Lookup::Found(_)));
    }
}
