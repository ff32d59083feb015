//! Which open descriptors the program gets: of those that our caller left open, only what is meant for it.
//!
//! A directory of the host that is open in a process near a container is a way out of it: CVE-2024-21626 was one
//! that runc had left open, and a working directory of `/proc/self/fd/7`. All that we open ourselves is
//! close-on-exec, and what we have inherited is not: that tells one from the other.

use std::os::fd::RawFd;

use common::failure::Failure;
use common::sys;
use nix::errno::Errno;
use nix::unistd::close;

/// Standard input, output and error are meant for the program.
const FIRST: RawFd = 3;

/// More descriptors than we ever have.
const FEW: u32 = 1024;

/// Whether our caller has left all of them open.
pub fn are_open(kept: &[RawFd]) -> Result<(), Failure> {
    // One of ours has that number where our caller had none.
    match kept.iter().find(|fd| sys::is_close_on_exec(**fd) != Ok(false)) {
        Some(fd) => Err(Failure::failed(format_args!("--keep-fd={fd}"), "is not an open descriptor")),
        None => Ok(()),
    }
}

/// Closes what our caller left open, but for `kept`.
pub fn close_inherited(kept: &[RawFd]) -> Result<(), Failure> {
    are_open(kept)?;
    match open_ones() {
        Some(numbers) => {
            for fd in numbers.into_iter().filter(|fd| *fd >= FIRST && !kept.contains(fd)) {
                if sys::is_close_on_exec(fd) == Ok(false) {
                    let _ = close(fd);
                }
            }
            Ok(())
        }
        // Without /proc they cannot be told apart; at least the program gets none of them.
        None => gaps(kept).into_iter().try_for_each(|(first, last)| {
            sys::close_range_on_exec(first, last)
                .map_err(|errno| Failure::failed("descriptors of the caller", why_not(errno)))
        }),
    }
}

/// Closes everything but `kept`, ours too: for a process that only waits from now on, and drops nothing.
pub fn close_all_but(kept: &[RawFd]) {
    for stream in (0..FIRST).filter(|stream| !kept.contains(stream)) {
        let _ = close(stream);
    }
    for (first, last) in gaps(kept) {
        if sys::close_range(first, last).is_err() {
            // Before Linux 5.9. We have opened few.
            for fd in first..=last.min(FEW) {
                let _ = close(fd.cast_signed());
            }
        }
    }
}

/// The numbers of all descriptors that are open. The directory's own is among them: closed by now, or close-on-exec.
fn open_ones() -> Option<Vec<RawFd>> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    entries.map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// What is between the descriptors of `kept`.
fn gaps(kept: &[RawFd]) -> Vec<(u32, u32)> {
    let mut kept: Vec<u32> = kept.iter().filter(|fd| **fd >= FIRST).map(|fd| fd.cast_unsigned()).collect();
    kept.sort_unstable();
    let mut gaps = Vec::new();
    let mut first = FIRST.cast_unsigned();
    for fd in kept {
        if fd > first {
            gaps.push((first, fd - 1));
        }
        first = fd + 1;
    }
    gaps.push((first, u32::MAX));
    gaps
}

fn why_not(errno: Errno) -> String {
    match errno {
        Errno::ENOSYS | Errno::EINVAL => {
            "cannot be listed without /proc, nor closed without a list (needs Linux 5.11)".to_owned()
        }
        errno => errno.desc().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_kept_ones_lies_in_the_gaps() {
        assert_eq!(gaps(&[]), [(3, u32::MAX)]);
        assert_eq!(gaps(&[9, 0, 3, 9]), [(4, 8), (10, u32::MAX)]);
        assert_eq!(gaps(&[3, 4]), [(5, u32::MAX)]);
    }
}
