//! The eight kinds of namespaces: their identities, opening them, and entering them.

mod error;
mod handle;
mod kind;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat, stat};
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, fstatfs, statfs};
use nix::unistd::{Pid, Uid};

pub use error::NamespaceError;
pub use handle::{NamespaceHandle, NoHandle};
pub use kind::NamespaceKind;

use crate::sys;

/// linux/magic.h
const NSFS_MAGIC: FsType = FsType(0x6e73_6673);
/// What makes two namespaces the same one: device and inode of their nsfs file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId {
    device: u64,
    /// The number in `net:[4026531840]`.
    pub inode: u64,
}

impl NamespaceId {
    /// Another one of the same host, whose inode is known: all namespaces are on one nsfs.
    #[must_use]
    pub fn with_inode(self, inode: u64) -> Self {
        NamespaceId { inode, ..self }
    }

    /// The device of that nsfs, as stat(2) has it.
    pub fn device(self) -> u64 {
        self.device
    }
}

impl From<&FileStat> for NamespaceId {
    fn from(stat: &FileStat) -> Self {
        NamespaceId { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// A namespace held open: it lives at least as long as this value.
#[derive(Debug)]
pub struct Namespace {
    kind: NamespaceKind,
    fd: OwnedFd,
    identity: NamespaceId,
}

impl Namespace {
    /// Opens the namespace of `kind` that the process behind `directory` (an open `/proc/PID`) is in.
    pub(crate) fn open_at(
        directory: BorrowedFd<'_>,
        pid: Pid,
        kind: NamespaceKind,
    ) -> Result<Self, NamespaceError> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = openat(directory, &below(kind), flags, Mode::empty());
        let fd = fd.map_err(|errno| not_opened(errno, pid, kind))?;
        Self::from_fd(fd, kind, || PathBuf::from(format!("/proc/{pid}/ns/{kind}")))
    }

    /// Opens the namespace file at `path`, as `ip netns add` or a bind mount of `/proc/PID/ns/net` makes it.
    ///
    /// # Errors
    /// `NotANamespace` for an ordinary file (what is left in other mount namespaces of a removed link),
    /// `OtherKind`, `NotPermitted` below `/proc`, or what open(2) says.
    pub fn open(path: &Path, kind: NamespaceKind) -> Result<Self, NamespaceError> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let fd = sys::open(path, flags).map_err(|errno| match errno {
            // The files themselves may be read by all: elsewhere it is a directory without read permission.
            errno if path.starts_with("/proc") => denied_or(errno, path.to_owned()),
            errno => NamespaceError::Io { file: path.to_owned(), source: errno.into() },
        })?;
        Self::from_fd(fd, kind, || path.to_owned())
    }

    /// Opens the namespace file at `path`, if it is that of the namespace `identity` of that kind still. The identity is from nsfs,
    /// so it also says that the file is a namespace's.
    ///
    /// # Errors
    /// As [`Namespace::open`]; `NoSuch` where another file is there now.
    pub fn open_again(
        path: &Path,
        kind: NamespaceKind,
        identity: NamespaceId,
    ) -> Result<Self, NamespaceError> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let io = |errno: Errno| NamespaceError::Io { file: path.to_owned(), source: errno.into() };
        let fd = sys::open(path, flags).map_err(|errno| match errno {
            errno if path.starts_with("/proc") => denied_or(errno, path.to_owned()),
            errno => io(errno),
        })?;
        match NamespaceId::from(&fstat(&fd).map_err(io)?) == identity {
            true => Ok(Namespace { kind, fd, identity }),
            false => Err(NamespaceError::NoSuch { file: path.to_owned() }),
        }
    }

    /// Opens the namespace that `file`, opened with O_PATH, is of: what may have become a device meanwhile is not opened.
    ///
    /// # Errors
    /// As [`Namespace::open`]; `shown` is what the file is called in them.
    pub fn behind(file: BorrowedFd<'_>, kind: NamespaceKind, shown: &Path) -> Result<Self, NamespaceError> {
        let io = |errno: Errno| NamespaceError::Io { file: shown.to_owned(), source: errno.into() };
        if fstatfs(file).map_err(io)?.filesystem_type() != NSFS_MAGIC {
            return Err(NamespaceError::NotANamespace { file: shown.to_owned() });
        }
        let itself = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = sys::open(itself.as_str(), flags).map_err(io)?;
        Self::from_fd(fd, kind, || shown.to_owned())
    }

