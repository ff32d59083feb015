//! What goes into a container beside the host's tree: a link for each program of the host, and the loader.
//!
//!     host/             where the host's tree is mounted: directories for its parts, and small files and links of it
//!     program           a copy of nsenter-rs itself, if a root without libraries can run it
//!     bin/NAME          -> ../program, for each program on the caller's $PATH
//!     loader/program    the copy of the loader
//!     loader/bin/       empty: bin/ is mounted here again, and in here ../program is the loader; that is how
//!                       the kernel calls a process by its program's name, and not by the loader's
//!     loader/N          copies of other loaders that programs on $PATH have
//!     static/N/NAME     copies of static programs on $PATH
//!     alone/program     empty: a static program that is no child is mounted here, of any size
//!     alone/bin/        as loader/bin/
//!     empty/            mounted over what is not to be seen of the host
//!     host-tools.json          what the programs have to know
//!
//! All that is executed is a copy of mode 0711, on a mount on which nobody is its owner: whoever runs a file that it may
//! not read is not dumpable, and so are its children that are started alike (would_dump in the kernel's fs/exec.c).
//! Nobody opens its `/proc/PID/root`, memory or descriptors then without CAP_SYS_PTRACE over the user namespace that the
//! machine began with.
//!
//! A thousand links take milliseconds to make, so they are made once, below `/run`, and again when a directory of
//! $PATH or the loader has changed. Who may not write there makes them in memory every time.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
use serde::{Deserialize, Serialize};

use super::elf::Elf;
use super::loader::Loader;
use super::parts::Parts;
use super::root::{Root, below};
use super::special::Special;
use super::tree::{NODEV, NOEXEC, NOSUID, RDONLY, private};

/// Where kits are kept until the machine is booted again.
const KEPT: &str = "/run/netns-toolbox/host-tools";
/// The file that a static program by itself is mounted over.
pub const ALONE: &str = "alone/program";
/// The mode of what may be executed and not read.
pub const UNREADABLE: u32 = 0o711;
/// Old ones that are left alone, for a shell that was started with one still finds its programs there.
const LEFT: usize = 4;
/// After this everybody makes a kit of its own.
const LONGEST_TURN: Duration = Duration::from_secs(5);
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
    /// Those that other programs have, in the order of their files.
    pub others: Vec<Loader>,
    /// The static programs of which there is a copy, in the same order.
    pub statics: Vec<PathBuf>,
    /// Whether nothing else may be executed, for it would be dumpable.
    pub fenced: bool,
    /// Whether children find the host's programs.
    pub for_children: bool,
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
        path: &[PathBuf],
        libraries: &[PathBuf],
        interpreter: Option<&Path>,
        parts: Option<&Parts>,
    ) -> io::Result<Self> {
        let making = Making { root, path, libraries, interpreter, parts };
        kept(&making, &stamp(&making)).or_else(|_| in_memory(&making))
    }
}

/// What a kit is made of.
struct Making<'a> {
    root: &'a Root,
    path: &'a [PathBuf],
    libraries: &'a [PathBuf],
    interpreter: Option<&'a Path>,
    /// What is shown of the host, where that is not all.
    parts: Option<&'a Parts>,
}

