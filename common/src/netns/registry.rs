//! Making and removing names, under our own lock and, where that can be had, the one of iproute2.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::stat::{Mode, fstat, lstat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::holder::LockHolder;
use super::lock;
use super::{
    DIRECTORY, LinkEntry, LinkRecord, NetnsError, entry_in, failed, is_trusted, open_directory, path,
};
use crate::mountinfo::{self, Mount, mounts};
use crate::namespace::Namespace;
use crate::target::LinkName;

/// The directory, locked against every other tool that makes names in it. A signal that asks this thread to
/// end waits until it is dropped, so that no change is left half-way.
#[derive(Debug)]
pub struct Registry {
    directory: OwnedFd,
    // Dropped in this order: the lock is free when a signal ends us.
    _theirs: OwnedFd,
    _ours: OwnedFd,
    _undisturbed: SignalGuard,
    /// The process that keeps iproute2's lock.
    pub held_by: Option<LockHolder>,
}

impl Registry {
    /// Makes `/run/netns` if need be, makes it a shared mount of its own, and locks it until dropped.
    ///
    /// # Errors
    /// `Directory` when something else stands there, or it is another user's; `NotPermitted`; what mkdir(2)
    /// and mount(2) say.
    pub fn open() -> Result<Self, NetnsError> {
        match nix::unistd::mkdir(DIRECTORY, Mode::from_bits_retain(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed("make the directory", Path::new(DIRECTORY), errno)),
        }
        let directory = open_directory()?;
        if !is_trusted(&directory) {
            return Err(NetnsError::Directory { what: "belongs to another user" });
        }
        let ours = lock::ours()?;
        let held_by = lock::of_everybody(&directory)
            .map_err(|errno| failed("lock the directory", Path::new(DIRECTORY), errno))?;
        // After the locks: whoever waits for them can be told to give up.
        let undisturbed = SignalGuard::new();
        share(&directory)?;
        // What the lock holds may lie below the mount that we, or whoever had the lock before, made over it.
        let (directory, theirs) = (open_directory()?, directory);
        Ok(Registry { directory, _theirs: theirs, _ours: ours, _undisturbed: undisturbed, held_by })
    }

    /// What stands at `name` now.
    ///
    /// # Errors
    /// As [`super::entry`].
    pub fn entry(&self, name: &LinkName) -> Result<LinkEntry, NetnsError> {
        entry_in(&self.directory, name)
    }

    /// Binds `namespace` at `name`, which must be free, over a file that holds `record`. Killed half-way, it
    /// leaves nothing, or a file whose record tells the next call what it was to become.
    ///
    /// # Errors
    /// `Taken` when it is not; `NotPermitted`; what open(2) and mount(2) say, and then nothing is left.
    pub fn bind(
        &self,
        name: &LinkName,
        namespace: &Namespace,
        record: &LinkRecord,
    ) -> Result<(), NetnsError> {
        let file = self.write(name, record)?;
        let bound = bind_at(namespace, &file).and_then(|()| match self.held_by {
            Some(_) => self.show(name, namespace),
            None => Ok(()),
        });
        bound.map_err(|errno| {
            let _ = unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir);
            failed("bind the namespace", &path(name), errno)
        })
    }

    /// Without iproute2's lock, `ip netns add` may have put its mount of the directory over the one that we have bound
    /// `name` in, before that was shared: then it is bound once more where everybody looks.
    fn show(&self, name: &LinkName, namespace: &Namespace) -> nix::Result<()> {
        if !matches!(super::entry(name), Ok(LinkEntry::Empty)) {
            return Ok(());
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        bind_at(namespace, &nix::fcntl::open(&path(name), flags, Mode::empty())?)
    }

    /// The mount-point file appears under its name with its whole record in it, or not at all.
    fn write(&self, name: &LinkName, record: &LinkRecord) -> Result<OwnedFd, NetnsError> {
        let as_error = |errno| failed("write the link", &path(name), errno);
        let mode = Mode::from_bits_retain(0o400);
        let unnamed = openat(&self.directory, ".", OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC, mode);
        let mut file = File::from(unnamed.map_err(as_error)?);
        let written = record.to_bytes().and_then(|bytes| file.write_all(&bytes));
        written.map_err(|source| NetnsError::Io { action: "write the link", file: path(name), source })?;
        let here = AtFlags::AT_SYMLINK_FOLLOW;
        let linked = linkat(nix::fcntl::AT_FDCWD, &magic_link(&file), &self.directory, name.as_str(), here);
        linked.map_err(|errno| match errno {
            Errno::EEXIST => NetnsError::Taken { name: name.clone(), what: "the name is taken" },
            errno => as_error(errno),
        })?;
        // What was written has no place to mount on: the name has.
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.directory, name.as_str(), flags, Mode::empty()).map_err(|errno| {
            let _ = unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir);
            as_error(errno)
        })
    }

    /// Removes `name`, whatever namespace it holds; the namespace lives on while anything else holds it.
    /// A symbolic link is removed and not followed: what it leads to may be a container engine's own mount.
    /// Returns whether there was anything to remove.
    ///
    /// # Errors
    /// `Foreign` for what is neither a link nor what is left of one; what umount(2) and unlink(2) say.
    pub fn unbind(&self, name: &LinkName) -> Result<bool, NetnsError> {
        let file = path(name);
        match self.entry(name)? {
            LinkEntry::Free => return Ok(false),
            LinkEntry::Foreign => return Err(NetnsError::Foreign(name.clone())),
            LinkEntry::Bound(_) => self.unmount_all(name)?,
            LinkEntry::Empty | LinkEntry::Symlink(_) => {}
        }
        match unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(failed("remove the link", &file, errno)),
        }
    }

    /// Mounts stack: a name that two tools bound at once has two.
    fn unmount_all(&self, name: &LinkName) -> Result<(), NetnsError> {
        let file = path(name);
        while let LinkEntry::Bound(_) = self.entry(name)? {
            umount2(&file, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
                .map_err(|errno| failed("unmount the namespace", &file, errno))?;
        }
        Ok(())
    }
}

