//! Where a namespace, a root or a directory comes from: the target, or what the user named instead.

use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;

use crate::cli::Given;

/// Where something is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From<T = PathBuf> {
    /// The target's process.
    Target,
    /// What the user named instead.
    Named(T),
}

/// A namespace that is not simply the target's of that kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Other {
    /// The one that this is.
    Given(Given),
    /// That of the target's socket with this descriptor.
    Socket(RawFd),
    /// The parent of this user namespace.
    ParentOf(From<Given>),
    /// The user namespace that owns the others.
    Owner,
}

impl From<Other> {
    /// What of the target's it is, if it is anything of it.
    pub fn of_target(&self) -> Option<&'static str> {
        match self {
            From::Target => Some("namespaces"),
            From::Named(Other::Socket(_)) => Some("--net-socket"),
            From::Named(Other::ParentOf(From::Target)) => Some("--user-parent"),
            From::Named(_) => None,
        }
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Other::Given(given) => given.fmt(f),
            Other::Socket(number) => write!(f, "the network of the target's descriptor {number}"),
            Other::ParentOf(From::Target) => f.write_str("the parent of the target's user namespace"),
            Other::ParentOf(From::Named(given)) => write!(f, "the parent of {given}"),
            Other::Owner => f.write_str("the user namespace that owns them"),
        }
    }
}

/// A namespace option of which each occurrence may have brought a FILE: the last one counts.
pub(super) fn origin(given: &[Given]) -> From<Other> {
    given.last().cloned().map_or(From::Target, |given| From::Named(Other::Given(given)))
}

/// What --user-parent means beside the other options.
pub(super) fn above(user: Option<&From<Other>>, alone: bool) -> Other {
    match user {
        Some(From::Named(Other::Given(given))) => Other::ParentOf(From::Named(given.clone())),
        None if !alone => Other::Owner,
        _ => Other::ParentOf(From::Target),
    }
}

pub(super) fn from(path: &Option<PathBuf>) -> From {
    path.clone().map_or(From::Target, From::Named)
}
