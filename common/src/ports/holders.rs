//! Which processes have a socket open: one pass over the descriptors of all processes, where they were not found by the way.

use std::collections::{HashMap, HashSet};
use std::fs;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::map::{FoundSockets, MapError, OpenSocket};
use crate::namespace::NamespaceKind;
use crate::output::one_line;
use crate::process::{Process, ProcessError, sockets};

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
        let mut found = FoundSockets::default();
        if wanted.is_empty() {
            return Ok(SocketHolders::default());
        }
        let file = "/proc";
        let entries = fs::read_dir(file).map_err(|source| MapError::Proc { file, source })?;
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        for pid in pids.map(Pid::from_raw) {
            match sockets_of(pid, wanted) {
                Ok(open) => found.open.extend(open),
                Err(Errno::EACCES | Errno::EPERM) => found.hidden += 1,
                // It has ended.
                Err(_) => {}
            }
        }
        Ok(SocketHolders::found(found))
    }

    /// The processes of sockets that a search has found.
    pub(super) fn found(found: FoundSockets) -> Self {
        let mut of_each: HashMap<u64, Vec<OpenSocket>> = HashMap::new();
        found.open.iter().for_each(|open| of_each.entry(open.inode).or_default().push(*open));
        let mut known: HashMap<Pid, Option<SocketHolder>> = HashMap::new();
        let mut pairs = Vec::new();
        for open in of_each.values_mut() {
            // One may have several descriptors of it.
            open.sort_by_key(|open| open.pid);
            open.dedup_by_key(|open| open.pid);
            for OpenSocket { pid, inode, .. } in open {
                let holder = known.entry(*pid).or_insert_with(|| SocketHolder::of(*pid));
                pairs.extend(u32::try_from(*inode).ok().zip(holder.clone()));
            }
        }
        SocketHolders { hidden: found.hidden, ..SocketHolders::from_pairs(pairs) }
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

/// Which of the `wanted` sockets the process has open.
fn sockets_of(pid: Pid, wanted: &HashSet<u32>) -> nix::Result<Vec<OpenSocket>> {
    let mut open = Vec::new();
    let is_wanted = |inode| u32::try_from(inode).is_ok_and(|inode| wanted.contains(&inode));
    sockets(pid, |fd, inode| {
        if is_wanted(inode) {
            open.push(OpenSocket { pid, fd, inode });
        }
    })?;
    Ok(open)
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
}
