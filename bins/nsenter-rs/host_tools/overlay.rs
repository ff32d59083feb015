//! Directories of the host as an ordinary user sees them, for every caller, where the file system cannot be ID-mapped
//! ([`crate::unreadable`]), as an overlay cannot.
//!
//! Over those goes an overlay of its own, without a layer to write to, that a process of user 65534 mounts which has
//! CAP_SYS_ADMIN and nothing else: overlayfs checks the permissions of the process that mounted it
//! (Documentation/filesystems/overlayfs.rst, "Permission model"). Then only world-readable files can be read.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::sys;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Uid, setgroups, setresgid, setresuid};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_keep_capabilities};

/// The user and group that nothing belongs to.
const NOBODY: u32 = 65534;
/// More overlays than are ever needed at once; the kernel passes at most 253 descriptors.
const MOST: usize = 128;

/// The directories as an ordinary user sees them, each as a mount that is attached nowhere yet. All users
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

/// In a child of our own, which becomes the user `nobody` and does nothing else.
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
