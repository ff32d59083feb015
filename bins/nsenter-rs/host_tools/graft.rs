//! `HostToolsMode::Graft`: the host's tree, read-only, in a private copy of the container's mounts.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::failure::Failure;
use common::sys;
use common::typed::with_sudo;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, fchdir};
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::fixed::{self, CoveredRoot};
use super::furnish::{ALONE, Contents, NAMES, UNREADABLE};
use super::kit::{Kit, KitLifetime};
use super::kit_place::KitPlace;
use super::loader;
use super::own_loaders;
use super::parts::Parts;
use super::program::{Program, directories};
use super::root::{Root, below};
use super::tree::{self, HostTree, NODEV, NOEXEC, NOSUID, RDONLY};
use super::trust::Trust;
use crate::unreadable::{Unreadable, UnreadableError};

/// All that goes in, made before any namespace is entered.
#[derive(Debug)]
pub struct Graft {
    kit: Kit,
    tree: HostTree,
    /// A static program that has no copy in the kit.
    alone: Option<OwnedFd>,
    /// Copies that are mounted over files of a kit that cannot be mapped itself, by their path in it.
    copies: Vec<(PathBuf, OwnedFd)>,
    /// Copies of the container's own loaders, where its programs may be run.
    own_loaders: Vec<own_loaders::LoaderCopy>,
    /// Whether nothing of the container's mounts is to be executed.
    no_exec: bool,
    /// What is mounted over the root, where it cannot be made there.
    spare: OwnedFd,
}

/// What has been grafted, and where.
#[derive(Debug)]
pub struct GraftedKit {
    /// Where the kit is.
    pub base: PathBuf,
    pub contents: Contents,
    /// Whether the program is static, and has been mounted by itself.
    pub alone: bool,
}

impl Graft {
    /// Copies what goes in: all that we can read where the target is trusted, and otherwise what everybody can. The loader
    /// of the kit is that of `program` or, where it needs none, the shell's.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(
        root: &Root,
        program: &Program,
        path: &OsStr,
        trust: Trust,
        target: Option<&Root>,
        keep: KitLifetime,
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::failed("--host-tools", error);
        let spare = fixed::spare().map_err(|errno| failed(errno.into()))?;
        let shells = || Program::find(root, "/bin/sh".as_ref(), "".as_ref()).ok()?.elf.interpreter;
        let interpreter = program.elf.interpreter.clone().or_else(shells);
        let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let canonical = |list: &OsStr| -> Vec<PathBuf> {
            directories(list).filter_map(|directory| root.canonical(&directory).ok()).collect()
        };
        let (path, libraries) = (canonical(path), canonical(&libraries));
        if trust == Trust::All {
            let kit =
                Kit::open(root, &path, &libraries, interpreter.as_deref(), None, keep).map_err(failed)?;
            let needed = path.iter().chain(&libraries).chain([&program.file]).cloned().collect::<Vec<_>>();
            let tree = HostTree::copy(&needed).map_err(failed)?;
            let (copies, own_loaders) = (Vec::new(), Vec::new());
            return Ok(Graft { kit, tree, alone: None, copies, own_loaders, no_exec: false, spare });
        }
        stays_undumpable()?;
        are_readable(root, program)?;
        let mut unreadable = Unreadable::prepare().map_err(not_fenced)?;
        let wanted =
            path.iter().chain(&libraries).cloned().chain(loader::own(root, program)).collect::<Vec<_>>();
        let parts = Parts::of(root, &wanted, &program.files()).map_err(failed)?;
        let kit =
            Kit::open(root, &path, &libraries, interpreter.as_deref(), Some(&parts), keep).map_err(failed)?;
        let has_copy = program.elf.interpreter.is_some() || kit.contents.statics.contains(&program.file);
        let alone = if has_copy {
            None
        } else {
            let mut file = root.file(&program.file).map_err(failed)?;
            Some(unreadable.copy(&mut file, UNREADABLE).map_err(not_fenced)?)
        };
        let copies = match unreadable.idmap(kit.mount.as_fd(), RDONLY | NOSUID | NODEV) {
            Ok(()) => Vec::new(),
            // /run need not be a tmpfs: in a container it may be an overlay. Before Linux 6.3 a tmpfs cannot be mapped, and
            // then no copy can be had anywhere.
            Err(UnreadableError::FileSystem) => copies(&kit, &mut unreadable)?,
            Err(error) => return Err(not_fenced(error)),
        };
        let tree = tree::of_parts(&parts, &unreadable)?;
        let own = target.filter(|_| trust == Trust::Programs);
        let own_loaders = own.map(|target| own_loaders::copies(target, &mut unreadable)).unwrap_or_default();
        Ok(Graft { kit, tree, alone, copies, own_loaders, no_exec: trust == Trust::Nothing, spare })
    }

    /// Whether children will find the host's programs.
    pub fn for_children(&self) -> bool {
        self.kit.contents.for_children
    }

    /// Takes a private copy of the mounts around us, and puts everything into it. `top` is the root
    /// of the mount namespace, where our own root is another directory.
    ///
    /// # Errors
    /// What the kernel says; then our mounts are a copy, and otherwise as they were.
    pub fn attach(self, top: Option<&OwnedFd>) -> io::Result<GraftedKit> {
        own_mounts(top, if self.no_exec { NOEXEC } else { 0 })?;
        own_loaders::lay(&self.own_loaders)?;
        let has_children = self.for_children();
        let fixed = CoveredRoot::mount(self.spare)?;
        let place = KitPlace::find().map_or_else(|| fixed.place(), Ok)?;
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
        for (path, copy) in &self.copies {
            attach(copy, kit, path)?;
        }
        if let Some(alone) = &self.alone {
            attach(alone, kit, Path::new(ALONE))?;
            attach(&again(kit, "bin")?, kit, Path::new("alone/bin"))?;
        }
        attach(&again(kit, "bin")?, kit, Path::new(NAMES))?;
        let (found, meant) = (fs::stat(&place.path)?, fs::fstat(kit)?);
        // The directory was moved away in between.
        if (found.st_dev, found.st_ino) != (meant.st_dev, meant.st_ino) {
            return Err(rustix::io::Errno::STALE.into());
        }
        let program = has_children.then(|| again(kit, "program")).transpose()?;
        fixed.lead_to(&place.path, program.as_ref())?;
        Ok(GraftedKit { base: place.path, contents: self.kit.contents, alone: self.alone.is_some() })
    }
}

