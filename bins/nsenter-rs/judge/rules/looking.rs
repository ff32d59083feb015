//! ptrace(2), "Ptrace access mode checking": which process may open the namespaces of another.

use std::fmt;

use rustix::thread::CapabilitySet;

use super::users::{OF_THE_MACHINE, UserNs};

/// What the rule compares of a process: IDs and capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PtraceFacts {
    /// Real, effective and saved; for the caller all three are the real one.
    pub uids: [u32; 3],
    pub gids: [u32; 3],
    pub permitted: CapabilitySet,
    /// Whether it would leave a core file: `None` where its files do not tell.
    pub dumpable: Option<bool>,
}

/// What keeps us from looking; each of them CAP_SYS_PTRACE over the process's user namespace would lift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PtraceRefusal {
    /// `/proc` is mounted with hidepid= (proc(5)), which hides other users' processes.
    Hidden,
    /// It is another user's.
    OtherUser { theirs: u32, ours: u32 },
    /// It is the same user's in another group.
    OtherGroup { theirs: u32, ours: u32 },
    /// It was started from a program that its user may not read, or changed its IDs (prctl(2), PR_SET_DUMPABLE).
    NotDumpable,
    /// It has capabilities that we have not.
    Stronger(CapabilitySet),
    /// It is in a user namespace that is neither ours nor below ours: CAP_SYS_PTRACE in ours counts for nothing there.
    Outside,
    /// All that the rule asks for is there.
    SecurityModule,
    /// Its user namespace is another one, or a security module says no.
    Other,
}

/// Why we may not look, once it is known that we may not. `tracing` is our user namespace, if we have CAP_SYS_PTRACE
/// over it: with that all others would not matter.
pub fn why_barred(us: &PtraceFacts, them: &PtraceFacts, tracing: Option<UserNs>) -> PtraceRefusal {
    match tracing {
        // There is no user namespace that is not below it.
        Some(OF_THE_MACHINE) => return PtraceRefusal::SecurityModule,
        Some(_) => return PtraceRefusal::Outside,
        None => {}
    }
    let other = |ours: &[u32; 3], theirs: &[u32; 3]| theirs.iter().copied().find(|id| *id != ours[0]);
    let stronger = them.permitted - us.permitted;
    match (other(&us.uids, &them.uids), other(&us.gids, &them.gids)) {
        (Some(theirs), _) => PtraceRefusal::OtherUser { theirs, ours: us.uids[0] },
        (None, Some(theirs)) => PtraceRefusal::OtherGroup { theirs, ours: us.gids[0] },
        _ if them.dumpable == Some(false) => PtraceRefusal::NotDumpable,
        _ if !stronger.is_empty() => PtraceRefusal::Stronger(stronger),
        _ => PtraceRefusal::Other,
    }
}

impl fmt::Display for PtraceRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PtraceRefusal::Hidden => f.write_str("/proc is mounted with hidepid= and hides it"),
            PtraceRefusal::OtherUser { theirs, ours } => {
                write!(f, "its uid is {theirs}, and the caller's is {ours}")
            }
            PtraceRefusal::OtherGroup { theirs, ours } => {
                write!(f, "its gid is {theirs}, and the caller's is {ours}")
            }
            PtraceRefusal::NotDumpable => f.write_str("it is not dumpable, as after a change of its IDs"),
            PtraceRefusal::Stronger(missing) => {
                write!(f, "it has capabilities that the caller lacks: {}", names(*missing))
            }
            PtraceRefusal::Outside => f.write_str("it is in a user namespace that is not below the caller's"),
            PtraceRefusal::SecurityModule => {
                f.write_str("a security module (SELinux, AppArmor, Landlock) forbids it")
            }
            PtraceRefusal::Other => {
                f.write_str("it is in another user namespace, or a security module forbids it")
            }
        }
    }
}

/// Not all of up to 41.
fn names(set: CapabilitySet) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    match names.len() {
        ..=SHOWN => names.join(", "),
        all => format!("{} and {} more", names[..SHOWN].join(", "), all - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(id: u32, permitted: CapabilitySet) -> PtraceFacts {
        PtraceFacts { uids: [id; 3], gids: [id; 3], permitted, dumpable: Some(true) }
    }

    #[test]
    fn the_first_difference_is_the_reason() {
        let none = CapabilitySet::empty();
        let us = of(1000, none);
        let why_barred = |us: &PtraceFacts, them: &PtraceFacts| why_barred(us, them, None);
        assert_eq!(
            why_barred(&us, &of(0, CapabilitySet::all())),
            PtraceRefusal::OtherUser { theirs: 0, ours: 1000 }
        );
        // A program that was started through a set-user-ID file has one of three.
        let saved = PtraceFacts { uids: [1000, 1000, 0], ..us.clone() };
        assert_eq!(why_barred(&us, &saved), PtraceRefusal::OtherUser { theirs: 0, ours: 1000 });
        let group = PtraceFacts { gids: [7; 3], ..us.clone() };
        assert_eq!(why_barred(&us, &group), PtraceRefusal::OtherGroup { theirs: 7, ours: 1000 });
        assert_eq!(
            why_barred(&us, &PtraceFacts { dumpable: Some(false), ..us.clone() }),
            PtraceRefusal::NotDumpable
        );
        let strong = of(1000, CapabilitySet::CHOWN);
        assert_eq!(why_barred(&us, &strong), PtraceRefusal::Stronger(CapabilitySet::CHOWN));
        assert_eq!(why_barred(&us, &us), PtraceRefusal::Other);
    }

    #[test]
    fn with_sys_ptrace_only_what_is_outside_is_barred() {
        let (us, them) = (of(0, CapabilitySet::SYS_PTRACE), of(1000, CapabilitySet::all()));
        assert_eq!(why_barred(&us, &them, Some(UserNs(7))), PtraceRefusal::Outside);
        assert_eq!(why_barred(&us, &them, Some(OF_THE_MACHINE)), PtraceRefusal::SecurityModule);
    }

    #[test]
    fn a_long_list_of_capabilities_is_cut() {
        let bar = PtraceRefusal::Stronger(CapabilitySet::CHOWN | CapabilitySet::KILL);
        assert_eq!(bar.to_string(), "it has capabilities that the caller lacks: CAP_CHOWN, CAP_KILL");
        assert!(PtraceRefusal::Stronger(CapabilitySet::all()).to_string().ends_with(" more"));
    }
}
