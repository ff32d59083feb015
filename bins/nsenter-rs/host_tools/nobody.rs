//! Files of the host through which nobody is their owner, so that no capability opens what every user may not.
//!
//! CAP_DAC_OVERRIDE, which default containers have, counts for a file whose owner has a number in the user namespace
//! of whoever asks (capable_wrt_inode_uidgid). On a mount that is mapped by a user namespace without any number of a
//! disk no file has one: what is not readable by all is readable by nobody, nothing can be written, set-user-ID bits
//! and file capabilities are void. A map to 65534 would not do: that is a user.
//!
//! Some file systems cannot be mapped, an overlay is one. Over those goes an overlay of its own, without a layer to write
//! to, that a process of user 65534 mounts which has CAP_SYS_ADMIN and nothing else: overlayfs asks for the permissions of
//! whoever mounted it (Documentation/filesystems/overlayfs.rst, "Permission model").

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::sys;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Pid, Uid, geteuid, pipe2, setgroups, setresgid, setresuid};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_keep_capabilities};

use super::tree::{NODEV, NOSUID, RDONLY};

/// A number that no file on any disk has; the kernel's own for "none" is the next but some.
const NOBODYS: u32 = 4_000_000_000;
/// The user and group that nothing belongs to.
const NOBODY: u32 = 65534;
/// More overlays than are ever needed at once; the kernel passes at most 253 descriptors.
const MOST: usize = 128;

/// A user namespace in which no owner on any disk has a number.
#[derive(Debug)]
pub struct Nobody(OwnedFd);

impl Nobody {
    /// Makes one, that lives as long as this.
    ///
    /// # Errors
    /// What unshare(2) says where there are no user namespaces to be had, and open(2) and write(2) of its maps.
    pub fn make() -> io::Result<Self> {
        let (made, tell) = pipe2(OFlag::O_CLOEXEC)?;
        let (wait, held) = pipe2(OFlag::O_CLOEXEC)?;
        match sys::fork_single_threaded()? {
            ForkResult::Child => {
                drop((made, held));
                let errno = unshare(CloneFlags::CLONE_NEWUSER).err().map_or(0, |errno| errno as i32);
                let _ = File::from(tell).write_all(&errno.to_ne_bytes());
                // Until our parent has what it wants, or is gone.
                let _ = File::from(wait).read(&mut [0]);
                std::process::exit(0)
            }
            ForkResult::Parent { child } => {
                drop((tell, wait));
                let namespace = mapped(child, made);
                let _ = kill(child, Signal::SIGKILL);
                waitpid(child, None)?;
                drop(held);
                namespace.map(Nobody)
            }
        }
    }

    /// Lets nobody be the owner of what is seen through a mount that is attached nowhere yet, and nothing be written
    /// through it.
    ///
    /// # Errors
    /// EINVAL where the file system cannot, EPERM where it is not ours to ask.
    pub fn disown(&self, mount: &OwnedFd) -> nix::Result<()> {
        sys::mount_map_owners(mount.as_fd(), RDONLY | NOSUID | NODEV, self.0.as_fd())
    }
}

/// The user namespace of `child`, which says through `made` when it is there.
fn mapped(child: Pid, made: OwnedFd) -> io::Result<OwnedFd> {
    let mut errno = [0; 4];
    File::from(made).read_exact(&mut errno)?;
    match i32::from_ne_bytes(errno) {
        0 => {}
        errno => return Err(io::Error::from_raw_os_error(errno)),
    }
    let file = |name: &str| format!("/proc/{child}/{name}");
    for name in ["uid_map", "gid_map"] {
        let map = |outside: u32| std::fs::write(file(name), format!("{NOBODYS} {outside} 1\n"));
        // In a user namespace that number means nobody outside; any other one will do, for it is the first that counts.
        map(NOBODYS).or_else(|_| map(geteuid().as_raw()))?;
    }
    Ok(File::open(file("ns/user"))?.into())
}

/// The directories as an ordinary user sees them, whoever looks, each as a mount that is attached nowhere yet. All users
/// must be able to reach them.
///
/// # Errors
/// What the kernel says.
pub fn overlays(directories: &[PathBuf]) -> io::Result<Vec<OwnedFd>> {
    if directories.is_empty() {
        return Ok(Vec::new());
    }
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    match sys::fork_single_threaded()? {
        ForkResult::Child => {
            let mounts = mounted_by_nobody(directories);
            let errno = mounts.as_ref().err().and_then(io::Error::raw_os_error).unwrap_or(0);
            let descriptors: Vec<_> = mounts.iter().flatten().map(AsRawFd::as_raw_fd).collect();
            let beside = [ControlMessage::ScmRights(&descriptors)];
            let beside = if descriptors.is_empty() { &[][..] } else { &beside };
            let bytes = errno.to_ne_bytes();
            let _ =
                sendmsg::<()>(theirs.as_raw_fd(), &[IoSlice::new(&bytes)], beside, MsgFlags::empty(), None);
            std::process::exit(0)
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            let mut errno = [0; 4];
            let received = sys::receive(ours.as_fd(), &mut [IoSliceMut::new(&mut errno)]);
            waitpid(child, None)?;
            let (_, mounts) = received?;
            match i32::from_ne_bytes(errno) {
                0 if mounts.len() == directories.len() => Ok(mounts),
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }
}

/// In a child of our own, which becomes nobody and is good for nothing else then.
fn mounted_by_nobody(directories: &[PathBuf]) -> io::Result<Vec<OwnedFd>> {
    if directories.len() > MOST {
        return Err(Errno::E2BIG.into());
    }
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    // An overlay without a layer to write to has at least two others. Nothing of /proc is wanted any more.
    const EMPTY: &str = "/proc";
    mount(Some("none"), EMPTY, Some("tmpfs"), MsFlags::MS_RDONLY, Some("mode=755"))?;
    setgroups(&[])?;
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setresgid(group, group, group)?;
    set_keep_capabilities(true)?;
    setresuid(user, user, user)?;
    let sets = CapabilitySets {
        effective: CapabilitySet::SYS_ADMIN,
        permitted: CapabilitySet::SYS_ADMIN,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    directories.iter().map(|directory| overlay(directory, EMPTY)).collect()
}

fn overlay(directory: &Path, empty: &str) -> io::Result<OwnedFd> {
    let filesystem = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let mut layers = Vec::new();
    for byte in directory.as_os_str().as_bytes() {
        // What stands between two layers, and before what stands for itself.
        if matches!(byte, b':' | b'\\') {
            layers.push(b'\\');
        }
        layers.push(*byte);
    }
    layers.push(b':');
    layers.extend(empty.as_bytes());
    fsconfig_set_string(filesystem.as_fd(), "source", "host")?;
    fsconfig_set_string(filesystem.as_fd(), "lowerdir", layers)?;
    fsconfig_create(filesystem.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(filesystem.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}
