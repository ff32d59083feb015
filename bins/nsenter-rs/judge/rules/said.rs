//! The rules in words, and why each is met or is not.

use std::fmt;

use common::namespace::NamespaceKind;
use common::output::one_line;

use super::looking::PtraceRefusal;
use super::rule::{Capability, CheckOutcome, EntryFacts, EntryRule, NeededCapability, Reason};
use super::users::Power;

impl EntryRule {
    pub(super) fn verdict(&self, facts: &EntryFacts) -> (CheckOutcome, String) {
        let is = |met: bool, yes: &str, no: &str| match met {
            true => (CheckOutcome::Yes, yes.to_owned()),
            false => (CheckOutcome::No, no.to_owned()),
        };
        match self {
            EntryRule::Capability(needed) => {
                let met = if needed.power.is_enough() { CheckOutcome::Yes } else { CheckOutcome::No };
                (met, needed.why(facts))
            }
            EntryRule::Below => is(
                facts.pid_is_below != Some(false),
                "it was",
                "it was not: a process cannot enter a PID namespace above its own",
            ),
            EntryRule::OneThread(threads) => is(*threads == 1, "yes", "it has more"),
            EntryRule::GroupsStay(_) => (CheckOutcome::Yes, "they are kept".to_owned()),
            EntryRule::Mapped { mapped, .. } => is(*mapped, "yes", "it is not mapped"),
            EntryRule::Look { bar, .. } => match bar {
                None => (CheckOutcome::Yes, "yes".to_owned()),
                Some(bar @ (PtraceRefusal::SecurityModule | PtraceRefusal::Outside)) => {
                    (CheckOutcome::No, bar.to_string())
                }
                Some(bar) => {
                    let lifted = "CAP_SYS_PTRACE over its user namespace is enough";
                    (CheckOutcome::No, format!("{bar}; {lifted}"))
                }
            },
            EntryRule::Program { missing: None, .. } => (CheckOutcome::Yes, "it exists".to_owned()),
            EntryRule::Program { missing: Some(why), .. } => (CheckOutcome::No, why.clone()),
            EntryRule::HostFenced { trusted: true, .. } => (CheckOutcome::Yes, "--trust-target".to_owned()),
            EntryRule::HostFenced { unfenced: Some(why), .. } => (CheckOutcome::No, why.clone()),
            EntryRule::HostFenced { unfenced: None, .. } => (CheckOutcome::Yes, "it does not".to_owned()),
            EntryRule::Ahead { failure: None, .. } => (CheckOutcome::Yes, "yes".to_owned()),
            EntryRule::Ahead { failure: Some(failure), .. } => (CheckOutcome::No, failure.text().to_owned()),
            EntryRule::NoFilter => (CheckOutcome::Unknown, "cannot be known without trying".to_owned()),
        }
    }

    pub(super) fn asks(&self, facts: &EntryFacts) -> String {
        match self {
            EntryRule::Capability(needed) => needed.describe(facts),
            EntryRule::Below => "its PID namespace was created inside the caller's".to_owned(),
            EntryRule::OneThread(_) => "nsenter-rs has one thread".to_owned(),
            EntryRule::GroupsStay(user) => {
                let user = facts.users.describe(*user);
                format!("the supplementary groups can be dropped, or setgroups(2) is denied in {user}")
            }
            EntryRule::Mapped { what, id, user, .. } => {
                format!("{what} {id} is mapped in {}", facts.users.describe(*user))
            }
            EntryRule::Look { pid, .. } => format!("ptrace(2) allows reading /proc/{pid}"),
            EntryRule::Program { name, elsewhere, .. } => {
                let place = if *elsewhere { "in the program's root directory" } else { "on the host" };
                format!("{} {place}", one_line(name))
            }
            EntryRule::HostFenced { .. } => {
                "the program gets no more capabilities than the container".to_owned()
            }
            EntryRule::Ahead { what, .. } => (*what).to_owned(),
            EntryRule::NoFilter => "the caller's seccomp filter allows it".to_owned(),
        }
    }
}

impl NeededCapability {
    /// The capability, over what, and why that.
    pub fn describe(&self, facts: &EntryFacts) -> String {
        let owned: Vec<&str> = self.owned().map(NamespaceKind::as_str).collect();
        let owns = (!owned.is_empty()).then(|| format!("owns {}", owned.join(", ")));
        let says = |reason, words: &str| self.reasons.contains(&reason).then(|| words.to_owned());
        let whys = [
            owns,
            says(Reason::Joined, "is joined"),
            says(Reason::ProgramInside, "will contain the program"),
        ];
        let whys: Vec<String> = whys.into_iter().flatten().collect();
        let over = facts.users.describe(self.over);
        format!("{} over {over}, which {}", self.capability, whys.join(" and "))
    }

    fn owned(&self) -> impl Iterator<Item = NamespaceKind> {
        self.reasons.iter().filter_map(|reason| match reason {
            Reason::Owns(kind) => Some(*kind),
            _ => None,
        })
    }

    fn why(&self, facts: &EntryFacts) -> String {
        let who =
            facts.us.euid.map_or("no uid in this user namespace".to_owned(), |euid| format!("uid {euid}"));
        match self.power {
            Power::Effective => "the caller has it".to_owned(),
            Power::Owner => format!("the caller owns it ({who})"),
            Power::Lacking => format!("the caller lacks it ({who})"),
            Power::OutOfReach => "the caller's capabilities do not apply there".to_owned(),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::SysAdmin => "CAP_SYS_ADMIN",
            Capability::SysChroot => "CAP_SYS_CHROOT",
            Capability::SetUid => "CAP_SETUID",
            Capability::SetGid => "CAP_SETGID",
            Capability::SetPcap => "CAP_SETPCAP",
        })
    }
}
