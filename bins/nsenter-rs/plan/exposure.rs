//! Whether the processes beside the target could trace the program that we run, or open its memory, its root, its
//! descriptors and its binary through the `/proc/PID` that they see of it. That is how a container reached its host in
//! CVE-2019-5736 and CVE-2024-21626.
//!
//! What guards the program is ptrace(2), "Ptrace access mode checking". Its rule about capabilities proves nothing here:
//! programs give theirs up, as ping does, and then a container with as many opens them. So host programs are made
//! undumpable ([`crate::unreadable`]), and it takes CAP_SYS_PTRACE over the user namespace that the machine began with.

use std::fmt;

use common::output::quotable;
use nix::unistd::Pid;
use rustix::thread::CapabilitySet;

/// Where the program will be, as it is seen from a process beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramPosition {
    /// The process that looks at it.
    pub observer: Observer,
    /// Whether it will have a PID in the observer's PID namespace.
    pub seen: bool,
    /// The observer's user namespace, seen from the one that the program will be in.
    pub user: Relation,
    /// Whether the observer is in the user namespace that the machine began with.
    pub observer_is_initial: bool,
    /// The most that the observer can ever be able to do: its bounding set.
    pub bounding: CapabilitySet,
    /// What the program will be able to do.
    pub permitted: CapabilitySet,
    /// Whether the program will be in the user namespace that the machine began with.
    pub initial: bool,
}

/// A process beside the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observer {
    pub pid: Pid,
    pub name: String,
}

impl fmt::Display for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PID {} ({})", self.pid, quotable(&self.name))
    }
}

impl ProgramPosition {
    /// Whether the program will be able to write to every file of the machine: it can make the host's disk a device of
    /// the container's, mount it, and is asked for no permission.
    pub fn is_all_powerful(&self) -> bool {
        let enough = CapabilitySet::MKNOD | CapabilitySet::SYS_ADMIN | CapabilitySet::DAC_OVERRIDE;
        self.initial && self.permitted.contains(enough)
    }
}

/// The relation of one user namespace to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are the same.
    Same,
    /// It was made inside the other: its capabilities count for nothing there.
    Below,
    /// It is above, or beside.
    Elsewhere,
}

/// What the program is to those beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dumpability {
    /// A host's program, started through files that no process can read.
    Undumpable,
    /// Undumpable, but through a file that can be read: CAP_SYS_PTRACE over the user namespace that it was started in is
    /// enough to trace it.
    UndumpableHere,
    /// A host's program that could not be made undumpable, and why.
    Dumpable(String),
    /// What the root that it gets has under its name; whether all that holds the target holds it too.
    OfThatRoot { confined: bool },
}

/// Why the program is safe from the target, or is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// No `/proc` in the target's PID namespace shows it.
    Unseen,
    /// It can be seen there, and the kernel lets no process there trace it.
    Undumpable,
    /// This one can have CAP_SYS_PTRACE over the user namespace that counts.
    Traceable(Observer),
    /// fs.suid_dumpable is 1: then what is undumpable is dumpable.
    AllDumpable,
    /// It is as dumpable as any program, and why.
    Dumpable(String),
    /// It is none of the host's.
    OfThatRoot { confined: bool },
}

impl Exposure {
    /// What follows from where the program will be, and how it is started. `all_dumpable` is whether fs.suid_dumpable is 1.
    pub fn of(standing: &ProgramPosition, dumpability: &Dumpability, all_dumpable: bool) -> Self {
        let traces = standing.bounding.contains(CapabilitySet::SYS_PTRACE);
        let traceable = || Exposure::Traceable(standing.observer.clone());
        match dumpability {
            Dumpability::OfThatRoot { confined } => Exposure::OfThatRoot { confined: *confined },
            _ if !standing.seen => Exposure::Unseen,
            Dumpability::UndumpableHere if traces && standing.user == Relation::Same => traceable(),
            Dumpability::UndumpableHere if standing.user == Relation::Elsewhere => traceable(),
            _ if traces && standing.observer_is_initial => traceable(),
            _ if all_dumpable => Exposure::AllDumpable,
            Dumpability::Undumpable | Dumpability::UndumpableHere => Exposure::Undumpable,
            Dumpability::Dumpable(why) => Exposure::Dumpable(why.clone()),
        }
    }

