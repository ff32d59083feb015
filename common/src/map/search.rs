//! What holds network namespaces besides processes and our own mounts: threads that have left their process, open descriptors,
//! sockets, mounts elsewhere; and what the kernel lists although nothing of that kind is seen.
//!
//! | holder | costs |
//! |---|---|
//! | a thread | a stat(2) for each thread of the processes that have several |
//! | a descriptor | a readlink(2) for each descriptor of the host |
//! | a socket | a copy of each socket of the host, pidfd_getfd(2), that sock_diag(7) has not told of: the kernel tells its namespace by the socket alone |
//! | a mount elsewhere | mountinfo of each mount namespace |
//! | the kernel's own list | one listns(2) for thousands (Linux 6.19) |

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::stat;
use nix::unistd::{Pid, getpid};

use super::entry::{by_holder, copied_socket, is_ending};
use super::list::{LookDepth, NetnsList};
use super::mounts::network_namespaces;
use super::{MapEntry, MapError, NetnsHolder};
use crate::namespace::{self, Namespace, NamespaceHandle, NamespaceId, NamespaceKind};
use crate::process::{NetworkDescriptor, network_descriptors, open_pidfd};
use crate::sys;

/// A server with tens of thousands of connections has them in its own network: these are not all copied.
const MOST_SOCKETS: usize = 4096;

/// A socket that a process has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSocket {
    /// The process.
    pub pid: Pid,
    /// Its number there.
    pub fd: i32,
    /// Its inode, by which sock_diag(7) tells it.
    pub inode: u64,
}

/// The sockets that a search came by, of those that matter.
#[derive(Debug, Default)]
pub struct FoundSockets {
    /// Those whose namespace was known before, and those of namespaces that had not been visited.
    pub open: Vec<OpenSocket>,
    /// How many processes hide their descriptors from us.
    pub hidden: usize,
}

/// The namespaces that a look of that depth finds.
pub(super) fn find(depth: LookDepth) -> Result<NetnsList, MapError> {
    let mut list = NetnsList::quick()?;
    if depth == LookDepth::Whole {
        HolderSearch::new(&mut list, &HashMap::new(), &BTreeSet::new()).run();
    }
    Ok(list)
}

/// A search through all that holds namespaces.
pub(super) struct HolderSearch<'a> {
    list: &'a mut NetnsList,
    /// The inodes of sockets, and those of the namespaces that they are in.
    known: &'a HashMap<u64, u64>,
    visited: &'a BTreeSet<NamespaceId>,
    /// The namespaces of sockets by the inodes of these: one that several processes have is asked once. Nothing where it did not say.
    seen_sockets: HashMap<u64, Option<NamespaceId>>,
    /// Namespaces by the kernel's numbers for them (SO_NETNS_COOKIE in socket(7)). While one of a cookie lives its inode is no
    /// other's, and what has ended meanwhile is not opened again by its old inode.
    by_cookie: HashMap<u64, NamespaceId>,
    found: FoundSockets,
}

impl<'a> HolderSearch<'a> {
    pub(super) fn new(
        list: &'a mut NetnsList,
        known: &'a HashMap<u64, u64>,
        visited: &'a BTreeSet<NamespaceId>,
    ) -> Self {
        let (seen_sockets, by_cookie, found) = Default::default();
        HolderSearch { list, known, visited, seen_sockets, by_cookie, found }
    }

