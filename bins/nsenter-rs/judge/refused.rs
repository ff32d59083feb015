//! Why the kernel refused: the rule that is not met, and what to do about it. Checked only after a refusal.

use std::io;

use common::failure::Failure;
use common::hint::Hint;
use common::namespace::{Namespace, NamespaceError, NamespaceKind};
use common::process::{Process, ProcessError};
use common::sentence;
use common::typed::with_sudo;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use crate::judge::facts;
use crate::judge::rules::{
    self, Capability, Check, CheckOutcome, EntryFacts, EntryRule, NeededCapability, OF_THE_MACHINE, Over,
    Power, PtraceRefusal, Reason, UNSEEN,
};
use crate::plan::Join;
use crate::status::from_the_root;

/// Why `namespaces`, of `process` where there is one, could not be joined.
pub fn joining(namespaces: &[Namespace], process: Option<&Process>, errno: Errno) -> Failure {
    let names = namespaces.iter().map(Namespace::to_string).collect::<Vec<_>>().join(", ");
    let kinds: Vec<NamespaceKind> = namespaces.iter().map(Namespace::kind).collect();
    // The target's user namespace is of interest also where it was not asked for: with it we might be let in.
    let of_target = process.and_then(|process| process.namespace(NamespaceKind::User).ok());
    let seen: Vec<&Namespace> = namespaces
        .iter()
        .chain(of_target.as_ref().filter(|_| !kinds.contains(&NamespaceKind::User)))
        .collect();
    let facts = EntryFacts::gather(&seen, process, kinds.contains(&NamespaceKind::User));
    if errno == Errno::EPERM && facts.users.ours == UNSEEN {
        let what = "permission denied: requires CAP_SYS_ADMIN over the user namespace that owns it, and over the caller's";
        return Failure::failed(names, what).hint(with_sudo());
    }
    let checks = rules::judge_joining(&Join::AtOnce(kinds.clone()), &facts);
    let failing: Vec<&Check> = checks.iter().filter(|check| check.met == CheckOutcome::No).collect();
    let Some(first) = failing.first() else { return against_the_rules(names, &kinds, errno) };
    let what = failing.iter().map(|check| requirement(check, &facts)).collect::<Vec<_>>().join("; ");
    let denied = if errno == Errno::EPERM { "permission denied" } else { errno.desc() };
    let failure = Failure::failed(names, format_args!("{denied}: {what}"));
    failure.hint(hint(first, &kinds, &facts))
}

/// `requires CAP_SYS_ADMIN over user:[4026531837] (the caller's), which owns net; the caller lacks it (uid 1000)`.
fn requirement(check: &Check, facts: &EntryFacts) -> String {
    let asks = check.asks(facts);
    match &check.rule {
        EntryRule::Capability(_) => format!("requires {asks}; {}", check.why),
        _ => format!("requires that {asks}; {}", check.why),
    }
}

/// What the user can do about a rule that is not met, when `kinds` were to be joined.
pub fn hint(check: &Check, kinds: &[NamespaceKind], facts: &EntryFacts) -> Option<Hint> {
    match &check.rule {
        EntryRule::Capability(_)
            if !kinds.contains(&NamespaceKind::User) && user_would_help(kinds, facts) =>
        {
            common::sentence!("enter its user namespace too: -U")
        }
        EntryRule::Capability(needed) => without(needed, facts),
        EntryRule::Below => common::sentence!("leave out -p, or run it in that PID namespace or above it"),
        EntryRule::Look { bar: Some(PtraceRefusal::Hidden), .. } => with_sudo(),
        EntryRule::Look { bar: Some(bar), .. } => looking_hint(bar, facts),
        EntryRule::HostFenced { .. } => sentence!("use -t NAME, or --trust-target"),
        EntryRule::Program { elsewhere: true, .. } => from_the_root(),
        EntryRule::Mapped { .. } => {
            common::sentence!("use --preserve-credentials, or a mapped ID with -S and -G")
        }
        EntryRule::Ahead { failure, .. } => failure.as_ref()?.hint.clone(),
        _ => None,
    }
}

