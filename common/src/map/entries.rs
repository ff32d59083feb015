//! Where network namespaces are to be found: processes that are in them, mounts of their files, and where that is asked for,
//! whatever else holds them.

use std::collections::BTreeMap;
use std::fs;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, stat};
use nix::unistd::Pid;
use procfs::FromRead;
use procfs::process::Stat;

use super::search::HolderSearch;
use super::{MapEntry, MapError, Unseen, mounts};
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
pub(super) fn all(depth: LookDepth) -> Result<(Vec<MapEntry>, Unseen), MapError> {
    let mut entries = BTreeMap::new();
    let mut unseen = Unseen::default();
    let pids = pids()?;
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

/// A process that is ending has no memory any more that would say who may look at it: kernels that were mended
/// against that (ptrace: "slightly saner get_dumpable() logic") then refuse everybody for a moment.
fn is_ending(pid: Pid) -> bool {
    const PF_EXITING: u32 = 0x4; // linux/sched.h
    let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { return true };
    Stat::from_read(&*stat).is_ok_and(|stat| stat.flags & PF_EXITING != 0)
}

fn pids() -> Result<Vec<Pid>, MapError> {
    let file = "/proc";
    let entries = fs::read_dir(file).map_err(|source| MapError::Proc { file, source })?;
    let mut pids: Vec<i32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids.into_iter().map(Pid::from_raw).collect())
}
