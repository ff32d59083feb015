//! What the descriptors of another process are, by their links below `/proc/PID/fd`: proc_pid_fd(5). No file is opened, and no
//! server that does not answer is waited for.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Pid;
use rustix::fs::{AtFlags, RawDir, StatxFlags, readlinkat_raw, statx};

use crate::namespace::NamespaceId;
use crate::sys;

/// Longer links are those of files.
const MOST_BYTES: usize = 64;

/// A descriptor that says something about networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkDescriptor {
    /// A socket of any family, by its inode: sock_diag(7) has the same number.
    Socket(u64),
    /// A network namespace, by its inode.
    Netns(u64),
    /// A namespace of some kind, by its inode.
    Namespace(u64),
}

impl NetworkDescriptor {
    /// `socket:[123]`, `net:[4026531840]`. The path of a file begins with a slash.
    fn of_link(link: &[u8]) -> Option<Self> {
        let numbered = link.strip_suffix(b"]")?;
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
        match numbered.strip_prefix(b"socket:[") {
            Some(digits) => number(digits).map(NetworkDescriptor::Socket),
            None => number(numbered.strip_prefix(b"net:[")?).map(NetworkDescriptor::Netns),
        }
    }
}

/// Calls `each` with those of the process, by their numbers. `own` is a namespace of ours: all are in one file system.
///
/// # Errors
/// What open(2) and getdents(2) say: ENOENT and ESRCH of a process that has ended, EACCES of one that ptrace(2)'s rules keep from us.
pub fn network_descriptors(
    pid: Pid,
    own: NamespaceId,
    mut each: impl FnMut(i32, NetworkDescriptor),
) -> nix::Result<()> {
    links(pid, |directory, name, fd, link| {
        let found = match link {
            // Of one that was opened where it is mounted the link is that path (d_path in fs/d_path.c).
            [b'/' | b'(', ..] => namespace_file(directory, name, own),
            link => NetworkDescriptor::of_link(link),
        };
        if let Some(found) = found {
            each(fd, found);
        }
    })
}

/// Calls `each` with the sockets of the process: their numbers, and their inodes.
///
/// # Errors
/// As [`network_descriptors`].
pub fn sockets(pid: Pid, mut each: impl FnMut(i32, u64)) -> nix::Result<()> {
    links(pid, |_, _, fd, link| {
        if let Some(NetworkDescriptor::Socket(inode)) = NetworkDescriptor::of_link(link) {
            each(fd, inode);
        }
    })
}

fn links(pid: Pid, mut each: impl FnMut(&OwnedFd, &CStr, i32, &[u8])) -> nix::Result<()> {
    let directory = sys::open(format!("/proc/{pid}/fd").as_str(), OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
    let (mut room, mut link_room) = ([MaybeUninit::uninit(); 8192], [MaybeUninit::uninit(); MOST_BYTES]);
    let mut entries = RawDir::new(&directory, &mut room);
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
        let name = entry.file_name();
        let Ok((link, _)) = readlinkat_raw(&directory, name, &mut link_room) else { continue };
        if let Some(fd) = name.to_str().ok().and_then(|name| name.parse().ok()) {
            each(&directory, name, fd, link);
        }
    }
    Ok(())
}

fn namespace_file(directory: &OwnedFd, name: &CStr, own: NamespaceId) -> Option<NetworkDescriptor> {
    // What the file system knows by itself.
    let file = statx(directory, name, AtFlags::STATX_DONT_SYNC, StatxFlags::INO).ok()?;
    let device = nix::sys::stat::makedev(file.stx_dev_major.into(), file.stx_dev_minor.into());
    (device == own.device()).then_some(NetworkDescriptor::Namespace(file.stx_ino))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use nix::unistd::getpid;

    use super::*;
    use crate::namespace::{NamespaceKind, own_identity};

    #[test]
    fn a_socket_and_a_namespace_have_the_inodes_that_stat_tells() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let netns = File::open("/proc/self/ns/net").unwrap();
        let others = [File::open("/proc/self/ns/mnt").unwrap(), File::open("/proc/self/status").unwrap()];
        let inode = |fd: i32| std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino();
        let own = own_identity(NamespaceKind::Net).unwrap();
        let mut all = Vec::new();
        network_descriptors(getpid(), own, |fd, found| all.push((fd, found))).unwrap();
        let socket = (listener.as_raw_fd(), NetworkDescriptor::Socket(inode(listener.as_raw_fd())));
        let namespace = (netns.as_raw_fd(), NetworkDescriptor::Netns(own.inode));
        for wanted in [socket, namespace] {
            assert!(all.contains(&wanted), "{wanted:?}: {all:?}");
        }
        let is_other = |fd: i32| others.iter().any(|other| other.as_raw_fd() == fd);
        assert!(all.iter().all(|(fd, _)| !is_other(*fd)), "{all:?}");
        let mut found = Vec::new();
        sockets(getpid(), |fd, inode| found.push((fd, NetworkDescriptor::Socket(inode)))).unwrap();
        assert!(found.contains(&socket), "{found:?}");
    }

    #[test]
    fn other_links_are_neither() {
        assert_eq!(NetworkDescriptor::of_link(b"socket:[123]"), Some(NetworkDescriptor::Socket(123)));
        assert_eq!(NetworkDescriptor::of_link(b"net:[7]"), Some(NetworkDescriptor::Netns(7)));
        let others =
            ["pipe:[123]", "socket:[", "socket:[x]", "/tmp/socket:[1]", "/net:[1]", "mnt:[1]", "net:[-1]"];
        for link in others {
            assert_eq!(NetworkDescriptor::of_link(link.as_bytes()), None, "{link}");
        }
    }
}