impl GraftedKit {
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
            let what =
                "fs.suid_dumpable is 1, so processes of the container could read and trace the program";
            Err(Failure::failed("--host-tools", what).hint(common::hint!("sysctl fs.suid_dumpable=2")))
        }
        _ => Ok(()),
    }
}

/// What the loader or an interpreter reads is read with the program's own power. Of a static program there is a copy.
fn are_readable(root: &Root, program: &Program) -> Result<(), Failure> {
    let is_static = program.elf.interpreter.is_none();
    for file in program.files().iter().filter(|file| !is_static || **file != program.file) {
        let stat = root.stat(file).map_err(|error| Failure::failed(file.display(), error))?;
        if stat.st_mode & 4 == 0 {
            let what = "not every user may read it, and the program may read only what every user may read";
            return Err(
                Failure::failed(file.display(), what).hint(common::hint!("chmod o+r {}", file.display()))
            );
        }
    }
    Ok(())
}

/// Unreadable copies of all that is executed in a kit.
fn copies(kit: &Kit, unreadable: &mut Unreadable) -> Result<Vec<(PathBuf, OwnedFd)>, Failure> {
    let copy = |path: PathBuf| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = fs::openat(&kit.mount, &path, flags, Mode::empty());
        let file = file.map_err(|errno| Failure::failed("--host-tools", errno))?;
        Ok((path, unreadable.copy(&mut file.into(), UNREADABLE).map_err(not_fenced)?))
    };
    kit.contents.executables().into_iter().map(copy).collect()
}

/// The program must be one that it cannot read itself, and the host's files must belong to no known user.
fn not_fenced(error: UnreadableError) -> Failure {
    let what = format_args!(
        "processes of the container could read and trace the program, and so reach the host: {error}"
    );
    let failure = Failure::failed("--host-tools", what);
    let failure = match error {
        UnreadableError::NoUserNamespace(_) => failure.hint(common::hint!("sysctl user.max_user_namespaces")),
        UnreadableError::NotPermitted => failure.hint(with_sudo()),
        _ => failure,
    };
    failure
        .or_hint(common::sentence!("use -n instead of -a (the program stays on the host), or --trust-target"))
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
    sys::mount_setattr(whole.as_fd(), &tree::private(attributes))?;
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
