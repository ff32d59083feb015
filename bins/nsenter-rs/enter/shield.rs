//! The host's loaders made unreadable, in a mount namespace of our own: whatever the program starts there is undumpable.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use common::namespace::Namespace;
use common::view::PrivateMounts;
use nix::errno::Errno;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::mount::{MoveMountFlags, move_mount};
use rustix::thread::{CapabilitySet, capabilities};

use crate::enter::loaders::{open, places};
use crate::unreadable::nobody::{nobody, nobody_within};
use crate::unreadable::{Unreadable, UnreadableError};

/// What is mounted over the loaders.
#[derive(Debug)]
pub struct Shield {
    places: BTreeSet<PathBuf>,
    prepared: ShieldParts,
}

#[derive(Debug)]
enum ShieldParts {
    /// All of it.
    Copies(Vec<OwnedFd>),
    /// What is missing takes a mount namespace that we have power over.
    Nobody(OwnedFd),
}

impl Shield {
    /// Makes what can be made before any namespace is joined: `user` is the user namespace that will be, where that is
    /// another one than ours.
    ///
    /// # Errors
    /// Why programs cannot be made undumpable here.
    pub fn prepare(
        program: Option<&Path>,
        arguments: &[OsString],
        path: &OsStr,
        user: Option<&Namespace>,
    ) -> Result<Self, UnreadableError> {
        if !root_is_mount_point() {
            return Err(UnreadableError::Chroot);
        }
        let places = places(program, arguments, path)?;
        let copies = nobody().and_then(|nobody| copies(&mut Unreadable::of(nobody), &places));
        let prepared = match copies {
            Ok(copies) => ShieldParts::Copies(copies),
            // A caller without power over these mounts may get some with the user namespace, or over a copy of them.
            Err(UnreadableError::NotPermitted) if user.is_some() => {
                ShieldParts::Nobody(user.map_or_else(nobody, nobody_within)?)
            }
            // Linux 6.3 to 6.14 can copy where the tmpfs is attached.
            Err(UnreadableError::NotPermitted | UnreadableError::NotCopied) => ShieldParts::Nobody(nobody()?),
            Err(error) => return Err(error),
        };
        Ok(Shield { places, prepared })
    }

    /// Whether that would succeed, as far as can be told without making anything that stays; `joins_user` is whether it would be in
    /// another user namespace than ours.
    ///
    /// # Errors
    /// Why not.
    pub fn foresee(
        program: Option<&Path>,
        arguments: &[OsString],
        path: &OsStr,
        joins_user: bool,
    ) -> Result<(), UnreadableError> {
        if !root_is_mount_point() {
            return Err(UnreadableError::Chroot);
        }
        if !common::sys::has_mount_setattr() {
            return Err(UnreadableError::OldKernel);
        }
        if std::fs::read("/proc/sys/user/max_user_namespaces").is_ok_and(|most| most.trim_ascii() == b"0") {
            return Err(UnreadableError::NoUserNamespace(Errno::ENOSPC));
        }
        let may = capabilities(None).is_ok_and(|ours| ours.effective.contains(CapabilitySet::SYS_ADMIN));
        if !may && !joins_user {
            return Err(UnreadableError::NotPermitted);
        }
        // Where the kernel may be too old it is tried, with a tmpfs that is attached nowhere; over mounts of a user namespace
        // that is still to be joined it cannot be tried.
        if may && !maps_every_tmpfs() {
            Unreadable::of(nobody()?).can_map()?;
        }
        places(program, arguments, path).map(drop)
    }

    /// Mounts them over the loaders, in mounts that no other process sees.
    ///
    /// # Errors
    /// What the kernel says, and then some may be mounted.
    pub fn lay(self, mounts: &PrivateMounts) -> Result<(), UnreadableError> {
        let copies = match self.prepared {
            ShieldParts::Copies(copies) => copies,
            ShieldParts::Nobody(nobody) => {
                Unreadable::attached(nobody, mounts, |unreadable| copies(unreadable, &self.places))?
            }
        };
        for (place, copy) in self.places.iter().zip(&copies) {
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            move_mount(copy, "", CWD, place, flags)
                .map_err(|errno| UnreadableError::of_copying(errno.into()))?;
        }
        Ok(())
    }
}

fn copies(unreadable: &mut Unreadable, places: &BTreeSet<PathBuf>) -> Result<Vec<OwnedFd>, UnreadableError> {
    places.iter().map(|place| unreadable.copy(&mut open(place)?, 0o711)).collect()
}

/// Whether the kernel is Linux 6.3 or later. Distributions give older ones some of what later ones have.
fn maps_every_tmpfs() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    is_since_6_3(&release)
}

fn is_since_6_3(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().ok());
    let first_two = numbers.next().flatten().zip(numbers.next().flatten());
    first_two.is_some_and(|version| version >= (6, 3))
}

/// Whether mounts below our root can be kept from the host: in a chroot they cannot. Before Linux 5.8 nobody can tell,
/// and then nothing of all this is there anyway.
fn root_is_mount_point() -> bool {
    let stat = statx(CWD, "/", AtFlags::empty(), StatxFlags::empty());
    stat.is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use super::is_since_6_3;

    #[test]
    fn a_release_without_numbers_is_an_old_kernel() {
        for release in ["6.3.0", "6.12.63+deb13-amd64\n", "7.0-rc1", "10.1"] {
            assert!(is_since_6_3(release), "{release}");
        }
        for release in ["6.1.0-48-amd64", "5.14.0-503.el9", "6", "", "linux", "6.x"] {
            assert!(!is_since_6_3(release), "{release}");
        }
    }
}
