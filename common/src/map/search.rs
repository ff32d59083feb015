//! What holds network namespaces besides processes and our own mounts: threads that have left their process, open descriptors,
//! sockets, mounts elsewhere; and what the kernel lists although nothing of that kind is seen.
//!
//! | holder | costs |
//! |---|---|
//! | a thread | a stat(2) for each thread of the processes that have several |
//! | a descriptor | a statx(2) for each descriptor of the host |
//! | a socket | a copy of each socket of the host, pidfd_getfd(2): the kernel tells its namespace by the socket alone |
//! | a mount elsewhere | mountinfo of each mount namespace |
//! | the kernel's own list | one listns(2) for thousands (Linux 6.19) |

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::stat;
use nix::unistd::{Pid, getpid};
use rustix::fs::{AtFlags, FileType, RawDir, StatxFlags, statx};

use super::entry::{by_holder, copied_socket, is_ending};
use super::mounts::network_namespaces;
use super::{MapEntry, NetnsHolder, UnseenNamespaces};
use crate::namespace::{self, Namespace, NamespaceHandle, NamespaceId, NamespaceKind};
use crate::process::open_pidfd;
use crate::sys;

/// A server with tens of thousands of connections has them in its own network: these are not all copied.
const MOST_SOCKETS: usize = 4096;

/// Namespaces by their identity, while more of what holds them is found.
pub(super) struct HolderSearch<'a> {
    entries: &'a mut BTreeMap<NamespaceId, MapEntry>,
    /// Any of them: all are on one nsfs.
    own: NamespaceId,
    seen_sockets: HashSet<u64>,
    /// Namespaces by the kernel's numbers for them (SO_NETNS_COOKIE in socket(7)). While one of a cookie lives its inode is no
    /// other's, and what has ended meanwhile is not opened again by its old inode.
    by_cookie: HashMap<u64, NamespaceId>,
}

impl<'a> HolderSearch<'a> {
    pub(super) fn new(entries: &'a mut BTreeMap<NamespaceId, MapEntry>, own: NamespaceId) -> Self {
        HolderSearch { entries, own, seen_sockets: HashSet::new(), by_cookie: HashMap::new() }
    }

    /// Looks everywhere; what may not be looked at is in `unseen` already, for its process is.
    pub(super) fn run(&mut self, pids: &[Pid], unseen: &mut UnseenNamespaces) {
        let homes: BTreeMap<Pid, NamespaceId> = self
            .entries
            .values()
            .flat_map(|entry| entry.pids.iter().map(|pid| (*pid, entry.identity)))
            .collect();
        for pid in pids.iter().filter(|pid| **pid != getpid()) {
            let Some(home) = homes.get(pid) else { continue };
            self.threads(*pid, *home);
            let sockets = match self.descriptors(*pid) {
                Ok(sockets) => sockets,
                // It has ended, or is about to.
                Err(Errno::ENOENT | Errno::ESRCH) => continue,
                Err(Errno::EACCES | Errno::EPERM) if is_ending(*pid) => continue,
                Err(error) => {
                    unseen.not_read.push((format!("the descriptors of PID {pid}"), error.desc().to_owned()));
                    continue;
                }
            };
            if sockets.len() > MOST_SOCKETS {
                let of = format!("the {} sockets of PID {pid}", sockets.len());
                unseen.not_read.push((of, "too many to ask each for its namespace".to_owned()));
            } else {
                self.sockets(*pid, *home, sockets);
            }
        }
        self.mounts_elsewhere(pids);
        self.listed();
    }

    fn found(&mut self, identity: NamespaceId, holder: NetnsHolder) {
        MapEntry::at(self.entries, identity).holders.push(holder);
    }

    fn threads(&mut self, pid: Pid, home: NamespaceId) {
        let tasks = format!("/proc/{pid}/task");
        // A directory has a link from each below it, besides its own two (proc_task_getattr in fs/proc/base.c).
        if stat(tasks.as_str()).is_ok_and(|stat| stat.st_nlink <= 3) {
            return;
        }
        for task in fs::read_dir(&tasks).into_iter().flatten().flatten() {
            let Some(tid) = task.file_name().to_str().and_then(|tid| tid.parse().ok()) else { continue };
            let Ok(stat) = stat(format!("{tasks}/{tid}/ns/net").as_str()) else { continue };
            let identity = NamespaceId::from(&stat);
            if identity != home {
                self.found(identity, NetnsHolder::Thread { pid, tid: Pid::from_raw(tid) });
            }
        }
    }

