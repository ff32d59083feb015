//! Limits a program of the host that runs with a container's files to what the container may do.
//!
//! Such a program reads files of the container that decide what it loads: modules of the name service, plugins by an
//! absolute path, start-up files. So code of the container will run in it, and must gain nothing by that. It gets what
//! `docker exec -u 0` would give: the container's bounding set, its control groups, labels and limits, no_new_privs, and
//! a seccomp filter where the container has one.

use common::failure::Failure;
use common::namespace::{NamespaceId, NamespaceKind};
use common::process::Process;
use rustix::thread::{CapabilitySet, capabilities};

use crate::identity::limits::Limits;
use crate::identity::power::ProgramPower;
use crate::wanted::capability::names;

/// PROC_USER_INIT_INO, the number of the user namespace that the machine began with ever since they have numbers
/// (linux/proc_ns.h, Linux 3.8).
pub const INITIAL_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// All limits that are no namespace, control group or label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Bounding and permitted set of the program: the container's bounding set, and what was requested in addition.
    pub capabilities: CapabilitySet,
    /// What of that the container does not have.
    pub added: CapabilitySet,
    /// Whether the container has a seccomp filter, and so the program.
    pub filtered: bool,
    pub limits: Limits,
    pub oom_score_adj: String,
    /// In which user namespace all this counts.
    user_namespace: NamespaceId,
    /// The other namespaces: root there controls what is in them, with or without capabilities.
    namespaces: Vec<(NamespaceKind, NamespaceId)>,
}

/// Namespaces in which root can act without capabilities: end, stop and trace processes, send and listen, read what is
/// shared.
const SHARED_KINDS: [NamespaceKind; 3] = [NamespaceKind::Pid, NamespaceKind::Net, NamespaceKind::Ipc];

impl Fence {
    /// The limits of `process`, with the capabilities `wanted` in addition.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn around(process: &Process, wanted: CapabilitySet) -> Result<Self, Failure> {
        let status = process.status()?;
        let untold = |what| Failure::failed(process, format_args!("this kernel does not show its {what}"));
        let bounding = status.capbnd.ok_or_else(|| untold("bounding set"))?;
        let bounding = CapabilitySet::from_bits_retain(bounding);
        let namespaces = SHARED_KINDS.map(|kind| Ok((kind, process.namespace_identity(kind)?)));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Fence {
            capabilities: bounding | wanted,
            added: wanted - bounding,
            // A kernel without seccomp(2) says nothing; then no container has a filter.
            filtered: status.seccomp.is_some_and(|mode| mode != 0),
            limits: Limits::parse(&text(process.read("limits")?)),
            oom_score_adj: text(process.read("oom_score_adj")?).trim().to_owned(),
            // Last: a process can only go down, to a user namespace below its own. See confine.rs.
            user_namespace: process.namespace_identity(NamespaceKind::User)?,
            namespaces: namespaces.into_iter().collect::<Result<_, Failure>>()?,
        })
    }

    /// Refuses where the program would be in another user namespace, in which the same capabilities reach further, and
    /// where a capability was asked for that we do not have. `enters`: whether we come from another one, and have all.
    ///
    /// # Errors
    /// Says which.
    pub fn check_user_namespace(&self, user_namespace: NamespaceId, enters: bool) -> Result<(), Failure> {
        if self.user_namespace != user_namespace {
            let what = "the program would be in another user namespace than TARGET, where the container's capabilities reach further";
            return Err(Failure::failed("--host-tools", what)
                .hint(common::sentence!("leave out --user=FILE and --user-parent, or --trust-target")));
        }
        let ours = capabilities(None).map_err(|errno| Failure::failed("capabilities", errno))?.permitted;
        match self.added - ours {
            lacking if enters || lacking.is_empty() => Ok(()),
            lacking => Err(Failure::failed(
                format_args!("--cap-add {}", names(lacking)),
                "the caller does not have it",
            )),
        }
    }

    /// Refuses where the program would be beside processes, links or memory that the container is not beside: there its
    /// root is root. `joined` says in which namespace of a kind the program will be.
    ///
    /// # Errors
    /// Says in which.
    pub fn must_be_beside(
        &self,
        joined: impl Fn(NamespaceKind) -> Result<NamespaceId, Failure>,
    ) -> Result<(), Failure> {
        for &(kind, theirs) in &self.namespaces {
            if joined(kind)? != theirs {
                let among = among(kind);
                let what = format_args!(
                    "code of the container would be root among {among} that the container does not have"
                );
                return Err(Failure::failed("--host-tools", what)
                    .hint(common::sentence!("use -a without -F, or --trust-target")));
            }
        }
        Ok(())
    }

    /// What a program has to do its job with.
    pub fn power(&self) -> ProgramPower {
        ProgramPower { capabilities: self.capabilities, filtered: self.filtered }
    }

    /// Whether the container's root has full power over the host already, so that no fence limits it.
    pub fn is_ineffective(&self) -> bool {
        let own = self.capabilities - self.added;
        own.contains(CapabilitySet::SYS_ADMIN) && self.user_namespace.inode == INITIAL_USER_NAMESPACE
    }

    /// What each requested capability allows, a line each.
    pub fn openings(&self) -> impl Iterator<Item = String> {
        self.added.iter().map(|capability| {
            format!("--cap-add {}: code of the container could {}", names(capability), opening(capability))
        })
    }
}

