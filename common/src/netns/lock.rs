//! Who may make and remove names: one of our tools at a time, by a lock that only root can hold; and iproute2 not
//! meanwhile, by the lock that it takes too, as long as nobody makes that a trap.
//!
//! The lock of iproute2 is flock(2) on a directory that everybody can read, so everybody can hold it, for ever. It is
//! waited for a moment.

use std::fmt;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, fchmod, fstat, major, minor};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, geteuid};

use super::{NetnsError, failed};
use crate::hint::Hint;
use crate::output::one_line;
use crate::sys;

/// What is ours until the next boot; add-nic keeps its journal there too.
const TOOLBOX: &str = "/run/netns-toolbox";
const FILE: &str = "netns.lock";

/// So long iproute2's lock is waited for, once in the life of a process: `ip netns add` has it for a millisecond.
const PATIENCE: Duration = Duration::from_secs(1);
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// So long one tool of ours may have our lock before another gives up: it has it for milliseconds, and for the time of
/// [`PATIENCE`]. One that was stopped has it for ever.
const LONGEST: Duration = Duration::from_secs(10);

/// Waits until no other tool of ours is at work.
///
/// # Errors
/// `NotPermitted`; `Held` when one of them is stuck; `Io` when another user could hold this lock too, and what open(2) and
/// flock(2) say.
pub(super) fn ours() -> Result<OwnedFd, NetnsError> {
    let file = Path::new(TOOLBOX).join(FILE);
    match nix::unistd::mkdir(TOOLBOX, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(failed("make the directory", Path::new(TOOLBOX), errno)),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = nix::fcntl::open(TOOLBOX, flags, Mode::empty())
        .map_err(|errno| failed("open the directory", Path::new(TOOLBOX), errno))?;
    let stat = fstat(&directory).map_err(|errno| failed("look at", Path::new(TOOLBOX), errno))?;
    if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o022 != 0 {
        let what = "can be written by another user".to_owned();
        let source = std::io::Error::other(what);
        return Err(NetnsError::Io { action: "hold a lock in it", file: TOOLBOX.into(), source });
    }
    if stat.st_mode & 0o077 != 0 {
        fchmod(&directory, Mode::S_IRWXU)
            .map_err(|errno| failed("close the directory", Path::new(TOOLBOX), errno))?;
    }
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let lock = openat(&directory, FILE, flags, Mode::S_IRUSR | Mode::S_IWUSR)
        .map_err(|errno| failed("open the lock", &file, errno))?;
    match wait_for(&lock, LONGEST).map_err(|errno| failed("lock", &file, errno))? {
        None => Ok(lock),
        Some(holder) => Err(NetnsError::Held { file, holder, time: LONGEST }),
    }
}

/// Takes a lock that only root can hold, however many have it in turn; whoever has had it for all of `longest` otherwise.
///
/// # Errors
/// What flock(2) says, other than that somebody has it.
pub fn wait_for(file: &OwnedFd, longest: Duration) -> nix::Result<Option<Holder>> {
    let mut before = None;
    while !is_ours(file)? {
        let holder = Holder::of(file);
        if before.as_ref() == Some(&holder) {
            return Ok(Some(holder));
        }
        before = Some(holder);
        wait_in_line(file, longest);
    }
    Ok(None)
}

fn is_ours(file: &OwnedFd) -> nix::Result<bool> {
    match flock(file, FlockArg::LockExclusiveNonblock) {
        Err(Errno::EWOULDBLOCK) => Ok(false),
        other => other.map(|()| true),
    }
}

/// Takes iproute2's lock, if its holder lets go of it soon; otherwise who that is.
///
/// # Errors
/// What flock(2) says, other than that somebody has it.
pub(super) fn of_everybody(directory: &OwnedFd) -> nix::Result<Option<Holder>> {
    if is_ours(directory)? {
        return Ok(None);
    }
    if !GIVEN_UP.load(Ordering::Relaxed) {
        wait_in_line(directory, PATIENCE);
        if is_ours(directory)? {
            return Ok(None);
        }
        GIVEN_UP.store(true, Ordering::Relaxed);
    }
    Ok(Some(Holder::of(directory)))
}

/// Waits in the kernel's queue, so that many others do not overtake us: a child does, for a lock belongs to the open file
/// and not to the process, and the child can be ended when time is up.
fn wait_in_line(directory: &OwnedFd, patience: Duration) {
    match sys::fork_single_threaded() {
        Ok(ForkResult::Child) => {
            // Nor does it wait on, perhaps for ever, when we are killed.
            let _ = set_pdeathsig(Signal::SIGKILL);
            let _ = flock(directory, FlockArg::LockExclusive);
            sys::exit_at_once();
        }
        Ok(ForkResult::Parent { child }) => {
            if let Ok(pidfd) = sys::pidfd_open(child) {
                await_end(pidfd.as_fd(), patience);
            }
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
        // A process with threads asks again and again.
        Err(_) => {
            let until = Instant::now() + patience;
            while Instant::now() < until && flock(directory, FlockArg::LockExclusiveNonblock).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn await_end(pidfd: std::os::fd::BorrowedFd<'_>, patience: Duration) {
    let until = Instant::now() + patience;
    loop {
        let left = PollTimeout::try_from(until.saturating_duration_since(Instant::now()));
        let left = left.unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(pidfd, PollFlags::POLLIN)], left) {
            Err(Errno::EINTR) => {}
            _ => return,
        }
    }
}

#[expect(deprecated, reason = "nix's Flock unlocks when it is dropped, and panics if the kernel refuses")]
fn flock(file: &OwnedFd, how: FlockArg) -> nix::Result<()> {
    nix::fcntl::flock(file.as_raw_fd(), how)
}

/// Whoever has a lock: shown, *PID 123 (flock)*.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// Of our PID namespace.
    pid: Option<i32>,
    /// What it calls itself, made harmless.
    program: Option<String>,
}

impl Holder {
    /// What shows whether it was stopped, and what makes it go on then.
    pub fn hint(&self) -> Option<Hint> {
        let pid = self.pid?;
        crate::hint!(
            "ps -o pid,stat,args -p {} says what it does; if it was stopped (T): kill -CONT {}",
            pid,
            pid
        )
    }

    fn of(directory: &OwnedFd) -> Self {
        let Ok(stat) = fstat(directory) else { return Holder::default() };
        // proc_locks(5): the device in hexadecimal.
        let place = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
        let pid = fs::read_to_string("/proc/locks").ok().and_then(|locks| holder_in(&locks, &place));
        let name = pid.and_then(|pid| fs::read(format!("/proc/{pid}/comm")).ok());
        let program = name.map(|name| one_line(String::from_utf8_lossy(&name).trim_end()).into_owned());
        Holder { pid, program }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.program) {
            (Some(pid), Some(program)) => write!(f, "PID {pid} ({program})"),
            (Some(pid), None) => write!(f, "PID {pid}"),
            _ => f.write_str("a process that cannot be seen from here"),
        }
    }
}

/// Who has flock(2) on the file at `place`, as `/proc/locks` shows it: not those that wait for it (`->`). A process of
/// another PID namespace is 0 there.
fn holder_in(locks: &str, place: &str) -> Option<i32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, _, pid, at, ..] = words[..] else { return None };
        (at == place).then(|| pid.parse().ok()).flatten().filter(|pid| *pid > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_read_and_not_who_waits() {
        let locks = "1: POSIX  ADVISORY  WRITE 9 00:1a:5 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 0 00:1a:6 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 77 00:1a:5 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 78 00:1a:5 0 EOF\n\
                     4: -> FLOCK  ADVISORY  WRITE 79 00:1a:7 0 EOF\nnonsense\n";
        assert_eq!(holder_in(locks, "00:1a:5"), Some(77));
        assert_eq!(holder_in(locks, "00:1a:6"), None);
        assert_eq!(holder_in(locks, "00:1a:7"), None);
    }

    #[test]
    fn a_name_of_its_own_drives_no_terminal() {
        let holder = Holder { pid: Some(7), program: Some(one_line("e\x1b[2Jvil").into_owned()) };
        assert!(!holder.to_string().contains('\x1b'), "{holder}");
    }
}
