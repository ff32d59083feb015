//! What the kernel requires of a process that enters: data, judged over [`EntryFacts`] without touching anything.
//!
//! Sources: setns(2), capabilities(7), user_namespaces(7), pid_namespaces(7), ptrace(2); where those are short, the
//! `install` of each kind of namespace in the kernel.

mod becoming;
mod ids;
mod joining;
mod looking;
mod rule;
mod said;
mod users;

use crate::plan::{Join, Plan};

pub use ids::{CallerIds, Map};
pub use looking::{PtraceFacts, PtraceRefusal, why_barred};
#[cfg(test)]
pub use rule::world;
pub use rule::{Capability, Check, CheckOutcome, EntryFacts, EntryRule, NeededCapability, Reason};
pub use users::{Actor, OF_THE_MACHINE, Over, Power, UNSEEN, UserNs, UserNsOrigin, Users};

/// Everything that has to be so for `plan` to succeed, in the order in which it is asked.
pub fn judge(plan: &Plan, facts: &EntryFacts) -> Vec<Check> {
    let (mut rules, inside) = joining::rules(&plan.join, facts);
    rules.extend(becoming::rules(plan, facts, &inside));
    if facts.filtered {
        rules.push(EntryRule::NoFilter);
    }
    Check::all(rules, facts)
}

/// The same for joining alone.
pub fn judge_joining(join: &Join, facts: &EntryFacts) -> Vec<Check> {
    Check::all(joining::rules(join, facts).0, facts)
}