fn among(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Pid => "processes",
        NamespaceKind::Net => "interfaces and sockets",
        _ => "shared memory and queues",
    }
}

/// What a program with the capability can do that a container cannot, in one line: the user decides by it.
fn opening(capability: CapabilitySet) -> &'static str {
    match capability {
        CapabilitySet::NET_ADMIN => {
            "change the container's network, and delete interfaces of the host, such as the other end of its veth"
        }
        CapabilitySet::NET_RAW => "send any packet in the container's network",
        CapabilitySet::SYS_PTRACE => {
            "take over every process in its PID namespace, also what other users of the host run there"
        }
        CapabilitySet::SYS_ADMIN => "mount, and so become root of the host",
        CapabilitySet::SYS_MODULE => "load code into the kernel",
        CapabilitySet::SYS_RAWIO => "write to devices and to the kernel's memory",
        CapabilitySet::SYS_BOOT => "restart the machine",
        CapabilitySet::SYS_TIME => "set the clock of the machine",
        CapabilitySet::BPF | CapabilitySet::PERFMON => {
            "look into the kernel and all that runs on the machine"
        }
        CapabilitySet::SYSLOG => "read the kernel's messages",
        CapabilitySet::DAC_READ_SEARCH => {
            "open every world-readable file on the file systems that hold the host's programs"
        }
        CapabilitySet::DAC_OVERRIDE | CapabilitySet::FOWNER | CapabilitySet::CHOWN => {
            "read and write all files of the container"
        }
        CapabilitySet::SETUID | CapabilitySet::SETGID => "become any user of the container",
        CapabilitySet::KILL => {
            "kill every process in its PID namespace, also what other users of the host run there"
        }
        _ => "do what capabilities(7) says about it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_that_is_added_says_what_it_opens() {
        let limits = Limits::parse("");
        let user_namespace = common::namespace::own_identity(NamespaceKind::User).unwrap();
        let fence = |capabilities, added| Fence {
            capabilities,
            added,
            filtered: true,
            limits: limits.clone(),
            oom_score_adj: String::new(),
            user_namespace,
            namespaces: Vec::new(),
        };
        let lines: Vec<_> = fence(CapabilitySet::all(), CapabilitySet::NET_ADMIN).openings().collect();
        assert!(matches!(&lines[..], [line] if line.contains("interfaces of the host")), "{lines:?}");
        let ours = user_namespace.inode == INITIAL_USER_NAMESPACE;
        assert_eq!(fence(CapabilitySet::all(), CapabilitySet::NET_ADMIN).is_ineffective(), ours);
        assert!(!fence(CapabilitySet::all(), CapabilitySet::all()).is_ineffective());
    }
}
