//! Reads in a child process that is killed if it takes too long: on a FUSE file system a look-up, an open and a read each wait
//! until a process of the container answers, and no flag and no signal ends that (fuse(4) waits uninterruptibly once its
//! server has taken the request). Which file system it is cannot be asked either: statfs(2) waits too, and an overlay
//! does not say what is below it. So it does not matter what it is.

use std::fs::{self, DirEntry, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, close, pipe2, read};

use crate::sys;

/// A file system of this machine takes microseconds, and a busy one of a network less than this.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The result of `work`, done in a child that is killed after [`TIMEOUT`] and has only `needed` open. A child that even
/// SIGKILL does not end holds no output of ours that others read to its end, and ends with the file system.
///
/// # Errors
/// ETIMEDOUT; what pipe(2) and fork(2) say; EPIPE when the child ended without a result.
pub(super) fn in_child(needed: BorrowedFd<'_>, work: impl FnOnce() -> Vec<u8>) -> nix::Result<Vec<u8>> {
    let (from, to) = pipe2(OFlag::O_CLOEXEC)?;
    match sys::fork_single_threaded() {
        Ok(ForkResult::Child) => {
            close_all_but([needed.as_raw_fd(), to.as_raw_fd()]);
            send(to, &work());
            sys::exit_at_once()
        }
        Ok(ForkResult::Parent { child }) => {
            drop(to);
            let received = receive(&from, Instant::now() + TIMEOUT);
            end(child);
            received.and_then(|bytes| with_length(bytes).ok_or(Errno::EPIPE))
        }
        // With threads, as in our own tests, a child could be stuck at a lock that one of them held.
        Err(Errno::EDEADLK) => Ok(work()),
        Err(errno) => Err(errno),
    }
}

/// In the child, which ends without dropping anything that owned these.
fn close_all_but(needed: [RawFd; 2]) {
    let number = |entry: io::Result<DirEntry>| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok();
    let open: Vec<RawFd> = fs::read_dir("/proc/self/fd").into_iter().flatten().filter_map(number).collect();
    for other in open.into_iter().filter(|fd| !needed.contains(fd)) {
        let _ = close(other);
    }
}

/// The length comes first, so that what was cut short is told from what is whole.
fn send(to: OwnedFd, bytes: &[u8]) {
    let mut to = File::from(to);
    // The parent that does not listen any more has given us up.
    let _ = to.write_all(&(bytes.len() as u64).to_ne_bytes()).and_then(|()| to.write_all(bytes));
}

fn with_length(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let mut length = [0; 8];
    (&bytes[..]).read_exact(&mut length).ok()?;
    let rest = bytes.split_off(length.len());
    (rest.len() as u64 == u64::from_ne_bytes(length)).then_some(rest)
}

fn receive(from: &OwnedFd, until: Instant) -> nix::Result<Vec<u8>> {
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Errno::ETIMEDOUT);
        }
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(from.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) | Err(Errno::EINTR) => continue,
            ready => ready?,
        };
        match read(from, &mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Without waiting for what does not end.
fn end(child: Pid) {
    let ended = || !matches!(waitpid(child, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive));
    // One that has said all closes its pipe when it ends, a moment before it can be waited for.
    let until = Instant::now() + Duration::from_millis(100);
    let _ = kill(child, Signal::SIGKILL);
    while !ended() && Instant::now() < until {
        std::thread::yield_now();
    }
}

/// What [`in_child`] failed with, as an error of reading.
pub(super) fn io_error(errno: Errno) -> io::Error {
    match errno {
        Errno::ETIMEDOUT => {
            let what = format!("its file system did not answer within {}s", TIMEOUT.as_secs());
            io::Error::other(what)
        }
        errno => errno.into(),
    }
}
