//! A process held by pidfd: while the value lives, it means this process and no later one with its PID.

mod descriptors;

pub use descriptors::{NetworkDescriptor, network_descriptors, sockets};

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::Pid;
use procfs::FromRead;
use procfs::process::{Stat, Status};
use procfs::{ProcessCGroup, ProcessCGroups};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::failure::Failure;
use crate::namespace::{self, Namespace, NamespaceError, NamespaceId, NamespaceKind};
use crate::sys;

/// Since Linux 6.9 pidfds live in a file system of their own, with inode numbers that are never used again.
const PIDFS_MAGIC: FsType = FsType(0x5049_4446);

/// exec(2) takes no more than 6 MiB of arguments and environment.
const LARGEST: usize = 8 << 20;

/// A process that cannot become another one under our feet.
///
/// It holds the pidfd, and `/proc/PID` opened as a directory: the kernel ties such a directory to the
/// process and not to the number, so everything read below it is of this process or fails with ESRCH.
///
/// ```
/// use common::namespace::NamespaceKind;
/// use common::process::Process;
/// use nix::unistd::getpid;
///
/// let process = Process::open(getpid())?;
/// assert!(process.is_alive() && process.start_time_ticks()? > 0);
/// assert_eq!(process.namespace(NamespaceKind::Net)?.identity(), process.namespace_identity(NamespaceKind::Net)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    directory: OwnedFd,
}

/// Why a process cannot be held, or what is known of it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No process has this PID, or the one that had it has ended.
    #[error("no such process")]
    Gone(Pid),
    /// The PID is now another process's: its pidfs inode is not the one asked for.
    #[error("is another process now (pidfs inode {found}, not {wanted})")]
    Reused {
        /// What was asked for.
        pid: Pid,
        /// The inode in the TARGET.
        wanted: u64,
        /// The inode of the process that has the PID today.
        found: u64,
    },
    /// The kernel gives pidfds no inode numbers of their own.
    #[error("this kernel has no pidfs inodes (needs Linux 6.9)")]
    NoPidfs(Pid),
    /// What `/proc` shows is not of our PID namespace.
    #[error("/proc does not show the processes of our PID namespace")]
    OtherProc(Pid),
    /// Nothing is mounted there.
    #[error("{}", NamespaceError::NoProc)]
    NoProc,
    /// The kernel has no pidfds.
    #[error("this kernel has no pidfd_open (needs Linux 5.3)")]
    NoPidfd(Pid),
    /// Something under `/proc/PID` could not be read.
    #[error("/proc/{pid}/{file}: {source}")]
    Proc {
        /// Whose.
        pid: Pid,
        /// The file below `/proc/PID`; empty for the directory itself.
        file: &'static str,
        /// What the kernel, or the parser, said.
        source: io::Error,
    },
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        let failure = match &error {
            ProcessError::Gone(pid) | ProcessError::Reused { pid, .. } => {
                Failure::no(format_args!("PID {pid}"), &error)
            }
            ProcessError::NoPidfs(pid) | ProcessError::NoPidfd(pid) => {
                Failure::failed(format_args!("PID {pid}"), &error)
            }
            ProcessError::OtherProc(pid) => Failure::failed(format_args!("PID {pid}"), &error)
                .hint(crate::hint!("mount -t proc proc /proc")),
            ProcessError::NoProc => return NamespaceError::NoProc.into(),
            ProcessError::Proc { pid, .. } => Failure::failed(format_args!("PID {pid}"), &error),
        };
        failure.caused_by(error)
    }
}

/// A descriptor that refers to the process `pid` for as long as it is held, and to no other after that; close-on-exec.
///
/// # Errors
/// What [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html) says; ENOSYS before Linux 5.3.
pub fn open_pidfd(pid: Pid) -> nix::Result<OwnedFd> {
    let is_positive = pid.as_raw() > 0;
    let pid =
        is_positive.then(|| rustix::process::Pid::from_raw(pid.as_raw())).flatten().ok_or(Errno::EINVAL)?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

/// A control group that a process is in (cgroups(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupPath {
    /// What the hierarchy is mounted with, as `pids` or `name=systemd`; nothing for cgroup v2.
    pub controllers: Vec<String>,
    /// Where it is in there.
    pub path: String,
}

