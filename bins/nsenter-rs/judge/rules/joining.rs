//! What setns(2) asks for each kind of namespace, and what that means for several in their order.

use common::namespace::NamespaceKind;

use super::rule::{Capability, CheckOutcome, EntryFacts, EntryRule, NeededCapability, Reason};
use super::users::{Actor, Over};
use crate::plan::Join;

/// What the kernel requires of a process that joins a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JoinRequirement {
    /// A capability over the user namespace that owns it.
    OverOwner(Capability),
    /// A capability over the user namespace that we shall be in by then.
    OverOurs(Capability),
    /// A capability over it, being a user namespace.
    OverIt(Capability),
    /// It must be below our PID namespace.
    Below,
    /// Threads share user namespaces, and clocks.
    OneThread,
}

/// The rules of setns(2): the `install` function of each kind. That a user namespace is not our own holds always,
/// for the plan leaves those out.
fn asked_for(kind: NamespaceKind) -> &'static [JoinRequirement] {
    use Capability::{SysAdmin, SysChroot};
    use JoinRequirement::{Below, OneThread, OverIt, OverOurs, OverOwner};
    match kind {
        NamespaceKind::User => &[OneThread, OverIt(SysAdmin)],
        NamespaceKind::Mnt => &[OverOwner(SysAdmin), OverOurs(SysChroot), OverOurs(SysAdmin)],
        NamespaceKind::Pid => &[OverOwner(SysAdmin), OverOurs(SysAdmin), Below],
        NamespaceKind::Time => &[OneThread, OverOwner(SysAdmin), OverOurs(SysAdmin)],
        NamespaceKind::Cgroup | NamespaceKind::Ipc | NamespaceKind::Uts | NamespaceKind::Net => {
            &[OverOwner(SysAdmin), OverOurs(SysAdmin)]
        }
    }
}

/// The rules for `join`, and our user and capabilities after it.
pub fn rules(join: &Join, facts: &EntryFacts) -> (Vec<EntryRule>, Actor) {
    match join {
        Join::Nothing => (Vec::new(), facts.us),
        // The kernel asks about the user namespace that the whole call leads to, of who we were before.
        Join::AtOnce(kinds) => {
            let inside = inside(kinds, facts);
            let there = inside.map_or(Over::Known(facts.us.user), |(over, _)| over);
            let rules = kinds.iter().flat_map(|&kind| of(kind, facts, &facts.us, there)).collect();
            (rules, inside.map_or(facts.us, |(_, actor)| actor))
        }
        Join::OneByOne(kinds) => one_by_one(kinds, facts),
    }
}

/// What can be joined before the user namespace is; then that one; then the rest from inside it.
fn one_by_one(kinds: &[NamespaceKind], facts: &EntryFacts) -> (Vec<EntryRule>, Actor) {
    let here = Over::Known(facts.us.user);
    let (mut rules, mut left) = (Vec::new(), Vec::new());
    for &kind in kinds.iter().filter(|kind| **kind != NamespaceKind::User) {
        let asked = of(kind, facts, &facts.us, here);
        if asked.iter().all(|rule| CheckOutcome::No != rule.verdict(facts).0) {
            rules.extend(asked);
        } else {
            left.push(kind);
        }
    }
    let inside = inside(kinds, facts);
    if let Some((there, _)) = inside {
        rules.extend(of(NamespaceKind::User, facts, &facts.us, there));
    }
    let (there, actor) = inside.unwrap_or((here, facts.us));
    rules.extend(left.into_iter().flat_map(|kind| of(kind, facts, &actor, there)));
    (rules, actor)
}

/// The user namespace that is joined, and our user and capabilities in it.
fn inside(kinds: &[NamespaceKind], facts: &EntryFacts) -> Option<(Over, Actor)> {
    let joined = *facts.over.get(&NamespaceKind::User).filter(|_| kinds.contains(&NamespaceKind::User))?;
    let (Over::Known(user) | Over::Outside(Some(user))) = joined else { return Some((joined, facts.us)) };
    Some((joined, Actor::inside(user, &facts.us)))
}

