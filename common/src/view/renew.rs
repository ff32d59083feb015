//! A new sysfs or procfs in the place of the old one.

use std::env;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use super::ViewError;
use crate::mountinfo::{Mount, mounts};
use crate::namespace::Kind;
use crate::sys;

/// A file system that shows every namespace something else.
#[derive(Debug)]
pub(super) struct FileSystem {
    name: &'static str,
    place: &'static str,
    /// Whose owner must permit the mount.
    of: Kind,
    /// Whether what is mounted below is the new one's too.
    keeps_below: bool,
}

pub(super) const SYS: FileSystem =
    FileSystem { name: "sysfs", place: "/sys", of: Kind::Net, keeps_below: true };
/// What is mounted below `/proc`, as binfmt_misc is, belongs to the host and to no process.
pub(super) const PROC: FileSystem =
    FileSystem { name: "proc", place: "/proc", of: Kind::Pid, keeps_below: false };

/// What is in the place now.
#[derive(Debug, PartialEq, Eq)]
struct Old {
    attributes: MountAttrFlags,
    /// Mount points that can be seen, those below other ones left out: they come along.
    below: Vec<PathBuf>,
}

/// Puts a new mount of the file system in the place of the old one, and gives the mount points that it lacks.
pub(super) fn renew(file_system: &FileSystem) -> Result<Vec<PathBuf>, ViewError> {
    let place = file_system.place;
    let old = look(place)?;
    let new = mounted(file_system, old.attributes)?;
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let below = old.below.into_iter().filter(|_| file_system.keeps_below);
    let below: Vec<_> = below.map(|path| (open_tree(CWD, &path, flags), path)).collect();
    let cwd = env::current_dir().ok().filter(|cwd| cwd.starts_with(place));
    // In a user namespace the old one is locked to its place (EINVAL), and the new one hides it.
    let _ = unmount(place, UnmountFlags::DETACH);
    put(&new, Path::new(place)).map_err(ViewError::io(place))?;
    let lost = below.into_iter().filter_map(|(tree, path)| {
        let kept = tree.and_then(|tree| put(&tree, &path));
        kept.is_err().then_some(path)
    });
    let lost = lost.collect();
    if let Some(cwd) = cwd {
        // Where we stand is still the old one, and a program that begins there would see the host's.
        env::set_current_dir(cwd)
            .or_else(|_| env::set_current_dir(place))
            .map_err(|source| ViewError::Io { what: place.to_owned(), source })?;
    }
    Ok(lost)
}

fn put(tree: &OwnedFd, at: &Path) -> rustix::io::Result<()> {
    move_mount(tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// A new mount that is nowhere yet.
///
/// EPERM has three reasons, and where it comes from tells them apart: too little power over the owner of our
/// mount namespace, or over the owner of what the file system shows (fsopen, create), or a view of more than we
/// have been shown (fsmount; `mount_too_revealing` in fs/namespace.c).
fn mounted(file_system: &FileSystem, attributes: MountAttrFlags) -> Result<OwnedFd, ViewError> {
    let denied = ViewError::denied_or_io(file_system.name, file_system.of);
    let context = fsopen(file_system.name, FsOpenFlags::FSOPEN_CLOEXEC).map_err(&denied)?;
    fsconfig_set_string(context.as_fd(), "source", file_system.name).map_err(&denied)?;
    fsconfig_create(context.as_fd()).map_err(&denied)?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(|errno| match errno {
        Errno::PERM => ViewError::Covered { file_system: file_system.name, place: file_system.place },
        errno => denied(errno),
    })
}

fn look(place: &'static str) -> Result<Old, ViewError> {
    let io = |source| ViewError::Io { what: place.to_owned(), source };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let top = open(place, flags, Mode::empty()).and_then(|directory| sys::mount_id(directory.as_fd()));
    // Files of /proc have no length: without room they would be read in many small pieces.
    let mut mountinfo = Vec::with_capacity(32 << 10);
    let read = File::open("/proc/self/mountinfo").and_then(|mut file| file.read_to_end(&mut mountinfo));
    read.map_err(io)?;
    Ok(Old::of(Path::new(place), top.map_err(|errno| io(errno.into()))?, &mountinfo))
}

impl Old {
    /// The old mount `top`, on which one stands at `place`; where nothing is mounted, that is somebody else's.
    fn of(place: &Path, top: u64, mountinfo: &[u8]) -> Self {
        let own = mounts(mountinfo).find(|mount| mount.id == top && mount.path() == place);
        let mut below: Vec<PathBuf> = mounts(mountinfo)
            .filter(|mount| mount.parent == top)
            .map(|mount| mount.path())
            .filter(|path| path != place && path.starts_with(place))
            .collect();
        // What is mounted on the same mount further down is hidden by what is mounted further up.
        below.sort();
        below.dedup_by(|path, above| path.starts_with(above));
        Old { attributes: own.map_or(MountAttrFlags::empty(), |mount| attributes(&mount)), below }
    }
}

/// The attributes of a mount, which a new one must have too: the kernel insists on it in user namespaces.
fn attributes(mount: &Mount<'_>) -> MountAttrFlags {
    let named = [
        ("nosuid", MountAttrFlags::MOUNT_ATTR_NOSUID),
        ("nodev", MountAttrFlags::MOUNT_ATTR_NODEV),
        ("noexec", MountAttrFlags::MOUNT_ATTR_NOEXEC),
        ("noatime", MountAttrFlags::MOUNT_ATTR_NOATIME),
        ("nodiratime", MountAttrFlags::MOUNT_ATTR_NODIRATIME),
        ("nosymfollow", MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW),
    ];
    let strict = !mount.has("noatime") && !mount.has("relatime");
    let found = named.into_iter().filter_map(|(option, flag)| mount.has(option).then_some(flag));
    found
        .chain(mount.is_read_only().then_some(MountAttrFlags::MOUNT_ATTR_RDONLY))
        .chain(strict.then_some(MountAttrFlags::MOUNT_ATTR_STRICTATIME))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 27 0:22 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 23 0:30 / /sys/fs/bpf rw - bpf bpf rw
34 23 0:31 / /sys/kernel rw - tmpfs tmpfs rw
35 23 0:32 / /sys/kernel/debug rw - debugfs debugfs rw
36 34 0:33 / /sys/kernel/mine rw - tmpfs tmpfs rw
40 27 0:40 / /systems rw - tmpfs tmpfs rw
";

    #[test]
    fn what_is_seen_below_is_kept_once_with_all_that_is_on_it() {
        let old = Old::of(Path::new("/sys"), 23, MOUNTINFO);
        assert_eq!(old.below, ["/sys/fs/bpf", "/sys/fs/cgroup", "/sys/kernel"].map(PathBuf::from));
        let expected = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        assert_eq!(old.attributes, expected);
    }

    #[test]
    fn where_nothing_is_mounted_the_attributes_of_the_root_do_not_count() {
        let old = Old::of(Path::new("/sys"), 27, b"27 1 254:0 / / ro - ext4 /dev/vda ro\n");
        assert_eq!(old, Old { attributes: MountAttrFlags::empty(), below: vec![] });
    }
}