    /// Whether the kernel keeps the target away from the program, or there is nothing to be kept from.
    pub fn is_safe(&self) -> bool {
        matches!(self, Exposure::Unseen | Exposure::Undumpable | Exposure::OfThatRoot { confined: true })
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exposure::Unseen => f.write_str("no process of the container can see the program"),
            Exposure::Undumpable => f.write_str(
                "processes of the container cannot read or trace the program and its dynamically linked children. They can see \
                 its command line, and can stop or kill it",
            ),
            Exposure::Traceable(observer) => {
                write!(f, "{observer} of the container can have CAP_SYS_PTRACE, and so take over the program")
            }
            Exposure::AllDumpable => f.write_str(
                "fs.suid_dumpable is 1, so the container can read and trace every program that has no more capabilities \
                 than the container, such as ping after it has dropped its own",
            ),
            Exposure::Dumpable(why) => write!(
                f,
                "the container can read and trace every program that has no more capabilities than the container, such as \
                 ping after it has dropped its own: {why}"
            ),
            Exposure::OfThatRoot { confined: false } => f.write_str(
                "the program is the container's own, and it has the caller's capabilities and environment: with --confine it has no more than the container",
            ),
            Exposure::OfThatRoot { confined: true } => {
                f.write_str("the program is the container's own, with no more capabilities than the container")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERS: CapabilitySet = CapabilitySet::from_bits_retain(0xa804_25fb);

    fn beside(bounding: CapabilitySet) -> ProgramPosition {
        let observer = Observer { pid: Pid::from_raw(7), name: "evil\nsh".into() };
        let permitted = CapabilitySet::all();
        let (user, observer_is_initial) = (Relation::Same, true);
        ProgramPosition {
            observer,
            seen: true,
            user,
            observer_is_initial,
            bounding,
            permitted,
            initial: true,
        }
    }

    fn of(standing: &ProgramPosition) -> Exposure {
        Exposure::of(standing, &Dumpability::Undumpable, false)
    }

    #[test]
    fn whoever_cannot_trace_is_kept_from_a_program_whatever_that_can_do() {
        for permitted in [CapabilitySet::all(), DOCKERS, CapabilitySet::empty()] {
            assert_eq!(of(&ProgramPosition { permitted, ..beside(DOCKERS) }), Exposure::Undumpable);
        }
        assert!(Exposure::Undumpable.to_string().contains("command line"));
    }

    #[test]
    fn who_may_trace_on_the_whole_machine_is_named_and_who_may_in_his_own_user_namespace_only_is_kept_away() {
        let privileged = beside(CapabilitySet::all());
        let told = of(&privileged).to_string();
        assert!(told.starts_with("PID 7 (evil") && !told.contains('\n'), "{told}");
        assert!(!of(&privileged).is_safe());
        assert_eq!(of(&ProgramPosition { seen: false, ..privileged.clone() }), Exposure::Unseen);
        for user in [Relation::Below, Relation::Same, Relation::Elsewhere] {
            let own = ProgramPosition { user, observer_is_initial: false, ..privileged.clone() };
            assert_eq!(of(&own), Exposure::Undumpable, "{user:?}");
        }
    }

    #[test]
    fn what_could_not_be_made_undumpable_is_exposed_and_says_why() {
        let dumpable = Dumpability::Dumpable("an old kernel".into());
        let exposure = Exposure::of(&beside(DOCKERS), &dumpable, false);
        assert!(!exposure.is_safe() && exposure.to_string().ends_with("an old kernel"), "{exposure}");
        let told = Exposure::of(&beside(DOCKERS), &Dumpability::Undumpable, true);
        assert!(!told.is_safe() && told.to_string().contains("fs.suid_dumpable is 1"), "{told}");
    }

    #[test]
    fn a_program_of_the_container_is_safe_only_where_it_gains_nothing() {
        for confined in [false, true] {
            let own = Dumpability::OfThatRoot { confined };
            assert_eq!(Exposure::of(&beside(DOCKERS), &own, false).is_safe(), confined);
        }
    }

    #[test]
    fn only_root_of_the_machine_itself_can_do_all() {
        let program = beside(DOCKERS);
        assert!(program.is_all_powerful());
        assert!(!ProgramPosition { initial: false, ..program.clone() }.is_all_powerful());
        assert!(!ProgramPosition { permitted: DOCKERS, ..program }.is_all_powerful());
    }
}
