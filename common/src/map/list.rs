//! The network namespaces of the host that were found so far: processes that are in them, and mounts of their files.

use std::collections::BTreeMap;
use std::fs;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, stat};
use nix::unistd::Pid;

use super::entry::is_ending;
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

/// Network namespaces, each once, however many processes are in it.
#[derive(Debug)]
pub(super) struct NetnsList {
    /// Our own: all are on one nsfs.
    pub own: NamespaceId,
    pub entries: BTreeMap<NamespaceId, MapEntry>,
    /// The namespace of each process, by ascending PID; nothing where it is hidden from us, or the process was about to end.
    pub homes: BTreeMap<Pid, Option<NamespaceId>>,
    /// What could not be looked at.
    pub unseen: UnseenNamespaces,
}

impl NetnsList {
    /// Those that have a process, or a mount that we can see.
    pub(super) fn quick() -> Result<Self, MapError> {
        let own = namespace::own_identity(NamespaceKind::Net)?;
        let (entries, homes, unseen) = Default::default();
        let mut list = NetnsList { own, entries, homes, unseen };
        list.add_processes()?;
        // Each PID namespace has a PID 1, for as long as it has processes: where it is not listed, others are not either.
        if list.homes.keys().next() != Some(&Pid::from_raw(1)) {
            let why = "/proc does not list them: its option hidepid".to_owned();
            list.unseen.not_read.push(("processes of other users".to_owned(), why));
        }
        list.add_mounts()?;
        Ok(list)
    }

    /// Those of the processes that were not there the last time.
    pub(super) fn add_processes(&mut self) -> Result<(), MapError> {
        for pid in pids()? {
            if self.homes.contains_key(&pid) {
                continue;
            }
            let home = match stat(format!("/proc/{pid}/ns/net").as_str()) {
                Ok(stat) => Some(NamespaceId::from(&stat)),
                Err(Errno::ENOENT | Errno::ESRCH) => None,
                Err(_) if is_ending(pid) => None,
                Err(Errno::EACCES | Errno::EPERM) => {
                    self.unseen.processes += 1;
                    None
                }
                Err(error) => {
                    self.unseen.not_read.push((format!("process {pid}"), error.desc().to_owned()));
                    None
                }
            };
            self.homes.insert(pid, home);
            if let Some(identity) = home {
                let pids = &mut MapEntry::at(&mut self.entries, identity).pids;
                pids.insert(pids.partition_point(|other| *other < pid), pid);
            }
        }
        Ok(())
    }

    fn add_mounts(&mut self) -> Result<(), MapError> {
        let file = "/proc/self/mountinfo";
        let mountinfo = mountinfo::own().map_err(|source| MapError::Proc { file, source })?;
        for (inode, name) in mounts::network_namespaces(&mountinfo) {
            // Unmounted meanwhile, or under another mount.
            let is_it = |stat: &FileStat| NamespaceId::from(stat) == self.own.with_inode(inode);
            let Some(stat) = stat(&name).ok().filter(is_it) else { continue };
            let names = &mut MapEntry::at(&mut self.entries, NamespaceId::from(&stat)).names;
            // Mounts stack: iproute2's stand below and on its directory's own mount.
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(())
    }
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
