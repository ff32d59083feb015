//! Why a file cannot be made unreadable: each says what is missing.

use std::io;

use common::failure::{Failure, Status};
use nix::errno::Errno;

/// Why a file cannot be made unreadable.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    /// There may be no user namespace whose IDs it could have.
    #[error("no user namespace can be made: {}", .0.desc())]
    NoUserNamespace(Errno),
    /// The kernel has no id-mapped mounts.
    #[error("the kernel has no id-mapped mounts, which Linux 5.12 brought")]
    OldKernel,
    /// No file system that we may use has them.
    #[error("no file system here can be id-mapped: tmpfs can since Linux 6.3, ext4 and XFS since 5.12")]
    FileSystem,
    /// A capability is missing.
    #[error(
        "permission denied: it takes CAP_SYS_ADMIN, also over the user namespace in which a file system was mounted"
    )]
    NotPermitted,
    /// The copy cannot be written.
    #[error("the copy of a file: {0}")]
    Copy(io::Error),
}

impl Unmade {
    pub(super) fn of_mapping(errno: Errno) -> Self {
        match errno {
            Errno::ENOSYS => Unmade::OldKernel,
            Errno::EINVAL => Unmade::FileSystem,
            Errno::EPERM => Unmade::NotPermitted,
            errno => Unmade::Copy(errno.into()),
        }
    }

    pub(super) fn of_copying(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSYS) => Unmade::OldKernel,
            // What is attached nowhere can be copied since Linux 6.15 only.
            Some(Errno::EINVAL) => Unmade::FileSystem,
            Some(Errno::EPERM) => Unmade::NotPermitted,
            _ => Unmade::Copy(error),
        }
    }
}

impl From<Unmade> for Failure {
    fn from(error: Unmade) -> Self {
        let failure = Failure::said(Status::Trouble, &error);
        match error {
            Unmade::NoUserNamespace(_) => failure.hint("sysctl user.max_user_namespaces"),
            Unmade::NotPermitted => failure.hint("run it as root"),
            Unmade::OldKernel | Unmade::FileSystem | Unmade::Copy(_) => failure,
        }
    }
}
