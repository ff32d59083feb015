//! A network namespace on the map: how it is opened, and which process stands for it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use procfs::FromRead;
use procfs::process::Stat;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use super::NetnsHolder;
use crate::namespace::{Namespace, NamespaceError, NamespaceHandle, NamespaceId, NamespaceKind};
use crate::process::{Process, open_pidfd};

/// A network namespace, and the ways to it.
#[derive(Debug, Clone)]
pub struct MapEntry {
    /// Which one it is.
    pub identity: NamespaceId,
    /// Processes that were in it, by ascending PID.
    pub pids: Vec<Pid>,
    /// Where its file is mounted: `/run/netns/blue`.
    pub names: Vec<PathBuf>,
    /// What else holds it, where that was looked for.
    pub holders: Vec<NetnsHolder>,
    /// Its ID in the kernel's own list, where the kernel has one.
    pub handle: Option<NamespaceHandle>,
}

impl MapEntry {
    /// The one of that identity among `entries`, a new one if need be.
    pub(super) fn at(entries: &mut BTreeMap<NamespaceId, MapEntry>, identity: NamespaceId) -> &mut Self {
        entries.entry(identity).or_insert_with(|| MapEntry {
            identity,
            pids: vec![],
            names: vec![],
            holders: vec![],
            handle: None,
        })
    }

    /// Whether nothing that we have seen holds it.
    pub(super) fn is_held_by_nothing(&self) -> bool {
        self.pids.is_empty() && self.names.is_empty() && self.holders.is_empty()
    }

