//! Where a directory is: at our root, below another one, in which tree.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fstat};

pub const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// What tells one place from all others. The same directory may be mounted twice, with other mounts below it, so its
/// inode alone does not.
type DirectoryId = (Option<(u64, u64)>, Option<u64>);

fn identity(fd: &OwnedFd) -> DirectoryId {
    let inode = fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    (inode, common::mountinfo::mount_id(fd.as_fd()).ok())
}

/// Whether the directory is another place than our root.
pub fn is_not_our_root(root: &OwnedFd) -> bool {
    open("/", DIRECTORY, Mode::empty()).map_or(true, |ours| identity(root) != identity(&ours))
}

/// Whether the directory is `root` or below it; both are of others' trees, in which our own root ends nothing.
pub fn is_below(directory: &OwnedFd, root: &OwnedFd) -> bool {
    let root = identity(root);
    climb(directory, |at| identity(at) == root).is_none()
}

/// The top of the tree that the directory is in: the root of its mount namespace, whatever root its process has.
pub fn top(directory: &OwnedFd) -> Option<OwnedFd> {
    climb(directory, |_| false)
}

/// Goes up until it is `there`, or else to where nothing is above: that directory.
fn climb(from: &OwnedFd, there: impl Fn(&OwnedFd) -> bool) -> Option<OwnedFd> {
    /// As deep as a path can be (PATH_MAX).
    const DEEPEST: usize = 2048;
    let mut at = from.try_clone().ok()?;
    for _ in 0..DEEPEST {
        if there(&at) {
            return None;
        }
        let above = openat(&at, "..", DIRECTORY, Mode::empty()).ok()?;
        if identity(&above) == identity(&at) {
            break;
        }
        at = above;
    }
    Some(at)
}
