//! What the kernel asks once the namespaces are joined: for another root, and for other user and group IDs.

use common::namespace::NamespaceKind;
use common::view::TargetView;

use super::ids::Map;
use super::rule::{Capability, EntryFacts, EntryRule, NeededCapability, Reason};
use super::users::{Actor, Over};
use crate::plan::Plan;
use crate::wanted::RequestedId;

/// The rules for the root and the IDs of `plan`, when `inside` is our user and capabilities by then.
pub fn rules(plan: &Plan, facts: &EntryFacts, inside: &Actor) -> Vec<EntryRule> {
    let here = Over::Known(inside.user);
    let ids = &facts.ids;
    let needs = |capability: Capability| {
        let power = facts.users.power(inside, capability.set(), here);
        EntryRule::Capability(NeededCapability {
            capability,
            over: here,
            power,
            reasons: vec![Reason::ProgramInside],
        })
    };
    let mapped = |what, id, map: &Option<Map>| {
        let mapped = map.as_ref().is_none_or(|map| map.has(id));
        EntryRule::Mapped { what, id, user: here, mapped }
    };
    let mut rules = view(plan, facts, inside);
    // A mount namespace asks for the same before it is joined, so that the target's own root takes no more.
    if plan.root.is_some() {
        rules.push(needs(Capability::SysChroot));
    }
    let joins_user = plan.join.kinds().contains(&NamespaceKind::User);
    // Inside another user namespace the ID of the target's owner can only be seen from there.
    let follow = |id: fn((u32, u32)) -> u32| ids.of_target.filter(|_| !joins_user).map(id);
    let number = |id: Option<RequestedId>, of_target: fn((u32, u32)) -> u32| match id? {
        RequestedId::Number(number) => Some(number),
        RequestedId::Follow => follow(of_target),
    };
    // So can those of the target that confines.
    let confined = plan.confinement.as_ref().filter(|_| !joins_user).map(|confinement| &confinement.ids);
    if let (Some(theirs), None) = (confined, plan.gid) {
        rules.push(mapped("group ID", theirs.gid, &ids.gid_map));
        // Where both have some they may be the same, which asks for nothing.
        if !ids.gids.contains(&theirs.gid) || ids.has_groups == theirs.groups.is_empty() {
            rules.push(needs(Capability::SetGid));
        }
    }
    if let (Some(theirs), None) = (confined, plan.uid) {
        rules.push(mapped("user ID", theirs.uid, &ids.uid_map));
        if !ids.uids.contains(&theirs.uid) {
            rules.push(needs(Capability::SetUid));
        }
    }
    if let Some(gid) = number(plan.gid, |(_, gid)| gid) {
        rules.push(mapped("group ID", gid, &ids.gid_map));
        if ids.has_groups && ids.setgroups_denied {
            rules.push(EntryRule::GroupsStay(here));
        }
        if !ids.gids.contains(&gid) || (ids.has_groups && !ids.setgroups_denied) {
            rules.push(needs(Capability::SetGid));
        }
    }
    if let Some(uid) = number(plan.uid, |(uid, _)| uid) {
        rules.push(mapped("user ID", uid, &ids.uid_map));
        if !ids.uids.contains(&uid) {
            rules.push(needs(Capability::SetUid));
        }
    }
    rules
}

/// What the inside view asks for: a mount namespace of the program's own, and file systems that the kernel lets only
/// the owner of what they show mount (proc_init_fs_context, sysfs_init_fs_context).
fn view(plan: &Plan, facts: &EntryFacts, inside: &Actor) -> Vec<EntryRule> {
    let needs = |over, reason| {
        let power = facts.users.power(inside, Capability::SysAdmin.set(), over);
        EntryRule::Capability(NeededCapability {
            capability: Capability::SysAdmin,
            over,
            power,
            reasons: vec![reason],
        })
    };
    let owner = |kind| facts.over.get(&kind).copied().unwrap_or(Over::Outside(None));
    let any = plan.view != TargetView::default();
    let rules = [
        any.then(|| needs(Over::Known(inside.user), Reason::ProgramInside)),
        plan.view.sysfs.then(|| needs(owner(NamespaceKind::Net), Reason::Owns(NamespaceKind::Net))),
        plan.view.procfs.then(|| needs(owner(NamespaceKind::Pid), Reason::Owns(NamespaceKind::Pid))),
    ];
    rules.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use rustix::thread::CapabilitySet;

    use super::super::rule::{Check, CheckOutcome, world};
    use super::*;
    use crate::plan::Snapshot;
    use crate::wanted::Wanted;

    /// The rules for `line`, in a world where nothing is to be joined.
    fn checks(line: &str, facts: &EntryFacts) -> Vec<Check> {
        let plan = Plan::make(&Wanted::by(line).unwrap(), &Snapshot::default());
        Check::all(rules(&plan, facts, &facts.us), facts)
    }

    fn asked(line: &str, facts: &EntryFacts) -> Vec<String> {
        checks(line, facts).iter().map(|check| check.asks(facts)).collect()
    }

    /// Those that are not met.
    fn refused(line: &str, facts: &EntryFacts) -> Vec<String> {
        let failing = checks(line, facts).into_iter().filter(|check| check.met == CheckOutcome::No);
        failing.map(|check| check.asks(facts)).collect()
    }

    #[test]
    fn a_map_has_what_its_ranges_have() {
        let map = Map::parse("         0       1000          1\n         1     100000      65536\n");
        for (id, there) in [(0, true), (1, true), (65536, true), (65537, false), (u32::MAX, false)] {
            assert_eq!(map.has(id), there, "{id}");
        }
        assert!(!Map::parse("").has(0));
    }

    #[test]
    fn another_root_takes_sys_chroot() {
        let user = world(1000, CapabilitySet::empty(), 1);
        assert_eq!(
            refused("-r=/x", &user),
            ["CAP_SYS_CHROOT over user:[1] (the caller's), which will contain the program"]
        );
        assert_eq!(refused("-r=/x", &world(0, CapabilitySet::SYS_CHROOT, 1)), [""; 0]);
    }

    #[test]
    fn ones_own_ids_take_no_capability() {
        let user = world(1000, CapabilitySet::empty(), 1);
        assert_eq!(refused("-S 1000 -G 1000", &user), [""; 0]);
        assert_eq!(refused("-S 0", &user).len(), 1);
        assert_eq!(refused("-S 0 -G 0", &user).len(), 2);
        let mut in_groups = user;
        in_groups.ids.has_groups = true;
        assert_eq!(
            refused("-G 1000", &in_groups),
            ["CAP_SETGID over user:[1] (the caller's), which will contain the program"]
        );
        in_groups.ids.setgroups_denied = true;
        assert_eq!(refused("-G 1000", &in_groups), [""; 0]);
        assert!(asked("-G 1000", &in_groups).iter().any(|rule| rule.contains("setgroups(2) is denied")));
    }

    #[test]
    fn an_id_needs_a_number() {
        let mut root = world(0, CapabilitySet::all(), 1);
        root.ids.uid_map = Some(Map::parse("0 1000 1"));
        assert_eq!(refused("-S 0", &root), [""; 0]);
        assert_eq!(refused("-S 7 -G 7", &root), ["user ID 7 is mapped in user:[1] (the caller's)"]);
    }

    #[test]
    fn the_targets_ids_are_followed() {
        let user = world(1000, CapabilitySet::empty(), 1);
        assert_eq!(refused("-t 1 -S follow", &user).len(), 1);
        assert_eq!(refused("-t 1 -S follow", &world(0, CapabilitySet::all(), 1)), [""; 0]);
    }
}
