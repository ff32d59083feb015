//! Why the kernel could not be asked, or what is wrong with its answer.

use std::io;

use nix::errno::Errno;

use super::wire::MalformedMessage;
use crate::failure::{Failure, Status};

/// Why a request to the kernel's routing netlink has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket itself does not work.
    #[error("netlink: {action}: {source}")]
    Socket {
        /// What we tried to do.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel understood, and refused.
    #[error("{request}: {}{}", io::Error::from(*errno), why.as_ref().map_or(String::new(), |why| format!(" ({why})")))]
    Refused {
        /// What was asked.
        request: &'static str,
        /// Its error.
        errno: Errno,
        /// Its extended acknowledgement: the reason in words (Linux 4.12).
        why: Option<String>,
    },
    /// What came is no answer that the protocol knows.
    #[error("{request}: invalid answer of the kernel: {source}")]
    Malformed {
        /// What was asked.
        request: &'static str,
        /// What is wrong with it.
        source: MalformedMessage,
    },
    /// Each time the answer was read, the table had changed in the middle of it.
    #[error("{request}: it changes faster than it can be read")]
    Unsteady {
        /// What was asked.
        request: &'static str,
    },
    /// More than any network has.
    #[error("{request}: has more than {most} entries")]
    TooMany {
        /// What was asked.
        request: &'static str,
        /// How many are too many.
        most: usize,
    },
}

impl From<NetlinkError> for Failure {
    fn from(error: NetlinkError) -> Self {
        Failure::from_error(Status::Failed, error)
    }
}
