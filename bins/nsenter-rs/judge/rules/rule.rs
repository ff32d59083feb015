//! A rule as data: what has to be so, the facts that it is judged over, and what came of that.

use std::collections::BTreeMap;

use common::failure::Failure;
use common::namespace::NamespaceKind;
use rustix::thread::CapabilitySet;

use super::ids::CallerIds;
use super::looking::PtraceRefusal;
use super::users::{Actor, Over, Power, Users};
#[cfg(test)]
use super::users::{UserNs, UserNsOrigin};

/// The world as the rules see it: the caller, what is to be joined, and the user namespaces around that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFacts {
    pub us: Actor,
    pub users: Users,
    /// The user namespace that capabilities are needed over for each kind: the one that owns it; for a user
    /// namespace itself.
    pub over: BTreeMap<NamespaceKind, Over>,
    /// Whether the PID namespace to be joined was made below ours; `None` when there is none.
    pub pid_is_below: Option<bool>,
    pub threads: u64,
    /// Whether a seccomp(2) filter is on us, which may refuse whatever it likes.
    pub filtered: bool,
    pub ids: CallerIds,
}

/// One thing that has to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryRule {
    Capability(NeededCapability),
    /// A PID namespace that is joined is ours or below it.
    Below,
    /// A user or time namespace is joined by a process of one thread.
    OneThread(u64),
    /// The ID has a number in the user namespace that the program will be in.
    Mapped {
        what: &'static str,
        id: u32,
        user: Over,
        mapped: bool,
    },
    /// Supplementary groups are dropped; where user_namespaces(7) has setgroups(2) denied, they stay, for the root
    /// of that namespace has them too.
    GroupsStay(Over),
    /// ptrace(2) lets us look at the process, or why not.
    Look {
        pid: i32,
        bar: Option<PtraceRefusal>,
    },
    /// The program is where it is looked for: on the host, or elsewhere.
    Program {
        name: String,
        elsewhere: bool,
        missing: Option<String>,
    },
    /// A program of the host in the container's root has no more power than the container.
    HostFenced {
        trusted: bool,
        unfenced: Option<String>,
    },
    /// What is done or tried ahead, and why it failed.
    Ahead {
        what: &'static str,
        failure: Option<Failure>,
    },
    /// No seccomp(2) filter says otherwise.
    NoFilter,
}

/// A capability over a user namespace, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededCapability {
    pub capability: Capability,
    pub over: Over,
    pub power: Power,
    pub reasons: Vec<Reason>,
}

/// Why it has to be that user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It owns what is to be joined.
    Owns(NamespaceKind),
    /// It is joined itself.
    Joined,
    /// The program will be in it.
    ProgramInside,
}

/// Those that the rules ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    SysAdmin,
    SysChroot,
    SetUid,
    SetGid,
    SetPcap,
}

/// A rule, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub rule: EntryRule,
    pub met: CheckOutcome,
    /// Why it holds, or does not.
    pub why: String,
}

/// Whether a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    Yes,
    No,
    Unknown,
}

impl Check {
    /// Judges the rules; what is asked about one capability over one user namespace is one rule with several reasons.
    pub fn all(rules: Vec<EntryRule>, facts: &EntryFacts) -> Vec<Self> {
        let mut merged: Vec<EntryRule> = Vec::new();
        for rule in rules {
            if !merged.iter_mut().any(|earlier| earlier.takes_in(&rule)) {
                merged.push(rule);
            }
        }
        merged.into_iter().map(|rule| Check::new(rule, facts)).collect()
    }

    pub fn new(rule: EntryRule, facts: &EntryFacts) -> Self {
        let (met, why) = rule.verdict(facts);
        Check { rule, met, why }
    }

    /// The rule in words: what has to be so.
    pub fn asks(&self, facts: &EntryFacts) -> String {
        self.rule.asks(facts)
    }
}

impl EntryRule {
    /// Adds the reasons of `other` where that is the same rule; whether it is.
    fn takes_in(&mut self, other: &EntryRule) -> bool {
        match (self, other) {
            (EntryRule::Capability(this), EntryRule::Capability(other)) => {
                // Of two that are unknown, each may be another one; but then they differ in their reasons only.
                let same =
                    (this.capability, this.over, this.power) == (other.capability, other.over, other.power);
                if same {
                    let new = other.reasons.iter().filter(|reason| !this.reasons.contains(reason));
                    let new: Vec<Reason> = new.copied().collect();
                    this.reasons.extend(new);
                }
                same
            }
            (this, other) => this == other,
        }
    }
}

impl Capability {
    pub fn set(self) -> CapabilitySet {
        match self {
            Capability::SysAdmin => CapabilitySet::SYS_ADMIN,
            Capability::SysChroot => CapabilitySet::SYS_CHROOT,
            Capability::SetUid => CapabilitySet::SETUID,
            Capability::SetGid => CapabilitySet::SETGID,
            Capability::SetPcap => CapabilitySet::SETPCAP,
        }
    }
}

/// A world for the tests of the rules: ours is user:[1], of uid 0, and below it are user:[10] of uid 1000 and in
/// that one user:[11]. The namespaces to be joined belong to `owner`.
#[cfg(test)]
pub fn world(euid: u32, effective: CapabilitySet, owner: u64) -> EntryFacts {
    let made = |inside, by| UserNsOrigin { inside: UserNs(inside), by };
    let users =
        Users { ours: UserNs(1), below: [(UserNs(10), made(1, 1000)), (UserNs(11), made(10, 1000))].into() };
    let known = |user| if user == 0 { Over::Outside(None) } else { Over::Known(UserNs(user)) };
    EntryFacts {
        us: Actor { user: UserNs(1), euid: Some(euid), effective },
        over: NamespaceKind::ALL.map(|kind| (kind, known(owner))).into(),
        users,
        pid_is_below: Some(true),
        threads: 1,
        filtered: false,
        ids: CallerIds::of(euid),
    }
}
