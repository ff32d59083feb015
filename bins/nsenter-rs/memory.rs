//! Files in memory that may be executed.

use std::ffi::OsStr;
use std::fs::File;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A memfd that may be executed: since Linux 6.3 that wants to be said where `vm.memfd_noexec` is 1 (memfd_create(2)).
const MFD_EXEC: MFdFlags = MFdFlags::from_bits_retain(0x10);

/// An empty file, to be written and then run; gone with the last process that runs it. It can be sealed.
pub fn executable_file(name: &OsStr) -> nix::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    match memfd_create(name, flags | MFD_EXEC) {
        Err(Errno::EINVAL) => memfd_create(name, flags).map(File::from),
        memory => memory.map(File::from),
    }
}
