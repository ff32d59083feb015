//! A mount namespace of our own that no mount gets out of.

use std::path::PathBuf;

use nix::sched::{CloneFlags, unshare};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};

use super::renew::{PROC, SYS, renew};
use super::{Resolver, ViewError};
use crate::namespace::NamespaceKind;

/// Proof that this process has left the host's mount namespace: what is mounted through it is seen by this
/// process and its children only, and is gone with them, however they end.
#[derive(Debug)]
pub struct PrivateMounts(());

impl PrivateMounts {
    /// Leaves for a copy of the mount namespace. What the host mounts and unmounts later still happens in the
    /// copy too, or a disk could not be unmounted on the host while a program runs.
    ///
    /// # Errors
    /// `NotPermitted` without CAP_SYS_ADMIN over our user namespace; `Chroot`. Nothing is mounted then.
    pub fn unshare() -> Result<Self, ViewError> {
        let errno = |errno: nix::Error| Errno::from_raw_os_error(errno as i32);
        let denied = ViewError::denied_or_io("a mount namespace of its own", NamespaceKind::User);
        unshare(CloneFlags::CLONE_NEWNS).map_err(|error| denied(errno(error)))?;
        let slaves = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", slaves).map_err(|error| match error {
            Errno::INVAL => ViewError::Chroot,
            error => denied(error),
        })?;
        Ok(PrivateMounts(()))
    }

    /// Puts the target's resolver files in the place of the host's.
    ///
    /// # Errors
    /// `NoPlace` where the host has no such file; `NotPermitted`; what the kernel says.
    pub fn show_resolver(&self, resolver: &Resolver) -> Result<(), ViewError> {
        resolver.show()
    }

    /// Puts a sysfs of the network namespace that we are in on `/sys`, and on it what was mounted below the old
    /// one. Gives what could not be kept: its mount point is not in this sysfs.
    ///
    /// # Errors
    /// `NotPermitted` without CAP_SYS_ADMIN over the owner of the network namespace; `Covered`.
    pub fn show_sysfs(&self) -> Result<Vec<PathBuf>, ViewError> {
        renew(&SYS)
    }

    /// Puts a procfs of the PID namespace that we are in on `/proc`, without anything that was mounted below the
    /// old one. A process that has only joined that namespace is not in it: its children are.
    ///
    /// # Errors
    /// `NotPermitted` without CAP_SYS_ADMIN over the owner of the PID namespace; `Covered`.
    pub fn show_procfs(&self) -> Result<(), ViewError> {
        renew(&PROC).map(drop)
    }
}
