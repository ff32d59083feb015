//! Where network namespaces are to be found: processes that are in them, mounts of their files, and where that is asked for,
//! whatever else holds them.

use std::collections::BTreeMap;
use std::fs;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, stat};
use nix::unistd::Pid;

use super::entry::is_ending;
use super::search::HolderSearch;
use super::{MapEntry, MapError, UnseenNamespaces, mounts};
use crate::mountinfo;
use crate::namespace::{self, NamespaceId, NamespaceKind};

/// How hard namespaces are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookDepth {
    /// By processes, and by mounts where we can see them: all but a few, in the least time.
    Quick,
    /// By everything that holds one: threads, descriptors, sockets, mounts elsewhere, and the kernel's own list.
    Whole,
}

/// All of them, each once, however many processes are in it.
pub(super) fn all(depth: LookDepth) -> Result<(Vec<MapEntry>, UnseenNamespaces), MapError> {
    let mut entries = BTreeMap::new();
    let mut unseen = UnseenNamespaces::default();
    let pids = pids()?;
    // Each PID namespace has a PID 1, for as long as it has processes: where it is not listed, others are not either.
    if pids.first() != Some(&Pid::from_raw(1)) {
        let why = "/proc does not list them: its option hidepid".to_owned();
        unseen.not_read.push(("processes of other users".to_owned(), why));
    }
    for pid in &pids {
        match stat(format!("/proc/{pid}/ns/net").as_str()) {
            Ok(stat) => MapEntry::at(&mut entries, NamespaceId::from(&stat)).pids.push(*pid),
            Err(Errno::EACCES | Errno::EPERM) if !is_ending(*pid) => unseen.processes += 1,
            // It has ended, or is about to.
            Err(_) => {}
        }
    }
    let file = "/proc/self/mountinfo";
    let mountinfo = mountinfo::own().map_err(|source| MapError::Proc { file, source })?;
    let own = namespace::own_identity(NamespaceKind::Net)?;
    for (inode, name) in mounts::network_namespaces(&mountinfo) {
        // Unmounted meanwhile, or under another mount.
        let is_it = |stat: &FileStat| NamespaceId::from(stat) == own.with_inode(inode);
        let Some(stat) = stat(&name).ok().filter(is_it) else { continue };
        let names = &mut MapEntry::at(&mut entries, NamespaceId::from(&stat)).names;
        // Mounts stack: iproute2's stand below and on its directory's own mount.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if depth == LookDepth::Whole {
        HolderSearch::new(&mut entries, own).run(&pids, &mut unseen);
    }
    Ok((entries.into_values().collect(), unseen))
}

fn pids() -> Result<Vec<Pid>, MapError> {
    let file = "/proc";
    let named = |source| MapError::Proc { file, source };
    let mut pids: Vec<i32> = Vec::new();
    for entry in fs::read_dir(file).map_err(named)? {
        pids.extend(entry.map_err(named)?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    pids.sort_unstable();
    Ok(pids.into_iter().map(Pid::from_raw).collect())
}
