//! The kinds of namespaces and their flags.

use std::fmt;

use nix::sched::CloneFlags;
use serde::Serialize;

/// linux/sched.h; nix has no name for it.
const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

/// The kinds of namespaces, [namespaces(7)](https://man7.org/linux/man-pages/man7/namespaces.7.html).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Control groups' root.
    Cgroup,
    /// System V and POSIX message queues.
    Ipc,
    /// Host name.
    Uts,
    /// Network.
    Net,
    /// Process IDs.
    Pid,
    /// Mount points.
    Mnt,
    /// Boot and monotonic clocks.
    Time,
    /// User and group IDs, and with them capabilities.
    User,
}

impl NamespaceKind {
    /// All kinds; `User` is last, because a caller that is privileged outside must stay so until the others are joined.
    pub const ALL: [NamespaceKind; 8] = [
        NamespaceKind::Cgroup,
        NamespaceKind::Ipc,
        NamespaceKind::Uts,
        NamespaceKind::Net,
        NamespaceKind::Pid,
        NamespaceKind::Mnt,
        NamespaceKind::Time,
        NamespaceKind::User,
    ];

    /// Its name under `/proc/PID/ns`.
    pub const fn as_str(self) -> &'static str {
        match self {
            NamespaceKind::Cgroup => "cgroup",
            NamespaceKind::Ipc => "ipc",
            NamespaceKind::Uts => "uts",
            NamespaceKind::Net => "net",
            NamespaceKind::Pid => "pid",
            NamespaceKind::Mnt => "mnt",
            NamespaceKind::Time => "time",
            NamespaceKind::User => "user",
        }
    }

    /// Its CLONE_NEW* flag.
    pub const fn flag(self) -> CloneFlags {
        match self {
            NamespaceKind::Cgroup => CloneFlags::CLONE_NEWCGROUP,
            NamespaceKind::Ipc => CloneFlags::CLONE_NEWIPC,
            NamespaceKind::Uts => CloneFlags::CLONE_NEWUTS,
            NamespaceKind::Net => CloneFlags::CLONE_NEWNET,
            NamespaceKind::Pid => CloneFlags::CLONE_NEWPID,
            NamespaceKind::Mnt => CloneFlags::CLONE_NEWNS,
            NamespaceKind::Time => CLONE_NEWTIME,
            NamespaceKind::User => CloneFlags::CLONE_NEWUSER,
        }
    }

    /// The kernel that has it.
    pub(super) const fn since(self) -> &'static str {
        match self {
            NamespaceKind::Time => "5.6",
            NamespaceKind::Cgroup => "4.6",
            _ => "3.8",
        }
    }
}

impl fmt::Display for NamespaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