/// Why `--host-tools` is refused where the container's capabilities are unknown.
pub fn unfenced() -> Failure {
    let what = "there is no process whose capabilities could be read, so the program might have more power than the container";
    Failure::failed("--host-tools", what).hint(sentence!("use -t NAME, or --trust-target"))
}

fn user_would_help(kinds: &[NamespaceKind], facts: &EntryFacts) -> bool {
    let is_another =
        facts.over.get(&NamespaceKind::User).is_some_and(|user| *user != Over::Known(facts.users.ours));
    let with_user = Join::AtOnce(kinds.iter().copied().chain([NamespaceKind::User]).collect());
    is_another && rules::judge_joining(&with_user, facts).iter().all(|check| check.met != CheckOutcome::No)
}

fn without(needed: &NeededCapability, facts: &EntryFacts) -> Option<Hint> {
    let is_root = facts.us.euid == Some(0);
    let ours = facts.users.ours;
    match needed.power {
        Power::OutOfReach => outside(facts),
        _ if !is_root => with_sudo(),
        _ if ours == UNSEEN => {
            common::sentence!("this root user lacks {}: run it on the host", needed.capability)
        }
        _ if ours == OF_THE_MACHINE => {
            common::sentence!(
                "this root user lacks {}, as in a container: run it on the host",
                needed.capability
            )
        }
        _ => {
            common::sentence!(
                "the caller is root only in user:[{}], and lacks {}: run it on the host",
                ours.0,
                needed.capability
            )
        }
    }
}

fn outside(facts: &EntryFacts) -> Option<Hint> {
    common::sentence!("run it outside of user:[{}], the caller's user namespace", facts.users.ours.0)
}

fn looking_hint(bar: &PtraceRefusal, facts: &EntryFacts) -> Option<Hint> {
    match (bar, facts.us.euid == Some(0)) {
        (PtraceRefusal::SecurityModule, _) => common::sentence!("see dmesg or the audit log"),
        (PtraceRefusal::Outside, _) => outside(facts),
        (_, true) => {
            common::sentence!("this root user lacks CAP_SYS_PTRACE there: run it as a root user that has it")
        }
        (PtraceRefusal::OtherUser { .. } | PtraceRefusal::OtherGroup { .. }, false) => with_sudo(),
        (_, false) => with_sudo(),
    }
}

/// All rules are met, and the kernel refused all the same.
fn against_the_rules(names: String, kinds: &[NamespaceKind], errno: Errno) -> Failure {
    match errno {
        Errno::EPERM | Errno::ENOSYS if is_filtered() => {
            Failure::failed(names, "permission denied: a seccomp filter forbids setns(2)")
                .hint(common::hint!("nsenter-rs itself runs in a container or sandbox: run it on the host"))
        }
        Errno::EPERM => Failure::failed(
            names,
            "permission denied, although the caller has the capabilities that setns(2) requires",
        )
        .hint(common::sentence!(
            "see dmesg or the audit log: a security module (SELinux, AppArmor, Landlock) may have refused it"
        )),
        Errno::EINVAL if kinds.contains(&NamespaceKind::User) || kinds.contains(&NamespaceKind::Mnt) => {
            Failure::failed(
                names,
                "invalid argument: another process shares the root and working directory of nsenter-rs",
            )
            .hint(common::sentence!("start it from a shell: its parent process used clone(2) with CLONE_FS"))
        }
        errno => Failure::failed(names, errno.desc()),
    }
}

/// Whether a filter refuses setns(2) itself: for a pipe, which is no namespace, the kernel returns EINVAL to every caller.
fn is_filtered() -> bool {
    io::pipe().is_ok_and(|(pipe, _)| setns(pipe, CloneFlags::CLONE_NEWNET) != Err(Errno::EINVAL))
}

