//! Way one: the host's tree, read-only, in a private copy of the container's mounts.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::sys;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, fchdir};
use rustix::fs::{self, AtFlags, CWD};
use rustix::io::Errno;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree,
};

use super::elf::Elf;
use super::fixed::Fixed;
use super::furnish::{Contents, NAMES};
use super::kit::Kit;
use super::place::Place;
use super::program::Program;
use super::root::{Root, below};
use super::tree::{NODEV, NOSUID, RDONLY, Tree};

/// All that goes in, made before any namespace is entered.
#[derive(Debug)]
pub struct Graft {
    kit: Kit,
    tree: Tree,
    /// This program, for the host's programs to be started through; none where it is not static, and would
    /// find no loader inside.
    ourselves: Option<OwnedFd>,
}

/// What has been grafted, and where.
#[derive(Debug)]
pub struct Grafted {
    /// Where the kit is.
    pub base: PathBuf,
    pub contents: Contents,
    /// Whether children find the host's programs.
    pub for_children: bool,
}

impl Graft {
    /// Copies what goes in. The loader of the kit is that of `program` or, where it needs none, the shell's.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(root: &Root, program: &Program, path: &OsStr) -> io::Result<Self> {
        let shells = || Program::find(root, "/bin/sh".as_ref(), "".as_ref()).ok()?.elf.interpreter;
        let interpreter = program.elf.interpreter.clone().or_else(shells);
        let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let kit = Kit::open(root, path, &libraries, interpreter.as_deref())?;
        let directories = kit.contents.path.iter().chain(&kit.contents.libraries);
        let needed: Vec<PathBuf> = directories.chain([&program.file]).cloned().collect();
        let tree = Tree::copy(&needed)?;
        Ok(Graft { kit, tree, ourselves: ourselves() })
    }

    /// Whether children will find the host's programs.
    pub fn for_children(&self) -> bool {
        self.ourselves.is_some()
    }

    /// Takes a copy of the mounts around us that nobody else has, and puts everything into it. `top` is the root
    /// of the mount namespace, where our own root is another directory.
    ///
    /// # Errors
    /// What the kernel says; then our mounts are a copy, and otherwise as they were.
    pub fn attach(self, top: Option<&OwnedFd>) -> io::Result<Grafted> {
        own_mounts(top)?;
        let fixed = Fixed::mount()?;
        let place = Place::find().map_or_else(|| fixed.place(), Ok)?;
        attach(&self.kit.mount, &place.directory, Path::new(""))?;
        let kit = &self.kit.mount;
        for (point, mount) in &self.tree.mounts {
            let point = Path::new("host").join(below(point));
            match attach(mount, kit, &point) {
                // A mount point that is hidden below another mount.
                Err(Errno::NOENT) if point != Path::new("host/.") => {}
                attached => attached?,
            }
        }
        for cover in &self.tree.covers {
            let over = Path::new("host").join(below(cover));
            if fs::statat(kit, &over, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                attach(&again(kit, "empty")?, kit, &over)?;
            }
        }
        if let Some(ourselves) = &self.ourselves {
            attach(ourselves, kit, Path::new("program"))?;
        }
        attach(&again(kit, "bin")?, kit, Path::new(NAMES))?;
        let (found, meant) = (fs::stat(&place.path)?, fs::fstat(kit)?);
        // Somebody has moved the directory away in between.
        if (found.st_dev, found.st_ino) != (meant.st_dev, meant.st_ino) {
            return Err(Errno::STALE.into());
        }
        fixed.lead_to(&place.path, self.ourselves.as_ref())?;
        let for_children = self.ourselves.is_some();
        Ok(Grafted { base: place.path, contents: self.kit.contents, for_children })
    }
}

impl Grafted {
    /// Where the host's tree is.
    pub fn tree(&self) -> PathBuf {
        self.base.join("host")
    }

    /// The directory that stands first on $PATH.
    pub fn programs(&self) -> PathBuf {
        self.base.join("bin")
    }
}

/// Our own binary, read-only, if a root without libraries can run it.
fn ourselves() -> Option<OwnedFd> {
    let path = "/proc/self/exe";
    let is_static = Elf::read(&File::open(path).ok()?).ok()?.interpreter.is_none();
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, path, flags).ok().filter(|_| is_static)?;
    sys::mount_setattr_private(mount.as_fd(), RDONLY | NOSUID | NODEV, 0).ok()?;
    Some(mount)
}

/// Only what is ours may be mounted on: in a shared mount the container, or the host, would see it.
fn own_mounts(top: Option<&OwnedFd>) -> io::Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    let Some(top) = top else {
        unshare(CloneFlags::CLONE_NEWNS)?;
        return Ok(mount_change("/", private)?);
    };
    // The kernel moves root and working directory over into the copy, and no descriptor: from the root of the
    // namespace everything below it can be made private, and from our own root it cannot.
    let here = nix::unistd::getcwd()?;
    fchdir(top)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount_change(".", private)?;
    Ok(chdir(&here)?)
}

fn attach(mount: impl AsFd, at: impl AsFd, path: &Path) -> Result<(), Errno> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if path.as_os_str().is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    move_mount(mount.as_fd(), "", at.as_fd(), path, flags)
}

/// A directory of the kit, to be mounted once more.
fn again(kit: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    open_tree(kit, name, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
}
