//! A copy of our own program that no process can write to. We run from it where a container could reach us.
//!
//! The file that a process runs is open to each process that may open its `/proc/PID/exe`, and not only to read: that
//! is how the host's runc was overwritten from inside a container (CVE-2019-5736). Ways to it:
//!
//! - The container's program is a script whose interpreter is `/proc/self/exe`. The kernel looks that up while it is
//!   still us who run, so that our file is started once more, in the container, dumpable and for as long as
//!   the container likes. This takes a program that comes from the container: a joined mount namespace, or another root.
//! - Between fork and exec our child is in the container's PID namespace. A process with CAP_SYS_PTRACE there may
//!   look into it. This takes a joined PID namespace.
//!
//! Either requires the right to trace us, and we are undumpable. The processes of a container have it only with
//! CAP_SYS_PTRACE over our user namespace, or above it ([`crate::plan::exposure`]). The container's program gives itself that right, for what it has run once more is itself;
//! and one that is told `-S1000` in the first line of the script lets every ordinary process look. There the copy is
//! made, and everything found and opened once more: exec(2) has closed it. It is not for a program that is root of the
//! whole machine with all capabilities, which needs no file of ours to write to the host's; and for a host's program in
//! another network, or beside processes that may not look, it costs nothing.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use common::failure;
use common::sys::{self, MountAttributes};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::prctl;
use nix::sys::statvfs::{FsFlags, fstatvfs};
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::memory::executable_file;
use crate::tool::TOOL;
use crate::unreadable::RDONLY;

const OURSELVES: &str = "/proc/self/exe";
const OPEN: &str = "/proc/self/fd";

/// What we are run from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedCopy {
    /// A file in memory.
    InMemory,
    /// The same file, read-only: the kit of host tools knows by it that it has a copy of ours.
    SameFile,
}

/// Starts us again from such a copy, with the same `words`; returns when we run from one, or none can be had.
///
/// Then we go on and say so: a user that debugs a container needs that more.
pub fn run_from(copy: SealedCopy, words: &[OsString]) {
    let why_not = match File::open(OURSELVES) {
        Ok(ourselves) if is_sealed(&ourselves) => {
            // What ps(1) shows is taken from the file that was run.
            let _ = CString::new(TOOL).map(|name| prctl::set_name(&name));
            return;
        }
        Ok(ourselves) => exec_copy_of(&ourselves, copy, words),
        Err(error) => error,
    };
    let what = format_args!("{OURSELVES}: {why_not}");
    failure::say(
        TOOL,
        format_args!(
            "{what}: nsenter-rs runs without a protected copy, so the container might be able to overwrite its file"
        ),
    );
}

/// Whether we are the copy, and not the process that was started first.
pub fn is_our_copy() -> bool {
    let is_by_descriptor = || sys::executed_as().is_some_and(|name| Path::new(name).starts_with(OPEN));
    File::open(OURSELVES)
        .is_ok_and(|ourselves| has_all_seals(&ourselves) || is_sealed(&ourselves) && is_by_descriptor())
}

/// A file that cannot be written to, whatever the capabilities inside: a memfd with all seals, or a file on a mount
/// that is read-only.
fn is_sealed(file: &File) -> bool {
    has_all_seals(file) || fstatvfs(file).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY))
}

fn has_all_seals(file: &File) -> bool {
    let seals = fcntl(file, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
    seals.is_ok_and(|seals| seals.contains(all_seals()))
}

fn all_seals() -> SealFlag {
    SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE
}

/// Comes back only with the reason why it did not work.
fn exec_copy_of(ourselves: &File, copy: SealedCopy, words: &[OsString]) -> io::Error {
    if copy == SealedCopy::SameFile
        && let Ok(mount) = read_only()
    {
        return exec(&mount, words);
    }
    match in_memory(ourselves).map(|copy| exec(&copy, words)) {
        // vm.memfd_noexec=2 forbids executable memfds.
        Err(error) | Ok(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            read_only().map_or(error, |mount| exec(&mount, words))
        }
        Err(error) | Ok(error) => error,
    }
}

fn in_memory(ourselves: &File) -> io::Result<OwnedFd> {
    let mut copy = executable_file(TOOL.as_ref())?;
    io::copy(&mut &*ourselves, &mut copy)?;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(all_seals()))?;
    // It cannot be run while a process has it open for writing.
    Ok(OwnedFd::from(File::open(format!("{OPEN}/{}", copy.as_raw_fd()))?))
}

/// The same file through a mount of its own that is in no mount namespace, and cannot be written through.
fn read_only() -> nix::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, OURSELVES, flags).map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
    sys::mount_setattr(mount.as_fd(), &MountAttributes { set: RDONLY, ..MountAttributes::default() })?;
    Ok(mount)
}

/// exec through std, which leaves the environment as it is, down to entries that are none.
fn exec(copy: &OwnedFd, words: &[OsString]) -> io::Error {
    let mut words = words.iter();
    let mut command = Command::new(format!("{OPEN}/{}", copy.as_raw_fd()));
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    command.args(words).exec()
}
