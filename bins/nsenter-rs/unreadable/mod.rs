//! Files that nobody can read and everybody can execute. A process that runs one is undumpable, and so are all its
//! children: exec(2) asks of the program *and* of its loader whether the caller may read them, and where he may not, the
//! process's `/proc/PID` belongs to whoever has CAP_SYS_PTRACE over the user namespace of the mount (`would_dump` in
//! fs/exec.c, ptrace(2)). What the program drops later, whom it becomes and what it runs changes nothing about that.
//!
//! Mode 0711 alone does not do it, for root may read all. On an id-mapped mount whose user namespace has none of the IDs
//! on disk the file's owner is nobody at all, and there even CAP_DAC_OVERRIDE counts for nothing
//! (`privileged_wrt_inode_uidgid` in kernel/capability.c).

#![allow(dead_code)]

mod error;
mod nobody;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::sys::{self, MountAttributes};
use rustix::fs::{CWD, Mode, OFlags, fchmod, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, open_tree,
};

pub use error::Unmade;
use nobody::nobody;

/// MOUNT_ATTR_RDONLY, _NOSUID, _NODEV and _NOEXEC, linux/mount.h.
pub const RDONLY: u64 = 0x1;
pub const NOSUID: u64 = 0x2;
pub const NODEV: u64 = 0x4;
pub const NOEXEC: u64 = 0x8;

/// Where a copy can be on the host, if a tmpfs of our own takes no ID map, or cannot be cloned while it is attached
/// nowhere: the former Linux 6.3, the latter 6.15. The copy has no name there.
const ON_DISK: [&str; 4] = ["/run", "/var/tmp", "/var/lib", "/"];

/// What makes files unreadable: a user namespace without any ID on disk, and room for copies.
#[derive(Debug)]
pub struct Unreadable {
    nobody: OwnedFd,
    /// A tmpfs that is attached nowhere; none where there can be none.
    room: Option<OwnedFd>,
    copies: u32,
}

impl Unreadable {
    /// Makes that user namespace. It takes a `/proc` of our own PID namespace, and so it comes before anything is joined.
    ///
    /// # Errors
    /// `NoUserNamespace`, and what the kernel says.
    pub fn prepare() -> Result<Self, Unmade> {
        Ok(Unreadable { nobody: nobody()?, room: room().ok(), copies: 0 })
    }

    /// Makes the owner of every file of `tree` nobody, in all of its mounts, which are attached nowhere yet; `set` are
    /// MOUNT_ATTR_* flags that they get too, and nothing that is mounted in them shows elsewhere. What only its owner
    /// may read cannot be read through it any more, nothing written, and no set-user-ID bit or file capability counts.
    ///
    /// # Errors
    /// `FileSystem` where one of them refuses; `NotPermitted` without CAP_SYS_ADMIN over its user namespace;
    /// `OldKernel` before Linux 5.12.
    pub fn idmap(&self, tree: BorrowedFd<'_>, set: u64) -> Result<(), Unmade> {
        self.map(tree, set, 0)
    }

    fn map(&self, tree: BorrowedFd<'_>, set: u64, clear: u64) -> Result<(), Unmade> {
        let idmap = Some(self.nobody.as_fd());
        let attributes = MountAttributes { set, clear, recursive: true, private: true, idmap };
        sys::mount_setattr(tree, &attributes).map_err(Unmade::of_mapping)
    }

    /// A copy of `file` from where it stands on, as a mount of its own that is attached nowhere yet: of `mode`, read-only,
    /// and owned by nobody.
    ///
    /// # Errors
    /// What went wrong in the most promising place: `OldKernel`, `FileSystem`, `NotPermitted`, or what the kernel says.
    pub fn copy(&mut self, file: &mut File, mode: u32) -> Result<OwnedFd, Unmade> {
        let mut why = None;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Unmade::Copy)?;
        if let Some(room) = &self.room {
            self.copies += 1;
            let name = self.copies.to_string();
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
            match self.copied(room.as_fd(), &name, flags, &bytes, mode) {
                Ok(copy) => return Ok(copy),
                Err(error) => why = Some(error),
            }
        }
        for place in ON_DISK {
            match self.copied(CWD, place, OFlags::RDWR | OFlags::TMPFILE | OFlags::EXCL, &bytes, mode) {
                Ok(copy) => return Ok(copy),
                Err(error) => why = Some(why.unwrap_or(error)),
            }
        }
        Err(why.unwrap_or(Unmade::OldKernel))
    }

    fn copied(
        &self,
        at: BorrowedFd<'_>,
        path: impl AsRef<Path>,
        flags: OFlags,
        bytes: &[u8],
        mode: u32,
    ) -> Result<OwnedFd, Unmade> {
        let written = || {
            let file =
                File::from(openat(at, path.as_ref(), flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?);
            io::Write::write_all(&mut &file, bytes)?;
            // Whatever the caller's umask.
            fchmod(&file, Mode::from_raw_mode(mode))?;
            let copying = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            Ok::<_, io::Error>(open_tree(&file, "", copying | OpenTreeFlags::AT_EMPTY_PATH)?)
        };
        let mount = written().map_err(Unmade::of_copying)?;
        // A program has to run from it, wherever it is: /run and /var/tmp may be noexec.
        self.map(mount.as_fd(), RDONLY | NOSUID | NODEV, NOEXEC)?;
        Ok(mount)
    }
}

/// A tmpfs of our own.
fn room() -> Result<OwnedFd, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", "netns-toolbox")?;
    fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
