//! Why a source of evidence could not be had.

use std::fs;

use nix::errno::Errno;

/// The modes of kernel lockdown, the one that it is in between brackets: kernel_lockdown(7).
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// What is said where the kernel's tracepoint has no reason.
pub(super) const NO_REASON: &str = "this kernel does not say why it drops a packet (needs Linux 5.17)";

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
    #[error("this kernel has no {what} (needs Linux {since})")]
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
    /// The kernel lets nobody look into it, whatever capabilities one has.
    #[error("{what}: refused by the kernel's lockdown (confidentiality)")]
    LockedDown {
        /// What was asked for.
        what: &'static str,
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

impl NotArmed {
    /// The kernel refused it. Of a program that calls what lockdown takes away it says that there is no such function: EINVAL.
    pub(super) fn refused(what: &'static str, errno: Errno) -> Self {
        let is_locked = matches!(errno, Errno::EPERM | Errno::EINVAL)
            && fs::read_to_string(LOCKDOWN).is_ok_and(|modes| modes.contains("[confidentiality]"));
        if is_locked { NotArmed::LockedDown { what } } else { NotArmed::Kernel { what, errno } }
    }
}
