//! Which processes have a socket open: one pass over the descriptors of all processes, proc_pid_fd(5).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::mem::MaybeUninit;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Pid;
use rustix::fs::{RawDir, readlinkat_raw};

use crate::map::MapError;
use crate::namespace::NamespaceKind;
use crate::output::one_line;
use crate::process::{Process, ProcessError};
use crate::sys;

/// A process that has sockets open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketHolder {
    /// Its PID.
    pub pid: Pid,
    /// When it started, in clock ticks since boot: with the PID it tells the process from later ones.
    pub started_ticks: u64,
    /// What it calls itself, 15 bytes at most: `comm` in proc_pid_stat(5), any bytes that its program likes.
    pub name: String,
    /// The inode of its network namespace, which need not be that of its sockets; nothing where it is hidden from us.
    pub netns: Option<u64>,
    /// Where it hands connections on to, if it is a proxy of Docker's.
    pub proxy: Option<super::DockerProxy>,
}

/// Who has which sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SocketHolders {
    /// For each inode of a socket those that have it open, by the time of their start.
    by_inode: HashMap<u32, Vec<SocketHolder>>,
    /// How many processes hide their descriptors from us.
    pub hidden: usize,
}

impl SocketHolders {
    /// Those that have the socket, the oldest first.
    pub fn of(&self, inode: u32) -> &[SocketHolder] {
        self.by_inode.get(&inode).map_or(&[], Vec::as_slice)
    }

    /// All of them, each process once.
    pub fn all(&self) -> Vec<&SocketHolder> {
        let mut all: Vec<&SocketHolder> = self.by_inode.values().flatten().collect();
        all.sort_by_key(|holder| holder.pid);
        all.dedup_by_key(|holder| holder.pid);
        all
    }

    /// Whether a proxy of Docker's is among them.
    pub(super) fn have_proxies(&self) -> bool {
        self.by_inode.values().flatten().any(|holder| holder.proxy.is_some())
    }

    /// For tests, and for views of what was read elsewhere.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u32, SocketHolder)>) -> Self {
        let mut holders = SocketHolders::default();
        for (inode, holder) in pairs {
            holders.by_inode.entry(inode).or_default().push(holder);
        }
        holders.by_inode.values_mut().for_each(|all| all.sort_by_key(|holder| holder.started_ticks));
        holders
    }

    /// Looks for the sockets with these inodes at every process; none is looked for where there are none.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn look(wanted: &HashSet<u32>) -> Result<Self, MapError> {
        let mut holders = SocketHolders::default();
        if wanted.is_empty() {
            return Ok(holders);
        }
        let file = "/proc";
        let entries = fs::read_dir(file).map_err(|source| MapError::Proc { file, source })?;
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut pairs = Vec::new();
        for pid in pids.map(Pid::from_raw) {
            match sockets_of(pid, wanted) {
                Ok(inodes) if inodes.is_empty() => {}
                Ok(inodes) => {
                    let holder = SocketHolder::of(pid);
                    pairs.extend(inodes.into_iter().filter_map(|inode| Some((inode, holder.clone()?))));
                }
                Err(Errno::EACCES | Errno::EPERM) => holders.hidden += 1,
                // It has ended.
                Err(_) => {}
            }
        }
        holders.by_inode = SocketHolders::from_pairs(pairs).by_inode;
        Ok(holders)
    }
}

impl SocketHolder {
    /// What is known of the process; nothing if it has ended.
    fn of(pid: Pid) -> Option<Self> {
        let process = Process::open(pid).ok()?;
        let (name, started_ticks) = name_and_start(&process).ok()?;
        let netns = process.namespace_identity(NamespaceKind::Net).ok().map(|identity| identity.inode);
        let proxy = super::DockerProxy::of(&process, &name);
        Some(SocketHolder { pid, started_ticks, name, netns, proxy })
    }

    /// Takes hold of it again, if it is the same.
    pub fn process(&self) -> Option<Process> {
        let process = Process::open(self.pid).ok()?;
        let is_same = process.start_time_ticks().is_ok_and(|started| started == self.started_ticks);
        is_same.then_some(process)
    }

    /// The same, if it still has the socket, too.
    pub fn hold(&self, inode: u32) -> Option<Process> {
        let process = self.process()?;
        let found = sockets_of(self.pid, &HashSet::from([inode]));
        (found.is_ok_and(|found| !found.is_empty()) && process.is_alive()).then_some(process)
    }

    /// As a line for people has it: `nginx 435`.
    pub fn shown(&self) -> String {
        format!("{} {}", one_line(&self.name), self.pid)
    }
}

fn name_and_start(process: &Process) -> Result<(String, u64), ProcessError> {
    let started = process.start_time_ticks()?;
    let name = process.read("comm")?;
    Ok((String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned(), started))
}

/// Which of the `wanted` sockets the process has open, each once.
fn sockets_of(pid: Pid, wanted: &HashSet<u32>) -> nix::Result<HashSet<u32>> {
    let directory = format!("/proc/{pid}/fd");
    let errno = |errno: rustix::io::Errno| Errno::from_raw(errno.raw_os_error());
    let opened = sys::open(directory.as_str(), OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
    let (mut room, mut link_room) = ([MaybeUninit::uninit(); 8192], [MaybeUninit::uninit(); 64]);
    let mut entries = RawDir::new(&opened, &mut room);
    let mut found = HashSet::new();
    while let Some(entry) = entries.next() {
        // Longer ones are no socket's.
        let Ok((link, _)) = readlinkat_raw(&opened, entry.map_err(errno)?.file_name(), &mut link_room) else {
            continue;
        };
        found.extend(socket_inode(link).filter(|inode| wanted.contains(inode)));
    }
    Ok(found)
}

/// `socket:[123]`.
fn socket_inode(link: &[u8]) -> Option<u32> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_socket_of_ours_is_found_with_us_and_one_that_is_closed_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = format!("/proc/self/fd/{}", listener.as_raw_fd());
        let inode = u32::try_from(fs::metadata(file).unwrap().ino()).unwrap();
        let holders = SocketHolders::look(&HashSet::from([inode])).unwrap();
        let ours: Vec<&SocketHolder> =
            holders.of(inode).iter().filter(|holder| holder.pid == Pid::this()).collect();
        assert_eq!(ours.len(), 1);
        assert!(ours[0].hold(inode).is_some_and(|process| process.pid() == Pid::this()));
        let other = SocketHolder { started_ticks: 1, ..ours[0].clone() };
        assert!(other.hold(inode).is_none(), "a later process with the PID");
        drop(listener);
        assert!(ours[0].hold(inode).is_none());
    }

    #[test]
    fn other_links_of_descriptors_are_no_sockets() {
        assert_eq!(socket_inode(b"socket:[123]"), Some(123));
        for link in ["pipe:[123]", "socket:[", "socket:[x]", "/tmp/socket:[1]", "socket:[99999999999]"] {
            assert_eq!(socket_inode(link.as_bytes()), None, "{link}");
        }
    }
}
