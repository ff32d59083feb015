//! Why a program cannot be shown what the target sees.

use std::io;
use std::path::PathBuf;

use nix::unistd::Pid;
use rustix::io::Errno;

use crate::failure::{Failure, Status};
use crate::namespace::{Namespace, NamespaceKind};
use crate::process::ProcessError;
use crate::target::LinkName;
use crate::typed::with_sudo;

/// Why a program cannot be shown what the target sees.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The target has ended.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// ptrace(2)'s access rules keep us from the target's root.
    #[error(
        "PID {0}: its files: permission denied: requires CAP_SYS_PTRACE over the user namespace of that process"
    )]
    OutOfReach(Pid),
    /// What stands where the target's file should be is nothing to read.
    #[error("{}: {what}", file.display())]
    NoFile {
        /// Which file, as we reach it.
        file: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The host has nothing that the target's file could be mounted on.
    #[error("{0}: the host has none, so the target's cannot be mounted in its place")]
    NoPlace(&'static str),
    /// A namespace without a process has only the files that an administrator gives it.
    #[error("/etc/netns/{0}: has neither resolv.conf nor hosts, and no process to take them from is known")]
    NoConfiguration(LinkName),
    /// A capability is missing.
    #[error("{what}: permission denied: requires CAP_SYS_ADMIN over {over}")]
    NotPermitted {
        /// What was to be mounted or unshared.
        what: &'static str,
        /// The user namespace, and why that one.
        over: String,
    },
    /// The kernel's rule against seeing more of `/proc` or `/sys` than one was shown.
    #[error(
        "{place}: permission denied: something is mounted over a part of it, and in a user namespace the kernel mounts {file_system} only if another one is completely visible"
    )]
    Covered {
        /// What was to be mounted.
        file_system: &'static str,
        /// Where.
        place: &'static str,
    },
    /// The caller's root is no mount point, so its mounts cannot be kept from the host.
    #[error("/: is not a mount point, so mounts below it cannot be kept from the host")]
    Chroot,
    /// Anything else the kernel said.
    #[error("{what}: {source}")]
    Io {
        /// What we tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl From<ViewError> for Failure {
    fn from(error: ViewError) -> Self {
        let error = match error {
            ViewError::Process(error) => return error.into(),
            error => error,
        };
        let failure = Failure::said(Status::Failed, &error);
        let failure = match &error {
            ViewError::OutOfReach(_) => failure.hint(with_sudo()),
            ViewError::NoPlace(file) => failure.hint(crate::hint!("ls -l {}; touch {}", file, file)),
            ViewError::NoConfiguration(name) => failure.hint(crate::sentence!(
                "write /etc/netns/{}/resolv.conf, or name a process that is in it",
                name
            )),
            ViewError::NotPermitted { .. } => failure.hint(with_sudo()),
            ViewError::Covered { place, .. } => failure.hint(crate::hint!("findmnt -R {}", place)),
            ViewError::Chroot => failure.hint(crate::sentence!("run it outside of the chroot")),
            ViewError::NoFile { .. } | ViewError::Io { .. } | ViewError::Process(_) => failure,
        };
        failure.caused_by(error)
    }
}

impl ViewError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(Errno) -> Self {
        |errno| ViewError::Io { what: what.into(), source: errno.into() }
    }

    /// The same, for calls whose EPERM is about the user namespace that owns our own namespace of `kind`.
    pub(super) fn denied_or_io(what: &'static str, kind: NamespaceKind) -> impl Fn(Errno) -> Self {
        move |errno| match errno {
            Errno::PERM => ViewError::NotPermitted { what, over: owner(kind) },
            errno => ViewError::Io { what: what.to_owned(), source: errno.into() },
        }
    }
}

/// The user namespace that owns the namespace of `kind` that we are in; for a user namespace, itself.
fn owner(kind: NamespaceKind) -> String {
    match Namespace::current(kind) {
        Ok(user) if kind == NamespaceKind::User => user.to_string(),
        Ok(namespace) => match namespace.owner() {
            Ok(owner) => format!("{owner}, which owns {namespace}"),
            Err(_) => format!("the user namespace that owns {namespace}, which is not below the caller's"),
        },
        Err(_) => format!("the user namespace that owns this {kind} namespace"),
    }
}
