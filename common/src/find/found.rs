//! What a TARGET turned out to be: a process held by pidfd, or a namespace held open.

use nix::unistd::{Pid, Uid};

use super::FindError;
use crate::engine::{Container, EngineError};
use crate::namespace::{self, Namespace, NamespaceError, NamespaceId, NamespaceKind};
use crate::process::Process;

/// What a TARGET turned out to be.
#[derive(Debug)]
pub struct FoundTarget {
    /// The container, when the TARGET named one.
    pub container: Option<Container>,
    /// Why the container's engine did not say so itself, and its state on disk had to be read; and why engines of other
    /// users said nothing.
    pub api_errors: Vec<EngineError>,
    /// The user that the network belongs to and that can give it any address, if that is neither root nor the caller.
    pub stranger: Option<Uid>,
    pub(super) place: HeldTarget,
}

#[derive(Debug)]
pub(super) enum HeldTarget {
    Process(Process),
    Netns(Namespace),
    /// The namespace is what was found; the process is one that is in it.
    Both {
        process: Process,
        netns: Namespace,
    },
}

impl FoundTarget {
    pub(super) fn alone(place: HeldTarget) -> Self {
        FoundTarget { container: None, api_errors: Vec::new(), stranger: None, place }
    }

    /// Its process; `None` when the TARGET is a namespace that needs none.
    pub fn process(&self) -> Option<&Process> {
        match &self.place {
            HeldTarget::Process(process) | HeldTarget::Both { process, .. } => Some(process),
            HeldTarget::Netns(_) => None,
        }
    }

    /// Its process, for keeps.
    pub fn into_process(self) -> Option<Process> {
        match self.place {
            HeldTarget::Process(process) | HeldTarget::Both { process, .. } => Some(process),
            HeldTarget::Netns(_) => None,
        }
    }

    /// What tells its network namespace from others; `None` where ptrace(2)'s rules forbid us to look.
    pub fn netns_identity(&self) -> Option<NamespaceId> {
        match &self.place {
            HeldTarget::Netns(netns) | HeldTarget::Both { netns, .. } => Some(netns.identity()),
            HeldTarget::Process(process) => process.namespace_identity(NamespaceKind::Net).ok(),
        }
    }

    /// Whether its network is the one that the tool runs in.
    pub fn is_own_network(&self) -> bool {
        let own = namespace::own_identity(NamespaceKind::Net).ok();
        own.is_some() && self.netns_identity() == own
    }

    /// Its network namespace, held open.
    ///
    /// # Errors
    /// When the process has ended, or ptrace(2)'s access rules forbid us to look.
    pub fn into_netns(self) -> Result<Namespace, FindError> {
        Ok(self.into_both()?.1)
    }

    /// Its process, if it has one, and its network namespace, held open both.
    ///
    /// # Errors
    /// As [`FoundTarget::into_netns`].
    pub fn into_both(self) -> Result<(Option<Process>, Namespace), FindError> {
        match self.place {
            HeldTarget::Netns(netns) => Ok((None, netns)),
            HeldTarget::Both { process, netns } => Ok((Some(process), netns)),
            HeldTarget::Process(process) => match (process.namespace(NamespaceKind::Net), self.container) {
                (Err(NamespaceError::Gone { .. }), Some(container)) => {
                    Err(FindError::Exited(Box::new(container)))
                }
                (netns, _) => Ok((Some(process), netns?)),
            },
        }
    }
}

/// The network of the host: that of its first process, or our own where that is hidden from us.
///
/// # Errors
/// When not even our own can be looked at.
pub fn host_network() -> Result<NamespaceId, NamespaceError> {
    let first = Process::open(Pid::from_raw(1)).ok();
    match first.and_then(|first| first.namespace_identity(NamespaceKind::Net).ok()) {
        Some(host) => Ok(host),
        None => namespace::own_identity(NamespaceKind::Net),
    }
}

/// What for something is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To look at it, and to show its owner.
    Look,
    /// To change it, or to run something in it as root: nothing counts that a stranger can claim.
    Act,
}
