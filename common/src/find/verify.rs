//! Verifies claims: what an engine says about a PID counts only if the kernel agrees. Engines are asked, and files are
//! read, before the process is held; in between another process may get the PID. And an ordinary user's engine can
//! claim anything.

use nix::unistd::{Pid, Uid, geteuid};

use super::FindError;
use super::cgroups::{cgroups_allow, foreign_ids, is_container_id, own_cgroups};
use crate::engine::{Container, ContainerSource};
use crate::namespace::{self, NamespaceError, NamespaceKind};
use crate::process::{Process, ProcessError};

/// Why a process is not the container's.
#[derive(Debug)]
pub(super) enum VerifyError {
    /// It has ended, and another process may have its PID now.
    Gone,
    /// It exists, but not in a user namespace of the user that claims it.
    NotTheirs,
    /// We could not find out.
    Process(ProcessError),
}

impl VerifyError {
    /// What this doubt about `container` means to the caller.
    pub(super) fn about(self, container: Container) -> FindError {
        match self {
            // A state file may be older than the container's end; an API is not.
            VerifyError::Gone if container.source == ContainerSource::State => {
                FindError::NotRunning(Box::new(container.ended()))
            }
            VerifyError::Gone => FindError::Exited(Box::new(container)),
            VerifyError::NotTheirs => FindError::NotTheirs(Box::new(container)),
            VerifyError::Process(error) => error.into(),
        }
    }
}

impl From<ProcessError> for VerifyError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Gone(_) | ProcessError::Reused { .. } => VerifyError::Gone,
            error => VerifyError::Process(error),
        }
    }
}

/// Takes hold of the process that `container`'s engine calls its first.
///
/// # Errors
/// [`VerifyError`]; what is returned is the container's and stays it.
pub(super) fn process(container: &Container, pid: Pid) -> Result<Process, VerifyError> {
    let proof = &container.proof;
    let process = match proof.pidfd_inode {
        Some(inode) => Process::open_exactly(pid, inode)?,
        None => Process::open(pid)?,
    };
    if let Some(started) = proof.start_time_ticks
        && started != process.start_time_ticks()?
    {
        return Err(VerifyError::Gone);
    }
    // Names that are no IDs are in no cgroup's, and /proc/PID/cgroup is the dearest file to read.
    if is_container_id(&container.id) && !cgroups_allow(&process.cgroups()?, own_cgroups(), &container.id) {
        return Err(VerifyError::Gone);
    }
    if proof.claimed_by.is_root() || belongs_to(&process, proof.claimed_by)? {
        Ok(process)
    } else {
        Err(VerifyError::NotTheirs)
    }
}

/// Whether something that no other process shares says that `process` is the container's: a start time or a
/// pidfs inode, which [`process`] has compared, or a cgroup of its name.
pub(super) fn is_proven(container: &Container, process: &Process) -> bool {
    let recorded = container.proof.start_time_ticks.is_some() || container.proof.pidfd_inode.is_some();
    recorded || foreign_ids(process).is_ok_and(|ids| ids.contains(&container.id))
}

/// Whether the process is in a user namespace that `user` owns, or in one below such a one. Our own user
/// namespace, or one above it, is nobody's: everything of the host is in it.
fn belongs_to(process: &Process, user: Uid) -> Result<bool, VerifyError> {
    let mut current = match process.namespace(NamespaceKind::User) {
        Ok(namespace) => namespace,
        Err(NamespaceError::Gone { .. }) => return Err(VerifyError::Gone),
        // A caller without permission cannot be sure, and need not be of its own claims.
        Err(_) => return Ok(user == geteuid()),
    };
    let Ok(ours) = namespace::own_identity(NamespaceKind::User) else { return Ok(false) };
    while current.identity() != ours {
        if current.owner_uid().is_ok_and(|owner| owner == user) {
            return Ok(true);
        }
        match current.parent() {
            Ok(parent) => current = parent,
            Err(_) => return Ok(false),
        }
    }
    Ok(false)
}
