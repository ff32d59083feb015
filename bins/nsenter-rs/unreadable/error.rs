//! Why a file cannot be made unreadable: each says what is missing.

use std::ffi::OsString;
use std::io;

use common::failure::{Failure, Status};
use common::output::quotable;
use common::typed::with_sudo;
use nix::errno::Errno;

/// Why a file cannot be made unreadable.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableError {
    /// There may be no user namespace whose IDs it could have.
    #[error("no user namespace can be made: {}", .0.desc())]
    NoUserNamespace(Errno),
    /// The kernel has no id-mapped mounts.
    #[error("the kernel has no ID-mapped mounts (needs Linux 5.12)")]
    OldKernel,
    /// A tmpfs cannot be mapped, which is where copies are made.
    #[error("the kernel cannot ID-map a tmpfs (needs Linux 6.3)")]
    FileSystem,
    /// What is attached nowhere cannot be copied.
    #[error("the kernel cannot copy a detached mount (needs Linux 6.15)")]
    NotCopied,
    /// A capability is missing.
    #[error(
        "permission denied: requires CAP_SYS_ADMIN, also over the user namespace that mounted the file system"
    )]
    NotPermitted,
    /// Mounts cannot be kept from the host.
    #[error("/ is not a mount point (a chroot?), so the host would see mounts that are made below it")]
    Chroot,
    /// It cannot be known through which file the program is started.
    #[error("{}: {}", quotable(&.0.to_string_lossy()), .1)]
    Program(OsString, String),
    /// The copy cannot be written.
    #[error("the copy of a file: {0}")]
    Copy(io::Error),
}

impl UnreadableError {
    pub fn of_mapping(errno: Errno) -> Self {
        match errno {
            Errno::ENOSYS => UnreadableError::OldKernel,
            Errno::EINVAL => UnreadableError::FileSystem,
            Errno::EPERM => UnreadableError::NotPermitted,
            errno => UnreadableError::Copy(errno.into()),
        }
    }

    pub fn of_copying(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSYS) => UnreadableError::OldKernel,
            Some(Errno::EPERM | Errno::EACCES) => UnreadableError::NotPermitted,
            _ => UnreadableError::Copy(error),
        }
    }
}

impl From<UnreadableError> for Failure {
    fn from(error: UnreadableError) -> Self {
        let failure = Failure::said(Status::Failed, &error);
        match error {
            UnreadableError::NoUserNamespace(_) => {
                failure.hint(common::hint!("sysctl user.max_user_namespaces"))
            }
            UnreadableError::NotPermitted => failure.hint(with_sudo()),
            UnreadableError::Chroot => failure.hint(common::sentence!("run it outside of the chroot")),
            UnreadableError::OldKernel
            | UnreadableError::FileSystem
            | UnreadableError::NotCopied
            | UnreadableError::Program(..)
            | UnreadableError::Copy(_) => failure,
        }
    }
}