    /// The namespace of `kind` that we are in.
    ///
    /// # Errors
    /// `Unknown` when the kernel has no such kind.
    pub fn current(kind: NamespaceKind) -> Result<Self, NamespaceError> {
        Self::open(&own_file(kind), kind).map_err(|error| match error {
            NamespaceError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => unknown(kind),
            error => error,
        })
    }

    /// The network namespace that a socket belongs to.
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN over the user namespace that owns it; ENOTTY before Linux 4.10.
    pub fn of_socket(socket: BorrowedFd<'_>) -> nix::Result<Self> {
        let fd = sys::socket_namespace(socket)?;
        let identity = NamespaceId::from(&fstat(&fd)?);
        Ok(Namespace { kind: NamespaceKind::Net, fd, identity })
    }

    fn from_fd(fd: OwnedFd, kind: NamespaceKind, file: impl Fn() -> PathBuf) -> Result<Self, NamespaceError> {
        let io = |errno: Errno| NamespaceError::Io { file: file(), source: errno.into() };
        if fstatfs(&fd).map_err(io)?.filesystem_type() != NSFS_MAGIC {
            return Err(NamespaceError::NotANamespace { file: file() });
        }
        match sys::namespace_type(fd.as_fd()) {
            Ok(flag) if flag != kind.flag() => {
                return Err(NamespaceError::OtherKind { file: file(), wanted: kind });
            }
            // Before Linux 4.11 the kernel does not say; setns(2) with the flag still checks it.
            Ok(_) | Err(Errno::ENOTTY) => {}
            Err(errno) => return Err(io(errno)),
        }
        let identity = NamespaceId::from(&fstat(&fd).map_err(io)?);
        Ok(Namespace { kind, fd, identity })
    }

    /// Which kind it is.
    pub fn kind(&self) -> NamespaceKind {
        self.kind
    }

    /// What tells it from every other namespace that lives now.
    pub fn identity(&self) -> NamespaceId {
        self.identity
    }

    /// Its nsfs file handle, which no later namespace will have and which keeps none alive; `None` below
    /// Linux 6.18.
    pub fn handle(&self) -> Option<NamespaceHandle> {
        sys::namespace_handle(self.fd.as_fd()).ok().map(NamespaceHandle::from_bytes)
    }

    /// The user namespace that owns it: capabilities over that one are what entering it takes.
    ///
    /// # Errors
    /// EPERM when the owner is not ours, nor below ours; ENOTTY before Linux 4.9.
    pub fn owner(&self) -> nix::Result<Namespace> {
        let fd = sys::namespace_owner(self.fd.as_fd())?;
        let identity = NamespaceId::from(&fstat(&fd)?);
        Ok(Namespace { kind: NamespaceKind::User, fd, identity })
    }

    /// The user that made the user namespace which owns it; `None` where the kernel does not tell us.
    pub fn owners_uid(&self) -> Option<Uid> {
        let owner = sys::namespace_owner(self.fd.as_fd()).ok()?;
        sys::namespace_owner_uid(owner.as_fd()).ok().map(Uid::from_raw)
    }

    /// The user that made this user namespace, as our own user namespace counts.
    ///
    /// # Errors
    /// EINVAL when it is of another kind; ENOTTY before Linux 4.11.
    pub fn owner_uid(&self) -> nix::Result<Uid> {
        sys::namespace_owner_uid(self.fd.as_fd()).map(Uid::from_raw)
    }

    /// The user or PID namespace that it was made in.
    ///
    /// # Errors
    /// EPERM when that is above ours; EINVAL for kinds that have no parents; ENOTTY before Linux 4.9.
    pub fn parent(&self) -> nix::Result<Namespace> {
        let fd = sys::namespace_parent(self.fd.as_fd())?;
        let identity = NamespaceId::from(&fstat(&fd)?);
        Ok(Namespace { kind: self.kind, fd, identity })
    }

