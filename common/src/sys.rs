//! The system calls that no crate wraps, one thin function each: the only unsafe code of the toolbox.
#![allow(unsafe_code)]

mod messages;
mod options;

use std::ffi::{CStr, OsStr, c_int};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{ForkResult, Pid};
use nix::{NixPath, Result};

pub use messages::{
    BATCH, Instruction, Message, RecvBuffer, address_in, attach_filter, bind_to, receive_many, send_many,
};
pub use options::{SocketOption, option, set_option};

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
            // SAFETY: the kernel has just given us these descriptors, and nobody else has them.
            descriptors.extend(received.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((message.bytes, descriptors))
}

/// A private copy of the mount at `path`, without what is mounted below it: what those mounts hide can be
/// seen in it.
///
/// Linux 5.2, [open_tree(2)](https://man7.org/linux/man-pages/man2/open_tree.2.html).
pub fn open_tree_clone(path: &str) -> Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: with_nix_path passes a NUL-terminated path that outlives the call.
    let fd = path.with_nix_path(|path| unsafe {
        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags)
    })?;
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// What [`mount_setattr`] changes. `set` and `clear` are MOUNT_ATTR_* flags.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountAttributes<'fd> {
    /// What becomes so.
    pub set: u64,
    /// What is so no more.
    pub clear: u64,
    /// Of all mounts of the tree, and not of the first alone.
    pub recursive: bool,
    /// What is mounted in them later shows nowhere else.
    pub private: bool,
    /// Owners on disk are what this user namespace makes of them, and where it has no such ID they are nobody at all:
    /// MOUNT_ATTR_IDMAP. Only for mounts that are attached nowhere; EINVAL where the file system cannot do it.
    pub idmap: Option<BorrowedFd<'fd>>,
}

/// Changes the mounts behind `tree`.
///
/// Linux 5.12, [mount_setattr(2)](https://man7.org/linux/man-pages/man2/mount_setattr.2.html); ENOSYS before.
pub fn mount_setattr(tree: BorrowedFd<'_>, attributes: &MountAttributes<'_>) -> Result<()> {
    let &MountAttributes { set, clear, recursive, private, idmap } = attributes;
    let attr = libc::mount_attr {
        attr_set: set | idmap.map_or(0, |_| libc::MOUNT_ATTR_IDMAP),
        attr_clr: clear,
        propagation: if private { libc::MS_PRIVATE } else { 0 },
        userns_fd: idmap.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned())),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty NUL-terminated string, and the kernel reads one struct of the size that it is told;
    // both outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(done).map(drop)
}

/// Whether the kernel has mount_setattr(2): without a descriptor it can only fail, and the reason tells.
pub fn has_mount_setattr() -> bool {
    // SAFETY: a null struct of length 0 is refused with EINVAL before anything is read.
    let asked =
        unsafe { libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0) };
    Errno::result(asked) != Err(Errno::ENOSYS)
}

/// The path by which this program was executed: a symbolic link's name where it was one. It needs no `/proc`.
///
/// AT_EXECFN in [getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html).
pub fn executed_as() -> Option<&'static OsStr> {
    // SAFETY: getauxval reads what the kernel has left for us.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const std::ffi::c_char;
    // SAFETY: where it is not null, the kernel has put a NUL-terminated string there, at the top of the stack,
    // and nobody writes to it while the process lives.
    (!address.is_null()).then(|| OsStr::from_bytes(unsafe { CStr::from_ptr(address) }.to_bytes()))
}

/// The mount that the file behind `fd` was opened through: the same directory may be mounted twice.
///
/// Linux 5.8, [statx(2)](https://man7.org/linux/man-pages/man2/statx.2.html); ENOSYS before.
pub fn mount_id(fd: BorrowedFd<'_>) -> Result<u64> {
    // SAFETY: all zeroes is a value of this struct of integers.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is an empty NUL-terminated string, and the kernel fills one struct; both outlive the call.
    let done = unsafe {
        libc::statx(fd.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_MNT_ID, &raw mut stat)
    };
    Errno::result(done)?;
    match stat.stx_mask & libc::STATX_MNT_ID {
        0 => Err(Errno::ENOSYS),
        _ => Ok(stat.stx_mnt_id),
    }
}

/// struct file_handle with the 16 bytes of struct nsfs_file_handle behind it (linux/fcntl.h, linux/nsfs.h).
#[repr(C)]
struct FileHandle {
    bytes: u32,
    kind: c_int,
    id: [u8; 16],
}

