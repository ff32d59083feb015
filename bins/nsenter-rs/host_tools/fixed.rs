//! Paths that are fixed in programs: what they lead to in the private copy of the mounts.
//!
//! `/..` is the root itself, and for the kernel also what is mounted over the root: whoever is in the root already
//! does not see it but there. The copy of the C library has its paths there (`c_library`). Others than C programs
//! start `/bin/sh` by themselves: python's subprocess, perl, node, git. Where the container has one, the host's is
//! mounted on it, for what is in there may be another architecture's, or not executable. Where there is none, none
//! can be mounted without writing to the container.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::place::{OF_THE_KERNEL, Place};

/// Where [`super::c_library`] has its paths.
pub const ABOVE: &str = "/..";
/// The shell of programs that do not ask which one.
pub const SHELL: &str = "/bin/sh";
/// What stands in a kit and nowhere else.
pub const CONTENTS: &str = "host-tools.json";

/// The places, as they were found before anything of ours was mounted.
#[derive(Debug)]
pub struct Fixed {
    root: OwnedFd,
    shell: Option<OwnedFd>,
}

impl Fixed {
    /// Looks for them in our root.
    ///
    /// # Errors
    /// When the root itself cannot be opened.
    pub fn find() -> Result<Self, Errno> {
        let root = fs::openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Fixed { root, shell: shell() })
    }

    /// Mounts `kit`, which is at `place`, where the C library looks, and `program`, which is nsenter-rs, on the shells.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn attach(&self, kit: &OwnedFd, place: &Place, program: Option<&OwnedFd>) -> Result<(), Errno> {
        let above = (place.path != Path::new(ABOVE)).then(|| again(kit, ".")).transpose()?;
        let above = match &above {
            Some(above) => {
                onto(above, &self.root)?;
                above
            }
            None => kit,
        };
        let Some(program) = program else { return Ok(()) };
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(again(program, "")?, "", above, "sh", flags)?;
        match &self.shell {
            // A container that has a directory there, or takes it away meanwhile, has no shell.
            Some(shell) => onto(&again(program, "")?, shell).or(Ok(())),
            None => Ok(()),
        }
    }
}

/// The container's `/bin/sh`: the link itself where it is one, for what it leads to may be all that the container
/// has (busybox). Not what a link on the way has led to another file system.
fn shell() -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found =
        fs::openat2(CWD, SHELL, flags, Mode::empty(), ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS);
    let found = found.ok()?;
    let kind = fs::FileType::from_raw_mode(fs::fstat(&found).ok()?.st_mode);
    matches!(kind, fs::FileType::RegularFile | fs::FileType::Symlink).then_some(found)
}

/// Where the kit is, for a program that was started by one of these paths: as the program was told, or else where a
/// kit would be looked for.
pub fn base() -> Option<PathBuf> {
    let told = std::env::var_os("HOST_ROOT").and_then(|tree| Some(Path::new(&tree).parent()?.to_owned()));
    let usual = OF_THE_KERNEL.iter().map(|(_, path, _)| PathBuf::from(path));
    let places = told.into_iter().chain(usual).chain([PathBuf::from(ABOVE)]);
    places.into_iter().find(|place| place.is_absolute() && place.join(CONTENTS).is_file())
}

fn again(mount: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if name.is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    open_tree(mount.as_fd(), name, flags)
}

fn onto(mount: &OwnedFd, place: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags)
}
