//! What keeps a network namespace alive: pure.

use std::path::PathBuf;

use nix::unistd::Pid;

/// What keeps a network namespace alive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NetnsHolder {
    /// Processes whose first thread is in it.
    Processes,
    /// A thread that has left the namespace of its process.
    Thread {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Pid,
    },
    /// A mount of its file.
    Mount(PathBuf),
    /// A mount of its file in the mount namespace of that process; looked for only where nothing here leads to it.
    ForeignMount {
        /// The process.
        pid: Pid,
        /// Where it is mounted there.
        path: PathBuf,
    },
    /// An open descriptor of its file.
    Descriptor {
        /// The process that has it.
        pid: Pid,
        /// Its number there.
        fd: i32,
    },
    /// A socket that was opened in it, in a process that is elsewhere.
    Socket {
        /// The process that has it.
        pid: Pid,
        /// Its number there.
        fd: i32,
    },
    /// Nothing that we can see: the kernel lists it (listns(2), Linux 6.19).
    Unknown,
}