/// The file handle of the namespace behind an nsfs descriptor: it means this namespace and no later one, and
/// keeps none alive.
///
/// Linux 6.18, [name_to_handle_at(2)](https://man7.org/linux/man-pages/man2/open_by_handle_at.2.html);
/// EOPNOTSUPP before.
pub fn namespace_handle(namespace: BorrowedFd<'_>) -> Result<[u8; 16]> {
    let mut handle = FileHandle { bytes: 16, kind: 0, id: [0; 16] };
    let mut mount_id: c_int = 0;
    // SAFETY: the path is an empty NUL-terminated string; the kernel writes at most handle.bytes bytes behind
    // the header, and one int; all of it outlives the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            namespace.as_raw_fd(),
            c"".as_ptr(),
            &raw mut handle,
            &raw mut mount_id,
            libc::AT_EMPTY_PATH,
        )
    };
    Errno::result(done).map(|_| handle.id)
}

/// The namespace behind a file handle of nsfs; ESTALE when there is none, and without CAP_SYS_ADMIN over its owner.
///
/// Linux 6.18, [open_by_handle_at(2)](https://man7.org/linux/man-pages/man2/open_by_handle_at.2.html); EBADF
/// before.
pub fn open_namespace_by_handle(id: [u8; 16]) -> Result<OwnedFd> {
    const FD_NSFS_ROOT: c_int = -10003; // linux/fcntl.h
    const FILEID_NSFS: c_int = 0xf1; // linux/exportfs.h; what namespace_handle is given for its kind
    let handle = FileHandle { bytes: 16, kind: FILEID_NSFS, id };
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the kernel reads the handle, header and bytes, which outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, FD_NSFS_ROOT, &raw const handle, flags) };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// The network namespace that a socket belongs to; EPERM without CAP_NET_ADMIN over its owner.
///
/// SIOCGSKNS of Linux 4.10, `get_net_ns_by_fd` in its net/socket.c.
pub fn socket_namespace(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    const SIOCGSKNS: libc::Ioctl = 0x894c; // linux/sockios.h
    // SAFETY: this request takes no argument.
    let fd = Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) })?;
    // SAFETY: the kernel has just given us this descriptor, close-on-exec, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// From now on `signal` ends the process at once and with the status 0, whatever it is doing:
/// [sigaction(2)](https://man7.org/linux/man-pages/man2/sigaction.2.html).
///
/// # Errors
/// EINVAL for signals that cannot be handled.
pub fn exit_on(signal: Signal) -> Result<()> {
    extern "C" fn end(_: c_int) {
        // SAFETY: async-signal-safe (signal-safety(7)), and nothing runs behind it.
        unsafe { libc::_exit(0) }
    }
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler is of the type that it is announced as, and touches nothing of ours.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Has `signal` do again what it does when nobody has said anything: Rust programs start with SIGPIPE ignored,
/// and any caller may leave any signal ignored.
///
/// [sigaction(2)](https://man7.org/linux/man-pages/man2/sigaction.2.html).
pub fn default_action(signal: Signal) -> Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action is no function of ours that a signal could interrupt anything with.
    unsafe { sigaction(signal, &default) }.map(drop)
}

/// The same for any signal by its number: real-time signals (34 to 64) have no name.
pub fn default_action_of(signal: c_int) -> Result<()> {
    // SAFETY: zeroed is a valid sigaction: SIG_DFL, an empty mask and no flags, so no function of ours.
    let default = unsafe { std::mem::zeroed::<libc::sigaction>() };
    // SAFETY: the pointer is to a whole sigaction, and null means that the old one is of no interest.
    Errno::result(unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) }).map(drop)
}

/// Lets a signal that is blocked arrive, by its number:
/// [pthread_sigmask(3)](https://man7.org/linux/man-pages/man3/pthread_sigmask.3.html).
pub fn unblock(signal: c_int) -> Result<()> {
    // SAFETY: zeroed is a valid signal set, and all three calls get pointers to it or null.
    let failed = unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        Errno::result(libc::sigaddset(&raw mut set, signal))?;
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut())
    };
    if failed == 0 { Ok(()) } else { Err(Errno::from_raw(failed)) }
}

/// Sends a signal to the calling thread, by its number: [raise(3)](https://man7.org/linux/man-pages/man3/raise.3.html).
pub fn raise(signal: c_int) -> Result<()> {
    // SAFETY: the call takes an integer and touches no memory of ours.
    Errno::result(unsafe { libc::raise(signal) }).map(drop)
}

/// [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html) of a process that has one thread.
///
/// The tools never start a second thread before this; EDEADLK if somebody did, for the child of a
/// process with threads may not even allocate.
pub fn fork_single_threaded() -> Result<ForkResult> {
    one_thread()?;
    // SAFETY: with one thread no lock can be held by a thread that the child lacks.
    unsafe { nix::unistd::fork() }
}

