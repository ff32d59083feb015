//! The inside view for a host program: a target's resolver, sysfs and procfs in the places of the host's, in a
//! mount namespace of its own.
//!
//! Three times of a tool's life matter: a [`Resolver`] is read before anything is entered, for what is entered
//! may put the files out of reach; [`PrivateMounts`] are made, and resolver and sysfs shown, after setns(2),
//! for a sysfs is of the network namespace that mounts it; and a procfs is of the PID namespace of the
//! process that mounts it, so the child that is in that namespace must mount it.

mod c_library;
mod error;
mod file;
mod in_child;
mod mounts;
mod renew;
mod resolver;
mod shown;

use std::fmt;

pub use c_library::{CLibrary, KnownLibrary};
pub use error::ViewError;
pub use mounts::PrivateMounts;
pub use resolver::Resolver;

/// What a host program is to see as the target does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetView {
    /// `/etc/resolv.conf` and `/etc/hosts`, and no other way to a name.
    pub resolver: bool,
    /// `/sys` of the network namespace.
    pub sysfs: bool,
    /// `/proc` of the PID namespace.
    pub procfs: bool,
}

impl TargetView {
    /// What has to be done, in this order.
    pub fn steps(self) -> impl Iterator<Item = ViewStep> {
        let steps = [
            (self != TargetView::default(), ViewStep::PrivateMounts),
            (self.resolver, ViewStep::Resolver),
            (self.sysfs, ViewStep::Sysfs),
            (self.procfs, ViewStep::Procfs),
        ];
        steps.into_iter().filter_map(|(wanted, step)| wanted.then_some(step))
    }
}

/// One thing that is done for a view; shown, it says what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewStep {
    /// Leave the host's mount namespace for a copy of it.
    PrivateMounts,
    /// Show the target's resolver files.
    Resolver,
    /// Renew `/sys`.
    Sysfs,
    /// Renew `/proc`, from inside the PID namespace.
    Procfs,
}

impl fmt::Display for ViewStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ViewStep::PrivateMounts => "unshare the mount namespace and make its mounts slaves of the host's",
            ViewStep::Resolver => {
                "show the target's resolv.conf and hosts in /etc, and hide the host's nscd and systemd-resolved"
            }
            ViewStep::Sysfs => "mount the network namespace's sysfs on /sys, and on it what was mounted below",
            ViewStep::Procfs => "mount the PID namespace's procfs on /proc",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mounts_are_private_before_anything_is_mounted() {
        let view = TargetView { resolver: true, sysfs: true, procfs: true };
        let steps: Vec<_> = view.steps().collect();
        assert_eq!(steps, [ViewStep::PrivateMounts, ViewStep::Resolver, ViewStep::Sysfs, ViewStep::Procfs]);
        let proc = TargetView { procfs: true, ..TargetView::default() };
        assert_eq!(proc.steps().collect::<Vec<_>>(), [ViewStep::PrivateMounts, ViewStep::Procfs]);
        assert_eq!(TargetView::default().steps().count(), 0);
    }
}
