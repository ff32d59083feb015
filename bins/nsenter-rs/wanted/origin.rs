//! Where a namespace, a root or a directory comes from: the target, or what the user named instead.

use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;

use common::namespace::NamespaceHandle;

use crate::cli::NamespaceArgument;

/// Where something is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenFrom<T = PathBuf> {
    /// The target's process.
    Target,
    /// What the user named instead.
    Named(T),
}

/// A namespace that a word names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceRef {
    /// A file of `/proc/PID/ns`, or a bind mount of one.
    File(PathBuf),
    /// The kernel's number for it, or its whole handle.
    Handle(NamespaceHandle),
}

/// A namespace that is not simply the target's of that kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherNamespace {
    /// The one that a word names.
    Named(NamespaceRef),
    /// That of the target's socket with this descriptor.
    Socket(RawFd),
    /// The parent of this user namespace.
    ParentOf(TakenFrom<NamespaceRef>),
    /// The user namespace that owns the others.
    Owner,
}

impl TakenFrom<OtherNamespace> {
    /// What of the target's it is, if it is anything of it.
    pub fn of_target(&self) -> Option<&'static str> {
        match self {
            TakenFrom::Target => Some("namespaces"),
            TakenFrom::Named(OtherNamespace::Socket(_)) => Some("--net-socket"),
            TakenFrom::Named(OtherNamespace::ParentOf(TakenFrom::Target)) => Some("--user-parent"),
            TakenFrom::Named(_) => None,
        }
    }
}

impl From<&NamespaceArgument> for NamespaceRef {
    fn from(given: &NamespaceArgument) -> Self {
        match given {
            NamespaceArgument::File(path) => NamespaceRef::File(path.clone()),
            NamespaceArgument::Handle(handle) => NamespaceRef::Handle(*handle),
        }
    }
}

impl fmt::Display for NamespaceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamespaceRef::File(path) => path.display().fmt(f),
            NamespaceRef::Handle(handle) => write!(f, ":{handle}"),
        }
    }
}

impl fmt::Display for OtherNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OtherNamespace::Named(given) => given.fmt(f),
            OtherNamespace::Socket(number) => write!(f, "the network of the target's descriptor {number}"),
            OtherNamespace::ParentOf(TakenFrom::Target) => {
                f.write_str("the parent of the target's user namespace")
            }
            OtherNamespace::ParentOf(TakenFrom::Named(given)) => write!(f, "the parent of {given}"),
            OtherNamespace::Owner => f.write_str("the user namespace that owns them"),
        }
    }
}

/// A namespace option of which each occurrence may have brought a FILE: the last one counts.
pub(super) fn of_namespace(given: &[NamespaceArgument]) -> TakenFrom<OtherNamespace> {
    given.last().map_or(TakenFrom::Target, |given| TakenFrom::Named(OtherNamespace::Named(given.into())))
}

/// What --user-parent means beside the other options.
pub(super) fn above(user: Option<&TakenFrom<OtherNamespace>>, alone: bool) -> OtherNamespace {
    match user {
        Some(TakenFrom::Named(OtherNamespace::Named(given))) => {
            OtherNamespace::ParentOf(TakenFrom::Named(given.clone()))
        }
        None if !alone => OtherNamespace::Owner,
        _ => OtherNamespace::ParentOf(TakenFrom::Target),
    }
}

/// An option of which the last occurrence may have brought a directory.
pub(super) fn of_directory(path: &Option<PathBuf>) -> TakenFrom {
    path.clone().map_or(TakenFrom::Target, TakenFrom::Named)
}
