//! The resolver's files on a tmpfs of their own, and the mounts that put them in the place of the host's.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, mkdirat, openat};
use rustix::io;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_reconfigure, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
    unmount,
};
use rustix::process::umask;

use super::ViewError;

pub(super) const ETC: &str = "/etc";

/// The files by their places on the host, and by their names on our tmpfs.
const RESOLV_CONF: (&str, &str) = ("/etc/resolv.conf", "resolv.conf");
const HOSTS: (&str, &str) = ("/etc/hosts", "hosts");
const NSSWITCH: (&str, &str) = ("/etc/nsswitch.conf", "nsswitch.conf");

/// Directories through which a program reaches resolvers of the host, and what is shown in their place: glibc
/// asks nscd before it looks at nsswitch.conf at all (`_PATH_NSCDSOCKET`); nss-resolve and resolvectl ask
/// systemd-resolved. Not the sockets, because a restarted daemon makes new ones. And in systemd-resolved's directory
/// are the files too that `/etc/resolv.conf` is mostly a link to, which it replaces all the time.
const HIDDEN: [(&str, &str); 2] = [("/var/run/nscd", "nscd"), ("/run/systemd/resolve", "resolve")];
/// systemd-resolved.service(8), "/ETC/RESOLV.CONF".
const OF_RESOLVED: [&str; 2] = ["resolve/stub-resolv.conf", "resolve/resolv.conf"];

/// What is in the files.
#[derive(Debug)]
pub(super) struct ResolverFiles {
    pub(super) resolv_conf: Vec<u8>,
    pub(super) hosts: Vec<u8>,
    /// `None` where the host has none that it could be mounted on.
    pub(super) nsswitch: Option<Vec<u8>>,
}

impl ResolverFiles {
    /// A read-only tmpfs that is not mounted yet.
    pub(super) fn lay_out(&self) -> io::Result<OwnedFd> {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let context = context.as_fd();
        fsconfig_set_string(context, "source", "netns-toolbox")?;
        fsconfig_set_string(context, "mode", "0755")?;
        fsconfig_create(context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let tree = fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        // Every user that the program may run as must be able to read them.
        let before = umask(Mode::from_raw_mode(0o022));
        let filled = self.fill(&tree);
        umask(before);
        filled?;
        fsconfig_set_flag(context, "ro")?;
        fsconfig_reconfigure(context)?;
        Ok(tree)
    }

    fn fill(&self, tree: &OwnedFd) -> io::Result<()> {
        let nsswitch = self.nsswitch.as_ref().map(|bytes| (NSSWITCH, bytes));
        let files = [(RESOLV_CONF, &self.resolv_conf), (HOSTS, &self.hosts)].into_iter().chain(nsswitch);
        for ((_, name), bytes) in files {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = openat(tree, name, flags, Mode::from_raw_mode(0o644))?;
            let written = File::from(file).write_all(bytes);
            written.map_err(|error| io::Errno::from_io_error(&error).unwrap_or(io::Errno::IO))?;
        }
        for (_, directory) in HIDDEN {
            mkdirat(tree, directory, Mode::from_raw_mode(0o755))?;
        }
        OF_RESOLVED.into_iter().try_for_each(|link| linkat(tree, RESOLV_CONF.1, tree, link, AtFlags::empty()))
    }
}

/// Mounts what is on `tree` over what the host has.
pub(super) fn show(tree: &OwnedFd, has_nsswitch: bool) -> Result<(), ViewError> {
    let places = places(has_nsswitch)?;
    // Before Linux 6.15 only what is mounted somewhere can be cloned. Over /etc, for that must be there.
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(tree, "", CWD, ETC, flags).map_err(ViewError::io(ETC))?;
    for (place, path, name) in places {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let clone = open_tree(tree, name, flags).map_err(ViewError::io(path))?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&clone, "", &place, "", flags).map_err(ViewError::io(path))?;
    }
    unmount(ETC, UnmountFlags::DETACH).map_err(ViewError::io(ETC))
}

/// What is to be mounted on, links followed, for `/etc/resolv.conf` is often one; with its path, and the name on
/// our tmpfs of what goes there.
fn places(has_nsswitch: bool) -> Result<Vec<(OwnedFd, &'static str, &'static str)>, ViewError> {
    let mut places = Vec::new();
    for (path, name) in [RESOLV_CONF, HOSTS].into_iter().chain(has_nsswitch.then_some(NSSWITCH)) {
        places.push((there(path)?.ok_or(ViewError::NoPlace(path))?, path, name));
    }
    for (path, name) in HIDDEN {
        places.extend(there(path)?.map(|place| (place, path, name)));
    }
    Ok(places)
}

/// What is at a path of the host, links followed.
pub(super) fn there(path: &str) -> Result<Option<OwnedFd>, ViewError> {
    match open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(errno) => Err(ViewError::Io { what: path.to_owned(), source: errno.into() }),
    }
}
