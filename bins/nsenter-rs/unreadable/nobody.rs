//! A user namespace in which no ID on disk is anybody: it has one ID, which no file has.

use std::fs::{self, File};
use std::os::fd::OwnedFd;

use common::sys;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, getegid, geteuid, pipe2, read, write};

use super::Unmade;

/// Beyond what anybody gives to users or containers, and no ID that means something to the kernel.
const NO_ID: u32 = 4_000_000_000;

/// Makes it, in a child that ends as soon as we hold it, or are gone ourselves.
pub fn nobody() -> Result<OwnedFd, Unmade> {
    let failed = Unmade::NoUserNamespace;
    let (answer, answering) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    let (held, holding) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    match sys::fork_single_threaded().map_err(failed)? {
        ForkResult::Child => {
            drop(holding);
            let errno = unshare(CloneFlags::CLONE_NEWUSER).err().map_or(0, |errno| errno as i32);
            let _ = write(&answering, &errno.to_ne_bytes());
            let _ = read(&held, &mut [0]);
            std::process::exit(0)
        }
        ForkResult::Parent { child } => {
            drop((answering, held));
            let mut errno = [0; 4];
            let asked = read(&answer, &mut errno).map(|_| i32::from_ne_bytes(errno));
            let made = asked.and_then(|errno| match errno {
                0 => mapped(child),
                errno => Err(Errno::from_raw(errno)),
            });
            drop(holding);
            let _ = waitpid(child, None);
            made.map_err(failed)
        }
    }
}

/// Its maps written, and then the user namespace itself.
fn mapped(child: Pid) -> Result<OwnedFd, Errno> {
    let file = |name: &str| format!("/proc/{child}/{name}");
    let map = |name: &str, own: u32| {
        let line = |outside: u32| fs::write(file(name), format!("{NO_ID} {outside} 1\n"));
        // Without CAP_SETUID over our own user namespace, or where that has no such ID, one may map oneself only.
        line(NO_ID).or_else(|_| line(own))
    };
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0));
    // user_namespaces(7): whoever has no CAP_SETGID may not map a group before.
    fs::write(file("setgroups"), "deny").map_err(errno)?;
    map("uid_map", geteuid().as_raw()).map_err(errno)?;
    map("gid_map", getegid().as_raw()).map_err(errno)?;
    Ok(File::open(file("ns/user")).map_err(errno)?.into())
}