/// Why the namespaces of `process` cannot be looked at.
pub fn looking(process: &Process, error: NamespaceError) -> Failure {
    match error {
        NamespaceError::NotPermitted { .. } => barred(process),
        NamespaceError::Gone { .. } if process.is_hidden() => barred(process),
        error => error.into(),
    }
}

/// Why something below `/proc/PID` of `process` cannot be opened or read.
pub fn reading(process: &Process, error: ProcessError) -> Failure {
    match &error {
        ProcessError::Proc { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            barred(process)
        }
        ProcessError::Gone(_) if process.is_hidden() => barred(process),
        _ => error.into(),
    }
}

/// The rule that keeps us from `/proc/PID`.
fn barred(process: &Process) -> Failure {
    let facts = EntryFacts::gather(&[], Some(process), false);
    let bar = facts::bar(process);
    let what = match bar {
        PtraceRefusal::SecurityModule => {
            format!("permission denied: the caller has CAP_SYS_PTRACE, but {bar}")
        }
        _ => format!(
            "permission denied: requires CAP_SYS_PTRACE over the user namespace of that process, because {bar}"
        ),
    };
    Failure::failed(process, what).hint(looking_hint(&bar, &facts))
}

/// Why chroot(2), setuid(2) or setgid(2) was refused: it requires `capability` over the user namespace that we are
/// in by now.
pub fn inside(what: &str, capability: Capability, errno: Errno) -> Failure {
    if errno != Errno::EPERM {
        return Failure::failed(what, errno.desc());
    }
    let facts = EntryFacts::gather(&[], None, false);
    let over = Over::Known(facts.users.ours);
    let power = facts.users.power(&facts.us, capability.set(), over);
    if power.is_enough() {
        return Failure::failed(what, "permission denied, although the caller has the capability").hint(
            common::sentence!("see dmesg or the audit log: a seccomp filter or a security module refused it"),
        );
    }
    let needed = NeededCapability { capability, over, power, reasons: vec![Reason::ProgramInside] };
    let hint = without(&needed, &facts);
    let check = Check::new(EntryRule::Capability(needed), &facts);
    Failure::failed(what, format_args!("permission denied: {}", requirement(&check, &facts))).hint(hint)
}

#[cfg(test)]
mod tests {
    use rustix::thread::CapabilitySet;

    use super::*;
    use crate::judge::rules::{UserNs, UserNsOrigin, world};

    fn hint_for(kinds: &[NamespaceKind], facts: &EntryFacts) -> Option<Hint> {
        let checks = rules::judge_joining(&Join::AtOnce(kinds.to_vec()), facts);
        hint(checks.iter().find(|check| check.met == CheckOutcome::No)?, kinds, facts)
    }

    #[test]
    fn the_owner_is_told_to_enter_the_user_namespace_too_and_nobody_else_is() {
        let owner = world(1000, CapabilitySet::empty(), 10);
        assert_eq!(hint_for(&[NamespaceKind::Net], &owner).unwrap(), "enter its user namespace too: -U");
        let other = world(2000, CapabilitySet::empty(), 10);
        assert_eq!(hint_for(&[NamespaceKind::Net], &other), with_sudo());
        let above = world(0, CapabilitySet::all(), 0);
        assert_eq!(
            hint_for(&[NamespaceKind::Net], &above).unwrap(),
            "run it outside of user:[1], the caller's user namespace"
        );
    }

    #[test]
    fn root_is_not_told_to_be_root() {
        let mut facts = world(0, CapabilitySet::empty(), 1);
        let hint = hint_for(&[NamespaceKind::Net], &facts).unwrap();
        assert_eq!(hint, "the caller is root only in user:[1], and lacks CAP_SYS_ADMIN: run it on the host");
        facts.users.ours = OF_THE_MACHINE;
        facts.us.user = OF_THE_MACHINE;
        facts.users.below.insert(UserNs(1), UserNsOrigin { inside: OF_THE_MACHINE, by: 7 });
        assert!(
            hint_for(&[NamespaceKind::Net], &facts).unwrap().contains("this root user lacks CAP_SYS_ADMIN")
        );
    }
}
