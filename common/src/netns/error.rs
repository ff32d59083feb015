//! Why a name under `/run/netns` cannot be made, read or removed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::holder::LockHolder;
use super::{DIRECTORY, path};
use crate::failure::{Failure, Status};
use crate::target::LinkName;
use crate::typed::with_sudo;

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
    /// What stands at the name is neither a link nor what is left of one, and not ours to remove.
    #[error("{}: is not a namespace link", path(.0).display())]
    Foreign(LinkName),
    /// Making or removing names takes CAP_SYS_ADMIN over the user namespace that owns our mount namespace.
    #[error("{}: permission denied: {action} requires CAP_SYS_ADMIN over the user namespace of this mount namespace", file.display())]
    NotPermitted {
        /// What we tried to do.
        action: &'static str,
        /// To which file.
        file: PathBuf,
    },
    /// Another tool of ours has the lock, and does not let go.
    #[error("{}: {holder} has held this lock for {}", file.display(), crate::output::time(*time))]
    Held {
        /// The lock.
        file: PathBuf,
        /// The process that has it.
        holder: LockHolder,
        /// At least so long.
        time: Duration,
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
        let failure = Failure::said(Status::Failed, &error);
        let failure = match &error {
            NetnsError::NotPermitted { .. } => failure.hint(with_sudo()),
            NetnsError::Taken { name, .. } => failure.hint(crate::hint!("netns-link --rm {}", name)),
            NetnsError::Held { holder, .. } => failure.hint(holder.hint()),
            _ => failure,
        };
        failure.caused_by(error)
    }
}