/// Both ends are descriptors: neither the process nor the name can become another in between.
fn bind_at(namespace: &Namespace, file: &OwnedFd) -> nix::Result<()> {
    let from = magic_link(namespace);
    mount(Some(from.as_path()), &magic_link(file), None::<&str>, MsFlags::MS_BIND, None::<&str>)
}

/// Makes the directory a shared mount of its own, if it is not one yet. `below` is the directory without that.
fn share(below: &OwnedFd) -> Result<(), NetnsError> {
    let directory = Path::new(DIRECTORY);
    let shared = MsFlags::MS_SHARED | MsFlags::MS_REC;
    let share = || mount(None::<&str>, directory, None::<&str>, shared, None::<&str>);
    match share() {
        Ok(()) => return Ok(()),
        Err(Errno::EINVAL) => {} // not a mount point yet
        Err(errno) => return Err(failed("share the directory", directory, errno)),
    }
    mount(Some(directory), directory, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .and_then(|()| {
            share().inspect_err(|_| {
                let _ = umount2(directory, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
            })
        })
        .map_err(|errno| failed("make the directory a mount", directory, errno))?;
    if is_stacked().unwrap_or(false) {
        // Whoever does not have our lock has done the same since we looked: one of the two is enough.
        let _ = umount2(directory, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        return share().map_err(|errno| failed("share the directory", directory, errno));
    }
    uncover(below);
    Ok(())
}

/// What was mounted in the directory before it was a mount is now mounted twice: in it, and below it, where
/// nobody comes to any more. The kernel lets no file be removed that anything is mounted on in the same mount
/// namespace, so containerd could not remove its pods' networks (EBUSY): what is below goes. Where the mount
/// below is shared both are peers, and go together.
fn uncover(below: &OwnedFd) {
    let Ok(device) = fstat(below).map(|stat| stat.st_dev) else { return };
    if is_shared(below).unwrap_or(true) {
        return;
    }
    let below = magic_link(below);
    for entry in fs::read_dir(&below).into_iter().flatten().flatten() {
        let file = below.join(entry.file_name());
        if lstat(&file).is_ok_and(|stat| stat.st_dev != device) {
            let _ = umount2(&file, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        }
    }
}

/// Whether the directory is a mount on a mount of itself.
fn is_stacked() -> Option<bool> {
    let mountinfo = mountinfo::own().ok()?;
    let here: Vec<Mount<'_>> =
        mounts(&mountinfo).filter(|mount| mount.path() == Path::new(DIRECTORY)).collect();
    Some(here.iter().any(|upper| here.iter().any(|lower| lower.id == upper.parent)))
}

/// Whether the mount that `file` is on is shared.
fn is_shared(file: &OwnedFd) -> Option<bool> {
    // The number is here on kernels too whose statx(2) does not tell it (before Linux 5.8).
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    let id: u64 = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()?;
    let mountinfo = mountinfo::own().ok()?;
    let mount = mounts(&mountinfo).find(|mount| mount.id == id)?;
    Some(mount.is_shared())
}

/// Signals that ask us to end are kept for later.
#[derive(Debug)]
struct SignalGuard(Option<SigSet>);

impl SignalGuard {
    fn new() -> Self {
        let ends = SigSet::from_iter([Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM]);
        SignalGuard(ends.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            let _ = before.thread_set_mask();
        }
    }
}

fn magic_link(file: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}
