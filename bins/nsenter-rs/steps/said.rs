//! How each step is said.

use std::fmt;

use common::namespace::NamespaceKind;

use super::PlanStep;
use crate::wanted::RequestedId;

/// As in linux/sched.h.
fn flag(kind: NamespaceKind) -> String {
    match kind {
        NamespaceKind::Mnt => "CLONE_NEWNS".to_owned(),
        kind => format!("CLONE_NEW{}", kind.as_str().to_uppercase()),
    }
}

impl fmt::Display for PlanStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = |id: &RequestedId, of: &str| match id {
            RequestedId::Number(number) => number.to_string(),
            RequestedId::Follow => format!("{of} of the target"),
        };
        match self {
            PlanStep::Seal => f.write_str("exec a sealed copy of nsenter-rs in memory"),
            PlanStep::Hold(pid) => write!(f, "pidfd_open({pid})"),
            PlanStep::Open(path) => write!(f, "open {}", path.display()),
            PlanStep::OpenTerminal => f.write_str("open a pseudo-terminal for the program"),
            PlanStep::Guard(kept) => {
                f.write_str("become undumpable, and close all inherited descriptors from 3 on")?;
                let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
                if kept.is_empty() { Ok(()) } else { write!(f, ", except {}", kept.join(", ")) }
            }
            PlanStep::RaiseLimits => f.write_str("raise the hard resource limits to the target's, if allowed"),
            PlanStep::DropGroups => f.write_str("drop the supplementary groups, if allowed"),
            PlanStep::TakeGroups => f.write_str("set the target's supplementary groups, if allowed"),
            PlanStep::JoinAll(kinds) => {
                let flags: Vec<String> = kinds.iter().map(|&kind| flag(kind)).collect();
                write!(f, "setns(pidfd, {}): all or none", flags.join(" | "))
            }
            PlanStep::Join { kind, file, again } => {
                let again = if *again { "; if that is refused, again after the last one" } else { "" };
                write!(f, "setns({file}, {}){again}", flag(*kind))
            }
            PlanStep::ChangeRoot(path) => write!(f, "chroot to {} (opened before)", path.display()),
            PlanStep::ChangeRootIfOther(path) => {
                write!(f, "chroot to {}, if that is not the mount namespace's root", path.display())
            }
            PlanStep::ChangeDirectoryInside(path) => write!(f, "chdir to {} (looked up inside)", path.display()),
            PlanStep::ChangeDirectory(path) => write!(f, "chdir to {} (opened before)", path.display()),
            PlanStep::Fork { kill_child: true } => {
                f.write_str("fork: signals are passed on to the child, and it is killed with nsenter-rs")
            }
            PlanStep::Fork { kill_child: false } => f.write_str("fork: signals are passed on to the child"),
            PlanStep::HostTools(mode) => write!(f, "give the program {mode}"),
            PlanStep::View(step) => step.fmt(f),
            PlanStep::MakeUnreadable => f.write_str("copy the host's dynamic loaders, without read permission"),
            PlanStep::LayUnreadable => f.write_str(
                "mount the copies over the loaders, so that exec makes the program and its children undumpable",
            ),
            PlanStep::JoinGroup(group) => write!(f, "join {group}"),
            PlanStep::Label(label) => write!(f, "set the {label} at exec"),
            PlanStep::Carry => {
                f.write_str("replace files on standard input, output and error with pipes, and copy the data")
            }
            PlanStep::Reap => f.write_str("fork: a process stays inside and waits for all children of the program"),
            PlanStep::Fence { capabilities, filtered } => {
                let none = if capabilities.is_empty() { "none" } else { capabilities };
                let and = if *filtered { "no_new_privs, and a seccomp filter" } else { "and no_new_privs" };
                write!(
                    f,
                    "limit to the container's capabilities ({none}), its limits and OOM score, a new session \
                     keyring, {and}"
                )
            }
            PlanStep::OomScore => f.write_str("set oom_score_adj to the target's"),
            PlanStep::Bound => f.write_str("limit the capability bounding set to the target's"),
            PlanStep::Confine { uid, gid } => {
                let id = |own: &Option<RequestedId>, of| {
                    own.as_ref().map_or(format!("{of} of the target"), |own| id(own, of))
                };
                let groups = if gid.is_some() { "none" } else { "those of the target" };
                write!(
                    f,
                    "setgroups({groups}), setresgid({}), setresuid({})",
                    id(gid, "the group"),
                    id(uid, "the user")
                )
            }
            PlanStep::KeepCapabilities => f.write_str("make the permitted capabilities inheritable and ambient"),
            PlanStep::Limit { no_new_privs } => {
                let and = if *no_new_privs { "; set no_new_privs" } else { "" };
                write!(
                    f,
                    "set the target's capabilities and resource limits, and a new session keyring{and}"
                )
            }
            PlanStep::SetGid(gid) => write!(f, "setgroups(none), setresgid({})", id(gid, "the group")),
            PlanStep::SetUid(uid) => write!(f, "setresuid({})", id(uid, "the user")),
            PlanStep::Exec { words, file: Some(file) } if *file != *words[0] => {
                write!(f, "exec {}, which is {}", words.join(" "), file.display())
            }
            PlanStep::Exec { words, .. } => write!(f, "exec {}", words.join(" ")),
            PlanStep::ExecShell(shell) => write!(f, "exec {}, as a login shell", shell.display()),
        }
    }
}
