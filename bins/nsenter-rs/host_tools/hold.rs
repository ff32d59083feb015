//! `HostToolsMode::Hold`, where nothing can be mounted: the host's root held open as a descriptor, with the program below it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::sys;
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::root::{Root, below};
use super::tree::{NODEV, NOSUID, RDONLY, private};

/// From here on descriptors are out of the way of what shell scripts number by hand.
const HIGH: i32 = 100;

/// The host's root, which the program will have open.
#[derive(Debug)]
pub struct HostRoot(OwnedFd);

/// By which paths the program reaches the host's tree.
#[derive(Debug)]
pub struct HostTreePath {
    /// None where there is no `/proc`: paths are relative then, and the working directory is the host's root.
    pub tree: Option<PathBuf>,
}

impl HostRoot {
    /// Opens the host's root; so that nothing can be written through it, if we may do that.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(root: &Root) -> io::Result<Self> {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let read_only = open_tree(CWD, "/", flags).map_err(io::Error::from).and_then(|tree| {
            sys::mount_setattr(tree.as_fd(), &private(RDONLY | NOSUID | NODEV))?;
            Ok(tree)
        });
        let held = match read_only {
            Ok(tree) => fcntl_dupfd_cloexec(tree, HIGH)?,
            Err(_) => fcntl_dupfd_cloexec(root.as_fd(), HIGH)?,
        };
        Ok(HostRoot(held))
    }

    /// Finds out how it can be reached from here: the last thing before the program.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn settle(self) -> io::Result<HostTreePath> {
        let tree = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let same = |found: OwnedFd| {
            let (found, meant) = (fs::fstat(found)?, fs::fstat(&self.0)?);
            Ok::<_, rustix::io::Errno>((found.st_dev, found.st_ino) == (meant.st_dev, meant.st_ino))
        };
        // What a container has at /proc need not be a procfs, nor one that shows us.
        let reached =
            is_procfs() && fs::openat(CWD, &tree, flags, Mode::empty()).and_then(same).unwrap_or(false);
        if !reached {
            nix::unistd::fchdir(&self.0)?;
            return Ok(HostTreePath { tree: None });
        }
        rustix::io::fcntl_setfd(&self.0, rustix::io::FdFlags::empty())?;
        // The program's from now on.
        std::mem::forget(self.0);
        Ok(HostTreePath { tree: Some(tree) })
    }
}

impl HostTreePath {
    /// The path of a file of the host.
    pub fn path(&self, file: &Path) -> PathBuf {
        match &self.tree {
            Some(tree) => tree.join(below(file)),
            None => below(file).to_owned(),
        }
    }
}

fn is_procfs() -> bool {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0; // linux/magic.h
    let mounted = fs::statat(CWD, "/proc", AtFlags::SYMLINK_NOFOLLOW).is_ok();
    mounted && fs::statfs("/proc").is_ok_and(|stat| stat.f_type as u64 == PROC_SUPER_MAGIC)
}
