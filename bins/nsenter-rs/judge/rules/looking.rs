//! ptrace(2), "Ptrace access mode checking": which process may open the namespaces of another.

use std::fmt;

use rustix::thread::CapabilitySet;

use super::users::{OF_THE_MACHINE, UserNs};

/// What the rule compares of a process: IDs and capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Them {
    /// Real, effective and saved; for the caller all three are the real one.
    pub uids: [u32; 3],
    pub gids: [u32; 3],
    pub permitted: CapabilitySet,
    /// Whether it would leave a core file: `None` where its files do not tell.
    pub dumpable: Option<bool>,
}

/// What keeps us from looking; each of them CAP_SYS_PTRACE over the process's user namespace would lift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bar {
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
pub fn why_barred(us: &Them, them: &Them, tracing: Option<UserNs>) -> Bar {
    match tracing {
        // There is no user namespace that is not below it.
        Some(OF_THE_MACHINE) => return Bar::SecurityModule,
        Some(_) => return Bar::Outside,
        None => {}
    }
    let other = |ours: &[u32; 3], theirs: &[u32; 3]| theirs.iter().copied().find(|id| *id != ours[0]);
    let stronger = them.permitted - us.permitted;
    match (other(&us.uids, &them.uids), other(&us.gids, &them.gids)) {
        (Some(theirs), _) => Bar::OtherUser { theirs, ours: us.uids[0] },
        (None, Some(theirs)) => Bar::OtherGroup { theirs, ours: us.gids[0] },
        _ if them.dumpable == Some(false) => Bar::NotDumpable,
        _ if !stronger.is_empty() => Bar::Stronger(stronger),
        _ => Bar::Other,
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bar::Hidden => f.write_str("/proc is mounted with hidepid= and hides it"),
            Bar::OtherUser { theirs, ours } => write!(f, "its uid is {theirs}, and the caller's is {ours}"),
            Bar::OtherGroup { theirs, ours } => write!(f, "its gid is {theirs}, and the caller's is {ours}"),
            Bar::NotDumpable => f.write_str("it is not dumpable, as after a change of its IDs"),
            Bar::Stronger(missing) => {
                write!(f, "it has capabilities that the caller lacks: {}", names(*missing))
            }
            Bar::Outside => f.write_str("it is in a user namespace that is not below the caller's"),
            Bar::SecurityModule => f.write_str("a security module (SELinux, AppArmor, Landlock) forbids it"),
            Bar::Other => f.write_str("it is in another user namespace, or a security module forbids it"),
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

    fn of(id: u32, permitted: CapabilitySet) -> Them {
        Them { uids: [id; 3], gids: [id; 3], permitted, dumpable: Some(true) }
    }

    #[test]
    fn the_first_difference_is_the_reason() {
        let none = CapabilitySet::empty();
        let us = of(1000, none);
        let why_barred = |us: &Them, them: &Them| why_barred(us, them, None);
        assert_eq!(why_barred(&us, &of(0, CapabilitySet::all())), Bar::OtherUser { theirs: 0, ours: 1000 });
        // A program that was started through a set-user-ID file has one of three.
        let saved = Them { uids: [1000, 1000, 0], ..us.clone() };
        assert_eq!(why_barred(&us, &saved), Bar::OtherUser { theirs: 0, ours: 1000 });
        let group = Them { gids: [7; 3], ..us.clone() };
        assert_eq!(why_barred(&us, &group), Bar::OtherGroup { theirs: 7, ours: 1000 });
        assert_eq!(why_barred(&us, &Them { dumpable: Some(false), ..us.clone() }), Bar::NotDumpable);
        let strong = of(1000, CapabilitySet::CHOWN);
        assert_eq!(why_barred(&us, &strong), Bar::Stronger(CapabilitySet::CHOWN));
        assert_eq!(why_barred(&us, &us), Bar::Other);
    }

    #[test]
    fn with_sys_ptrace_only_what_is_outside_is_barred() {
        let (us, them) = (of(0, CapabilitySet::SYS_PTRACE), of(1000, CapabilitySet::all()));
        assert_eq!(why_barred(&us, &them, Some(UserNs(7))), Bar::Outside);
        assert_eq!(why_barred(&us, &them, Some(OF_THE_MACHINE)), Bar::SecurityModule);
    }

    #[test]
    fn a_long_list_of_capabilities_is_cut() {
        let bar = Bar::Stronger(CapabilitySet::CHOWN | CapabilitySet::KILL);
        assert_eq!(bar.to_string(), "it has capabilities that the caller lacks: CAP_CHOWN, CAP_KILL");
        assert!(Bar::Stronger(CapabilitySet::all()).to_string().ends_with(" more"));
    }
}
