//! As which user the program runs, and with which capabilities.

use std::fmt;
use std::str::FromStr;

use clap::{ArgAction, Args, ValueHint};

/// User and group IDs, capabilities, control groups.
#[derive(Debug, Args)]
#[command(next_help_heading = "User, capabilities and limits")]
pub struct IdentityOptions {
    /// User ID in the container; 'follow': TARGET's user
    ///
    /// The real, the effective and the saved one. The group ID is --setgid's.
    #[arg(short = 'S', long, value_name = "UID", value_hint = ValueHint::Other, hide_short_help = true)]
    pub setuid: Option<Id>,

    /// Group ID in the container; 'follow': TARGET's group
    ///
    /// Supplementary groups are dropped.
    #[arg(short = 'G', long, value_name = "GID", value_hint = ValueHint::Other, hide_short_help = true)]
    pub setgid: Option<Id>,

    /// With --user: keep the caller's user and group IDs
    ///
    /// Without it, PROGRAM becomes root of the user namespace.
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true)]
    pub preserve_credentials: bool,

    /// With --user: keep capabilities for a PROGRAM that is not root
    ///
    /// The capabilities that the caller has in the user namespace become ambient. Without it, a PROGRAM with
    /// another user ID than 0 starts with none. Has no effect without --user.
    #[arg(long, hide_short_help = true)]
    pub keep_caps: bool,

    /// Run in TARGET's control groups, with its limits
    ///
    /// In all hierarchies, v1 and v2, in which TARGET's group differs from the caller's. Only PROGRAM is moved. A
    /// frozen group (docker pause) is refused: PROGRAM would not run before the group is thawed.
    #[arg(short = 'c', long, hide_short_help = true)]
    pub join_cgroup: bool,

    /// Use TARGET's SELinux context
    ///
    /// Has no effect where SELinux is not in use.
    #[arg(short = 'Z', long, hide_short_help = true)]
    pub follow_context: bool,

    /// With -H: add a capability that the container lacks
    ///
    /// By its name in capabilities(7), with or without CAP_; ALL means all capabilities of the caller. May be given
    /// more than once. A line on standard error says what each capability allows code of the container to do.
    /// iptables, nft, tc and conntrack need NET_ADMIN; with it, interfaces of the host can be deleted from the
    /// container's network.
    #[arg(long, value_name = "CAP", requires = "host_tools", conflicts_with = "trust_target")]
    #[arg(value_hint = ValueHint::Other, hide_short_help = true)]
    pub cap_add: Vec<String>,

    /// Same user, capabilities and limits as TARGET
    ///
    /// With -a, PROGRAM runs as the container's engine would run it, without the seccomp filter. It gets TARGET's
    /// user and groups (--setuid and --setgid take precedence), capability sets, no_new_privs, AppArmor and SELinux
    /// label, control groups, resource limits and OOM score, and a new session keyring. With -m or -r it also gets
    /// TARGET's environment. See CONFINEMENT.
    #[arg(long, conflicts_with_all = ["preserve_credentials", "keep_caps"], hide_short_help = true)]
    pub confine: bool,
}

/// A user or group ID, or the word that stands for the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    /// This number, in the user namespace that is entered.
    Number(u32),
    /// Whatever owns the target's process.
    Follow,
}

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "follow" => Ok(Id::Follow),
            // setresuid(2) takes -1 for "leave it as it is": the program would stay root.
            number => match number.parse() {
                Err(_) | Ok(u32::MAX) => Err(NoId),
                Ok(number) => Ok(Id::Number(number)),
            },
        }
    }
}

/// Neither an ID nor the word for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoId;

impl fmt::Display for NoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no number from 0 to 4294967294, nor 'follow'")
    }
}

impl std::error::Error for NoId {}