    /// Whether it was made somewhere inside the user or PID namespace `other`.
    ///
    /// # Errors
    /// As [`Namespace::parent`], but for EPERM: what is above ours is below nothing of ours.
    pub fn is_below(&self, other: NamespaceId) -> nix::Result<bool> {
        let mut parent = self.parent();
        loop {
            match parent {
                Ok(parent) if parent.identity == other => return Ok(true),
                Ok(above) => parent = above.parent(),
                Err(Errno::EPERM) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The user that it belongs to: the one that made the outermost user namespace below ours that it, or its owner, is in.
    /// Whatever happens further in is up to that user. `None` when it belongs to our own user namespace.
    pub fn user(&self) -> Option<Uid> {
        let ours = own_identity(NamespaceKind::User).ok()?;
        // What is not below ours is above it, and refused with EPERM: it has at least our power.
        let mut current = self.owner().ok()?;
        let mut user = None;
        while current.identity != ours {
            user = current.owner_uid().ok();
            current = current.parent().ok()?;
        }
        user
    }

    /// Moves this thread into it.
    ///
    /// # Errors
    /// What [setns(2)](https://man7.org/linux/man-pages/man2/setns.2.html) says.
    pub fn enter(&self) -> nix::Result<()> {
        nix::sched::setns(&self.fd, self.kind.flag())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Display for Namespace {
    /// As the kernel writes it: `net:[4026531840]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:[{}]", self.kind, self.identity.inode)
    }
}

/// What tells the namespace of `kind` that this thread is in from others.
///
/// # Errors
/// `Unknown` when the kernel has no such kind.
pub fn own_identity(kind: NamespaceKind) -> Result<NamespaceId, NamespaceError> {
    match stat(&own_file(kind)) {
        Ok(stat) => Ok(NamespaceId::from(&stat)),
        Err(Errno::ENOENT) => Err(unknown(kind)),
        Err(errno) => Err(denied_or(errno, own_file(kind))),
    }
}

/// Whether there is a `/proc` at all: without one nothing is known of any process, and of no namespace but by a mount.
pub(crate) fn is_proc_mounted() -> bool {
    statfs("/proc").is_ok_and(|at| at.filesystem_type() == PROC_SUPER_MAGIC)
}

/// The same for the process behind `directory`, an open `/proc/PID`.
pub(crate) fn identity_at(
    directory: BorrowedFd<'_>,
    pid: Pid,
    kind: NamespaceKind,
) -> Result<NamespaceId, NamespaceError> {
    let stat = fstatat(directory, &below(kind), AtFlags::empty());
    stat.map(|stat| NamespaceId::from(&stat)).map_err(|errno| not_opened(errno, pid, kind))
}

fn own_file(kind: NamespaceKind) -> PathBuf {
    PathBuf::from(format!("/proc/thread-self/ns/{kind}"))
}

fn below(kind: NamespaceKind) -> PathBuf {
    PathBuf::from(format!("ns/{kind}"))
}

fn not_opened(errno: Errno, pid: Pid, kind: NamespaceKind) -> NamespaceError {
    match errno {
        // The link exists without a target when the process is a zombie or has been reaped.
        Errno::ENOENT if own_file(kind).exists() => NamespaceError::Gone { pid },
        Errno::ENOENT => unknown(kind),
        Errno::ESRCH => NamespaceError::Gone { pid },
        errno => denied_or(errno, PathBuf::from(format!("/proc/{pid}/ns/{kind}"))),
    }
}

/// Of our own, which has no file below `/proc`.
fn unknown(kind: NamespaceKind) -> NamespaceError {
    if is_proc_mounted() { NamespaceError::Unknown { kind } } else { NamespaceError::NoProc }
}

/// Of a file below `/proc`.
fn denied_or(errno: Errno, file: PathBuf) -> NamespaceError {
    match errno {
        Errno::ENOENT if !is_proc_mounted() => NamespaceError::NoProc,
        Errno::EACCES | Errno::EPERM => NamespaceError::NotPermitted { file },
        errno => NamespaceError::Io { file, source: errno.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_namespaces_have_the_inodes_that_proc_shows() {
        for kind in NamespaceKind::ALL {
            let namespace = Namespace::current(kind).unwrap();
            let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            assert_eq!(namespace.to_string(), link.to_str().unwrap());
        }
    }

    #[test]
    fn an_ordinary_file_is_not_a_namespace() {
        let error = Namespace::open(Path::new("/proc/self/status"), NamespaceKind::Net).unwrap_err();
        assert!(matches!(error, NamespaceError::NotANamespace { .. }));
    }

    #[test]
    fn a_namespace_of_another_kind_is_told_apart() {
        let error = Namespace::open(Path::new("/proc/self/ns/uts"), NamespaceKind::Net).unwrap_err();
        assert_eq!(error.to_string(), "/proc/self/ns/uts: is a namespace, but not a net one");
    }
}
