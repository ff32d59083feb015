//! Paths that are fixed in programs: what they lead to in the private copy of the mounts.
//!
//! `/..` is the root itself, and for the kernel also what is mounted over the root, which is not seen from within the
//! root in any other way. The copy of the C library has its paths there (`c_library`). Others than C programs
//! start `/bin/sh` by themselves: python's subprocess, perl, node, git. Where the container has one, nsenter-rs is
//! mounted on it, for what is in there may be another architecture's, or not executable. Where there is none, none
//! can be mounted without writing to the container.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::sys;
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, move_mount,
};

use super::kit_place::KitPlace;
use super::tree::{RDONLY, private};

/// Where [`super::c_library`] has its paths.
const ABOVE: &str = "/..";
/// The shell of programs that do not ask which one.
const SHELL: &str = "/bin/sh";
/// Links to what is in the kit, by the names that the C library has for it below [`ABOVE`]; `lib` is of `/usr/lib`.
const LINKS: [(&str, &str); 5] = [
    ("nsswitch.conf", "nsswitch.conf"),
    ("protocols", "protocols"),
    ("services", "services"),
    ("sh", "bin/sh"),
    ("lib", "host/usr/lib"),
];
/// The container's or, where it has none, those of the kit.
const USERS: [&str; 2] = ["passwd", "group"];
const OVERLAY: &str = "overlay";
/// linux/magic.h
const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;

/// What is mounted over the root, and the places that were found before anything of ours was mounted.
#[derive(Debug)]
pub struct CoveredRoot {
    above: OwnedFd,
    shell: Option<OwnedFd>,
}

impl CoveredRoot {
    /// Mounts an empty file system over our root: `spare`, where it cannot be made there any more.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn mount(spare: OwnedFd) -> Result<Self, Errno> {
        let shell = shell();
        let root = fs::openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        // df(1) takes the last mount at `/` for what is there, and says its name.
        let is_overlay = fs::fstatfs(&root)?.f_type as u64 == OVERLAYFS_SUPER_MAGIC;
        let above = match empty(if is_overlay { OVERLAY } else { "rootfs" }) {
            // In the user namespace that we have joined we may have no mapped user yet, and so cannot make files.
            Err(Errno::OVERFLOW) => spare,
            made => made?,
        };
        onto(&above, &root)?;
        Ok(CoveredRoot { above, shell })
    }

    /// A directory that the container cannot move, where the root has none.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn place(&self) -> Result<KitPlace, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::openat(&self.above, "kit", flags, Mode::empty())?;
        Ok(KitPlace { directory, path: Path::new(ABOVE).join("kit") })
    }

    /// Makes all paths point to the kit at `base`, and `/bin/sh` to `program`, which is nsenter-rs.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn lead_to(&self, base: &Path, program: Option<&OwnedFd>) -> std::io::Result<()> {
        for (name, target) in LINKS {
            fs::symlinkat(base.join(target), &self.above, name)?;
        }
        for name in USERS {
            let theirs = Path::new("/etc").join(name);
            let is_there = fs::statat(CWD, &theirs, AtFlags::empty()).is_ok();
            fs::symlinkat(if is_there { theirs } else { base.join(name) }, &self.above, name)?;
        }
        sys::mount_setattr(self.above.as_fd(), &private(RDONLY))?;
        if let (Some(program), Some(shell)) = (program, &self.shell) {
            // Where a link cannot be mounted on, or the container takes it away meanwhile, it has the shell it has.
            let _ = onto(program, shell);
        }
        Ok(())
    }
}

/// The file system of [`CoveredRoot`], made before anything is joined.
///
/// # Errors
/// What the kernel says.
pub fn spare() -> Result<OwnedFd, Errno> {
    // Those that have a user namespace of their own are containers, whose roots are overlays.
    empty(OVERLAY)
}

/// A file system with nothing but a place for the kit, attached nowhere.
fn empty(name: &str) -> Result<OwnedFd, Errno> {
    let filesystem = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(filesystem.as_fd(), "source", name)?;
    fsconfig_set_string(filesystem.as_fd(), "mode", "755")?;
    fsconfig_create(filesystem.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let empty = fsmount(filesystem.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    fs::mkdirat(&empty, "kit", Mode::from_raw_mode(0o755))?;
    Ok(empty)
}

/// The container's `/bin/sh`: the link itself where it is one, for what it leads to may be all that the container
/// has (busybox). Not one to which a link has led on another file system.
fn shell() -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let found = fs::openat2(CWD, SHELL, flags, Mode::empty(), resolve).ok()?;
    let kind = fs::FileType::from_raw_mode(fs::fstat(&found).ok()?.st_mode);
    matches!(kind, fs::FileType::RegularFile | fs::FileType::Symlink).then_some(found)
}

/// Whether a program that was executed as `path` is meant to be the shell.
pub fn is_shell(path: &Path) -> bool {
    path == Path::new(SHELL) || path == Path::new(ABOVE).join("sh")
}

/// Where the kit is, for a program that was started by one of these paths.
pub fn base() -> Option<PathBuf> {
    let shell = std::fs::read_link(Path::new(ABOVE).join("sh")).ok()?;
    shell.strip_prefix("/").ok()?;
    Some(shell.parent()?.parent()?.to_owned())
}

fn onto(mount: &OwnedFd, place: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags)
}
