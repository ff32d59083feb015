//! Verifies claims: what an engine says about a PID counts only if the kernel agrees. Engines are asked, and files are
//! read, before the process is held; in between another process may get the PID. And an ordinary user's engine can
//! claim anything.

use jiff::Timestamp;
use nix::unistd::{Pid, Uid};

use super::FindError;
use super::cgroups::{cgroups_allow, is_container_id, own_cgroups};
use super::named_cgroup;
use crate::engine::{Container, ContainerSource};
use crate::namespace::{self, NamespaceError, NamespaceKind};
use crate::process::{Process, ProcessError};

/// What `/proc/PID/stat` counts in: USER_HZ, 100 wherever Linux runs today.
const TICK_MS: i64 = 10;
/// How long an engine may take from making the process to saying that the container has started.
const EARLIER_MS: i64 = 120_000;
/// How much later than that the process may seem to have started: clocks are read one after the other, and in steps.
const LATER_MS: i64 = 2_000;

/// Why a process is not the container's.
#[derive(Debug)]
pub(super) enum VerifyError {
    /// It has ended, and another process may have its PID now.
    Gone,
    /// It exists, and nothing that no other process shares says that it is the container's.
    Unproven,
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
            VerifyError::Unproven => FindError::Unproven(Box::new(container)),
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

/// The process that is a container's first.
#[derive(Debug)]
pub(super) struct VerifiedProcess {
    pub process: Process,
    /// Whether something that no other process shares says so: a start time, a pidfs inode, or a cgroup that root has given
    /// its name.
    pub is_proven: bool,
}

/// Takes hold of the process that `container`'s engine calls its first.
///
/// # Errors
/// [`VerifyError`]; what is returned is the container's and stays it.
pub(super) fn process(container: &Container, pid: Pid) -> Result<VerifiedProcess, VerifyError> {
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
    let mut is_proven = proof.start_time_ticks.is_some() || proof.pidfd_inode.is_some();
    // Names that are no IDs are in no cgroup's, and /proc/PID/cgroup is the dearest file to read.
    if is_container_id(&container.id) {
        let groups = process.cgroups_by_hierarchy()?;
        if !cgroups_allow(&groups, own_cgroups, &container.id) {
            return Err(VerifyError::Gone);
        }
        is_proven = is_proven || named_cgroup::proves(&groups, container);
    }
    if !proof.claimed_by.is_root() && !belongs_to(&process, proof.claimed_by)? {
        return Err(VerifyError::NotTheirs);
    }
    match is_proven || started_with(&process, container)? {
        true => Ok(VerifiedProcess { process, is_proven }),
        false => Err(VerifyError::Unproven),
    }
}

/// Whether the process is as old as the engine says, as far as clocks can tell: a PID of another machine or of another PID
/// namespace, and one that was used again since somebody wrote it down, is of a process that is not. LXC and machined, whose
/// IDs are names, say nothing of the kind: they ask or were told by the process that started the container.
fn started_with(process: &Process, container: &Container) -> Result<bool, VerifyError> {
    let Some(said) = container.proof.made_at else { return Ok(!is_container_id(&container.id)) };
    let boot =
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_err(|_| VerifyError::Unproven)?;
    let ticks = i64::try_from(process.start_time_ticks()?).unwrap_or(i64::MAX);
    let ago_ms =
        (boot.tv_sec() * 1000 + boot.tv_nsec() / 1_000_000).saturating_sub(ticks.saturating_mul(TICK_MS));
    let started_ms = Timestamp::now().as_millisecond() - ago_ms;
    let before_ms = said.as_millisecond() - started_ms;
    Ok((-LATER_MS..=EARLIER_MS).contains(&before_ms))
}

/// Whether the process is in a user namespace that `user` owns, or in one below such a one. Our own user
/// namespace, or one above it, is nobody's: everything of the host is in it.
fn belongs_to(process: &Process, user: Uid) -> Result<bool, VerifyError> {
    let mut current = match process.namespace(NamespaceKind::User) {
        Ok(namespace) => namespace,
        Err(NamespaceError::Gone { .. }) => return Err(VerifyError::Gone),
        // Users may look at the processes of their own rootless containers (ptrace(2)): what we may not look at is not one,
        // and who could not look at it cannot have started it either.
        Err(_) => return Ok(false),
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
