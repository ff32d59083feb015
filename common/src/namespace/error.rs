//! Why a namespace cannot be opened or entered.

use std::io;
use std::path::PathBuf;

use nix::unistd::Pid;

use super::NamespaceKind;
use crate::failure::{Failure, Status};
use crate::typed::with_sudo;

/// Why a namespace cannot be opened or entered.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The process has ended.
    #[error("the process has ended")]
    Gone {
        /// Its PID.
        pid: Pid,
    },
    /// The kernel has no such kind.
    #[error("this kernel has no {kind} namespaces (needs Linux {})", kind.since())]
    Unknown {
        /// Which kind.
        kind: NamespaceKind,
    },
    /// Nothing can be looked at.
    #[error("/proc is not mounted")]
    NoProc,
    /// The ptrace(2) access rules, or the file's mode, forbid it.
    #[error("{file}: permission denied: requires CAP_SYS_PTRACE over the user namespace of that process")]
    NotPermitted {
        /// What we tried to open.
        file: PathBuf,
    },
    /// The file is there, but is no namespace at all.
    #[error("{file}: is not a namespace")]
    NotANamespace {
        /// Which file.
        file: PathBuf,
    },
    /// The file is a namespace of another kind.
    #[error("{file}: is a namespace, but not a {wanted} one")]
    OtherKind {
        /// Which file.
        file: PathBuf,
        /// What was asked for.
        wanted: NamespaceKind,
    },
    /// The kernel has no namespace of this handle for us, and does not say whether it has one for others.
    #[error(
        "{file}: no such namespace, or the caller may not enter it: that requires CAP_SYS_ADMIN over its owner"
    )]
    NoSuch {
        /// The handle, as it was typed.
        file: PathBuf,
    },
    /// The kernel does not open namespaces by such a handle.
    #[error("{file}: this kernel cannot open a namespace by {what} (needs Linux {since})")]
    NoHandles {
        /// The handle, as it was typed.
        file: PathBuf,
        /// Which kernel does.
        since: &'static str,
        /// What it was to be opened by.
        what: &'static str,
    },
    /// Anything else that open(2) or setns(2) said.
    #[error("{file}: {source}")]
    Io {
        /// What we tried to open.
        file: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl From<NamespaceError> for Failure {
    fn from(error: NamespaceError) -> Self {
        let failure = match &error {
            NamespaceError::Gone { pid } => Failure::no(format_args!("PID {pid}"), &error),
            NamespaceError::Unknown { kind } => Failure::failed(format_args!("{kind} namespace"), &error),
            NamespaceError::NoProc => {
                Failure::said(Status::Failed, &error).hint(crate::hint!("mount -t proc proc /proc"))
            }
            NamespaceError::NotPermitted { .. } => Failure::said(Status::Failed, &error).hint(with_sudo()),
            NamespaceError::NoSuch { .. } => Failure::said(Status::No, &error),
            NamespaceError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Failure::said(Status::Failed, &error).hint(with_sudo())
            }
            _ => Failure::said(Status::Failed, &error),
        };
        failure.caused_by(error)
    }
}