    /// Opens it; `None` if it has vanished, or every way to it leads elsewhere by now.
    ///
    /// # Errors
    /// What the last way said that did not just lead nowhere.
    pub fn open(&self) -> Result<Option<Namespace>, NamespaceError> {
        let files = self.pids.iter().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
        let files = files.chain(self.names.iter().cloned());
        let again = |file: PathBuf| Namespace::open_again(&file, NamespaceKind::Net, self.identity);
        let opened = files.map(again);
        let others = self.holders.iter().filter_map(by_holder);
        let by_handle = self.handle.iter().map(|handle| Namespace::by_handle(*handle, NamespaceKind::Net));
        let mut refused = None;
        for opened in opened.chain(others).chain(by_handle) {
            match opened {
                Ok(namespace) if namespace.identity() == self.identity => return Ok(Some(namespace)),
                Err(error) if !leads_nowhere(&error) => refused = Some(error),
                _ => {}
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// The process that stands for it: the oldest of those that are PID 1 of a PID namespace, as a container's
    /// first one is, or a pod's sandbox; without any, the oldest of all. Among those of the same hundredth of a
    /// second it is the one with the lowest PID; PIDs alone say little, for they start again from the bottom.
    pub fn tenant(&self) -> Option<Process> {
        let mut first: Option<(TenantRank, Process)> = None;
        for pid in &self.pids {
            let Some((rank, process)) = Process::open(*pid).ok().and_then(|process| self.rank(process))
            else {
                continue;
            };
            if first.as_ref().is_none_or(|(best, _)| rank < *best) {
                first = Some((rank, process));
            }
            // Everybody that we can see descends from it.
            if pid.as_raw() == 1 && first.is_some() {
                break;
            }
        }
        first.map(|(_, process)| process)
    }

    /// Nothing for a process that has ended, or has left the namespace.
    fn rank(&self, process: Process) -> Option<(TenantRank, Process)> {
        let is_in_it = process.namespace_identity(NamespaceKind::Net).ok()? == self.identity;
        let rank =
            TenantRank { is_no_init: !process.is_init().ok()?, started: process.start_time_ticks().ok()? };
        is_in_it.then_some((rank, process))
    }

    /// Where its file is mounted, first choice first: what people made before what engines made.
    pub fn name(&self) -> Option<&Path> {
        let by_hand = self.names.iter().find(|name| name.starts_with(crate::netns::DIRECTORY));
        by_hand.or(self.names.first()).map(PathBuf::as_path)
    }
}

impl fmt::Display for MapEntry {
    /// As the kernel writes it: `net:[4026531840]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.identity.inode)
    }
}

/// Opens a namespace by what holds it; `None` where that is no way to it. Descriptors can become anything at any time, and paths
/// in another mount namespace are that one's to choose: nothing but a namespace is opened.
pub(super) fn by_holder(holder: &NetnsHolder) -> Option<Result<Namespace, NamespaceError>> {
    let looked_at = |file: nix::Result<OwnedFd>, shown: &Path| match file {
        Ok(file) => Namespace::behind(file.as_fd(), NamespaceKind::Net, shown),
        Err(errno) => Err(NamespaceError::Io { file: shown.to_owned(), source: errno.into() }),
    };
    Some(match holder {
        NetnsHolder::Processes | NetnsHolder::Mount(_) | NetnsHolder::Unknown => return None,
        NetnsHolder::Thread { pid, tid } => {
            Namespace::open(format!("/proc/{pid}/task/{tid}/ns/net").as_ref(), NamespaceKind::Net)
        }
        NetnsHolder::Descriptor { pid, fd } => {
            let file = PathBuf::from(format!("/proc/{pid}/fd/{fd}"));
            looked_at(open(&file, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()), &file)
        }
        NetnsHolder::ForeignMount { pid, path } => {
            let root = PathBuf::from(format!("/proc/{pid}/root"));
            let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
            let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT);
            let shown = root.join(path.strip_prefix("/").unwrap_or(path));
            let file = open(&root, flags | OFlag::O_DIRECTORY, Mode::empty())
                .and_then(|root| openat2(root, path, how));
            looked_at(file, &shown)
        }
        NetnsHolder::Socket { pid, fd } => {
            let shown = PathBuf::from(format!("/proc/{pid}/fd/{fd}"));
            of_socket(*pid, *fd).map_err(|errno| NamespaceError::Io { file: shown, source: errno.into() })
        }
    })
}

/// The network namespace of another process's socket. The copy of it is closed at once: it changes nothing there, but for
/// one that is closed in this moment, whose end comes a moment later.
fn of_socket(pid: Pid, fd: i32) -> nix::Result<Namespace> {
    Namespace::of_socket(copied_socket(open_pidfd(pid)?.as_fd(), fd)?.as_fd())
}

/// A copy of a descriptor of the process behind `pidfd`.
pub(super) fn copied_socket(pidfd: BorrowedFd<'_>, fd: i32) -> nix::Result<OwnedFd> {
    let socket = pidfd_getfd(pidfd, fd, PidfdGetfdFlags::empty());
    socket.map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

/// The process has ended, or the name is no namespace's any more.
fn leads_nowhere(error: &NamespaceError) -> bool {
    match error {
        NamespaceError::Io { source, .. } => {
            let ended = [libc::ESRCH, libc::EBADF, libc::ENOTTY].map(Some);
            source.kind() == io::ErrorKind::NotFound || ended.contains(&source.raw_os_error())
        }
        NamespaceError::Gone { .. }
        | NamespaceError::NoSuch { .. }
        | NamespaceError::NotANamespace { .. }
        | NamespaceError::OtherKind { .. } => true,
        _ => false,
    }
}

/// The least stands for the namespace.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TenantRank {
    is_no_init: bool,
    started: u64,
}

/// A process that is ending has no memory any more that would say who may look at it: kernels that were mended
/// against that (ptrace: "slightly saner get_dumpable() logic") then refuse everybody for a moment.
pub(super) fn is_ending(pid: Pid) -> bool {
    const PF_EXITING: u32 = 0x4; // linux/sched.h
    let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { return true };
    Stat::from_read(&*stat).is_ok_and(|stat| stat.flags & PF_EXITING != 0)
}
