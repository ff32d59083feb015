//! Network namespaces: doing something inside one, and the registry of names under `/run/netns` that `ip netns`
//! reads.
//!
//! What iproute2 requires of the registry, [ip-netns(8)](https://man7.org/linux/man-pages/man8/ip-netns.8.html): each
//! name is a file with a namespace bound over it; the directory is a shared mount of its own, so that a name
//! made here appears in every mount namespace; whoever makes it one holds flock(2) on it meanwhile, or two
//! at boot stack their mounts.

mod home;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

pub use home::Home;

use crate::failure::Failure;
use crate::namespace::{Identity, Kind, Namespace, NamespaceError};
use crate::target::LinkName;

/// Where iproute2, and every tool that follows it, keeps named network namespaces.
pub const DIRECTORY: &str = "/run/netns";

/// What stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Free,
    /// A namespace is bound there.
    Bound(Identity),
    /// A file without a namespace: a link whose mount is gone, or was made in another mount namespace.
    Empty,
    /// A symbolic link, which tools that follow it can be led anywhere by.
    Symlink,
    /// A directory, a device, a socket.
    Foreign,
}

/// Why a name cannot be made, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// The directory itself is not as it must be.
    #[error("{DIRECTORY}: {what}")]
    Directory {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The name is another namespace's, or something that is no namespace.
    #[error("{}: {what}", path(name).display())]
    Taken {
        /// The name.
        name: LinkName,
        /// By what.
        what: &'static str,
    },
    /// Making or removing names takes CAP_SYS_ADMIN over the user namespace that owns our mount namespace.
    #[error("{}: permission denied: {action} takes CAP_SYS_ADMIN over the user namespace of this mount namespace", file.display())]
    NotPermitted {
        /// What we tried to do.
        action: &'static str,
        /// To which file.
        file: PathBuf,
    },
    /// Anything else the kernel said.
    #[error("{}: {action}: {source}", file.display())]
    Io {
        /// What we tried to do.
        action: &'static str,
        /// To which file.
        file: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl From<NetnsError> for Failure {
    fn from(error: NetnsError) -> Self {
        let failure = Failure { message: Some(error.to_string()), ..Failure::trouble("", "") };
        match &error {
            NetnsError::NotPermitted { .. } => failure.hint("run it as root"),
            NetnsError::Taken { name, .. } => {
                failure.hint(format_args!("--as OTHERNAME, or: netns-link --rm {name}"))
            }
            _ => failure,
        }
    }
}

/// Opens the namespace that is bound at `name`.
///
/// # Errors
/// As [`Namespace::open`]; a missing name is `Io` with `NotFound`.
pub fn open(name: &LinkName) -> Result<Namespace, NamespaceError> {
    Namespace::open(&path(name), Kind::Net)
}

/// The file of a name.
pub fn path(name: &LinkName) -> PathBuf {
    Path::new(DIRECTORY).join(name.as_str())
}

/// What stands at `name` now. Follows no symbolic link.
///
/// # Errors
/// What stat(2) says, other than that nothing is there.
pub fn entry(name: &LinkName) -> Result<Entry, NetnsError> {
    match open_directory() {
        Ok(directory) => entry_in(&directory, name),
        Err(NetnsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Entry::Free),
        Err(error) => Err(error),
    }
}

/// The directory, locked against every other tool that makes names in it.
#[derive(Debug)]
pub struct Registry {
    directory: OwnedFd,
    _lock: Flock<OwnedFd>,
}

impl Registry {
    /// Makes `/run/netns` if need be, makes it a shared mount of its own, and locks it until dropped.
    ///
    /// # Errors
    /// `Directory` when something else stands there; `NotPermitted`; what mkdir(2) and mount(2) say.
    pub fn open() -> Result<Self, NetnsError> {
        match nix::unistd::mkdir(DIRECTORY, Mode::from_bits_retain(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed("make the directory", Path::new(DIRECTORY), errno)),
        }
        let lock = Flock::lock(open_directory()?, FlockArg::LockExclusive)
            .map_err(|(_, errno)| failed("lock the directory", Path::new(DIRECTORY), errno))?;
        share()?;
        // What the lock holds may lie below the mount that we, or whoever had the lock before, made over it.
        Ok(Registry { directory: open_directory()?, _lock: lock })
    }

    /// What stands at `name` now.
    ///
    /// # Errors
    /// As [`entry`].
    pub fn entry(&self, name: &LinkName) -> Result<Entry, NetnsError> {
        entry_in(&self.directory, name)
    }

    /// Binds `namespace` at `name`, which must be free.
    ///
    /// # Errors
    /// `Taken` when it is not; `NotPermitted`; what open(2) and mount(2) say, and then nothing is left.
    pub fn bind(&self, name: &LinkName, namespace: &Namespace) -> Result<(), NetnsError> {
        let flags = OFlag::O_RDONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let file =
            openat(&self.directory, name.as_str(), flags, Mode::empty()).map_err(|errno| match errno {
                Errno::EEXIST => NetnsError::Taken { name: name.clone(), what: "the name is taken" },
                errno => failed("make the link", &path(name), errno),
            })?;
        // Both ends are descriptors: neither the process nor the name can become another in between.
        let bound = mount(
            Some(magic_link(namespace.as_fd().as_raw_fd()).as_path()),
            &magic_link(file.as_raw_fd()),
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        );
        bound.map_err(|errno| {
            let _ = unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir);
            failed("bind the namespace", &path(name), errno)
        })
    }

    /// Removes `name`, whatever namespace it holds; the namespace lives on while anything else holds it.
    /// A symbolic link is removed and not followed: what it leads to may be a container engine's own mount.
    /// Returns whether there was anything to remove.
    ///
    /// # Errors
    /// `Taken` for what is neither a link nor what is left of one; what umount(2) and unlink(2) say.
    pub fn unbind(&self, name: &LinkName) -> Result<bool, NetnsError> {
        let file = path(name);
        match self.entry(name)? {
            Entry::Free => return Ok(false),
            Entry::Foreign => {
                return Err(NetnsError::Taken { name: name.clone(), what: "is not a namespace link" });
            }
            Entry::Bound(_) => self.unmount_all(name)?,
            Entry::Empty | Entry::Symlink => {}
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
        while let Entry::Bound(_) = self.entry(name)? {
            umount2(&file, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
                .map_err(|errno| failed("unmount the namespace", &file, errno))?;
        }
        Ok(())
    }
}

fn open_directory() -> Result<OwnedFd, NetnsError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::open(DIRECTORY, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::ENOTDIR | Errno::ELOOP => NetnsError::Directory { what: "is not a directory" },
        errno => failed("open the directory", Path::new(DIRECTORY), errno),
    })
}

/// Makes the directory a shared mount of its own, if it is not one yet.
fn share() -> Result<(), NetnsError> {
    let directory = Path::new(DIRECTORY);
    let shared = MsFlags::MS_SHARED | MsFlags::MS_REC;
    let share = || mount(None::<&str>, directory, None::<&str>, shared, None::<&str>);
    match share() {
        Ok(()) => return Ok(()),
        Err(Errno::EINVAL) => {} // not a mount point yet
        Err(errno) => return Err(failed("share the directory", directory, errno)),
    }
    mount(Some(directory), directory, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .and_then(|()| share())
        .map_err(|errno| failed("make the directory a mount", directory, errno))
}

fn entry_in<Fd: AsFd>(directory: Fd, name: &LinkName) -> Result<Entry, NetnsError> {
    let look = |flags| fstatat(&directory, name.as_str(), flags);
    let stat = match look(AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(Entry::Free),
        other => other.map_err(|errno| failed("look at the link", &path(name), errno))?,
    };
    Ok(match file_type(&stat) {
        SFlag::S_IFLNK => Entry::Symlink,
        SFlag::S_IFREG => match open(name) {
            Ok(namespace) => Entry::Bound(namespace.identity()),
            Err(NamespaceError::OtherKind { .. }) => Entry::Bound(Identity::from(&stat)),
            Err(NamespaceError::NotANamespace { .. }) => Entry::Empty,
            // A file of mode 0 that we may not open: nsfs files are world-readable, so this is none.
            Err(NamespaceError::NotPermitted { .. }) => Entry::Empty,
            Err(_) => Entry::Foreign,
        },
        _ => Entry::Foreign,
    })
}

fn file_type(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn magic_link(fd: i32) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{fd}"))
}

fn failed(action: &'static str, file: &Path, errno: Errno) -> NetnsError {
    match errno {
        Errno::EACCES | Errno::EPERM => NetnsError::NotPermitted { action, file: file.to_owned() },
        errno => NetnsError::Io { action, file: file.to_owned(), source: errno.into() },
    }
}
