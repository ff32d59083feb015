//! What holds the target to its container: read from the kernel, as plain data.
//!
//! What `docker exec` takes from the container's configuration is taken from the process that was started with
//! it. Left out are the seccomp filter, which can be read only by a tracer that stops the process
//! (PTRACE_SECCOMP_GET_FILTER), securebits, which the kernel shows to no process, and the umask, which many daemons clear.

use common::failure::Failure;
use common::namespace::{NamespaceId, NamespaceKind};
use common::process::{Process, ProcessError};
use rustix::thread::CapabilitySet;

use crate::identity::limits::Limits;

/// Everything that confines a process beside its namespaces, control groups and label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Seen from our user namespace.
    pub ids: UserIds,
    pub bounding: CapabilitySet,
    pub permitted: CapabilitySet,
    pub inheritable: CapabilitySet,
    pub ambient: CapabilitySet,
    pub no_new_privs: bool,
    /// Whether it has a seccomp filter, which cannot be removed from it.
    pub seccomp: bool,
    pub limits: Limits,
    pub oom_score_adj: String,
    /// In which user namespace all this holds.
    user_namespace: NamespaceId,
}

/// The user and groups of a process. The real IDs: the container was started with these; a set-user-ID program has other
/// effective ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIds {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

impl UserIds {
    /// As the user namespace that we are in counts: so the kernel writes a `/proc/PID/status` that is opened there.
    pub fn of(process: &Process) -> Result<Self, ProcessError> {
        let status = process.status()?;
        Ok(UserIds { uid: status.ruid, gid: status.rgid, groups: status.groups })
    }
}

impl Confinement {
    /// What confines the process.
    pub fn of(process: &Process) -> Result<Self, Failure> {
        let status = process.status()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let set = CapabilitySet::from_bits_retain;
        let untold = |what| Failure::failed(process, format_args!("this kernel does not show its {what}"));
        Ok(Confinement {
            ids: UserIds { uid: status.ruid, gid: status.rgid, groups: status.groups },
            bounding: set(status.capbnd.ok_or_else(|| untold("bounding set"))?),
            permitted: set(status.capprm),
            inheritable: set(status.capinh),
            ambient: set(status.capamb.unwrap_or_default()),
            no_new_privs: status.nonewprivs.ok_or_else(|| untold("no_new_privs"))? != 0,
            seccomp: status.seccomp.is_some_and(|mode| mode != 0),
            limits: Limits::parse(&text(process.read("limits")?)),
            oom_score_adj: text(process.read("oom_score_adj")?).trim().to_owned(),
            // Last: a process can only go down, to a user namespace below its own. If it is still the one that the
            // program will be in, all of the above was read there, and no full set of capabilities from below,
            // where they are worth nothing, is taken for one that counts.
            user_namespace: process.namespace_identity(NamespaceKind::User)?,
        })
    }

    /// Refuses where the program would be in another user namespace: there the same IDs are other users, and the same
    /// capabilities reach further.
    pub fn must_hold_in(&self, user_namespace: NamespaceId) -> Result<(), Failure> {
        if self.user_namespace == user_namespace {
            return Ok(());
        }
        let failure = Failure::failed("--confine", "it has no effect outside of TARGET's user namespace");
        Err(failure.hint(common::sentence!("enter that too: -U, or -a")))
    }
}
