//! Way one: the host's tree, read-only, in a private copy of the container's mounts.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::failure::Failure;
use common::sys;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, fchdir};
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::Trust;
use super::fixed::Fixed;
use super::furnish::{Contents, NAMES};
use super::kit::{self, Kit};
use super::loader;
use super::nobody::Nobody;
use super::parts::Parts;
use super::place::Place;
use super::program::{Program, directories};
use super::root::{Root, below};
use super::tree::{self, NOEXEC, Tree};

/// All that goes in, made before any namespace is entered.
#[derive(Debug)]
pub struct Graft {
    kit: Kit,
    tree: Tree,
    /// A static program that has no copy in the kit.
    alone: Option<OwnedFd>,
    /// Whether nothing of the container's mounts is to be executed.
    no_exec: bool,
}

/// What has been grafted, and where.
#[derive(Debug)]
pub struct Grafted {
    /// Where the kit is.
    pub base: PathBuf,
    pub contents: Contents,
    /// The file name of the static program that has been mounted by itself.
    pub alone: bool,
}

impl Graft {
    /// Copies what goes in: all that we can read where the target is trusted, and otherwise what everybody can. The loader
    /// of the kit is that of `program` or, where it needs none, the shell's.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(root: &Root, program: &Program, path: &OsStr, trust: Trust) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::trouble("--host-tools", error);
        let shells = || Program::find(root, "/bin/sh".as_ref(), "".as_ref()).ok()?.elf.interpreter;
        let interpreter = program.elf.interpreter.clone().or_else(shells);
        let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let canonical = |list: &OsStr| -> Vec<PathBuf> {
            directories(list).filter_map(|directory| root.canonical(&directory).ok()).collect()
        };
        let (path, libraries) = (canonical(path), canonical(&libraries));
        if trust == Trust::All {
            let kit = Kit::open(root, &path, &libraries, interpreter.as_deref(), None).map_err(failed)?;
            let needed = path.iter().chain(&libraries).chain([&program.file]).cloned().collect::<Vec<_>>();
            let tree = Tree::copy(&needed).map_err(failed)?;
            return Ok(Graft { kit, tree, alone: None, no_exec: false });
        }
        stays_undumpable()?;
        let nobody = Nobody::make().map_err(no_user_namespace)?;
        let wanted =
            path.iter().chain(&libraries).cloned().chain(loader::own(root, program)).collect::<Vec<_>>();
        let parts = Parts::of(root, &wanted, &program.files()).map_err(failed)?;
        let kit = Kit::open(root, &path, &libraries, interpreter.as_deref(), Some(&parts)).map_err(failed)?;
        let has_copy = program.elf.interpreter.is_some() || kit.contents.statics.contains(&program.file);
        let alone = if has_copy { None } else { Some(kit::alone(program).map_err(failed)?) };
        for mount in [Some(&kit.mount), alone.as_ref()].into_iter().flatten() {
            nobody.disown(mount).map_err(not_mapped)?;
        }
        let tree = tree::of_parts(&parts, &nobody)?;
        Ok(Graft { kit, tree, alone, no_exec: trust == Trust::Nothing })
    }

    /// Whether children will find the host's programs.
    pub fn for_children(&self) -> bool {
        self.kit.contents.for_children
    }

    /// Takes a copy of the mounts around us that nobody else has, and puts everything into it. `top` is the root
    /// of the mount namespace, where our own root is another directory.
    ///
    /// # Errors
    /// What the kernel says; then our mounts are a copy, and otherwise as they were.
    pub fn attach(self, top: Option<&OwnedFd>) -> io::Result<Grafted> {
        own_mounts(top, if self.no_exec { NOEXEC } else { 0 })?;
        let fixed = Fixed::mount()?;
        let place = Place::find().map_or_else(|| fixed.place(), Ok)?;
        attach(&self.kit.mount, &place.directory, Path::new(""))?;
        let kit = &self.kit.mount;
        for (point, mount) in &self.tree.mounts {
            let point = Path::new("host").join(below(point));
            match attach(mount, kit, &point) {
                // A mount point that is hidden below another mount.
                Err(rustix::io::Errno::NOENT) if point != Path::new("host/.") => {}
                attached => attached?,
            }
        }
        for cover in &self.tree.covers {
            let over = Path::new("host").join(below(cover));
            if fs::statat(kit, &over, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                attach(&again(kit, "empty")?, kit, &over)?;
            }
        }
        if let Some(alone) = &self.alone {
            attach(alone, kit, Path::new("alone"))?;
        }
        attach(&again(kit, "bin")?, kit, Path::new(NAMES))?;
        let (found, meant) = (fs::stat(&place.path)?, fs::fstat(kit)?);
        // Somebody has moved the directory away in between.
        if (found.st_dev, found.st_ino) != (meant.st_dev, meant.st_ino) {
            return Err(rustix::io::Errno::STALE.into());
        }
        let program = self.for_children().then(|| again(kit, "program")).transpose()?;
        fixed.lead_to(&place.path, program.as_ref())?;
        Ok(Grafted { base: place.path, contents: self.kit.contents, alone: self.alone.is_some() })
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

/// With fs.suid_dumpable=1 a program that may not be read is dumpable all the same, proc_sys_fs(5).
fn stays_undumpable() -> Result<(), Failure> {
    match std::fs::read("/proc/sys/fs/suid_dumpable") {
        Ok(value) if value.trim_ascii() == b"1" => {
            let what = "fs.suid_dumpable is 1, so that the container could look into the program";
            Err(Failure::trouble("--host-tools", what).hint("sysctl fs.suid_dumpable=2, or --trust-target"))
        }
        _ => Ok(()),
    }
}

fn no_user_namespace(error: io::Error) -> Failure {
    let what = format_args!("it takes a user namespace, in which no file of the host has an owner: {error}");
    Failure::trouble("--host-tools", what)
        .hint("sysctl user.max_user_namespaces; without, -n in place of -a, or --trust-target")
}

fn not_mapped(errno: Errno) -> Failure {
    let what = match errno {
        Errno::EINVAL => "a tmpfs with other owners, which this kernel has not (Linux 6.3 has)".to_owned(),
        errno => format!("a tmpfs with other owners: {}", errno.desc()),
    };
    let what = format_args!(
        "the program must not be readable, or the container could look into it: it takes {what}"
    );
    Failure::trouble("--host-tools", what)
        .hint("with -n in place of -a, the program stays on the host; or --trust-target")
}

/// Only what is ours may be mounted on: in a shared mount the container, or the host, would see it. `attributes` are put
/// on all that is the container's.
fn own_mounts(top: Option<&OwnedFd>, attributes: u64) -> io::Result<()> {
    // The kernel moves root and working directory over into the copy, and no descriptor: from the root of the
    // namespace everything below it can be reached, and from our own root it cannot.
    let here = match top {
        Some(top) => {
            let here = nix::unistd::getcwd()?;
            fchdir(top)?;
            Some(here)
        }
        None => None,
    };
    unshare(CloneFlags::CLONE_NEWNS)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let whole = fs::openat(CWD, if here.is_some() { "." } else { "/" }, flags, Mode::empty())?;
    sys::mount_setattr_private(whole.as_fd(), attributes, 0)?;
    Ok(here.map_or(Ok(()), |here| chdir(&here))?)
}

fn attach(mount: impl AsFd, at: impl AsFd, path: &Path) -> Result<(), rustix::io::Errno> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if path.as_os_str().is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    move_mount(mount.as_fd(), "", at.as_fd(), path, flags)
}

/// A directory of the kit, to be mounted once more.
fn again(kit: &OwnedFd, name: &str) -> Result<OwnedFd, rustix::io::Errno> {
    open_tree(kit, name, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
}