/// The rules for one kind: `actor` asks, and will be in the user namespace `there`.
fn of(kind: NamespaceKind, facts: &EntryFacts, actor: &Actor, there: Over) -> Vec<EntryRule> {
    let owner = facts.over.get(&kind).copied().unwrap_or(Over::Outside(None));
    let needed = |capability: Capability, over, reason| {
        // A process inside has all there, also where the kernel would not tell us the way to it from outside.
        let power = facts.users.power(actor, capability.set(), over);
        EntryRule::Capability(NeededCapability { capability, over, power, reasons: vec![reason] })
    };
    let rule = |ask: &JoinRequirement| match *ask {
        JoinRequirement::OverOwner(capability) => needed(capability, owner, Reason::Owns(kind)),
        JoinRequirement::OverIt(capability) => needed(capability, owner, Reason::Joined),
        JoinRequirement::OverOurs(capability) => needed(capability, there, Reason::ProgramInside),
        JoinRequirement::Below => EntryRule::Below,
        JoinRequirement::OneThread => EntryRule::OneThread(facts.threads),
    };
    asked_for(kind).iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use rustix::thread::CapabilitySet;

    use super::super::rule::{Check, world};
    use super::super::users::{Power, UserNs};
    use super::*;

    fn refused(join: &Join, facts: &EntryFacts) -> Vec<String> {
        let failing =
            Check::all(rules(join, facts).0, facts).into_iter().filter(|check| check.met == CheckOutcome::No);
        failing.map(|check: Check| check.asks(facts)).collect()
    }

    fn at_once(kinds: &[NamespaceKind]) -> Join {
        Join::AtOnce(kinds.to_vec())
    }

    #[test]
    fn root_may_join_what_is_of_its_own_user_namespace_and_below() {
        for owner in [1, 10, 11] {
            let facts = world(0, CapabilitySet::all(), owner);
            for kind in NamespaceKind::ALL {
                assert_eq!(refused(&at_once(&[kind]), &facts), [""; 0], "{kind} of {owner}");
            }
        }
    }

    #[test]
    fn nobody_joins_what_is_above() {
        let facts = world(0, CapabilitySet::all(), 0);
        for kind in NamespaceKind::ALL {
            assert!(!refused(&at_once(&[kind]), &facts).is_empty(), "{kind}");
        }
    }

    #[test]
    fn each_kind_takes_sys_admin_and_the_mount_namespace_sys_chroot_too() {
        let without = |capability| world(0, CapabilitySet::all() - capability, 1);
        for kind in NamespaceKind::ALL {
            let kinds = at_once(&[kind]);
            assert_ne!(refused(&kinds, &without(CapabilitySet::SYS_ADMIN)), [""; 0], "{kind}");
            let chroot = refused(&kinds, &without(CapabilitySet::SYS_CHROOT));
            assert_eq!(!chroot.is_empty(), kind == NamespaceKind::Mnt, "{kind}: {chroot:?}");
        }
    }

    #[test]
    fn its_owner_needs_the_user_namespace_to_enter_the_others() {
        let facts = world(1000, CapabilitySet::empty(), 10);
        let alone = refused(&at_once(&[NamespaceKind::Net]), &facts);
        assert_eq!(alone, ["CAP_SYS_ADMIN over user:[1] (the caller's), which will contain the program"]);
        assert_eq!(refused(&at_once(&[NamespaceKind::Net, NamespaceKind::User]), &facts), [""; 0]);
        assert_eq!(refused(&Join::OneByOne(vec![NamespaceKind::Net, NamespaceKind::User]), &facts), [""; 0]);
        let other = world(2000, CapabilitySet::empty(), 10);
        assert_ne!(refused(&at_once(&[NamespaceKind::Net, NamespaceKind::User]), &other), [""; 0]);
    }

    #[test]
    fn one_by_one_what_is_above_the_user_namespace_is_joined_before_it() {
        let mut facts = world(0, CapabilitySet::all(), 1);
        facts.over.insert(NamespaceKind::User, Over::Known(UserNs(10)));
        let kinds = vec![NamespaceKind::Net, NamespaceKind::User];
        assert_eq!(refused(&Join::OneByOne(kinds), &facts), [""; 0]);
        let (_, actor) = rules(&Join::OneByOne(vec![NamespaceKind::Net, NamespaceKind::User]), &facts);
        assert_eq!(facts.users.power(&actor, CapabilitySet::SYS_ADMIN, Over::Known(UserNs(1))), {
            Power::OutOfReach
        });
    }

    #[test]
    fn nobody_leaves_his_pid_namespace() {
        let mut facts = world(0, CapabilitySet::all(), 1);
        facts.pid_is_below = Some(false);
        assert_eq!(refused(&at_once(&[NamespaceKind::Pid]), &facts).len(), 1);
        assert_eq!(refused(&at_once(&[NamespaceKind::Net]), &facts).len(), 0);
    }

    #[test]
    fn threads_share_clocks_and_user_namespaces() {
        let mut facts = world(0, CapabilitySet::all(), 1);
        facts.threads = 2;
        for kind in NamespaceKind::ALL {
            let kept = !refused(&at_once(&[kind]), &facts).is_empty();
            assert_eq!(kept, [NamespaceKind::User, NamespaceKind::Time].contains(&kind), "{kind}");
        }
    }

    #[test]
    fn one_capability_over_one_user_namespace_is_asked_for_once() {
        let facts = world(0, CapabilitySet::all(), 1);
        let checks = Check::all(rules(&at_once(&[NamespaceKind::Uts, NamespaceKind::Net]), &facts).0, &facts);
        let asked: Vec<String> = checks.iter().map(|check| check.asks(&facts)).collect();
        assert_eq!(
            asked,
            ["CAP_SYS_ADMIN over user:[1] (the caller's), which owns uts, net and will contain the program"]
        );
    }
}
