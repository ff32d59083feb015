//! Where in the container's root the kit is mounted.
//!
//! The mount is in a private copy of the container's mounts, so no other process sees it; but the directory below it is
//! the container's. The kernel lets a process that may rename or remove a directory do so although it is a mount point in
//! another mount namespace (Linux 3.18), and the mount goes with it. A container could then put another directory
//! in its place, with programs of its own for us to run. So it must be a directory that the container cannot move.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags};

/// Directories that the kernel itself made, by the file system they must be in: sysfs and proc, linux/magic.h.
/// Programs rarely use these, and engines hide some of them anyway.
const OF_THE_KERNEL: [(&str, &str, u64); 5] = [
    ("/sys", "/sys/firmware", 0x6265_6572),
    ("/sys", "/sys/kernel/debug", 0x6265_6572),
    ("/sys", "/sys/hypervisor", 0x6265_6572),
    ("/proc", "/proc/driver", 0x9fa0),
    ("/proc", "/proc/fs", 0x9fa0),
];
/// A directory to mount on, and the path below which the mount is found.
#[derive(Debug)]
pub struct KitPlace {
    pub directory: OwnedFd,
    pub path: PathBuf,
}

impl KitPlace {
    /// Looks for one in our root.
    pub fn find() -> Option<Self> {
        let of_the_kernel = OF_THE_KERNEL.iter().find_map(|&(top, path, magic)| {
            let magic_of = |fd: OwnedFd| fs::fstatfs(fd).ok().map(|stat| stat.f_type as u64);
            (magic_of(open(top)?) == Some(magic)).then(|| KitPlace::at(path)).flatten()
        });
        of_the_kernel.or_else(empty_and_lasting)
    }

    fn at(path: impl AsRef<Path>) -> Option<Self> {
        Some(KitPlace { directory: open(path.as_ref())?, path: path.as_ref().to_owned() })
    }
}

/// The directory at `path`, if no symbolic link is on the way.
fn open(path: impl AsRef<Path>) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::openat2(CWD, path.as_ref(), flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok()
}

/// An empty directory in the root that can neither be renamed nor removed, because that is mounted read-only.
fn empty_and_lasting() -> Option<KitPlace> {
    let read_only =
        |path: &Path| fs::statvfs(path).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY));
    let is_empty = |path: &Path| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    let root = Path::new("/");
    let entries = std::fs::read_dir(root).ok().filter(|_| read_only(root))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| root.join(entry.file_name())).collect();
    names.sort();
    names.into_iter().filter(|path| read_only(path) && is_empty(path)).find_map(KitPlace::at)
}
