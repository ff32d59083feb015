//! The process that holds a lock, as `/proc/locks` shows it.

use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;

use nix::sys::stat::{fstat, major, minor};

use crate::hint::Hint;
use crate::output::one_line;

/// The process that holds a lock; printed as *PID 123 (flock)*.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockHolder {
    /// Of our PID namespace.
    pid: Option<i32>,
    /// What it calls itself, made harmless.
    program: Option<String>,
}

impl LockHolder {
    /// The command that shows whether it was stopped (T).
    pub fn hint(&self) -> Option<Hint> {
        let pid = self.pid?;
        crate::hint!("ps -o pid,stat,args -p {}", pid)
    }

    /// The process that holds the lock on this file.
    pub(super) fn of(directory: &OwnedFd) -> Self {
        let Ok(stat) = fstat(directory) else { return LockHolder::default() };
        // proc_locks(5): the device in hexadecimal.
        let place = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
        let pid = fs::read_to_string("/proc/locks").ok().and_then(|locks| holder_in(&locks, &place));
        let name = pid.and_then(|pid| fs::read(format!("/proc/{pid}/comm")).ok());
        let program = name.map(|name| one_line(String::from_utf8_lossy(&name).trim_end()).into_owned());
        LockHolder { pid, program }
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.program) {
            (Some(pid), Some(program)) => write!(f, "PID {pid} ({program})"),
            (Some(pid), None) => write!(f, "PID {pid}"),
            _ => f.write_str("a process that cannot be seen from here"),
        }
    }
}

/// The process that holds flock(2) on the file at `place`, as `/proc/locks` shows it; those that wait for it have `->`. A
/// process of another PID namespace is 0 there.
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
        let holder = LockHolder { pid: Some(7), program: Some(one_line("e\x1b[2Jvil").into_owned()) };
        assert!(!holder.to_string().contains('\x1b'), "{holder}");
    }
}
