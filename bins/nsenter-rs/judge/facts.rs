//! Reads what the rules are judged over: our own credentials, and whose the namespaces are. Opens and asks only.

use std::collections::BTreeMap;
use std::fs;

use common::namespace::{self, Namespace, NamespaceKind};
use common::process::Process;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat, fstatat};
use nix::unistd::{getegid, geteuid, getgroups, getresgid, getresuid};
use rustix::thread::{CapabilitySet, capabilities};

use crate::judge::rules::{
    Actor, CallerIds, EntryFacts, Map, Over, PtraceFacts, PtraceRefusal, UNSEEN, UserNs, UserNsOrigin, Users,
    why_barred,
};

impl EntryFacts {
    /// The facts about joining some of `namespaces`, `joins_user` telling whether a user namespace is among those;
    /// `process` is the one that they are of.
    ///
    /// What cannot be read, because `/proc` is a container's by now, is as if it were not there.
    pub fn gather(namespaces: &[&Namespace], process: Option<&Process>, joins_user: bool) -> Self {
        let ours =
            namespace::own_identity(NamespaceKind::User).map_or(UNSEEN, |identity| UserNs(identity.inode));
        let mut users = Users { ours, below: BTreeMap::new() };
        let over = namespaces.iter().map(|namespace| (namespace.kind(), over(namespace, &mut users)));
        let over: BTreeMap<NamespaceKind, Over> = over.collect();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name))?.trim().parse::<u64>().ok();
        let mine = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).ok();
        let euid = geteuid().as_raw();
        let maps_us = mine("uid_map").is_none_or(|text| Map::parse(&text).has(euid));
        EntryFacts {
            us: Actor {
                user: users.ours,
                euid: maps_us.then_some(euid),
                effective: capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective),
            },
            over,
            pid_is_below: namespaces
                .iter()
                .find(|of| of.kind() == NamespaceKind::Pid)
                .and_then(|of| pid_is_below(of)),
            threads: field("Threads:").unwrap_or(1),
            filtered: field("Seccomp:") == Some(2),
            ids: ids(namespaces, process, joins_user),
            users,
        }
    }
}

/// The user namespace that it takes capabilities over, with all between it and ours.
fn over(namespace: &Namespace, users: &mut Users) -> Over {
    match namespace.kind() {
        NamespaceKind::User => climb(namespace, users),
        _ => namespace.owner().map_or(Over::Outside(None), |owner| climb(&owner, users)),
    }
}

fn climb(lowest: &Namespace, users: &mut Users) -> Over {
    let inode = |namespace: &Namespace| UserNs(namespace.identity().inode);
    let mut passed = BTreeMap::new();
    let mut above: Option<Namespace> = None;
    loop {
        let at = above.as_ref().unwrap_or(lowest);
        if inode(at) == users.ours || users.below.contains_key(&inode(at)) {
            users.below.extend(passed);
            return Over::Known(inode(lowest));
        }
        // EPERM: the parent is neither ours nor below ours, and so neither is this one.
        let (Ok(parent), Ok(by)) = (at.parent(), at.owner_uid()) else {
            return Over::Outside(Some(inode(lowest)));
        };
        passed.insert(inode(at), UserNsOrigin { inside: inode(&parent), by: by.as_raw() });
        above = Some(parent);
    }
}

fn pid_is_below(theirs: &Namespace) -> Option<bool> {
    let ours = namespace::own_identity(NamespaceKind::Pid).ok()?;
    if theirs.identity() == ours { Some(true) } else { theirs.is_below(ours).ok() }
}

fn ids(namespaces: &[&Namespace], process: Option<&Process>, joins_user: bool) -> CallerIds {
    let user = namespaces.iter().find(|namespace| namespace.kind() == NamespaceKind::User);
    let is_its = |process: &&Process| {
        let of_process = process.namespace_identity(NamespaceKind::User).ok();
        user.is_some_and(|user| of_process == Some(user.identity()))
    };
    let of_process = process.filter(is_its);
    let read = |file: &'static str| match (joins_user, of_process) {
        (false, _) => fs::read_to_string(format!("/proc/self/{file}")).ok(),
        (true, Some(process)) => String::from_utf8(process.read(file).ok()?).ok(),
        (true, None) => None,
    };
    let (euid, egid) = (geteuid(), getegid());
    let uids = getresuid().map_or([euid; 2], |ids| [ids.real, ids.saved]);
    let gids = getresgid().map_or([egid; 2], |ids| [ids.real, ids.saved]);
    let owner = |process: &Process| fstat(process.directory()).map(|stat| (stat.st_uid, stat.st_gid)).ok();
    CallerIds {
        uids: uids.map(|uid| uid.as_raw()),
        gids: gids.map(|gid| gid.as_raw()),
        has_groups: getgroups().map_or(true, |groups| !groups.is_empty()),
        of_target: process.and_then(owner),
        uid_map: read("uid_map").map(|text| Map::parse(&text)),
        gid_map: read("gid_map").map(|text| Map::parse(&text)),
        setgroups_denied: read("setgroups").is_some_and(|word| word.starts_with("deny")),
    }
}

/// Why ptrace(2) keeps us from looking at a process, once it has.
pub fn bar(process: &Process) -> PtraceRefusal {
    if process.is_hidden() {
        return PtraceRefusal::Hidden;
    }
    // What has ended by now is no longer barred by anything; the next look says so.
    let (Ok(status), Ok(stat)) = (process.status(), stat_of(process)) else { return PtraceRefusal::Other };
    let none = CapabilitySet::empty();
    let (effective, permitted) =
        capabilities(None).map_or((none, none), |sets| (sets.effective, sets.permitted));
    let ours = namespace::own_identity(NamespaceKind::User).map_or(UNSEEN, |identity| UserNs(identity.inode));
    let tracing = effective.contains(CapabilitySet::SYS_PTRACE).then_some(ours);
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let us = PtraceFacts { uids: [uid; 3], gids: [gid; 3], permitted, dumpable: None };
    let them = PtraceFacts {
        uids: [status.ruid, status.euid, status.suid],
        gids: [status.rgid, status.egid, status.sgid],
        permitted: CapabilitySet::from_bits_retain(status.capprm),
        // Files below /proc/PID are its user's, and root's when it is not dumpable (proc(5)).
        dumpable: (status.euid != 0).then_some(stat.st_uid == status.euid),
    };
    why_barred(&us, &them, tracing)
}

/// The owner of files like this one tells whether a process is dumpable; that of `/proc/PID` itself does not.
fn stat_of(process: &Process) -> Result<FileStat, Errno> {
    fstatat(process.directory(), "stat", nix::fcntl::AtFlags::empty())
}
