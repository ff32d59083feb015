//! With `--exec-target`, the container's own loaders: unreadable copies of them are mounted over them where the program
//! runs, so that the container's programs are not dumpable there either.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{MoveMountFlags, move_mount};

use super::furnish::UNREADABLE;
use super::loaders::loaders;
use super::root::Root;
use crate::unreadable::Unreadable;

/// Larger than any loader, and fewer than anybody has: they are the container's files.
const LARGEST: i64 = 16 << 20;
const MOST: usize = 8;

/// A copy, and where it belongs in the container's root.
pub type LoaderCopy = (PathBuf, OwnedFd);

/// Copies of the loaders below `root`, made before that is entered. What cannot be read or copied is left out: of what the
/// container has it may keep from itself what it likes.
pub fn copies(root: &Root, unreadable: &mut Unreadable) -> Vec<LoaderCopy> {
    let mut files: Vec<PathBuf> = loaders(root).collect();
    files.sort();
    files.dedup();
    files.truncate(MOST);
    files.into_iter().filter_map(|file| Some((file.clone(), copy(root, &file, unreadable)?))).collect()
}

fn copy(root: &Root, path: &Path, unreadable: &mut Unreadable) -> Option<OwnedFd> {
    let stat = root.stat(path).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let mut file = root.file(path).ok().filter(|_| is_file && stat.st_size <= LARGEST)?;
    unreadable.copy(&mut file, UNREADABLE).ok()
}

/// Mounts them, once we are inside and the mounts are our own.
pub fn lay(copies: &[LoaderCopy]) -> rustix::io::Result<()> {
    for (path, copy) in copies {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let no_links = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        // One that has been taken away meanwhile loads nothing.
        let Ok(place) = openat2(CWD, path, flags, Mode::empty(), no_links) else { continue };
        let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(copy.as_fd(), "", place.as_fd(), "", both)?;
    }
    Ok(())
}
