//! Why a step could not be done, and whether that matters.

use std::io;

use common::failure::Failure;
use common::netlink::NetlinkError;
use common::target::IfName;
use nix::errno::Errno;

use crate::apply::filter::FilterError;

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The kernel refused, and this is what that means.
    #[error("{text}")]
    Explained {
        /// Why, for people.
        text: String,
        /// The kernel's error number.
        errno: Errno,
    },
    /// What was to be deleted is gone, or is to stay.
    #[error("gone already")]
    NothingToUndo,
    /// There is no such link.
    #[error("{0}: no such interface")]
    NoLink(IfName),
    /// A sysctl could not be set.
    #[error("{file}: {source}")]
    Sysctl {
        /// Its file.
        file: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// A rule could not be added or deleted.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// It cannot be given back: where it is, and how to get it.
    #[error("{0}")]
    OutOfReach(Box<Failure>),
    /// The container's network could not be entered.
    #[error(transparent)]
    Entering(Box<Failure>),
}

impl StepError {
    /// The failure of a step, which `command` does too.
    pub fn into_failure(self, command: String) -> Failure {
        match self {
            StepError::OutOfReach(failure) => *failure,
            error => Failure::failed(command, error),
        }
    }

    /// For an object in a namespace that no longer exists.
    pub(super) fn gone(request: &'static str) -> Self {
        NetlinkError::Refused { request, errno: Errno::ENODEV, why: None }.into()
    }

    fn errno(&self) -> Option<Errno> {
        match self {
            StepError::Netlink(NetlinkError::Refused { errno, .. }) | StepError::Explained { errno, .. } => {
                Some(*errno)
            }
            _ => None,
        }
    }

    /// Whether it means that what was to be created exists.
    pub(super) fn is_there(&self) -> bool {
        self.errno() == Some(Errno::EEXIST)
    }

    /// Whether it means that what was to be deleted or restored is gone.
    pub(super) fn is_gone(&self) -> bool {
        let gone = [
            Errno::ENODEV,
            Errno::EADDRNOTAVAIL,
            Errno::ESRCH,
            Errno::ENOENT,
            Errno::ENETUNREACH,
            Errno::ENETDOWN,
        ];
        matches!(self, StepError::NoLink(_) | StepError::NothingToUndo)
            || self.errno().is_some_and(|errno| gone.contains(&errno))
    }
}
