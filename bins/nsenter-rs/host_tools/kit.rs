//! What goes into a container beside the host's tree: a link for each program of the host, and the loader.
//!
//!     host/             empty: the host's tree is mounted here
//!     program           empty: nsenter-rs itself is mounted here
//!     bin/NAME          -> ../program, for each program on the caller's $PATH
//!     loader/program    the copy of the loader
//!     loader/bin/       empty: bin/ is mounted here again, and in here ../program is the loader; that is how
//!                       the kernel calls a process by its program's name, and not by the loader's
//!     empty/            mounted over what is not to be seen of the host
//!     host-tools.json          what the programs have to know
//!
//! A thousand links take milliseconds to make, so they are made once, below `/run`, and again when a directory of
//! $PATH or the loader has changed. Who may not write there makes them in memory every time.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::sys;
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, open_tree,
};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use super::loader::Loader;
use super::program::directories;
use super::root::{Root, below};
use super::tree::{NODEV, NOEXEC, NOSUID, RDONLY};

/// Where kits are kept until the machine is booted again.
const KEPT: &str = "/run/netns-toolbox/host-tools";
/// Old ones that are left alone, for a shell that was started with one still finds its programs there.
const LEFT: usize = 4;
/// After this nobody is at work any more on one that is unfinished: it takes milliseconds.
const ABANDONED: Duration = Duration::from_secs(600);

/// What the programs in a container have to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contents {
    /// The host's directories in which programs are looked up.
    pub path: Vec<PathBuf>,
    /// Those of the caller's $LD_LIBRARY_PATH.
    pub libraries: Vec<PathBuf>,
    /// The loader that is there; none on a host without any.
    pub loader: Option<Loader>,
}

/// A kit as a mount that is attached nowhere yet, and that nobody can write to.
#[derive(Debug)]
pub struct Kit {
    pub mount: OwnedFd,
    pub contents: Contents,
}

impl Kit {
    /// The kit for what is on `path`, with the loader at `interpreter`.
    ///
    /// # Errors
    /// What the kernel says where a tmpfs cannot be had either.
    pub fn open(
        root: &Root,
        path: &OsStr,
        libraries: &OsStr,
        interpreter: Option<&Path>,
    ) -> io::Result<Self> {
        let canonical =
            |list| directories(list).filter_map(|directory| root.canonical(&directory).ok()).collect();
        let plan = Making { root, path: canonical(path), libraries: canonical(libraries), interpreter };
        kept(&plan, &stamp(&plan)).or_else(|_| in_memory(&plan))
    }
}

/// What a kit is made of.
struct Making<'a> {
    root: &'a Root,
    path: Vec<PathBuf>,
    libraries: Vec<PathBuf>,
    interpreter: Option<&'a Path>,
}

/// What a kit depends on; another stamp is another kit.
fn stamp(&Making { root, ref path, ref libraries, interpreter }: &Making<'_>) -> String {
    let configuration = Path::new("/etc/ld.so.conf.d");
    let files = root.names(configuration).into_iter().map(|name| configuration.join(name));
    let fixed = ["/etc/ld.so.conf", "/etc/ld.so.conf.d"].map(PathBuf::from);
    let all = path.iter().cloned().chain(fixed).chain(files).chain(interpreter.map(Path::to_owned));
    let mut stamp = format!("{} {libraries:?}\n", env!("CARGO_PKG_VERSION"));
    for file in all {
        // Writing to a String cannot fail.
        let _ = match root.stat(&file) {
            Ok(stat) => writeln!(
                stamp,
                "{file:?} {}:{} {}.{} {}.{}",
                stat.st_dev,
                stat.st_ino,
                stat.st_mtime,
                stat.st_mtime_nsec,
                stat.st_ctime,
                stat.st_ctime_nsec
            ),
            Err(_) => writeln!(stamp, "{file:?}"),
        };
    }
    stamp
}

