//! Whether the processes beside the target could take hold of the program that we run: of its memory, its root,
//! its descriptors and its binary, through the `/proc/PID` they have of it. That is how a container got at its
//! host in CVE-2019-5736 and CVE-2024-21626.
//!
//! What guards the program is ptrace(2), "Ptrace access mode checking": whoever looks must have all capabilities
//! that the program has, or CAP_SYS_PTRACE over its user namespace.

use std::fmt;

use rustix::thread::CapabilitySet;

/// Where the program will be, as it is seen from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether it will have a PID in the target's PID namespace.
    pub seen: bool,
    /// The target's user namespace, seen from the one that the program will be in.
    pub user: Relation,
    /// The most that the target can ever be able to do: its bounding set.
    pub bounding: CapabilitySet,
    /// What the program will be able to do.
    pub permitted: CapabilitySet,
    /// Whether the program will be in the user namespace that the machine began with.
    pub initial: bool,
}

impl Standing {
    /// Whether the program will be able to write to every file of the machine: it can make the host's disk a device of
    /// the container's, mount it, and is asked for no permission.
    pub fn is_all_powerful(&self) -> bool {
        let enough = CapabilitySet::MKNOD | CapabilitySet::SYS_ADMIN | CapabilitySet::DAC_OVERRIDE;
        self.initial && self.permitted.contains(enough)
    }
}

/// How one user namespace lies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are the same.
    Same,
    /// It was made inside the other: its capabilities count for nothing there.
    Below,
    /// It is above, or beside.
    Elsewhere,
}

/// Why the program is safe from the target, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// No `/proc` in the target's PID namespace shows it.
    Unseen,
    /// It is there to be seen, and ptrace(2)'s rules keep the target from it.
    Guarded,
    /// It is started from a file that it may not read, which takes CAP_SYS_PTRACE over the machine's own user namespace
    /// to look into; nobody there has that.
    Unreadable,
    /// The target can have CAP_SYS_PTRACE over the program's user namespace.
    Traceable,
    /// The program will have no capability that the target cannot have.
    NoStronger,
    /// Who is root where the target lives may do what he likes with the program.
    OtherUserNamespace,
}

impl Exposure {
    /// What follows from where the program will be.
    pub fn of(standing: &Standing) -> Self {
        match standing.user {
            _ if !standing.seen => Exposure::Unseen,
            Relation::Below => Exposure::Guarded,
            Relation::Elsewhere => Exposure::OtherUserNamespace,
            Relation::Same if standing.bounding.contains(CapabilitySet::SYS_PTRACE) => Exposure::Traceable,
            Relation::Same if standing.bounding.contains(standing.permitted) => Exposure::NoStronger,
            Relation::Same => Exposure::Guarded,
        }
    }

    /// Whether the kernel keeps the target away from the program.
    pub fn is_safe(self) -> bool {
        matches!(self, Exposure::Unseen | Exposure::Guarded | Exposure::Unreadable)
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exposure::Unseen => "no process of the container can see the program",
            Exposure::Unreadable => {
                "the program is not dumpable: no process of the container may look into it"
            }
            Exposure::Guarded => "no process of the container may trace the program",
            Exposure::Traceable => "the container can have CAP_SYS_PTRACE, and so all that the program has",
            Exposure::NoStronger => "the program has no capability that would keep the container from it",
            Exposure::OtherUserNamespace => "the container's root is above the program's user namespace",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERS: CapabilitySet = CapabilitySet::from_bits_retain(0xa804_25fb);

    fn beside(bounding: CapabilitySet) -> Standing {
        let permitted = CapabilitySet::all();
        Standing { seen: true, user: Relation::Same, bounding, permitted, initial: true }
    }

    #[test]
    fn the_default_container_cannot_reach_what_root_runs_beside_it() {
        assert_eq!(Exposure::of(&beside(DOCKERS)), Exposure::Guarded);
    }

    #[test]
    fn one_that_may_trace_can() {
        let privileged = beside(CapabilitySet::all());
        assert_eq!(Exposure::of(&privileged), Exposure::Traceable);
        assert_eq!(Exposure::of(&Standing { seen: false, ..privileged }), Exposure::Unseen);
        assert_eq!(Exposure::of(&Standing { user: Relation::Below, ..privileged }), Exposure::Guarded);
    }

    #[test]
    fn a_program_without_capabilities_of_its_own_is_guarded_by_none() {
        let program = Standing { permitted: CapabilitySet::empty(), ..beside(DOCKERS) };
        assert_eq!(Exposure::of(&program), Exposure::NoStronger);
        assert_eq!(Exposure::of(&Standing { permitted: DOCKERS, ..program }), Exposure::NoStronger);
    }

    #[test]
    fn only_root_of_the_machine_itself_can_do_all() {
        let program = beside(DOCKERS);
        assert!(program.is_all_powerful());
        assert!(!Standing { initial: false, ..program }.is_all_powerful());
        assert!(!Standing { permitted: DOCKERS, ..program }.is_all_powerful());
    }

    #[test]
    fn in_a_user_namespace_of_others_nothing_is_safe() {
        let program = Standing { user: Relation::Elsewhere, ..beside(DOCKERS) };
        assert_eq!(Exposure::of(&program), Exposure::OtherUserNamespace);
    }
}
