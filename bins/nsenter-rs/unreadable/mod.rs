//! Files that no user can read and every user can execute. A process that runs one is undumpable, and so are all its
//! children: exec(2) checks of the program *and* of its loader whether the caller may read them, and where it may not, the
//! process's `/proc/PID` can be opened only with CAP_SYS_PTRACE over the user namespace of the mount (`would_dump` in
//! fs/exec.c, ptrace(2)). What the program drops later, which user it becomes and what it runs changes nothing about that.
//!
//! Mode 0711 alone does not do it, for root may read all. On an id-mapped mount whose user namespace has none of the IDs
//! on disk the file has no known owner, and there even CAP_DAC_OVERRIDE has no effect
//! (`privileged_wrt_inode_uidgid` in kernel/capability.c).

mod error;
pub mod nobody;

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::sys::{self, MountAttributes};
use common::view::PrivateMounts;
use rustix::fs::{CWD, Mode, OFlags, fchmod, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

pub use error::UnreadableError;

/// MOUNT_ATTR_RDONLY, _NOSUID, _NODEV and _NOEXEC, linux/mount.h.
pub const RDONLY: u64 = 0x1;
pub const NOSUID: u64 = 0x2;
pub const NODEV: u64 = 0x4;
pub const NOEXEC: u64 = 0x8;

/// A directory that every host has, and from which nothing is read while the tmpfs is mounted there.
const MOUNT_POINT: &str = "/etc";

/// What makes files unreadable: a user namespace without any ID on disk, and a tmpfs for copies.
#[derive(Debug)]
pub struct Unreadable {
    nobody: OwnedFd,
    /// A tmpfs that is attached nowhere; none where there can be none.
    tmpfs: Option<OwnedFd>,
    copies: u32,
}

impl Unreadable {
    /// Makes that user namespace. It takes a `/proc` of our own PID namespace, and so it comes before anything is joined.
    ///
    /// # Errors
    /// `NoUserNamespace`, and what the kernel says.
    pub fn prepare() -> Result<Self, UnreadableError> {
        Ok(Unreadable::of(nobody::nobody()?))
    }

    pub fn of(nobody: OwnedFd) -> Self {
        Unreadable { nobody, tmpfs: tmpfs().ok(), copies: 0 }
    }

    /// Does `work` while the tmpfs is attached in our mount namespace, which is private:
    /// before Linux 6.15 nothing else can be copied.
    pub fn attached<T>(
        nobody: OwnedFd,
        _: &PrivateMounts,
        work: impl FnOnce(&mut Self) -> Result<T, UnreadableError>,
    ) -> Result<T, UnreadableError> {
        let error = |errno: Errno| UnreadableError::of_copying(errno.into());
        let tmpfs = tmpfs().map_err(error)?;
        move_mount(&tmpfs, "", CWD, MOUNT_POINT, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(error)?;
        let done = work(&mut Unreadable { nobody, tmpfs: Some(tmpfs), copies: 0 });
        unmount(MOUNT_POINT, UnmountFlags::DETACH).map_err(error)?;
        done
    }

    /// Makes the owner of every file of `tree` nobody, in all of its mounts, which are attached nowhere yet; `set` are
    /// MOUNT_ATTR_* flags that they get too, and nothing that is mounted in them shows elsewhere. What only its owner
    /// may read cannot be read through it any more, nothing written, and no set-user-ID bit or file capability counts.
    ///
    /// # Errors
    /// `FileSystem` where one of them refuses; `NotPermitted` without CAP_SYS_ADMIN over its user namespace;
    /// `OldKernel` before Linux 5.12.
    pub fn idmap(&self, tree: BorrowedFd<'_>, set: u64) -> Result<(), UnreadableError> {
        let idmap = Some(self.nobody.as_fd());
        let attributes = MountAttributes { set, clear: 0, recursive: true, private: true, idmap };
        sys::mount_setattr(tree, &attributes).map_err(UnreadableError::of_mapping)
    }

    /// Tries it with a tmpfs that is empty, and attached nowhere.
    ///
    /// # Errors
    /// `FileSystem` before Linux 6.3, and as [`Self::idmap`].
    pub fn can_map(&self) -> Result<(), UnreadableError> {
        self.idmap(tmpfs().map_err(|errno| UnreadableError::of_copying(errno.into()))?.as_fd(), 0)
    }

    /// A copy of `file` as a mount of its own that is attached nowhere yet: of `mode`, read-only, and owned by nobody.
    ///
    /// # Errors
    /// `NotCopied` before Linux 6.15, where the tmpfs is attached nowhere; `FileSystem` before Linux 6.3, wherever it is;
    /// `OldKernel`, `NotPermitted`, or what the kernel says.
    pub fn copy(&mut self, file: &mut File, mode: u32) -> Result<OwnedFd, UnreadableError> {
        let tmpfs = self.tmpfs.as_ref().ok_or(UnreadableError::NotPermitted)?;
        self.copies += 1;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut written = || {
            let copy = openat(tmpfs, self.copies.to_string(), flags, Mode::RUSR | Mode::WUSR)?;
            let mut copy = File::from(copy);
            file.rewind()?;
            io::copy(file, &mut copy)?;
            // Whatever the caller's umask.
            fchmod(&copy, Mode::from_raw_mode(mode))?;
            Ok::<_, io::Error>(copy)
        };
        let copy = written().map_err(UnreadableError::of_copying)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mount =
            open_tree(&copy, "", flags | OpenTreeFlags::AT_EMPTY_PATH).map_err(|errno| match errno {
                // Before Linux 6.3 it could not be mapped either, and that is what is missing.
                Errno::INVAL => self.can_map().err().unwrap_or(UnreadableError::NotCopied),
                errno => UnreadableError::of_copying(errno.into()),
            })?;
        self.idmap(mount.as_fd(), RDONLY | NOSUID | NODEV)?;
        Ok(mount)
    }
}

/// A tmpfs of our own.
fn tmpfs() -> Result<OwnedFd, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", "netns-toolbox")?;
    fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