/// The kit below `/run`, made if it is not there.
fn kept(making: &Making<'_>, stamp: &str) -> io::Result<Kit> {
    let mut hasher = DefaultHasher::new();
    stamp.hash(&mut hasher);
    let name = format!("{:016x}", hasher.finish());
    let all = Path::new(KEPT);
    let directory = match ours(all).is_ok() && is_kit(&all.join(&name), stamp) {
        true => all.join(&name),
        false => keep(making, stamp, &name)?,
    };
    let contents = std::fs::read(directory.join("host-tools.json"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, &directory, flags)?;
    sys::mount_setattr_private(mount.as_fd(), RDONLY | NOSUID | NODEV, NOEXEC)?;
    Ok(Kit { mount, contents: serde_json::from_slice(&contents)? })
}

fn is_kit(directory: &Path, stamp: &str) -> bool {
    let found = ours(directory).and_then(|()| std::fs::read_to_string(directory.join("stamp")));
    found.is_ok_and(|found| found == stamp)
}

fn keep(making: &Making<'_>, stamp: &str, name: &str) -> io::Result<PathBuf> {
    let all = Path::new(KEPT);
    for directory in [all.parent().unwrap_or(all), all] {
        match fs::mkdir(directory, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => ours(directory)?,
            Err(errno) => return Err(errno.into()),
        }
    }
    let unfinished = all.join(format!("{name}.{}", std::process::id()));
    // Left by one that was killed, whose PID is now ours.
    let _ = std::fs::remove_dir_all(&unfinished);
    fs::mkdir(&unfinished, Mode::RWXU)?;
    let directory =
        fs::openat(CWD, &unfinished, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let made = furnish(directory.as_fd(), making)
        .and_then(|_| write(directory.as_fd(), "stamp", stamp.as_bytes(), 0o644));
    let finished = all.join(name);
    let made = made.and_then(|()| match fs::rename(&unfinished, &finished) {
        // Somebody else was faster; or what is there is not to be trusted, as its stamp was not ours.
        Err(_) if is_kit(&finished, stamp) => Ok(std::fs::remove_dir_all(&unfinished)?),
        renamed => Ok(renamed?),
    });
    if let Err(error) = made {
        let _ = std::fs::remove_dir_all(&unfinished);
        return Err(error);
    }
    forget_oldest(all);
    Ok(finished)
}

/// Only root of this place writes to a directory that we believe.
fn ours(directory: &Path) -> io::Result<()> {
    let stat = fs::statat(CWD, directory, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_directory = fs::FileType::from_raw_mode(stat.st_mode) == fs::FileType::Directory;
    match is_directory && stat.st_uid == geteuid().as_raw() && stat.st_mode & 0o022 == 0 {
        true => Ok(()),
        false => Err(Errno::PERM.into()),
    }
}

/// Others may be making, using and forgetting kits at the same time: what changes is looked at once, and what may be in
/// the making is left alone.
fn forget_oldest(all: &Path) {
    let Ok(entries) = std::fs::read_dir(all) else { return };
    let changed = |entry: std::fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let entries = entries.filter_map(|entry| changed(entry.ok()?));
    let (unfinished, mut finished): (Vec<_>, Vec<_>) =
        entries.partition(|(_, path)| path.extension().is_some());
    finished.sort();
    let abandoned =
        unfinished.into_iter().filter(|(changed, _)| changed.elapsed().is_ok_and(|age| age > ABANDONED));
    for (_, path) in finished.into_iter().rev().skip(LEFT + 1).chain(abandoned) {
        let _ = std::fs::remove_dir_all(path);
    }
}

/// A kit on a tmpfs of its own, gone with the program.
fn in_memory(making: &Making<'_>) -> io::Result<Kit> {
    let filesystem = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(filesystem.as_fd(), "mode", "755")?;
    fsconfig_create(filesystem.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = fsmount(filesystem.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let contents = furnish(mount.as_fd(), making)?;
    sys::mount_setattr_private(mount.as_fd(), RDONLY, 0)?;
    Ok(Kit { mount, contents })
}

/// Fills an empty directory.
fn furnish(at: BorrowedFd<'_>, making: &Making<'_>) -> io::Result<Contents> {
    let Making { root, path, libraries, interpreter } = making;
    // Whatever the caller's umask: in a user namespace we are somebody else's others.
    fs::chmodat(at, ".", Mode::from_raw_mode(0o755), AtFlags::empty())?;
    for directory in ["host", "bin", "loader", "loader/bin", "empty"] {
        fs::mkdirat(at, directory, Mode::RWXU)?;
        fs::chmodat(at, directory, Mode::from_raw_mode(0o755), AtFlags::empty())?;
    }
    write(at, "program", b"", 0o755)?;
    let mut seen = std::collections::HashSet::<OsString>::new();
    for directory in path {
        for name in root.names(directory) {
            if seen.insert(name.clone()) {
                fs::symlinkat("../program", at, below(&Path::new("/bin").join(&name)))?;
            }
        }
    }
    let loader = interpreter.map(|interpreter| Loader::read(root, interpreter, libraries)).transpose()?;
    if let Some((_, copy)) = &loader {
        write(at, "loader/program", copy, 0o755)?;
    }
    let loader = loader.map(|(loader, _)| loader);
    let contents = Contents { path: path.clone(), libraries: libraries.clone(), loader };
    #[expect(clippy::disallowed_methods, reason = "a file of state")]
    let state = serde_json::to_vec(&contents)?;
    write(at, "host-tools.json", &state, 0o644)?;
    Ok(contents)
}

fn write(at: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = fs::openat(at, name, flags, Mode::RUSR | Mode::WUSR)?;
    fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    std::fs::File::from(file).write_all(bytes)
}
