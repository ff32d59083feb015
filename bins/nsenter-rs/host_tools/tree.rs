//! A read-only copy of the host's tree of mounts, that can be mounted in a container.
//!
//! Not all of it: `/proc`, `/sys`, `/dev`, `/run` and `/tmp` are left out, because through a socket in there even a
//! read-only mount gives power over the host; so do the engines' own mounts, of which there are hundreds, and
//! network file systems, on which a server that does not answer would stop us too.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::failure::Failure;
use common::mountinfo;
use common::sys::{self, MountAttributes};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::overlay::overlays;
use super::parts::{LEFT_BEHIND, Parts};
use crate::unreadable::Unreadable;

const MOUNTINFO: &str = "/proc/thread-self/mountinfo";

/// File systems whose mounts are taken along wherever they are: those on disks of this machine.
const ON_DISK: [&str; 9] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "erofs"];

pub use crate::unreadable::{NODEV, NOEXEC, NOSUID, RDONLY};

/// These for all mounts of a tree, and none of the later mounts in it shows anywhere else.
pub fn private(set: u64) -> MountAttributes<'static> {
    MountAttributes { set, recursive: true, private: true, ..MountAttributes::default() }
}

/// The copy: mounts that are attached nowhere yet.
#[derive(Debug)]
pub struct HostTree {
    /// Each with its mount point in the host's root; `/` is the first.
    pub mounts: Vec<(PathBuf, OwnedFd)>,
    /// What is left out: directories to be covered.
    pub covers: Vec<PathBuf>,
}

impl HostTree {
    /// Copies the host's root, and of the mounts below it those that have to be there: `needed` are files that
    /// must be.
    ///
    /// # Errors
    /// What open_tree(2) and mount_setattr(2) say.
    pub fn copy(needed: &[PathBuf]) -> io::Result<Self> {
        // In a user namespace, mounts that came from outside are copied all together or not at all.
        let (root, whole) = match copy(Path::new("/"), OpenTreeFlags::empty()) {
            Err(Errno::INVAL) => (copy(Path::new("/"), OpenTreeFlags::AT_RECURSIVE)?, true),
            root => (root?, false),
        };
        let mut mounts = vec![(PathBuf::from("/"), root)];
        if !whole {
            let table = mountinfo::own()?;
            // One that went away, or that we may not look into, is not worth failing for.
            let more = chosen(&points(&table), needed).into_iter();
            mounts.extend(
                more.filter_map(|point| Some((point.clone(), copy(&point, OpenTreeFlags::empty()).ok()?))),
            );
        }
        for (_, mount) in &mounts {
            sys::mount_setattr(mount.as_fd(), &private(RDONLY | NOSUID | NODEV))?;
        }
        Ok(HostTree { mounts, covers: covers(needed) })
    }
}

/// The parts of the host that a fenced program sees: no file has a known owner there, and nothing can be written.
///
/// # Errors
/// Where that cannot be had, with the directory and the type of its file system.
pub fn of_parts(parts: &Parts, unreadable: &Unreadable) -> Result<HostTree, Failure> {
    let table = mountinfo::own().map_err(|error| Failure::failed(MOUNTINFO, error))?;
    let points = points(&table);
    let below =
        |point: &PathBuf| parts.directories.iter().any(|part| point.starts_with(part) && point != part);
    let inner: Vec<_> = chosen(&points, &parts.directories).into_iter().filter(below).collect();
    let (mut mounts, mut unmapped) = (Vec::new(), Vec::new());
    for point in parts.directories.iter().chain(&inner) {
        let mapped = |mount: &OwnedFd| unreadable.idmap(mount.as_fd(), RDONLY | NOSUID | NODEV).is_ok();
        match copy(point, OpenTreeFlags::empty()) {
            Ok(mount) if mapped(&mount) => mounts.push((point.clone(), mount)),
            _ => unmapped.push(point.clone()),
        }
    }
    match overlays(&unmapped) {
        Ok(overlays) => mounts.extend(unmapped.into_iter().zip(overlays)),
        Err(error) => return Err(not_shown(&unmapped, &points, &error)),
    }
    // Outer ones first.
    mounts.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(HostTree { mounts, covers: Vec::new() })
}

