//! How each step is said.

use std::fmt;

use common::namespace::NamespaceKind;

use super::Step;
use crate::wanted::RequestedId;

/// As in linux/sched.h.
fn flag(kind: NamespaceKind) -> String {
    match kind {
        NamespaceKind::Mnt => "CLONE_NEWNS".to_owned(),
        kind => format!("CLONE_NEW{}", kind.as_str().to_uppercase()),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = |id: &RequestedId, of: &str| match id {
            RequestedId::Number(number) => number.to_string(),
            RequestedId::Follow => format!("{of} of the target"),
        };
        match self {
            Step::Seal => f.write_str("exec a sealed copy of nsenter-rs in memory"),
            Step::Hold(pid) => write!(f, "pidfd_open({pid})"),
            Step::Open(path) => write!(f, "open {}", path.display()),
            Step::OpenTerminal => f.write_str("open a pseudo-terminal for the program"),
            Step::Guard(kept) => {
                f.write_str("become undumpable, and close all inherited descriptors from 3 on")?;
                let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
                if kept.is_empty() { Ok(()) } else { write!(f, ", except {}", kept.join(", ")) }
            }
            Step::RaiseLimits => f.write_str("raise the hard resource limits to the target's, if allowed"),
            Step::DropGroups => f.write_str("drop the supplementary groups, if allowed"),
            Step::TakeGroups => f.write_str("set the target's supplementary groups, if allowed"),
            Step::JoinAll(kinds) => {
                let flags: Vec<String> = kinds.iter().map(|&kind| flag(kind)).collect();
                write!(f, "setns(pidfd, {}): all or none", flags.join(" | "))
            }
            Step::Join { kind, file, again } => {
                let again = if *again { "; if that is refused, again after the last one" } else { "" };
                write!(f, "setns({file}, {}){again}", flag(*kind))
            }
            Step::ChangeRoot(path) => write!(f, "chroot to {} (opened before)", path.display()),
            Step::ChangeRootIfOther(path) => {
                write!(f, "chroot to {}, if that is not the mount namespace's root", path.display())
            }
            Step::ChangeDirectoryInside(path) => write!(f, "chdir to {} (looked up inside)", path.display()),
            Step::ChangeDirectory(path) => write!(f, "chdir to {} (opened before)", path.display()),
            Step::Fork { kill_child: true } => {
                f.write_str("fork: signals are passed on to the child, and it is killed with nsenter-rs")
            }
            Step::Fork { kill_child: false } => f.write_str("fork: signals are passed on to the child"),
            Step::HostTools(way) => write!(f, "give the program {way}"),
            Step::View(step) => step.fmt(f),
            Step::MakeUnreadable => f.write_str("copy the host's dynamic loaders, without read permission"),
            Step::LayUnreadable => f.write_str(
                "mount the copies over the loaders, so that exec makes the program and its children undumpable",
            ),
            Step::JoinGroup(group) => write!(f, "join {group}"),
            Step::Label(label) => write!(f, "set the {label} at exec"),
            Step::Carry => {
                f.write_str("replace files on standard input, output and error with pipes, and copy the data")
            }
            Step::Reap => f.write_str("fork: a process stays inside and waits for all children of the program"),
            Step::Fence { capabilities, filtered } => {
                let none = if capabilities.is_empty() { "none" } else { capabilities };
                let and = if *filtered { "no_new_privs, and a seccomp filter" } else { "and no_new_privs" };
                write!(
                    f,
                    "limit to the container's capabilities ({none}), its limits and OOM score, a new session \
                     keyring, {and}"
                )
            }
            Step::OomScore => f.write_str("set oom_score_adj to the target's"),
            Step::Bound => f.write_str("limit the capability bounding set to the target's"),
            Step::Confine { uid, gid } => {
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
            Step::KeepCapabilities => f.write_str("make the permitted capabilities inheritable and ambient"),
            Step::Limit { no_new_privs } => {
                let and = if *no_new_privs { "; set no_new_privs" } else { "" };
                write!(
                    f,
                    "set the target's capabilities and resource limits, and a new session keyring{and}"
                )
            }
            Step::SetGid(gid) => write!(f, "setgroups(none), setresgid({})", id(gid, "the group")),
            Step::SetUid(uid) => write!(f, "setresuid({})", id(uid, "the user")),
            Step::Exec { words, file: Some(file) } if *file.as_os_str() != *words[0] => {
                write!(f, "exec {}, which is {}", words.join(" "), file.display())
            }
            Step::Exec { words, .. } => write!(f, "exec {}", words.join(" ")),
            Step::ExecShell(shell) => write!(f, "exec {}, as a login shell", shell.display()),
        }
    }
}