    /// Finds the descriptors of namespaces. Returns those of sockets, with the sockets' inodes.
    fn descriptors(&mut self, pid: Pid) -> Result<Vec<(i32, u64)>, Errno> {
        let mut sockets = Vec::new();
        let directory = sys::open(format!("/proc/{pid}/fd").as_str(), OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let mut room = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(&directory, &mut room);
        // What the file system knows by itself: a server that does not answer any more is not asked.
        let (flags, wanted) = (AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE | StatxFlags::INO);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
            let name = entry.file_name();
            let Some(fd) = name.to_str().ok().and_then(|name| name.parse().ok()) else { continue };
            let Ok(file) = statx(&directory, name, flags, wanted) else { continue };
            let device = nix::sys::stat::makedev(file.stx_dev_major.into(), file.stx_dev_minor.into());
            if device == self.own.device() {
                self.namespace_file(self.own.with_inode(file.stx_ino), NetnsHolder::Descriptor { pid, fd });
            } else if FileType::from_raw_mode(file.stx_mode.into()) == FileType::Socket {
                sockets.push((fd, file.stx_ino));
            }
        }
        Ok(sockets)
    }

    /// The file may be of a namespace of another kind.
    fn namespace_file(&mut self, identity: NamespaceId, holder: NetnsHolder) {
        let is_network = self.entries.contains_key(&identity)
            || matches!(by_holder(&holder), Some(Ok(namespace)) if namespace.identity() == identity);
        if is_network {
            self.found(identity, holder);
        }
    }

    /// Finds sockets of other namespaces than their process is in. One that several processes have is asked once.
    fn sockets(&mut self, pid: Pid, home: NamespaceId, sockets: Vec<(i32, u64)>) {
        let new: Vec<i32> = sockets
            .into_iter()
            .filter(|(_, inode)| self.seen_sockets.insert(*inode))
            .map(|(fd, _)| fd)
            .collect();
        let Ok(pidfd) = open_pidfd(pid) else { return };
        for fd in new {
            let Some(identity) = self.of_socket(pidfd.as_fd(), fd) else { continue };
            if identity != home {
                self.found(identity, NetnsHolder::Socket { pid, fd });
            }
        }
    }

    /// The namespace of a socket. By its cookie, if we have seen one of the same namespace: to open a namespace only to look which
    /// it is costs three calls more.
    fn of_socket(&mut self, pidfd: BorrowedFd<'_>, fd: i32) -> Option<NamespaceId> {
        let socket = copied_socket(pidfd, fd).ok()?;
        let cookie = sys::netns_cookie(socket.as_fd());
        if let Some(known) = cookie.and_then(|cookie| self.by_cookie.get(&cookie)) {
            return Some(*known);
        }
        let identity = Namespace::of_socket(socket.as_fd()).ok()?.identity();
        self.by_cookie.extend(cookie.map(|cookie| (cookie, identity)));
        Some(identity)
    }

    /// Mounts in other mount namespaces of what nothing else holds: each service of systemd has a copy of all of ours.
    fn mounts_elsewhere(&mut self, pids: &[Pid]) {
        let own = namespace::own_identity(NamespaceKind::Mnt).ok();
        let mut seen: HashSet<NamespaceId> = own.into_iter().collect();
        for pid in pids {
            let Ok(stat) = stat(format!("/proc/{pid}/ns/mnt").as_str()) else { continue };
            if !seen.insert(NamespaceId::from(&stat)) {
                continue;
            }
            let Ok(mountinfo) = fs::read(format!("/proc/{pid}/mountinfo")) else { continue };
            for (inode, path) in network_namespaces(&mountinfo) {
                let identity = self.own.with_inode(inode);
                let is_held = |entry: &MapEntry| !entry.pids.is_empty() || !entry.names.is_empty();
                if !self.entries.get(&identity).is_some_and(is_held) {
                    self.found(identity, NetnsHolder::ForeignMount { pid: *pid, path });
                }
            }
        }
    }

    /// What the kernel lists and nothing leads to. A kernel that has no list says nothing.
    fn listed(&mut self) {
        let Ok(all) = sys::list_network_namespaces() else { return };
        for id in all {
            let handle = NamespaceHandle::of_id(id);
            let Ok(namespace) = Namespace::by_handle(handle, NamespaceKind::Net) else { continue };
            let entry = MapEntry::at(self.entries, namespace.identity());
            entry.handle = Some(handle);
            if entry.is_held_by_nothing() {
                entry.holders.push(NetnsHolder::Unknown);
            }
        }
    }
}