fn not_shown(unmapped: &[PathBuf], points: &[(PathBuf, &[u8])], error: &io::Error) -> Failure {
    let directory = unmapped.first().map(PathBuf::as_path).unwrap_or(Path::new("/"));
    let around = points.iter().filter(|(point, _)| directory.starts_with(point));
    let kind = around.max_by_key(|(point, _)| point.as_os_str().len()).map_or(&b"?"[..], |(_, kind)| kind);
    let what = format_args!(
        "{}: this file system ({}) supports neither ID-mapped mounts nor an overlay, so files that not every user may read would be readable: {error}",
        directory.display(),
        String::from_utf8_lossy(kind)
    );
    Failure::failed("--host-tools", what)
        .hint(common::sentence!("use -n instead of -a (the program stays on the host), or --trust-target"))
}

/// The program may be below one of them.
fn covers(needed: &[PathBuf]) -> Vec<PathBuf> {
    let covers = LEFT_BEHIND.iter().map(PathBuf::from);
    covers.filter(|cover| !needed.iter().any(|file| file.starts_with(cover))).collect()
}

fn copy(point: &Path, flags: OpenTreeFlags) -> Result<OwnedFd, Errno> {
    open_tree(CWD, point, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | flags)
}

/// Mount points and types of file system.
fn points(table: &[u8]) -> Vec<(PathBuf, &[u8])> {
    mountinfo::mounts(table).map(|mount| (mount.path(), mount.file_system)).collect()
}

/// The mount points below `/` to take along, outer ones first.
fn chosen(points: &[(PathBuf, &[u8])], needed: &[PathBuf]) -> Vec<PathBuf> {
    let around = |file: &PathBuf| {
        // Bytes first: there may be hundreds of mounts, and to take paths apart is slow.
        let begins = |point: &&PathBuf| file.as_os_str().as_bytes().starts_with(point.as_os_str().as_bytes());
        let holding =
            points.iter().map(|(point, _)| point).filter(begins).filter(|point| file.starts_with(point));
        holding.max_by_key(|point| point.as_os_str().len()).cloned()
    };
    let needed: BTreeSet<PathBuf> = needed.iter().filter_map(around).collect();
    let left_behind = |point: &Path| LEFT_BEHIND.iter().any(|left| point.starts_with(left));
    let wanted = |(point, kind): &&(PathBuf, &[u8])| {
        point.as_os_str() != "/"
            && (ON_DISK.iter().any(|known| known.as_bytes() == *kind) && !left_behind(point)
                || needed.contains(point))
    };
    let mut chosen: Vec<PathBuf> = points.iter().filter(wanted).map(|(point, _)| point.clone()).collect();
    chosen.sort();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
2 1 0:5 / /proc rw - proc proc rw
3 1 8:2 / /var rw shared:2 - xfs /dev/sda2 rw
4 1 0:7 / /run rw - tmpfs tmpfs rw
5 3 0:50 / /var/lib/docker/overlay2/ab/merged rw - overlay overlay rw
6 4 8:9 / /run/media/stick rw - ext4 /dev/sdb rw
7 1 0:60 / /srv/a\\040b rw - ext4 /dev/sdc rw
8 1 0:61 / /home/me rw - nfs4 server:/me rw
9 1 0:62 / /opt/tools rw - tmpfs tmpfs rw
10 1 8:2 / /var rw shared:2 - xfs /dev/sda2 rw
";

    fn chosen_for(needed: &[&str]) -> Vec<String> {
        let needed: Vec<_> = needed.iter().map(PathBuf::from).collect();
        chosen(&points(TABLE), &needed).iter().map(|point| point.display().to_string()).collect()
    }

    #[test]
    fn disks_are_taken_along_and_what_engines_and_the_kernel_mount_is_not() {
        assert_eq!(chosen_for(&[]), ["/srv/a b", "/var"]);
    }

    #[test]
    fn where_the_program_lies_is_taken_along_whatever_it_is() {
        assert_eq!(chosen_for(&["/opt/tools/bin/x", "/usr/bin/y"]), ["/opt/tools", "/srv/a b", "/var"]);
        assert_eq!(chosen_for(&["/run/media/stick/x"]), ["/run/media/stick", "/srv/a b", "/var"]);
    }

    #[test]
    fn what_stays_behind_is_covered_but_for_the_program() {
        let covered = covers(&[PathBuf::from("/usr/bin/ip"), PathBuf::from("/run/wrappers/bin")]);
        assert_eq!(covered, ["/proc", "/sys", "/dev", "/tmp"].map(PathBuf::from));
    }

    #[test]
    fn a_table_that_makes_no_sense_is_no_panic() {
        for table in [&b""[..], b"\n\n", b"1 2 3", b"1 2 3 4 \\0", b"1 2 3 4 /x\\999 - -"] {
            let _ = chosen(&points(table), &[]);
        }
    }
}
