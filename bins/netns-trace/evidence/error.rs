//! Why a source of evidence could not be had.

use nix::errno::Errno;

/// Why something could not be armed: what follows `could not be used: `.
#[derive(Debug, thiserror::Error)]
pub enum NotArmed {
    /// The kernel does not say where its structs have their members.
    #[error("this kernel has no {what}")]
    NoTypes {
        /// What is missing.
        what: &'static str,
    },
    /// Something that this kernel lacks, with the version that has it.
    #[error("{what} (Linux {since})")]
    TooOld {
        /// What is missing.
        what: &'static str,
        /// The version that has it.
        since: &'static str,
    },
    /// The kernel refuses.
    #[error("{what}: {}", if *.errno == Errno::EPERM || *.errno == Errno::EACCES { "not permitted" } else { errno.desc() })]
    Kernel {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        errno: Errno,
    },
    /// Another program has it.
    #[error("{what}")]
    InUse {
        /// Who, and what.
        what: &'static str,
    },
    /// The logger of a namespace cannot be set.
    #[error(transparent)]
    Logger(#[from] common::netns::TraceLoggerError),
    /// A part of the kernel that is asked by netlink refuses.
    #[error(transparent)]
    Netlink(#[from] common::netlink::NetlinkError),
}
