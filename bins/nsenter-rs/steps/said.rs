//! Each step as the line that `--explain` prints.

use std::fmt;
use std::os::fd::RawFd;

use common::namespace::NamespaceKind;

use super::EntryStep;
use crate::wanted::RequestedId;

/// As in linux/sched.h.
fn flag(kind: NamespaceKind) -> String {
    match kind {
        NamespaceKind::Mnt => "CLONE_NEWNS".to_owned(),
        kind => format!("CLONE_NEW{}", kind.as_str().to_uppercase()),
    }
}

fn id(id: &RequestedId, of: &str) -> String {
    match id {
        RequestedId::Number(number) => number.to_string(),
        RequestedId::Follow => format!("{of} of the target"),
    }
}

impl fmt::Display for EntryStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryStep::Seal => f.write_str("exec a sealed copy of nsenter-rs in memory"),
            EntryStep::Hold(pid) => write!(f, "pidfd_open({pid})"),
            EntryStep::Open(path) => write!(f, "open {}", path.display()),
            EntryStep::OpenTerminal => f.write_str("open a pseudo-terminal for the program"),
            EntryStep::Guard(kept) => guard(f, kept),
            EntryStep::RaiseLimits => f.write_str("raise the hard resource limits to the target's, if allowed"),
            EntryStep::DropGroups => f.write_str("drop the supplementary groups, if allowed"),
            EntryStep::TakeGroups => f.write_str("set the target's supplementary groups, if allowed"),
            EntryStep::JoinAll(kinds) => {
                let flags: Vec<String> = kinds.iter().map(|&kind| flag(kind)).collect();
                write!(f, "setns(pidfd, {}): all or none", flags.join(" | "))
            }
            EntryStep::Join { kind, file, again } => {
                let again = if *again { "; if that is refused, again after the last one" } else { "" };
                write!(f, "setns({file}, {}){again}", flag(*kind))
            }
            EntryStep::ChangeRoot(path) => write!(f, "chroot to {} (opened before)", path.display()),
            EntryStep::ChangeRootIfOther(path) => {
                write!(f, "chroot to {}, if that is not the mount namespace's root", path.display())
            }
            EntryStep::ChangeDirectoryInside(path) => write!(f, "chdir to {} (looked up inside)", path.display()),
            EntryStep::ChangeDirectory(path) => write!(f, "chdir to {} (opened before)", path.display()),
            EntryStep::Fork { kill_child: true } => {
                f.write_str("fork: signals are passed on to the child, and it is killed with nsenter-rs")
            }
            EntryStep::Fork { kill_child: false } => f.write_str("fork: signals are passed on to the child"),
            EntryStep::HostTools(mode) => write!(f, "give the program {mode}"),
            EntryStep::View(step) => step.fmt(f),
            EntryStep::MakeUnreadable => f.write_str("copy the host's dynamic loaders, without read permission"),
            EntryStep::LayUnreadable => f.write_str(
                "mount the copies over the loaders, so that exec makes the program and its children undumpable",
            ),
            EntryStep::JoinGroup(group) => write!(f, "join {group}"),
            EntryStep::Label(label) => write!(f, "set the {label} at exec"),
            EntryStep::Carry => {
                f.write_str("replace files on standard input, output and error with pipes, and copy the data")
            }
            EntryStep::Reap => f.write_str("fork: a process stays inside and waits for all children of the program"),
            EntryStep::Fence { capabilities, filtered } => fence(f, capabilities, *filtered),
            EntryStep::OomScore => f.write_str("set oom_score_adj to the target's"),
            EntryStep::Bound => f.write_str("limit the capability bounding set to the target's"),
            EntryStep::Confine { uid, gid } => confine(f, uid.as_ref(), gid.as_ref()),
            EntryStep::KeepCapabilities => f.write_str("make the permitted capabilities inheritable and ambient"),
            EntryStep::Limit { no_new_privs } => {
                let and = if *no_new_privs { "; set no_new_privs" } else { "" };
                write!(
                    f,
                    "set the target's capabilities and resource limits, and a new session keyring{and}"
                )
            }
            EntryStep::SetGid(gid) => write!(f, "setgroups(none), setresgid({})", id(gid, "the group")),
            EntryStep::SetUid(uid) => write!(f, "setresuid({})", id(uid, "the user")),
            EntryStep::Exec { words, file: Some(file) } if *file.as_os_str() != *words[0] => {
                write!(f, "exec {}, which is {}", words.join(" "), file.display())
            }
            EntryStep::Exec { words, .. } => write!(f, "exec {}", words.join(" ")),
            EntryStep::ExecShell(shell) => write!(f, "exec {}, as a login shell", shell.display()),
        }
    }
}

fn guard(f: &mut fmt::Formatter<'_>, kept: &[RawFd]) -> fmt::Result {
    f.write_str("become undumpable, and close all inherited descriptors from 3 on")?;
    let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
    if kept.is_empty() { Ok(()) } else { write!(f, ", except {}", kept.join(", ")) }
}

fn fence(f: &mut fmt::Formatter<'_>, capabilities: &str, filtered: bool) -> fmt::Result {
    let none = if capabilities.is_empty() { "none" } else { capabilities };
    let and = if filtered { "no_new_privs, and a seccomp filter" } else { "and no_new_privs" };
    write!(
        f,
        "limit to the container's capabilities ({none}), its limits and OOM score, a new session keyring, {and}"
    )
}

fn confine(f: &mut fmt::Formatter<'_>, uid: Option<&RequestedId>, gid: Option<&RequestedId>) -> fmt::Result {
    let targets = |own: Option<&RequestedId>, of| id(own.unwrap_or(&RequestedId::Follow), of);
    let groups = if gid.is_some() { "none" } else { "those of the target" };
    write!(
        f,
        "setgroups({groups}), setresgid({}), setresuid({})",
        targets(gid, "the group"),
        targets(uid, "the user")
    )
}
