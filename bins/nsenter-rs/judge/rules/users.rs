//! User namespaces as a tree, and in which of them a process has a capability.

use std::collections::BTreeMap;
use std::fmt;

use rustix::thread::CapabilitySet;
use serde::Serialize;

/// A user namespace by the number in `user:[4026531837]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UserNs(pub u64);

/// The one that the kernel starts with: PROC_USER_INIT_INO in linux/proc_ns.h.
pub const OF_THE_MACHINE: UserNs = UserNs(0xEFFF_FFFD);

/// Our own, where a container's `/proc` does not show us.
pub const UNSEEN: UserNs = UserNs(0);

/// Whose and where a user namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserNsOrigin {
    /// Its parent.
    pub inside: UserNs,
    /// The user that owns it, as our own user namespace counts.
    pub by: u32,
}

/// All that can be known of user namespaces from where we are: our own, and those below it that were looked at.
/// Of others the kernel says nothing (ioctl_ns(2)), and nothing of ours counts there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    pub ours: UserNs,
    pub below: BTreeMap<UserNs, UserNsOrigin>,
}

/// A user namespace that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Our own, or one below it.
    Known(UserNs),
    /// One above ours or beside it; the kernel may not even say which.
    Outside(Option<UserNs>),
}

/// A process with its capabilities: ours now, or as it will be inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    pub user: UserNs,
    /// `None` when it is not mapped in our user namespace: an unmapped user owns nothing there.
    pub euid: Option<u32>,
    pub effective: CapabilitySet,
}

impl Actor {
    /// After joining a user namespace: setns(2) gives all capabilities in it, and takes all outside.
    pub fn inside(user: UserNs, before: &Actor) -> Self {
        Actor { user, euid: before.euid, effective: CapabilitySet::all() }
    }
}

/// Why a process has a capability over a user namespace, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// The bit is in the effective set, and the namespace is the actor's or below it.
    Effective,
    /// The namespace is the actor's own making, right below his: he has all capabilities in it.
    Owner,
    /// The bit is not in the effective set.
    Lacking,
    /// The namespace is neither the actor's nor below it.
    OutOfReach,
}

impl Power {
    pub fn is_enough(self) -> bool {
        matches!(self, Power::Effective | Power::Owner)
    }
}

impl Users {
    /// What `actor` has of `capability` over `over`: cap_capable() in the kernel's security/commoncap.c, in words
    /// in user_namespaces(7), "Capabilities".
    pub fn power(&self, actor: &Actor, capability: CapabilitySet, over: Over) -> Power {
        let Over::Known(mut at) = over else { return Power::OutOfReach };
        // A chain is no longer than there are namespaces; what was read of a changing world may have a ring.
        for _ in 0..=self.below.len() {
            if at == actor.user {
                let has = actor.effective.contains(capability);
                return if has { Power::Effective } else { Power::Lacking };
            }
            match self.below.get(&at) {
                Some(made) if made.inside == actor.user && Some(made.by) == actor.euid => {
                    return Power::Owner;
                }
                Some(made) => at = made.inside,
                None => break,
            }
        }
        Power::OutOfReach
    }

    /// The namespace, and whose it is.
    pub fn describe(&self, over: Over) -> String {
        match over {
            Over::Known(UNSEEN) => "the caller's user namespace".to_owned(),
            Over::Known(user) if user == self.ours => format!("{user} (the caller's)"),
            Over::Known(user) => match self.below.get(&user) {
                Some(made) => format!("{user} (owned by uid {})", made.by),
                None => user.to_string(),
            },
            Over::Outside(Some(user)) => format!("{user} (not below the caller's)"),
            Over::Outside(None) => "a user namespace that is not below the caller's".to_owned(),
        }
    }
}

impl fmt::Display for UserNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user:[{}]", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: CapabilitySet = CapabilitySet::SYS_ADMIN;
    const OURS: UserNs = UserNs(1);

    /// Ours holds one of uid 1000 and one of uid 2000; the first holds another of uid 1000.
    fn nested() -> Users {
        let made = |inside, by| UserNsOrigin { inside: UserNs(inside), by };
        let below = [(UserNs(10), made(1, 1000)), (UserNs(11), made(10, 1000)), (UserNs(20), made(1, 2000))];
        Users { ours: OURS, below: below.into() }
    }

    fn us(euid: u32, effective: CapabilitySet) -> Actor {
        Actor { user: OURS, euid: Some(euid), effective }
    }

    fn powers(actor: &Actor) -> [Power; 5] {
        let over = [1, 10, 11, 20].map(|user| Over::Known(UserNs(user)));
        [over[0], over[1], over[2], over[3], Over::Outside(None)]
            .map(|over| nested().power(actor, ADMIN, over))
    }

    #[test]
    fn an_effective_capability_counts_in_ones_own_and_everywhere_below() {
        use Power::{Effective, OutOfReach};
        assert_eq!(powers(&us(0, ADMIN)), [Effective, Effective, Effective, Effective, OutOfReach]);
    }

    #[test]
    fn the_owner_has_all_in_what_is_his_and_below_that() {
        use Power::{Lacking, OutOfReach, Owner};
        let nothing = CapabilitySet::empty();
        assert_eq!(powers(&us(1000, nothing)), [Lacking, Owner, Owner, Lacking, OutOfReach]);
        assert_eq!(powers(&us(0, nothing)), [Lacking, Lacking, Lacking, Lacking, OutOfReach]);
        let nobody = Actor { euid: None, ..us(0, nothing) };
        assert_eq!(powers(&nobody), powers(&us(0, nothing)));
    }

    #[test]
    fn another_bit_is_no_help() {
        assert_eq!(powers(&us(0, CapabilitySet::all() - ADMIN))[0], Power::Lacking);
    }

    #[test]
    fn from_inside_nothing_counts_above_or_beside() {
        use Power::{Effective, OutOfReach};
        let inside = Actor::inside(UserNs(10), &us(7, CapabilitySet::empty()));
        assert_eq!(powers(&inside), [OutOfReach, Effective, Effective, OutOfReach, OutOfReach]);
    }

    #[test]
    fn a_grandchild_is_not_owned_from_two_levels_above() {
        // The same uid owns it, but its parent is another's: only one that is right below counts.
        let mut users = nested();
        users.below.insert(UserNs(21), UserNsOrigin { inside: UserNs(20), by: 1000 });
        let over = Over::Known(UserNs(21));
        assert_eq!(users.power(&us(1000, CapabilitySet::empty()), ADMIN, over), Power::Lacking);
    }

    #[test]
    fn a_ring_ends() {
        let mut users = nested();
        users.below.insert(UserNs(30), UserNsOrigin { inside: UserNs(30), by: 0 });
        assert_eq!(users.power(&us(0, ADMIN), ADMIN, Over::Known(UserNs(30))), Power::OutOfReach);
    }
}
