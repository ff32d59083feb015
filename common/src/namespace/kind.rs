//! The kinds of namespaces and their flags.

use std::fmt;

use nix::sched::CloneFlags;
use serde::Serialize;

/// linux/sched.h; nix has no name for it.
const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

/// The kinds of namespaces, [namespaces(7)](https://man7.org/linux/man-pages/man7/namespaces.7.html).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
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

impl Kind {
    /// All kinds; `User` is last, for whoever is privileged outside must keep that until the others are joined.
    pub const ALL: [Kind; 8] =
        [Kind::Cgroup, Kind::Ipc, Kind::Uts, Kind::Net, Kind::Pid, Kind::Mnt, Kind::Time, Kind::User];

    /// Its name under `/proc/PID/ns`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Cgroup => "cgroup",
            Kind::Ipc => "ipc",
            Kind::Uts => "uts",
            Kind::Net => "net",
            Kind::Pid => "pid",
            Kind::Mnt => "mnt",
            Kind::Time => "time",
            Kind::User => "user",
        }
    }

    /// Its CLONE_NEW* flag.
    pub const fn flag(self) -> CloneFlags {
        match self {
            Kind::Cgroup => CloneFlags::CLONE_NEWCGROUP,
            Kind::Ipc => CloneFlags::CLONE_NEWIPC,
            Kind::Uts => CloneFlags::CLONE_NEWUTS,
            Kind::Net => CloneFlags::CLONE_NEWNET,
            Kind::Pid => CloneFlags::CLONE_NEWPID,
            Kind::Mnt => CloneFlags::CLONE_NEWNS,
            Kind::Time => CLONE_NEWTIME,
            Kind::User => CloneFlags::CLONE_NEWUSER,
        }
    }

    /// The kernel that has it.
    pub(super) const fn since(self) -> &'static str {
        match self {
            Kind::Time => "5.6",
            Kind::Cgroup => "4.6",
            _ => "3.8",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