/// What a kit depends on; another stamp is another kit.
fn stamp(&Making { root, path, libraries, interpreter, parts }: &Making<'_>) -> String {
    let configuration = Path::new("/etc/ld.so.conf.d");
    let files = root.names(configuration).into_iter().map(|name| configuration.join(name));
    let fixed = ["/etc/ld.so.conf", "/etc/ld.so.conf.d"].map(PathBuf::from);
    let shown = parts.iter().flat_map(|parts| parts.files.iter().cloned());
    let all = path.iter().cloned().chain(fixed).chain(files).chain(interpreter.map(Path::to_owned));
    let all = all.chain(shown);
    let mut stamp = format!("{} {libraries:?} {parts:?}\n", env!("CARGO_PKG_VERSION"));
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
fn kept(making: &Making<'_>, stamp: &str) -> io::Result<Kit> {
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
    let contents = std::fs::read(directory.join("host-tools.json"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, &directory, flags)?;
    sys::mount_setattr(
        mount.as_fd(),
        &MountAttributes { clear: NOEXEC, ..private(RDONLY | NOSUID | NODEV) },
    )?;
    Ok(Kit { mount, contents: serde_json::from_slice(&contents)? })
}

/// Of many who begin at once one makes the kit, and the others wait for it: it is the work of milliseconds. Who is stopped
/// at it keeps nobody waiting for long.
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

fn keep(making: &Making<'_>, stamp: &str, name: &str) -> io::Result<PathBuf> {
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

/// Fills an empty directory.
fn furnish(at: BorrowedFd<'_>, making: &Making<'_>) -> io::Result<Contents> {
    let Making { root, path, libraries, interpreter, parts } = making;
    // Whatever the caller's umask: in a user namespace we are somebody else's others.
    fs::chmodat(at, ".", Mode::from_raw_mode(0o755), AtFlags::empty())?;
    for directory in ["host", "bin", "loader", "loader/bin", "static", "alone/bin", "empty"] {
        directory_at(at, Path::new(directory))?;
    }
    write(at, ALONE, b"", 0o644)?;
    let for_children = copy_ourselves(at)?;
    let mut seen = HashSet::<OsString>::new();
    for directory in *path {
        for name in root.names(directory) {
            if seen.insert(name.clone()) {
                fs::symlinkat("../program", at, below(&Path::new("/bin").join(&name)))?;
            }
        }
    }
    let loader = interpreter.map(|interpreter| Loader::read(root, interpreter, libraries)).transpose()?;
    if let Some((_, copy)) = &loader {
        write(at, "loader/program", copy, UNREADABLE)?;
    }
    let loader = loader.map(|(loader, _)| loader);
    let special = match parts {
        Some(_) => Special::on(root, path, loader.as_ref()),
        None => Special::default(),
    };
    let mut others = Vec::new();
    for (number, file) in special.loaders.iter().enumerate() {
        let (other, copy) = Loader::read(root, file, libraries)?;
        write(at, format!("loader/{number}"), &copy, UNREADABLE)?;
        others.push(other);
    }
    for (number, file) in special.statics.iter().enumerate() {
        let copy = static_copy(number, file);
        directory_at(at, copy.parent().unwrap_or(&copy))?;
        write(at, copy, &root.read(file)?, UNREADABLE)?;
    }
    if let Some(parts) = parts {
        lay_out(at, root, parts)?;
    }
    let contents = Contents {
        path: path.to_vec(),
        libraries: libraries.to_vec(),
        loader,
        others,
        statics: special.statics,
        fenced: parts.is_some(),
        for_children,
    };
    #[expect(clippy::disallowed_methods, reason = "a file of state")]
    let state = serde_json::to_vec(&contents)?;
    write(at, "host-tools.json", &state, 0o644)?;
    Ok(contents)
}

/// Where the copy of a static program is.
pub fn static_copy(number: usize, file: &Path) -> PathBuf {
    Path::new("static").join(number.to_string()).join(file.file_name().unwrap_or_default())
}

/// Our own program, if a root without libraries can run it; whether it can.
fn copy_ourselves(at: BorrowedFd<'_>) -> io::Result<bool> {
    let mut ourselves = File::open("/proc/self/exe")?;
    let is_static = Elf::read(&ourselves)?.interpreter.is_none();
    if is_static {
        let mut bytes = Vec::new();
        ourselves.read_to_end(&mut bytes)?;
        write(at, "program", &bytes, UNREADABLE)?;
    }
    Ok(is_static)
}

/// What stands in the host's tree beside what is mounted there, and the directories to mount on.
fn lay_out(at: BorrowedFd<'_>, root: &Root, parts: &Parts) -> io::Result<()> {
    let place = |path: &Path| Path::new("host").join(below(path));
    let parent = |path: &Path| directory_at(at, path.parent().unwrap_or(path));
    for directory in &parts.directories {
        directory_at(at, &place(directory))?;
    }
    for (link, target) in &parts.links {
        parent(&place(link))?;
        fs::symlinkat(target, at, place(link))?;
    }
    for file in &parts.files {
        parent(&place(file))?;
        let mut bytes = Vec::new();
        root.file(file)?.read_to_end(&mut bytes)?;
        let mode = if root.stat(file)?.st_mode & 1 == 0 { 0o644 } else { 0o755 };
        write(at, place(file), &bytes, mode)?;
    }
    Ok(())
}

/// A directory with all above it, that every user may search.
fn directory_at(at: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let mut above: Vec<&Path> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    above.reverse();
    for directory in above {
        match fs::mkdirat(at, directory, Mode::RWXU) {
            Err(Errno::EXIST) => {}
            made => {
                made?;
                fs::chmodat(at, directory, Mode::from_raw_mode(0o755), AtFlags::empty())?;
            }
        }
    }
    Ok(())
}

fn write(at: BorrowedFd<'_>, name: impl AsRef<Path>, bytes: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = fs::openat(at, name.as_ref(), flags, Mode::RUSR | Mode::WUSR)?;
    fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    File::from(file).write_all(bytes)
}

impl Contents {
    /// What is executed in there, by its path in the kit.
    pub fn executables(&self) -> Vec<PathBuf> {
        let statics = self.statics.iter().enumerate().map(|(number, file)| static_copy(number, file));
        let others = (0..self.others.len()).map(|number| Path::new("loader").join(number.to_string()));
        let ourselves = self.for_children.then(|| PathBuf::from("program"));
        let loader = self.loader.as_ref().map(|_| PathBuf::from("loader/program"));
        ourselves.into_iter().chain(loader).chain(others).chain(statics).collect()
    }
}
