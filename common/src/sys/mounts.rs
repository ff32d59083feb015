//! Attributes of mounts: mount_setattr(2).

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::Result;
use nix::errno::Errno;

/// What [`mount_setattr`] changes. `set` and `clear` are MOUNT_ATTR_* flags.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountAttributes<'fd> {
    /// What becomes so.
    pub set: u64,
    /// What is so no more.
    pub clear: u64,
    /// Of all mounts of the tree, and not of the first alone.
    pub recursive: bool,
    /// What is mounted in them later shows nowhere else.
    pub private: bool,
    /// Owners on disk are what this user namespace makes of them, and where it has no such ID they are nobody at all:
    /// MOUNT_ATTR_IDMAP. Only for mounts that are attached nowhere; EINVAL where the file system cannot do it.
    pub idmap: Option<BorrowedFd<'fd>>,
}

/// Changes the mounts behind `tree`.
///
/// Linux 5.12, [mount_setattr(2)](https://man7.org/linux/man-pages/man2/mount_setattr.2.html); ENOSYS before.
pub fn mount_setattr(tree: BorrowedFd<'_>, attributes: &MountAttributes<'_>) -> Result<()> {
    let &MountAttributes { set, clear, recursive, private, idmap } = attributes;
    let attr = libc::mount_attr {
        attr_set: set | idmap.map_or(0, |_| libc::MOUNT_ATTR_IDMAP),
        attr_clr: clear,
        propagation: if private { libc::MS_PRIVATE } else { 0 },
        userns_fd: idmap.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned())),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    set_attributes(tree.as_raw_fd(), flags, Some(&attr))
}

/// Whether the kernel has mount_setattr(2): without a descriptor and attributes it refuses with EINVAL, if it has it.
pub fn has_mount_setattr() -> bool {
    set_attributes(-1, 0, None) != Err(Errno::ENOSYS)
}

fn set_attributes(tree: RawFd, flags: c_int, attributes: Option<&libc::mount_attr>) -> Result<()> {
    let pointer = attributes.map_or(std::ptr::null(), std::ptr::from_ref);
    let bytes = attributes.map_or(0, size_of_val);
    // SAFETY: the path is an empty NUL-terminated string, and the kernel reads one struct of the size that it is told, which
    // is 0 for null; both outlive the call.
    let done = unsafe { libc::syscall(libc::SYS_mount_setattr, tree, c"".as_ptr(), flags, pointer, bytes) };
    Errno::result(done).map(drop)
}