    /// Looks everywhere. In a thread that shares its descriptors with no other: whoever looks at our process meanwhile, as another
    /// netns-ls does, sees no copy of a socket, and so takes us for nobody that has it.
    pub(super) fn run(self) -> FoundSockets {
        let alone = || {
            // Without it only others see what we copy, each for a moment.
            let _ = unshare(CloneFlags::CLONE_FILES);
            self.look()
        };
        std::thread::scope(|scope| match scope.spawn(alone).join() {
            Ok(found) => found,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    fn look(mut self) -> FoundSockets {
        let others = self.list.homes.iter().filter(|(pid, _)| **pid != getpid());
        let others: Vec<_> = others.map(|(pid, home)| (*pid, *home)).collect();
        for (pid, home) in &others {
            if let Err(errno) = self.process(*pid, *home) {
                self.not_read(*pid, *home, errno);
            }
        }
        self.mounts_elsewhere(others.iter().map(|(pid, _)| *pid));
        self.listed();
        self.found
    }

    /// What a process holds. Where it is itself may be hidden from us.
    fn process(&mut self, pid: Pid, home: Option<NamespaceId>) -> nix::Result<()> {
        let (mut sockets, mut namespaces) = (Vec::new(), Vec::new());
        let own = self.list.own;
        network_descriptors(pid, own, |fd, found| match found {
            NetworkDescriptor::Socket(inode) => sockets.push(OpenSocket { pid, fd, inode }),
            NetworkDescriptor::Netns(inode) => namespaces.push((fd, inode, true)),
            NetworkDescriptor::Namespace(inode) => namespaces.push((fd, inode, false)),
        })?;
        if let Some(home) = home {
            self.threads(pid, home);
            for (fd, inode, is_network) in namespaces {
                self.namespace_file(own.with_inode(inode), NetnsHolder::Descriptor { pid, fd }, is_network);
            }
            self.sockets(pid, home, sockets);
        }
        Ok(())
    }

    fn not_read(&mut self, pid: Pid, home: Option<NamespaceId>, errno: Errno) {
        match errno {
            // It has ended, or is about to.
            Errno::ENOENT | Errno::ESRCH => return,
            Errno::EACCES | Errno::EPERM if is_ending(pid) => return,
            Errno::EACCES | Errno::EPERM => self.found.hidden += 1,
            _ => {}
        }
        // One whose namespace is hidden, too, is counted already.
        if home.is_some() {
            let why = errno.desc().to_owned();
            self.list.unseen.not_read.push((format!("the descriptors of PID {pid}"), why));
        }
    }

    fn found(&mut self, identity: NamespaceId, holder: NetnsHolder) {
        MapEntry::at(&mut self.list.entries, identity).holders.push(holder);
    }

    /// It may be of another kind.
    fn namespace_file(&mut self, identity: NamespaceId, holder: NetnsHolder, is_network: bool) {
        let leads_there =
            || matches!(by_holder(&holder), Some(Ok(namespace)) if namespace.identity() == identity);
        if is_network || self.list.entries.contains_key(&identity) || leads_there() {
            self.found(identity, holder);
        }
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

    /// Finds sockets of other namespaces than their process is in.
    fn sockets(&mut self, pid: Pid, home: NamespaceId, sockets: Vec<OpenSocket>) {
        let (known, new): (Vec<_>, Vec<_>) =
            sockets.into_iter().partition(|socket| self.known.contains_key(&socket.inode));
        for socket in known {
            let identity = self.list.own.with_inode(self.known[&socket.inode]);
            if self.seen_sockets.insert(socket.inode, Some(identity)).is_none() && identity != home {
                self.found(identity, NetnsHolder::Socket { pid, fd: socket.fd });
            }
            self.found.open.push(socket);
        }
        self.ask_each(pid, home, new);
    }

    fn ask_each(&mut self, pid: Pid, home: NamespaceId, sockets: Vec<OpenSocket>) {
        let is_new = |socket: &&OpenSocket| !self.seen_sockets.contains_key(&socket.inode);
        let count = sockets.iter().filter(is_new).count();
        if count > MOST_SOCKETS {
            let of = format!("{count} sockets of PID {pid}");
            let why = "too many to ask each for its namespace".to_owned();
            return self.list.unseen.not_read.push((of, why));
        }
        let Ok(pidfd) = open_pidfd(pid) else { return };
        for socket in sockets {
            let identity = match self.seen_sockets.get(&socket.inode) {
                Some(identity) => *identity,
                None => {
                    let identity = self.of_socket(pidfd.as_fd(), socket.fd);
                    self.seen_sockets.insert(socket.inode, identity);
                    if let Some(identity) = identity.filter(|identity| *identity != home) {
                        self.found(identity, NetnsHolder::Socket { pid, fd: socket.fd });
                    }
                    identity
                }
            };
            if identity.is_some_and(|identity| !self.visited.contains(&identity)) {
                self.found.open.push(socket);
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
    fn mounts_elsewhere(&mut self, pids: impl Iterator<Item = Pid>) {
        let own = namespace::own_identity(NamespaceKind::Mnt).ok();
        let mut seen: HashSet<NamespaceId> = own.into_iter().collect();
        for pid in pids {
            let Ok(stat) = stat(format!("/proc/{pid}/ns/mnt").as_str()) else { continue };
            if !seen.insert(NamespaceId::from(&stat)) {
                continue;
            }
            let Ok(mountinfo) = fs::read(format!("/proc/{pid}/mountinfo")) else { continue };
            for (inode, path) in network_namespaces(&mountinfo) {
                let identity = self.list.own.with_inode(inode);
                let is_held = |entry: &MapEntry| !entry.pids.is_empty() || !entry.names.is_empty();
                if !self.list.entries.get(&identity).is_some_and(is_held) {
                    self.found(identity, NetnsHolder::ForeignMount { pid, path });
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
            let entry = MapEntry::at(&mut self.list.entries, namespace.identity());
            entry.handle = Some(handle);
            if entry.is_held_by_nothing() {
                entry.holders.push(NetnsHolder::Unknown);
            }
        }
    }
}
