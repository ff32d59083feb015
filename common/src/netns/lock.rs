//! Locks for making and removing names: one of our tools at a time, by a lock that only root can hold; and not iproute2 at
//! the same time, by the lock that it takes too, unless another process keeps that one for too long.
//!
//! The lock of iproute2 is flock(2) on a directory that every user can read, so every user can hold it for ever. So our
//! tools wait for it only a moment.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, fchmod, fstat, futimens};
use nix::sys::time::TimeSpec;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, geteuid};

use super::holder::LockHolder;
use super::{NetnsError, failed};
use crate::process::open_pidfd;
use crate::sys;

/// The toolbox's directory, until the next boot; add-nic keeps its journal there too.
const TOOLBOX: &str = "/run/netns-toolbox";
const FILE: &str = "netns.lock";

/// How long a process waits for iproute2's lock, once: `ip netns add` has it for a millisecond.
const TIMEOUT: Duration = Duration::from_secs(1);
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// How long one of our tools may have our lock before another gives up: it has it for milliseconds, and for the time of
/// [`TIMEOUT`]. A tool that was stopped has it for ever.
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

/// Takes a lock that only root can hold, however many have it in turn; returns the holder if one process has it for all of
/// `longest`.
///
/// # Errors
/// What flock(2) says, other than that it is held.
pub fn wait_for(file: &OwnedFd, longest: Duration) -> nix::Result<Option<LockHolder>> {
    let mut before = None;
    while !is_ours(file)? {
        let (holder, taken) = (LockHolder::of(file), taken(file)?);
        // The time too: a lock that was taken in line is shown as that of a child that has ended.
        if before == Some((holder.clone(), taken)) {
            return Ok(Some(holder));
        }
        before = Some((holder, taken));
        wait_in_line(file, longest);
    }
    // If it cannot be written to, no other process has it.
    let _ = futimens(file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
    Ok(None)
}

/// When the lock on a file was last taken by [`wait_for`], which changes the file's time.
fn taken(file: &OwnedFd) -> nix::Result<(i64, i64)> {
    fstat(file).map(|stat| (stat.st_mtime, stat.st_mtime_nsec))
}

fn is_ours(file: &OwnedFd) -> nix::Result<bool> {
    match flock(file, FlockArg::LockExclusiveNonblock) {
        Err(Errno::EWOULDBLOCK) => Ok(false),
        other => other.map(|()| true),
    }
}

/// Takes iproute2's lock, if its holder releases it soon; otherwise returns the holder.
///
/// # Errors
/// What flock(2) says, other than that it is held.
pub(super) fn of_everybody(directory: &OwnedFd) -> nix::Result<Option<LockHolder>> {
    if is_ours(directory)? {
        return Ok(None);
    }
    if !GIVEN_UP.load(Ordering::Relaxed) {
        wait_in_line(directory, TIMEOUT);
        if is_ours(directory)? {
            return Ok(None);
        }
        GIVEN_UP.store(true, Ordering::Relaxed);
    }
    Ok(Some(LockHolder::of(directory)))
}

/// Waits in the kernel's queue, so that many others do not overtake us: a child does, for a lock belongs to the open file
/// and not to the process, and the child can be ended when time is up.
fn wait_in_line(directory: &OwnedFd, timeout: Duration) {
    match sys::fork_single_threaded() {
        Ok(ForkResult::Child) => {
            // Nor does it wait on, perhaps for ever, when we are killed.
            let _ = set_pdeathsig(Signal::SIGKILL);
            let _ = flock(directory, FlockArg::LockExclusive);
            sys::exit_at_once();
        }
        Ok(ForkResult::Parent { child }) => {
            if let Ok(pidfd) = open_pidfd(child) {
                await_end(pidfd.as_fd(), timeout);
            }
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
        // A process with threads asks again and again.
        Err(_) => {
            let until = Instant::now() + timeout;
            while Instant::now() < until && flock(directory, FlockArg::LockExclusiveNonblock).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn await_end(pidfd: std::os::fd::BorrowedFd<'_>, timeout: Duration) {
    let until = Instant::now() + timeout;
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
pub(super) fn flock(file: &OwnedFd, how: FlockArg) -> nix::Result<()> {
    nix::fcntl::flock(file.as_raw_fd(), how)
}
