//! What goes into a container beside the host's tree, and where it is kept; [`super::furnish`] says what is in it.
//!
//! All that is executed is a copy of mode 0711, on a mount on which it has no known owner: a process that runs a file that
//! it may not read is not dumpable, and so are its children that are started alike (would_dump in the kernel's fs/exec.c).
//! Then opening its `/proc/PID/root`, memory or descriptors requires CAP_SYS_PTRACE over the user namespace that the
//! machine began with.
//!
//! A thousand links take milliseconds to make, so they are made once, below `/run`, and again when a directory of
//! $PATH, of the libraries or the loader has changed. A user that may not write there makes them in memory every time.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::sys::{self, MountAttributes};
use rustix::fs::{self, AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, open_tree,
};
use rustix::process::geteuid;

use super::furnish::{CONTENTS, Contents, KitSpec, furnish, write};
use super::loader::ld_so_conf;
use super::parts::Parts;
use super::root::Root;
use super::tree::{NODEV, NOEXEC, NOSUID, RDONLY, private};

/// Where kits are kept until the machine is booted again.
const KEPT: &str = "/run/netns-toolbox/host-tools";
/// Counted up when something else is in a kit.
const LAYOUT: u32 = 6;
/// Old ones that are left alone, for a shell that was started with one still finds its programs there.
const LEFT: usize = 4;
/// After this each process makes a kit of its own.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// After this an unfinished one is abandoned: making one takes milliseconds.
const ABANDONED: Duration = Duration::from_secs(600);

/// A kit as a read-only mount that is attached nowhere yet.
#[derive(Debug)]
pub struct Kit {
    pub mount: OwnedFd,
    pub contents: Contents,
}

/// Whether a kit stays for the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KitLifetime {
    /// Below `/run`.
    Kept,
    /// It is only to be seen whether it can be made.
    Tried,
}

impl Kit {
    /// The kit for what is on `path`, with the loader at `interpreter`.
    ///
    /// # Errors
    /// What the kernel says where a tmpfs cannot be had either.
    pub fn open(
        root: &Root,
        path: &[PathBuf],
        libraries: &[PathBuf],
        interpreter: Option<&Path>,
        parts: Option<&Parts>,
        keep: KitLifetime,
    ) -> io::Result<Self> {
        let making = KitSpec { root, path, libraries, interpreter, parts };
        if keep == KitLifetime::Tried {
            return in_memory(&making);
        }
        kept(&making, &stamp(&making)).or_else(|_| in_memory(&making))
    }
}

/// Where libraries come and go, beside what ld.so.conf(5) says; the links among them lead through `/etc/alternatives`.
const LIBRARIES: [&str; 5] = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/etc/alternatives"];

/// What a kit depends on; another stamp is another kit.
fn stamp(&KitSpec { root, path, libraries, interpreter, parts }: &KitSpec<'_>) -> String {
    let configuration = Path::new("/etc/ld.so.conf.d");
    let files = root.names(configuration).into_iter().map(|name| configuration.join(name));
    let fixed = ["/etc/ld.so.conf", "/etc/ld.so.conf.d"].map(PathBuf::from);
    let shown = parts.iter().flat_map(|parts| parts.files.iter().cloned());
    let loaders = interpreter.into_iter().filter_map(|file| root.canonical(file).ok());
    // Its directory is one of those that are built into the loader.
    let loaders = loaders.flat_map(|file| [file.parent().map(Path::to_owned), Some(file)]).flatten();
    let configured = ld_so_conf(root).into_iter().chain(LIBRARIES.map(PathBuf::from));
    let all = path.iter().cloned().chain(fixed).chain(files).chain(loaders).chain(configured).chain(shown);
    let mut stamp = format!("{} {LAYOUT} {libraries:?} {parts:?}\n", env!("CARGO_PKG_VERSION"));
    // A copy of ourselves is in it.
    if let Ok(stat) = fs::stat("/proc/self/exe") {
        let _ = writeln!(stamp, "{}:{} {} {}", stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_nsec);
    }
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
fn kept(making: &KitSpec<'_>, stamp: &str) -> io::Result<Kit> {
    let mut hasher = DefaultHasher::new();
    stamp.hash(&mut hasher);
    let name = format!("{:016x}", hasher.finish());
    let all = Path::new(KEPT);
    let there = || ours(all).is_ok() && is_kit(&all.join(&name), stamp);
    let directory = match there() {
        true => all.join(&name),
        false => {
            let turn = turn(all, &there)?;
            let directory = if there() { all.join(&name) } else { keep(making, stamp, &name)? };
            drop(turn);
            directory
        }
    };
    let contents = std::fs::read(directory.join(CONTENTS))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, &directory, flags)?;
    sys::mount_setattr(
        mount.as_fd(),
        &MountAttributes { clear: NOEXEC, ..private(RDONLY | NOSUID | NODEV) },
    )?;
    Ok(Kit { mount, contents: serde_json::from_slice(&contents)? })
}

/// Of many processes that begin at once, one makes the kit and the others wait for it: it takes milliseconds. If that one is
/// stopped, the others do not wait long.
fn turn(all: &Path, there: &dyn Fn() -> bool) -> io::Result<OwnedFd> {
    make_directories(all)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = fs::openat(CWD, all, flags, Mode::empty())?;
    let begun = Instant::now();
    while fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_err()
        && begun.elapsed() < LONGEST_TURN
        && !there()
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(directory)
}

fn make_directories(all: &Path) -> io::Result<()> {
    for directory in [all.parent().unwrap_or(all), all] {
        match fs::mkdir(directory, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => ours(directory)?,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn is_kit(directory: &Path, stamp: &str) -> bool {
    let found = ours(directory).and_then(|()| std::fs::read_to_string(directory.join("stamp")));
    found.is_ok_and(|found| found == stamp)
}

fn keep(making: &KitSpec<'_>, stamp: &str, name: &str) -> io::Result<PathBuf> {
    let all = Path::new(KEPT);
    make_directories(all)?;
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
        // Another process was faster; or what is there is not to be trusted, as its stamp was not ours.
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
fn in_memory(making: &KitSpec<'_>) -> io::Result<Kit> {
    let mount = memory()?;
    let contents = furnish(mount.as_fd(), making)?;
    sys::mount_setattr(mount.as_fd(), &private(RDONLY))?;
    Ok(Kit { mount, contents })
}

fn memory() -> io::Result<OwnedFd> {
    let filesystem = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(filesystem.as_fd(), "mode", "755")?;
    fsconfig_create(filesystem.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(filesystem.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}
