//! Whether a directory is the root that we have.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};

/// Whether the directory is another place than our root. The same directory may be mounted twice, with other
/// mounts below it, so its inode alone does not tell.
pub fn is_not_our_root(root: &OwnedFd) -> bool {
    let Ok(ours) = open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()) else {
        return true;
    };
    let place = |fd: &OwnedFd| {
        let inode = fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).ok();
        (inode, common::sys::mount_id(fd.as_fd()).ok())
    };
    place(root) != place(&ours)
}
