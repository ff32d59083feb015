//! The system calls that no crate wraps, one thin function each: the only unsafe code of the toolbox.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::{ForkResult, Pid};

/// A descriptor that refers to the process `pid` for as long as it is held, and to no other after that.
/// Close-on-exec is always set by the kernel.
///
/// Linux 5.3, [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// Sends `signal` to the process behind a pidfd; 0 only asks whether it is there (ESRCH when not).
///
/// Linux 5.1, [pidfd_send_signal(2)](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html).
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: c_int) -> Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed and means "as kill(2) would"; nothing else is a pointer.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) };
    Errno::result(sent).map(drop)
}

/// The CLONE_NEW* flag of the namespace behind an nsfs descriptor.
///
/// Linux 4.11, [ioctl_ns(2)](https://man7.org/linux/man-pages/man2/ioctl_ns.2.html).
pub fn namespace_type(namespace: BorrowedFd<'_>) -> Result<CloneFlags> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703; // _IO(0xb7, 0x3), linux/nsfs.h
    // SAFETY: this request takes no argument; a descriptor of another kind answers ENOTTY.
    let flag = Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) })?;
    Ok(CloneFlags::from_bits_retain(flag))
}

/// The user namespace that owns the namespace behind an nsfs descriptor.
///
/// Linux 4.9, [ioctl_ns(2)](https://man7.org/linux/man-pages/man2/ioctl_ns.2.html).
pub fn namespace_owner(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    const NS_GET_USERNS: libc::Ioctl = 0xb701; // _IO(0xb7, 0x1), linux/nsfs.h
    // SAFETY: this request takes no argument; a descriptor of another kind answers ENOTTY.
    let fd = Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS) })?;
    // SAFETY: the kernel has just given us this descriptor, close-on-exec, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The user or PID namespace in which the one behind an nsfs descriptor was made.
///
/// Linux 4.9, [ioctl_ns(2)](https://man7.org/linux/man-pages/man2/ioctl_ns.2.html).
pub fn namespace_parent(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    const NS_GET_PARENT: libc::Ioctl = 0xb702; // _IO(0xb7, 0x2), linux/nsfs.h
    // SAFETY: this request takes no argument; a descriptor of another kind answers ENOTTY.
    let fd = Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT) })?;
    // SAFETY: the kernel has just given us this descriptor, close-on-exec, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The user ID of whoever made the user namespace behind an nsfs descriptor.
///
/// Linux 4.11, [ioctl_ns(2)](https://man7.org/linux/man-pages/man2/ioctl_ns.2.html).
pub fn namespace_owner_uid(namespace: BorrowedFd<'_>) -> Result<libc::uid_t> {
    const NS_GET_OWNER_UID: libc::Ioctl = 0xb704; // _IO(0xb7, 0x4), linux/nsfs.h
    let mut uid: libc::uid_t = 0;
    // SAFETY: the request writes one uid_t through the pointer, which outlives the call.
    Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) })?;
    Ok(uid)
}

/// [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html) of a process that has one thread.
///
/// The tools never start a second thread before this; EDEADLK if somebody did, for the child of a
/// process with threads may not even allocate.
pub fn fork_single_threaded() -> Result<ForkResult> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(Errno::EDEADLK);
    }
    // SAFETY: with one thread no lock can be held by a thread that the child lacks.
    unsafe { nix::unistd::fork() }
}

/// Switches an option of a netlink socket on; ENOPROTOOPT where the kernel has no such option.
///
/// [netlink(7)](https://man7.org/linux/man-pages/man7/netlink.7.html), "Socket options".
pub fn netlink_switch_on(socket: BorrowedFd<'_>, option: c_int) -> Result<()> {
    let on: c_int = 1;
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes through the pointer, which outlives the call.
    let set = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), length)
    };
    Errno::result(set).map(drop)
}