/// Ends this process, a child that was forked for one thing, without what its parent has left to be done at the end:
/// [_exit(2)](https://man7.org/linux/man-pages/man2/_exit.2.html).
pub fn exit_at_once() -> ! {
    // SAFETY: the call touches no memory, and does not return.
    unsafe { libc::_exit(0) }
}

/// EDEADLK for a process that has more.
fn one_thread() -> Result<()> {
    // This one flag does nothing but fail in a process with threads: unshare(2).
    match nix::sched::unshare(CloneFlags::CLONE_THREAD) {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL) => Err(Errno::EDEADLK),
        // A seccomp filter answers in the kernel's place.
        Err(_) => one_task(),
    }
}

/// The same by `/proc`, which may be a container's by now: what is no procfs, or does not know us, counts as EDEADLK.
fn one_task() -> Result<()> {
    let unknown = |_| Errno::EDEADLK;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut tasks = Dir::open("/proc/self/task", flags, Mode::empty()).map_err(unknown)?;
    let is_procfs = fstatfs(&tasks).map_err(unknown)?.filesystem_type() == PROC_SUPER_MAGIC;
    let names = tasks.iter().filter(|entry| {
        !entry.as_ref().is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
    });
    if is_procfs && names.count() == 1 { Ok(()) } else { Err(Errno::EDEADLK) }
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

/// Has exec(2) close every descriptor from `first` to `last`, whoever opened it.
///
/// Linux 5.11, [close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html); ENOSYS or EINVAL before.
pub fn close_range_on_exec(first: u32, last: u32) -> Result<()> {
    // SAFETY: the call takes three integers; no descriptor is closed while somebody in this process owns it.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(done).map(drop)
}

/// Closes every descriptor from `first` to `last`, whoever owns it: for a process that uses and drops none of them
/// any more.
///
/// Linux 5.9, [close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html); ENOSYS before.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: the call takes three integers; what becomes of an owner is the caller's to see to, as with nix's close().
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    Errno::result(done).map(drop)
}

/// Whether exec(2) closes the descriptor with this number, whoever opened it; EBADF when there is none.
///
/// F_GETFD of [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html).
pub fn is_close_on_exec(fd: RawFd) -> Result<bool> {
    // SAFETY: this command takes no argument and changes nothing.
    let flags = Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    Ok(flags & libc::FD_CLOEXEC != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_thread_is_seen() {
        // The harness has its own thread beside ours.
        let (held, hold) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || hold.recv());
        assert_eq!(one_thread(), Err(Errno::EDEADLK));
        assert_eq!(one_task(), Err(Errno::EDEADLK));
        drop(held);
        let _ = other.join();
    }

    /// As container engines' filters do; where they ask for a capability, to root of another user namespace.
    fn refuse_unshare() {
        let rules = [(libc::SYS_unshare, Vec::new())].into();
        let machine = std::env::consts::ARCH.try_into().unwrap();
        let refused = seccompiler::SeccompAction::Errno(libc::EPERM.cast_unsigned());
        let filter =
            seccompiler::SeccompFilter::new(rules, seccompiler::SeccompAction::Allow, refused, machine);
        let program: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        assert_eq!(nix::sched::unshare(CloneFlags::CLONE_THREAD), Err(Errno::EPERM));
    }

    #[test]
    fn behind_a_filter_that_refuses_unshare_one_thread_may_fork_and_two_may_not() {
        // The filter is for one thread, and for its children.
        let filtered = std::thread::spawn(|| {
            refuse_unshare();
            let with_others = fork_single_threaded().err();
            // SAFETY: what the child does takes no lock that another thread can hold: it makes system calls, and ends.
            let child = match unsafe { nix::unistd::fork() }.unwrap() {
                ForkResult::Parent { child } => child,
                ForkResult::Child => {
                    let status = match fork_single_threaded() {
                        Ok(ForkResult::Child) => exit_at_once(),
                        Ok(ForkResult::Parent { child }) => {
                            u8::from(nix::sys::wait::waitpid(child, None).is_err())
                        }
                        Err(_) => 2,
                    };
                    // Not 0, which a child says that does nothing.
                    std::process::exit(40 + i32::from(status))
                }
            };
            (with_others, nix::sys::wait::waitpid(child, None).unwrap())
        });
        let (with_others, alone) = filtered.join().unwrap();
        assert_eq!(with_others, Some(Errno::EDEADLK));
        assert!(matches!(alone, nix::sys::wait::WaitStatus::Exited(_, 40)), "{alone:?}");
    }
}
