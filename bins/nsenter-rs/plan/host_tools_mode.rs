//! Decides how the host's tools are made available in the container.

use std::fmt;

use common::failure::Failure;
use common::typed::with_sudo;

/// What the caller and the kernel can do with mounts: what the decision depends on.
#[derive(Debug, Default, Clone, Copy)]
pub struct MountPowers {
    /// Whether we have CAP_SYS_ADMIN here, which copying the host's mounts requires.
    pub may_mount: bool,
    /// Whether the kernel can make a copied tree read-only: mount_setattr(2), Linux 5.12.
    pub has_mount_setattr: bool,
}

/// How the host's tools are made available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostToolsMode {
    /// A read-only copy of the host's tree in a private copy of the target's mounts. Children find the host's
    /// programs too.
    Graft,
    /// The host's root held open. Children find the target's programs only.
    Hold(WhyNoGraft),
}

/// Why [`HostToolsMode::Graft`] is not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNoGraft {
    /// The root is no part of the mount namespace that the program is in: the kernel mounts nothing there.
    ForeignRoot,
    /// Copying mounts needs CAP_SYS_ADMIN.
    NoCapability,
    /// There is no mount_setattr(2).
    OldKernel,
}

impl HostToolsMode {
    /// Picks one. `root_is_foreign`: the root is not a directory of the mount namespace that is joined.
    pub fn choose(mount_powers: MountPowers, root_is_foreign: bool) -> Self {
        match mount_powers {
            _ if root_is_foreign => HostToolsMode::Hold(WhyNoGraft::ForeignRoot),
            MountPowers { may_mount: false, .. } => HostToolsMode::Hold(WhyNoGraft::NoCapability),
            MountPowers { has_mount_setattr: false, .. } => HostToolsMode::Hold(WhyNoGraft::OldKernel),
            _ => HostToolsMode::Graft,
        }
    }
}

impl WhyNoGraft {
    /// The refusal: nothing limits a program that has the host's root open.
    pub fn refused(self) -> Failure {
        let what = format_args!("it needs a mount namespace of its own, which cannot be made here: {self}");
        let hint = match self {
            WhyNoGraft::ForeignRoot => common::sentence!("use -m or -a instead of -r, or --trust-target"),
            WhyNoGraft::NoCapability => with_sudo(),
            WhyNoGraft::OldKernel => {
                common::sentence!("use -n instead of -a (the program stays on the host), or --trust-target")
            }
        };
        let failure = Failure::failed("--host-tools", what).hint(hint);
        match self {
            WhyNoGraft::NoCapability => {
                failure.or_hint(common::sentence!("use --trust-target, with the capabilities that you have"))
            }
            _ => failure,
        }
    }
}

impl fmt::Display for WhyNoGraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyNoGraft::ForeignRoot => "the root directory is not in the program's mount namespace (-m)",
            WhyNoGraft::NoCapability => "copying the host's mounts needs CAP_SYS_ADMIN",
            WhyNoGraft::OldKernel => "this kernel has no mount_setattr (-H needs Linux 6.3)",
        })
    }
}

impl fmt::Display for HostToolsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostToolsMode::Graft => {
                f.write_str("the host's tree, read-only, in a private copy of the target's mounts")
            }
            HostToolsMode::Hold(why) => {
                write!(
                    f,
                    "the host's root as an open directory; programs that it starts are the target's, because {why}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_grafted_wherever_that_can_be_done() {
        let root = MountPowers { may_mount: true, has_mount_setattr: true };
        assert_eq!(HostToolsMode::choose(root, false), HostToolsMode::Graft);
        assert_eq!(HostToolsMode::choose(root, true), HostToolsMode::Hold(WhyNoGraft::ForeignRoot));
        let user = MountPowers { may_mount: false, ..root };
        assert_eq!(HostToolsMode::choose(user, false), HostToolsMode::Hold(WhyNoGraft::NoCapability));
        let old = MountPowers { has_mount_setattr: false, ..root };
        assert_eq!(HostToolsMode::choose(old, false), HostToolsMode::Hold(WhyNoGraft::OldKernel));
    }

    #[test]
    fn each_says_why() {
        for why in [WhyNoGraft::ForeignRoot, WhyNoGraft::NoCapability, WhyNoGraft::OldKernel] {
            assert!(HostToolsMode::Hold(why).to_string().contains("because"));
        }
        assert!(HostToolsMode::Graft.to_string().contains("read-only"));
    }
}
