//! A new sysfs or procfs in the place of the old one.

use std::env;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use rustix::fs::{CWD, StatVfsMountFlags, statvfs};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use super::ViewError;
use crate::mountinfo::{self, mount_id, mounts};
use crate::namespace::NamespaceKind;

/// A file system that shows every namespace something else.
#[derive(Debug)]
pub(super) struct FileSystem {
    name: &'static str,
    place: &'static str,
    /// Whose owner must permit the mount.
    of: NamespaceKind,
    /// Whether what is mounted below is the new one's too.
    keeps_below: bool,
}

pub(super) const SYS: FileSystem =
    FileSystem { name: "sysfs", place: "/sys", of: NamespaceKind::Net, keeps_below: true };
/// What is mounted below `/proc`, as binfmt_misc is, belongs to the host and to no process.
pub(super) const PROC: FileSystem =
    FileSystem { name: "proc", place: "/proc", of: NamespaceKind::Pid, keeps_below: false };

/// Puts a new mount of the file system in the place of the old one, and gives the mount points that it lacks.
pub(super) fn renew(file_system: &FileSystem) -> Result<Vec<PathBuf>, ViewError> {
    let place = file_system.place;
    let new = mounted(file_system)?;
    let below = if file_system.keeps_below { below(place)? } else { Vec::new() };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_NO_AUTOMOUNT;
    let below: Vec<_> = below.into_iter().map(|path| (open_tree(CWD, &path, flags), path)).collect();
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
fn mounted(file_system: &FileSystem) -> Result<OwnedFd, ViewError> {
    let denied = ViewError::denied_or_io(file_system.name, file_system.of);
    let context = fsopen(file_system.name, FsOpenFlags::FSOPEN_CLOEXEC).map_err(&denied)?;
    fsconfig_set_string(context.as_fd(), "source", file_system.name).map_err(&denied)?;
    fsconfig_create(context.as_fd()).map_err(&denied)?;
    let attributes = attributes(file_system.place).map_err(ViewError::io(file_system.place))?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(|errno| match errno {
        Errno::PERM => ViewError::Covered { file_system: file_system.name, place: file_system.place },
        errno => denied(errno),
    })
}

/// The attributes of the old mount, which the new one must have too: it is not to permit more, and in user
/// namespaces the kernel insists on it.
fn attributes(place: &str) -> rustix::io::Result<MountAttrFlags> {
    let flags = statvfs(place)?.f_flag;
    let named = [
        (StatVfsMountFlags::RDONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (StatVfsMountFlags::NOSUID, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (StatVfsMountFlags::NODEV, MountAttrFlags::MOUNT_ATTR_NODEV),
        (StatVfsMountFlags::NOEXEC, MountAttrFlags::MOUNT_ATTR_NOEXEC),
        (StatVfsMountFlags::NOATIME, MountAttrFlags::MOUNT_ATTR_NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountAttrFlags::MOUNT_ATTR_NODIRATIME),
    ];
    let strict = !flags.intersects(StatVfsMountFlags::NOATIME | StatVfsMountFlags::RELATIME);
    let found = named.into_iter().filter_map(|(flag, attribute)| flags.contains(flag).then_some(attribute));
    Ok(found.chain(strict.then_some(MountAttrFlags::MOUNT_ATTR_STRICTATIME)).collect())
}

/// The mount points below the mount that one finds at `place`.
fn below(place: &'static str) -> Result<Vec<PathBuf>, ViewError> {
    let io = |source| ViewError::Io { what: place.to_owned(), source };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let top = open(place, flags, Mode::empty()).and_then(|directory| mount_id(directory.as_fd()));
    let mountinfo = mountinfo::own().map_err(io)?;
    Ok(seen_below(Path::new(place), top.map_err(|errno| io(errno.into()))?, &mountinfo))
}

/// The mount points on the mount `top` that can be seen, without those on them, which come along. Where nothing is
/// mounted at `place` itself, `top` is a mount further up.
fn seen_below(place: &Path, top: u64, mountinfo: &[u8]) -> Vec<PathBuf> {
    let on_it = mounts(mountinfo).filter(|mount| mount.parent == top).map(|mount| mount.path());
    let mut below: Vec<PathBuf> = on_it.filter(|path| path != place && path.starts_with(place)).collect();
    // What is mounted on the same mount further down is hidden by what is mounted further up.
    below.sort();
    below.dedup_by(|path, above| path.starts_with(above));
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_below_is_kept_once_with_all_that_is_on_it() {
        let mountinfo = b"\
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
        let seen = |top| seen_below(Path::new("/sys"), top, mountinfo);
        assert_eq!(seen(23), ["/sys/fs/bpf", "/sys/fs/cgroup", "/sys/kernel"].map(PathBuf::from));
        assert_eq!(seen(40), Vec::<PathBuf>::new());
        assert_eq!(seen(27), Vec::<PathBuf>::new());
    }
}
