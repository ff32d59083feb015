//! Network namespaces: doing something inside one, and the registry of names under `/run/netns` that `ip netns`
//! reads.
//!
//! What iproute2 requires of the registry, [ip-netns(8)](https://man7.org/linux/man-pages/man8/ip-netns.8.html): each
//! name is a file with a namespace bound over it; the directory is a shared mount of its own, so that a name
//! made here appears in every mount namespace; whoever makes it one holds flock(2) on it meanwhile, or two
//! at boot stack their mounts. Everybody can hold that lock, so ours is another one (`lock`).

mod error;
mod holder;
mod home;
mod host_run;
mod lock;
mod record;
mod registry;
mod trace_logger;

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{Uid, geteuid};

pub use error::NetnsError;
pub use holder::LockHolder;
pub use home::{Home, NetnsTour, create};
pub use host_run::run_of_a_container;
pub use lock::wait_for;
pub use record::{LinkRecord, RecordDir, RecordedContainer, RecordedProcess};
pub use registry::Registry;
pub use trace_logger::{LeftLogger, TraceLogger, TraceLoggerError};

use crate::namespace::{Namespace, NamespaceError, NamespaceId, NamespaceKind};
use crate::target::LinkName;

/// Where iproute2, and every tool that follows it, keeps named network namespaces.
pub const DIRECTORY: &str = "/run/netns";

/// What stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEntry {
    /// Nothing.
    Free,
    /// A namespace is bound there.
    Bound(NamespaceId),
    /// A file without a namespace: a link whose mount is gone, or was made in another mount namespace.
    Empty,
    /// A symbolic link, which tools that follow it can be led anywhere by: where it leads now.
    Symlink(SymlinkEnd),
    /// A directory, a device, a socket.
    Foreign,
}

/// What a symbolic link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymlinkEnd {
    /// A network namespace, as `ln -s /proc/PID/ns/net` makes it: for as long as that process runs.
    Netns(NamespaceId),
    /// Nothing: the process has ended, or the file was removed.
    Nowhere,
    /// Something else.
    Other,
    /// It could not be looked at.
    Unknown,
}

/// Opens the namespace that is bound at `name`.
///
/// # Errors
/// As [`Namespace::open`]; a missing name is `Io` with `NotFound`.
pub fn open(name: &LinkName) -> Result<Namespace, NamespaceError> {
    Namespace::open(&path(name), NamespaceKind::Net)
}

/// The file of a name.
pub fn path(name: &LinkName) -> PathBuf {
    Path::new(DIRECTORY).join(name.as_str())
}

/// What stands at `name` now. A symbolic link is followed only to tell where it leads.
///
/// # Errors
/// What stat(2) says, other than that nothing is there.
pub fn entry(name: &LinkName) -> Result<LinkEntry, NetnsError> {
    match open_directory() {
        Ok(directory) => entry_in(&directory, name),
        Err(NetnsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(LinkEntry::Free),
        Err(error) => Err(error),
    }
}

/// All names under `/run/netns`, sorted; none when there is no such directory. What is no name (it holds a
/// control character, or is not UTF-8) is left out: it cannot be typed.
///
/// # Errors
/// What opendir(3) says.
pub fn names() -> Result<Vec<LinkName>, NetnsError> {
    let as_error = |source| NetnsError::Io { action: "read the directory", file: DIRECTORY.into(), source };
    let entries = match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(as_error(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(as_error)?.file_name();
        names.extend(name.to_str().and_then(|name| name.parse().ok()));
    }
    names.sort();
    Ok(names)
}

fn open_directory() -> Result<OwnedFd, NetnsError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::open(DIRECTORY, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::ENOTDIR | Errno::ELOOP => NetnsError::Directory { what: "is not a directory" },
        errno => failed("open the directory", Path::new(DIRECTORY), errno),
    })
}

/// Whether it is root's or ours: its owner can put anything in the place of a directory's name, or of a
/// record's words.
fn is_trusted<Fd: AsFd>(file: Fd) -> bool {
    let owner = fstat(file).map(|stat| Uid::from_raw(stat.st_uid));
    owner.is_ok_and(|owner| owner.is_root() || owner == geteuid())
}

fn entry_in<Fd: AsFd>(directory: Fd, name: &LinkName) -> Result<LinkEntry, NetnsError> {
    let look = |flags| fstatat(&directory, name.as_str(), flags);
    let stat = match look(AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(LinkEntry::Free),
        other => other.map_err(|errno| failed("look at the link", &path(name), errno))?,
    };
    Ok(match file_type(&stat) {
        SFlag::S_IFLNK => LinkEntry::Symlink(symlink_end(directory, name)),
        SFlag::S_IFREG => match open(name) {
            Ok(namespace) => LinkEntry::Bound(namespace.identity()),
            Err(NamespaceError::OtherKind { .. }) => LinkEntry::Bound(NamespaceId::from(&stat)),
            Err(NamespaceError::NotANamespace { .. }) => LinkEntry::Empty,
            // A file of mode 0 that we may not open: nsfs files are world-readable, so this is none.
            Err(NamespaceError::NotPermitted { .. }) => LinkEntry::Empty,
            Err(_) => LinkEntry::Foreign,
        },
        _ => LinkEntry::Foreign,
    })
}

fn symlink_end<Fd: AsFd>(directory: Fd, name: &LinkName) -> SymlinkEnd {
    // Only a regular file is opened: to open a device can have an effect.
    match fstatat(directory, name.as_str(), AtFlags::empty()) {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return SymlinkEnd::Nowhere,
        Err(_) => return SymlinkEnd::Unknown,
        Ok(stat) if file_type(&stat) != SFlag::S_IFREG => return SymlinkEnd::Other,
        Ok(_) => {}
    }
    match open(name) {
        Ok(namespace) => SymlinkEnd::Netns(namespace.identity()),
        Err(NamespaceError::OtherKind { .. } | NamespaceError::NotANamespace { .. }) => SymlinkEnd::Other,
        Err(_) => SymlinkEnd::Unknown,
    }
}

fn file_type(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn failed(action: &'static str, file: &Path, errno: Errno) -> NetnsError {
    match errno {
        Errno::EACCES | Errno::EPERM => NetnsError::NotPermitted { action, file: file.to_owned() },
        errno => NetnsError::Io { action, file: file.to_owned(), source: errno.into() },
    }
}