impl Process {
    /// Takes hold of the process that has `pid` now.
    ///
    /// # Errors
    /// [`ProcessError::Gone`] when there is none; `OtherProc`, `NoProc`; `NoPidfd` below Linux 5.3.
    pub fn open(pid: Pid) -> Result<Self, ProcessError> {
        let pidfd = open_pidfd(pid).map_err(|errno| match errno {
            // A thread that leads no group is EINVAL; the kernel gives pidfds to whole processes only.
            Errno::ESRCH | Errno::EINVAL => ProcessError::Gone(pid),
            Errno::ENOSYS => ProcessError::NoPidfd(pid),
            errno => ProcessError::Proc { pid, file: "", source: errno.into() },
        })?;
        Process::behind(pidfd, pid)
    }

    /// The process that `pidfd` refers to, whose PID is `pid` in our PID namespace.
    ///
    /// # Errors
    /// [`ProcessError::Gone`] when it has ended.
    pub fn behind(pidfd: OwnedFd, pid: Pid) -> Result<Self, ProcessError> {
        if !has_own_proc() {
            return Err(match namespace::is_proc_mounted() {
                true => ProcessError::OtherProc(pid),
                false => ProcessError::NoProc,
            });
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = sys::open(format!("/proc/{pid}").as_str(), flags);
        let directory = directory.map_err(|errno| not_there(pid, "", errno))?;
        let process = Process { pid, pidfd, directory };
        // The pidfd came first: if it is still alive now, the directory is of the same process.
        if process.is_alive() { Ok(process) } else { Err(ProcessError::Gone(pid)) }
    }

    /// Takes hold of the process that has `pid` now, if its pidfs inode is `inode`.
    ///
    /// # Errors
    /// As [`Process::open`], and `Reused` or `NoPidfs`.
    pub fn open_exactly(pid: Pid, inode: u64) -> Result<Self, ProcessError> {
        let process = Process::open(pid)?;
        match process.pidfd_inode() {
            Some(found) if found == inode => Ok(process),
            Some(found) => Err(ProcessError::Reused { pid, wanted: inode, found }),
            None => Err(ProcessError::NoPidfs(pid)),
        }
    }

    /// Its PID in our PID namespace.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The pidfs inode, which no later process will have; `None` below Linux 6.9.
    pub fn pidfd_inode(&self) -> Option<u64> {
        pidfs_inode(self.pidfd.as_fd())
    }

    /// Whether it has not been reaped: a zombie is alive in this sense, but has no namespaces any more.
    pub fn is_alive(&self) -> bool {
        // EPERM is an answer too: the process is there, and not ours to signal.
        !matches!(sys::pidfd_send_signal(self.pidfd.as_fd(), 0), Err(Errno::ESRCH))
    }

    /// Whether it is there, and `/proc` shows nothing of it to us: so the mount options hidepid=1 and hidepid=2 of
    /// proc(5) have it, and then all that is read of it is an error as if it had ended, or not been permitted.
    pub fn is_hidden(&self) -> bool {
        let cannot_be_seen = matches!(
            fstatat(&self.directory, "stat", AtFlags::empty()),
            Err(Errno::ENOENT | Errno::EPERM | Errno::EACCES)
        );
        // The pidfd is asked last: a process that has ended by now is not hidden.
        cannot_be_seen && self.is_alive()
    }

    /// Opens the namespace of `kind` that it is in.
    ///
    /// # Errors
    /// `Gone` when it ended (a zombie too); `NotPermitted` when ptrace(2)'s rules forbid us to look.
    pub fn namespace(&self, kind: NamespaceKind) -> Result<Namespace, NamespaceError> {
        Namespace::open_at(self.directory.as_fd(), self.pid, kind)
    }

    /// What tells the namespace of `kind` that it is in from others, without opening it.
    ///
    /// # Errors
    /// As [`Process::namespace`].
    pub fn namespace_identity(&self, kind: NamespaceKind) -> Result<NamespaceId, NamespaceError> {
        namespace::identity_at(self.directory.as_fd(), self.pid, kind)
    }

    /// Opens a file or directory below `/proc/PID`, such as `root`, `cwd` or `environ`.
    ///
    /// # Errors
    /// `Gone`, or what open(2) says.
    pub fn open_file(&self, file: &'static str, flags: OFlag) -> Result<OwnedFd, ProcessError> {
        openat(&self.directory, file, flags | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| not_there(self.pid, file, errno))
    }

    /// The whole of a small file below `/proc/PID`.
    ///
    /// # Errors
    /// `Gone`, or what open(2) and read(2) say; EFBIG for what is larger than anything that exec(2) accepts. A
    /// process may say that all its memory is its environment (PR_SET_MM in prctl(2)).
    pub fn read(&self, file: &'static str) -> Result<Vec<u8>, ProcessError> {
        // Most files of /proc come whole in one read, and have no length that would tell. What is on the stack costs
        // no mapping of memory, which is half of the price of reading them.
        let (mut room, mut bytes) = ([0; 4096], Vec::new());
        let opened = self.open_file(file, OFlag::O_RDONLY)?;
        loop {
            match nix::unistd::read(&opened, &mut room) {
                Ok(0) => return Ok(bytes),
                Ok(length) if bytes.len() + length > LARGEST => {
                    return Err(ProcessError::Proc { pid: self.pid, file, source: Errno::EFBIG.into() });
                }
                Ok(length) => bytes.extend_from_slice(&room[..length]),
                Err(Errno::EINTR) => {}
                Err(Errno::ESRCH) => return Err(ProcessError::Gone(self.pid)),
                Err(errno) => return Err(ProcessError::Proc { pid: self.pid, file, source: errno.into() }),
            }
        }
    }

    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat`, proc_pid_stat(5).
    ///
    /// # Errors
    /// `Gone`, or `Proc` when the file does not parse.
    pub fn start_time_ticks(&self) -> Result<u64, ProcessError> {
        Ok(self.stat()?.starttime)
    }

    /// Its own PID, its parent's, and so on, up to the process without a parent in our PID namespace.
    ///
    /// # Errors
    /// `Gone`, or `Proc` when a file does not parse.
    pub fn ancestors(&self) -> Result<Vec<Pid>, ProcessError> {
        let mut line = vec![self.pid];
        let mut parent = self.stat()?.ppid;
        // A PID that appears twice is one that was used again while we looked.
        while parent > 0 && !line.contains(&Pid::from_raw(parent)) {
            line.push(Pid::from_raw(parent));
            parent = match Process::open(Pid::from_raw(parent)).and_then(|process| process.stat()) {
                Ok(stat) => stat.ppid,
                Err(ProcessError::Gone(_)) => break,
                Err(error) => return Err(error),
            };
        }
        Ok(line)
    }

    fn stat(&self) -> Result<Stat, ProcessError> {
        Stat::from_read(&*self.read("stat")?).map_err(|error| self.unreadable("stat", error))
    }

    /// Its user and group IDs, capabilities, no_new_privs and seccomp mode, of its first thread:
    /// proc_pid_status(5).
    ///
    /// # Errors
    /// `Gone`, or `Proc` when the file does not parse.
    pub fn status(&self) -> Result<Status, ProcessError> {
        Status::from_read(&*self.read("status")?).map_err(|error| self.unreadable("status", error))
    }

    /// Whether its first thread is on its way out, or a zombie: from then on its cgroups, for one, are not told any
    /// more. PF_EXITING among the flags of proc_pid_stat(5).
    ///
    /// # Errors
    /// `Gone`, or `Proc` when the file does not parse.
    pub fn is_ending(&self) -> Result<bool, ProcessError> {
        const PF_EXITING: u32 = 0x4; // linux/sched.h
        Ok(self.stat()?.flags & PF_EXITING != 0)
    }

    /// The cgroup paths it is in, as `/proc/PID/cgroup` gives them: one a hierarchy.
    ///
    /// # Errors
    /// `Gone`, or `Proc` when the file does not parse.
    pub fn cgroups(&self) -> Result<Vec<String>, ProcessError> {
        Ok(self.cgroups_by_hierarchy()?.into_iter().map(|group| group.path).collect())
    }

    /// The same, with what tells the hierarchy that each is in.
    ///
    /// # Errors
    /// As [`Process::cgroups`].
    pub fn cgroups_by_hierarchy(&self) -> Result<Vec<CgroupPath>, ProcessError> {
        let groups = ProcessCGroups::from_read(&*self.read("cgroup")?);
        let groups = groups.map_err(|error| self.unreadable("cgroup", error))?;
        let path = |group: ProcessCGroup| CgroupPath { controllers: group.controllers, path: group.pathname };
        Ok(groups.into_iter().map(path).collect())
    }

    /// Whether its PID namespace is ours. ptrace(2)'s rules let only some users look at the namespace itself; all may read
    /// its PIDs, of which there is one for each PID namespace from that of `/proc` down to its own.
    ///
    /// # Errors
    /// As [`Process::read`].
    pub fn is_in_our_pid_namespace(&self) -> Result<bool, ProcessError> {
        match self.namespace_identity(NamespaceKind::Pid) {
            Ok(theirs) => Ok(namespace::own_identity(NamespaceKind::Pid).is_ok_and(|ours| ours == theirs)),
            Err(_) => Ok(self.pids()?.len() == 1),
        }
    }

    /// Whether it is PID 1 of a PID namespace, as a container's first process is in its own (Linux 4.1; never before).
    ///
    /// # Errors
    /// As [`Process::read`].
    pub fn is_init(&self) -> Result<bool, ProcessError> {
        Ok(self.pids()?.last() == Some(&1))
    }

    /// Its PID in each PID namespace, the outermost that `/proc` shows first: `NSpid:` of proc_pid_status(5), Linux 4.1;
    /// none before.
    fn pids(&self) -> Result<Vec<i32>, ProcessError> {
        let status = self.read("status")?;
        let mut lines = status.split(|byte| *byte == b'\n');
        let numbers = lines.find_map(|line| line.strip_prefix(b"NSpid:")).unwrap_or_default();
        Ok(String::from_utf8_lossy(numbers).split_whitespace().filter_map(|word| word.parse().ok()).collect())
    }

    /// The descriptor of `/proc/PID`.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    fn unreadable(&self, file: &'static str, error: procfs::ProcError) -> ProcessError {
        ProcessError::Proc { pid: self.pid, file, source: io::Error::other(error) }
    }
}

impl AsFd for Process {
    /// The pidfd, which setns(2) takes for all of its namespaces at once since Linux 5.8.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PID {}", self.pid)
    }
}

/// Whether `/proc` numbers processes as we do: it is mounted for one PID namespace, which need not be ours, and then
/// `/proc/PID` is any process. What it says of ourselves is asked once, and before we go into any namespace.
fn has_own_proc() -> bool {
    static OWN: OnceLock<bool> = OnceLock::new();
    *OWN.get_or_init(|| {
        std::fs::read_link("/proc/self").is_ok_and(|own| own.as_os_str() == Pid::this().to_string().as_str())
    })
}

/// The inode of a pidfd, which no later process will have; `None` below Linux 6.9, or of something else.
pub fn pidfs_inode(pidfd: BorrowedFd<'_>) -> Option<u64> {
    let is_pidfs = fstatfs(pidfd).is_ok_and(|fs| fs.filesystem_type() == PIDFS_MAGIC);
    is_pidfs.then(|| fstat(pidfd).ok()).flatten().map(|stat| stat.st_ino)
}

/// The PID of the process of a pidfd, in our PID namespace: 0 when it is in none that we can see, -1
/// when it has ended, `None` when the descriptor is no pidfd. `Pid:` in proc_pid_fdinfo(5), Linux 5.4.
pub fn pid_of_pidfd(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
}

fn not_there(pid: Pid, file: &'static str, errno: Errno) -> ProcessError {
    match errno {
        Errno::ENOENT | Errno::ESRCH => ProcessError::Gone(pid),
        errno => ProcessError::Proc { pid, file, source: errno.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_alive_and_know_when_we_started() {
        let own = Process::open(Pid::this()).unwrap();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let field_22 = after_name.split(' ').nth(22 - 3).unwrap();
        assert!(own.is_alive());
        assert_eq!(own.start_time_ticks().unwrap().to_string(), field_22);
    }

    #[test]
    fn a_process_that_ended_is_gone_for_every_query() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::open(Pid::from_raw(child.id() as i32)).unwrap();
        assert!(process.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(matches!(process.start_time_ticks(), Err(ProcessError::Gone(_))));
        assert!(matches!(process.namespace(NamespaceKind::Net), Err(NamespaceError::Gone { .. })));
    }

    #[test]
    fn a_pid_that_was_reused_is_refused() {
        let own = Process::open(Pid::this()).unwrap();
        match own.pidfd_inode() {
            Some(inode) => {
                assert!(Process::open_exactly(Pid::this(), inode).is_ok());
                let other = Process::open_exactly(Pid::this(), inode + 1);
                assert!(matches!(other, Err(ProcessError::Reused { .. })));
            }
            None => assert!(matches!(Process::open_exactly(Pid::this(), 1), Err(ProcessError::NoPidfs(_)))),
        }
    }
}
