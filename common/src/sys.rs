//! The system calls that no crate wraps, one thin function each: the only unsafe code of the toolbox.
#![allow(unsafe_code)]

mod bpf;
mod forks;
mod mapped;
mod messages;
mod mounts;
mod namespaces;
mod options;
mod signals;
#[cfg(test)]
mod tests;
mod tracing;

use std::ffi::{CStr, OsStr, c_int};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

pub use bpf::{bpf_program_name, bpf_programs_of_cgroup, bpf_programs_of_link};
pub use forks::{exit_at_once, fork_single_threaded};
pub use mapped::{EventRing, KernelTypes};
pub use messages::{
    BATCH, Instruction, RecvBuffer, address_in, attach_filter, bind_to, connect_to, receive_many, send_many,
};
pub use mounts::{MountAttributes, has_mount_setattr, mount_setattr};
pub use namespaces::{
    list_network_namespaces, namespace_handle, namespace_owner, namespace_owner_uid, namespace_parent,
    namespace_type, open_namespace_by_handle, socket_namespace,
};
pub use options::{SocketOption, netns_cookie, option, peer_pidfd, set_option};
pub use signals::{default_action, default_action_of, exit_on, raise, unblock};
pub use tracing::{
    BpfCounters, BpfRunTime, BpfTracepoint, bpf_ring, count_bpf_run_time, perf_stop, perf_tracepoint,
};

/// Sends `signal` to the process behind a pidfd; 0 only asks whether it is there (ESRCH when not).
///
/// Linux 5.1, [pidfd_send_signal(2)](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html).
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: c_int) -> Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed and means "as kill(2) would"; nothing else is a pointer.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) };
    Errno::result(sent).map(drop)
}

/// The time of day where the machine is, of so many seconds since 1970: hours, minutes, seconds.
///
/// [localtime_r(3)](https://man7.org/linux/man-pages/man3/localtime_r.3p.html); UTC where that cannot tell.
pub fn local_time_of_day(seconds: i64) -> [u8; 3] {
    let utc = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map(|part| part.unsigned_abs() as u8);
    let mut local = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers lead to memory of the right type that outlives the call, and the second one may be uninitialised.
    let told = unsafe { libc::localtime_r(&seconds, local.as_mut_ptr()) };
    if told.is_null() {
        return utc;
    }
    // SAFETY: a result that is not null says that all of it was written.
    let local = unsafe { local.assume_init() };
    [local.tm_hour, local.tm_min, local.tm_sec].map(|part| u8::try_from(part).unwrap_or(0))
}

/// Reads from a socket, with the descriptors that came along; those are close-on-exec.
///
/// SCM_RIGHTS in [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
pub fn receive(socket: BorrowedFd<'_>, into: &mut [IoSliceMut<'_>]) -> Result<(usize, Vec<OwnedFd>)> {
    // The kernel's SCM_MAX_FD: however many a stranger sends, each is ours to close. And credentials.
    let mut beside = nix::cmsg_space!([RawFd; 253], nix::sys::socket::UnixCredentials);
    let message = recvmsg::<()>(socket.as_raw_fd(), into, Some(&mut beside), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = control {
            // SAFETY: the kernel has just given us these descriptors, and nothing else has them.
            descriptors.extend(received.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((message.bytes, descriptors))
}

/// The path by which this program was executed: a symbolic link's name where it was one. It needs no `/proc`.
///
/// AT_EXECFN in [getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html).
pub fn executed_as() -> Option<&'static OsStr> {
    // SAFETY: getauxval reads what the kernel has left for us.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const std::ffi::c_char;
    // SAFETY: where it is not null, the kernel has put a NUL-terminated string there, at the top of the stack,
    // and nothing writes to it while the process lives.
    (!address.is_null()).then(|| OsStr::from_bytes(unsafe { CStr::from_ptr(address) }.to_bytes()))
}

/// Opens a file, close-on-exec, with one system call. musl's open() makes two of it, for kernels before 2.6.23, and where
/// thousands of small files are read that is felt.
///
/// [open(2)](https://man7.org/linux/man-pages/man2/open.2.html)
pub fn open(path: impl rustix::path::Arg, flags: OFlag) -> Result<OwnedFd> {
    open_at(rustix::fs::CWD, path, flags)
}

/// The same, below `directory`.
///
/// [openat(2)](https://man7.org/linux/man-pages/man2/open.2.html)
pub fn open_at(directory: impl AsFd, path: impl rustix::path::Arg, flags: OFlag) -> Result<OwnedFd> {
    let flags = rustix::fs::OFlags::from_bits_retain((flags | OFlag::O_CLOEXEC).bits().cast_unsigned());
    let opened = rustix::fs::openat(directory, path, flags, rustix::fs::Mode::empty());
    opened.map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

/// A netlink socket to any part of the kernel: nix has no word for some of them.
///
/// [netlink(7)](https://man7.org/linux/man-pages/man7/netlink.7.html)
pub fn netlink_socket(protocol: c_int) -> Result<OwnedFd> {
    // SAFETY: there is no pointer; a descriptor that comes back is new, and nothing else has it.
    unsafe {
        let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol);
        Errno::result(fd).map(|fd| OwnedFd::from_raw_fd(fd))
    }
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

/// Binds a packet socket to the link of that index, for frames of `ethertype`; 0 is none: such a socket only sends.
///
/// [packet(7)](https://man7.org/linux/man-pages/man7/packet.7.html); nix has no way to make such an address.
pub fn packet_bind(socket: BorrowedFd<'_>, index: u32, ethertype: u16) -> Result<()> {
    // SAFETY: all zeroes is a value of this struct of integers.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = index.cast_signed();
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes through the pointer, which outlives the call.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    Errno::result(bound).map(drop)
}

/// Leaves the session keyring that we share with our caller, keys and all, for a new and empty one; ENOSYS where
/// the kernel has no keys.
///
/// KEYCTL_JOIN_SESSION_KEYRING in [keyctl(2)](https://man7.org/linux/man-pages/man2/keyctl.2.html).
pub fn new_session_keyring() -> Result<()> {
    let no_name = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name is allowed and means a keyring without one; nothing else is a pointer.
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, no_name) };
    Errno::result(joined).map(drop)
}

/// Has exec(2) close every descriptor from `first` to `last`, whatever opened it.
///
/// Linux 5.11, [close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html); ENOSYS or EINVAL before.
pub fn close_range_on_exec(first: u32, last: u32) -> Result<()> {
    // SAFETY: the call takes three integers; no descriptor is closed that this process still owns.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(done).map(drop)
}

/// Closes every descriptor from `first` to `last`, whatever owns it: for a process that uses and drops none of them
/// any more.
///
/// Linux 5.9, [close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html); ENOSYS before.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: the call takes three integers; what becomes of an owner is the caller's to see to, as with nix's close().
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    Errno::result(done).map(drop)
}

/// Whether exec(2) closes the descriptor with this number, whatever opened it; EBADF when there is none.
///
/// F_GETFD of [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html).
pub fn is_close_on_exec(fd: RawFd) -> Result<bool> {
    // SAFETY: this command takes no argument and changes nothing.
    let flags = Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    Ok(flags & libc::FD_CLOEXEC != 0)
}
