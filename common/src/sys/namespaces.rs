//! ioctl_ns(2), and file handles of namespaces.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::sched::CloneFlags;

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
    // SAFETY: the kernel has just given us this descriptor, close-on-exec, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The user or PID namespace in which the one behind an nsfs descriptor was made.
///
/// Linux 4.9, [ioctl_ns(2)](https://man7.org/linux/man-pages/man2/ioctl_ns.2.html).
pub fn namespace_parent(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    const NS_GET_PARENT: libc::Ioctl = 0xb702; // _IO(0xb7, 0x2), linux/nsfs.h
    // SAFETY: this request takes no argument; a descriptor of another kind answers ENOTTY.
    let fd = Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT) })?;
    // SAFETY: the kernel has just given us this descriptor, close-on-exec, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The ID of the user that made the user namespace of an nsfs descriptor.
///
/// Linux 4.11, [ioctl_ns(2)](https://man7.org/linux/man-pages/man2/ioctl_ns.2.html).
pub fn namespace_owner_uid(namespace: BorrowedFd<'_>) -> Result<libc::uid_t> {
    const NS_GET_OWNER_UID: libc::Ioctl = 0xb704; // _IO(0xb7, 0x4), linux/nsfs.h
    let mut uid: libc::uid_t = 0;
    // SAFETY: the request writes one uid_t through the pointer, which outlives the call.
    Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) })?;
    Ok(uid)
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
    // SAFETY: the kernel has just given us this descriptor, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// struct ns_id_req of listns(2), linux/nsfs.h.
#[repr(C)]
struct NamespaceIdRequest {
    size: u32,
    spare: u32,
    /// The last one of the page before.
    after: u64,
    kinds: u32,
    spare2: u32,
    /// 0 is any.
    user_namespace: u64,
}

/// The IDs of all network namespaces that we may know of, whatever holds them; ENOSYS before Linux 6.19.
///
/// listns(2), which has no manual page yet: kernel/nstree.c of the kernel.
pub fn list_network_namespaces() -> Result<Vec<u64>> {
    const SYS_LISTNS: libc::c_long = 470; // on every architecture
    const PAGE: usize = 512;
    let mut all = Vec::new();
    loop {
        let size = size_of::<NamespaceIdRequest>() as u32;
        let (after, kinds) = (all.last().copied().unwrap_or(0), libc::CLONE_NEWNET.cast_unsigned());
        let request = NamespaceIdRequest { size, spare: 0, after, kinds, spare2: 0, user_namespace: 0 };
        let mut page = [0_u64; PAGE];
        // SAFETY: the kernel reads `size` bytes of the request and writes at most PAGE numbers; both outlive the call.
        let done = unsafe { libc::syscall(SYS_LISTNS, &raw const request, page.as_mut_ptr(), PAGE, 0) };
        let count = usize::try_from(Errno::result(done)?).unwrap_or(0).min(PAGE);
        all.extend_from_slice(&page[..count]);
        if count < PAGE {
            return Ok(all);
        }
    }
}

/// The network namespace that a socket belongs to; EPERM without CAP_NET_ADMIN over its owner.
///
/// SIOCGSKNS of Linux 4.10, `get_net_ns_by_fd` in its net/socket.c.
pub fn socket_namespace(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    const SIOCGSKNS: libc::Ioctl = 0x894c; // linux/sockios.h
    // SAFETY: this request takes no argument.
    let fd = Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) })?;
    // SAFETY: the kernel has just given us this descriptor, close-on-exec, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
