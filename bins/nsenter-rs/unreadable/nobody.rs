//! A user namespace in which no ID on disk is anybody: it has one ID, which no file has.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use common::namespace::Namespace;
use common::sys;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, getegid, geteuid, pipe2, read, write};

use super::UnreadableError;

/// Beyond what anybody gives to users or containers, and no ID that means something to the kernel.
const NO_ID: u32 = 4_000_000_000;

/// Makes it, in a child that ends as soon as we hold it, or are gone ourselves.
pub fn nobody() -> Result<OwnedFd, UnreadableError> {
    let unshared = || unshare(CloneFlags::CLONE_NEWUSER).map(|()| 0);
    of_child(unshared, |child, _| mapped(child)).map_err(UnreadableError::NoUserNamespace)
}

/// The same made inside of another user namespace, which one needs not be in: by a child that is.
pub fn nobody_within(user: &Namespace) -> Result<OwnedFd, UnreadableError> {
    let mut kept = None;
    let inside = || {
        user.enter()?;
        let made = nobody().map_err(|error| match error {
            UnreadableError::NoUserNamespace(errno) => errno,
            _ => Errno::EPERM,
        })?;
        Ok(kept.insert(made).as_raw_fd())
    };
    let opened = |child, fd| open(format!("/proc/{child}/fd/{fd}"));
    of_child(inside, opened).map_err(UnreadableError::NoUserNamespace)
}

/// What `taken` takes from a child that has done what `done` does, and waits meanwhile.
fn of_child(
    done: impl FnOnce() -> Result<RawFd, Errno>,
    taken: impl FnOnce(Pid, RawFd) -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, Errno> {
    let (answer, answering) = pipe2(OFlag::O_CLOEXEC)?;
    let (held, holding) = pipe2(OFlag::O_CLOEXEC)?;
    match sys::fork_single_threaded()? {
        ForkResult::Child => {
            drop((answer, holding));
            let number = done().unwrap_or_else(|errno| -(errno as i32));
            if write(&answering, &number.to_ne_bytes()).is_ok() {
                let _ = read(&held, &mut [0]);
            }
            std::process::exit(0)
        }
        ForkResult::Parent { child } => {
            drop((answering, held));
            let mut number = [0; 4];
            let taken = read(&answer, &mut number).and_then(|length| match i32::from_ne_bytes(number) {
                _ if length == 0 => Err(Errno::ECHILD),
                number @ 0.. => taken(child, number),
                errno => Err(Errno::from_raw(-errno)),
            });
            drop(holding);
            let _ = waitpid(child, None);
            taken
        }
    }
}

fn open(path: String) -> Result<OwnedFd, Errno> {
    Ok(File::open(path).map_err(errno)?.into())
}

fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// Its maps written, and then the user namespace itself.
fn mapped(child: Pid) -> Result<OwnedFd, Errno> {
    let file = |name: &str| format!("/proc/{child}/{name}");
    let map = |name: &str, own: u32| {
        let line = |outside: u32| fs::write(file(name), format!("{NO_ID} {outside} 1\n"));
        // Without CAP_SETUID over our own user namespace, or where that has no such ID, one may map oneself only.
        line(NO_ID).or_else(|_| line(own))
    };
    // user_namespaces(7): a process without CAP_SETGID may not map a group before.
    fs::write(file("setgroups"), "deny").map_err(errno)?;
    map("uid_map", geteuid().as_raw()).map_err(errno)?;
    map("gid_map", getegid().as_raw()).map_err(errno)?;
    open(file("ns/user"))
}
