//! As which user the program runs, and with which capabilities.

use std::fmt;
use std::str::FromStr;

use clap::{ArgAction, Args, ValueHint};

/// User and group IDs, capabilities, control groups.
#[derive(Debug, Args)]
#[command(next_help_heading = "User, capabilities and limits")]
pub struct Identity {
    /// User ID inside; 'follow' takes TARGET's
    #[arg(short = 'S', long, value_name = "UID", value_hint = ValueHint::Other)]
    pub setuid: Option<Id>,

    /// Group ID inside; 'follow' takes TARGET's
    ///
    /// Supplementary groups are dropped.
    #[arg(short = 'G', long, value_name = "GID", value_hint = ValueHint::Other)]
    pub setgid: Option<Id>,

    /// Keep our user and group IDs with --user
    ///
    /// Without it the program becomes root of the user namespace.
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true)]
    pub preserve_credentials: bool,

    /// Keep capabilities with --user for a program that is not root's
    ///
    /// Those that we have in the user namespace become ambient; without it the program of another user than 0
    /// starts with none. Has no effect without --user.
    #[arg(long, hide_short_help = true)]
    pub keep_caps: bool,

    /// Run in TARGET's control groups, under its limits
    ///
    /// In all hierarchies, v1 and v2, in which TARGET's is another than ours. Only the program goes there. A group that
    /// is frozen (docker pause) is refused, because the program would not run before it is thawed.
    #[arg(short = 'c', long)]
    pub join_cgroup: bool,

    /// Have TARGET's SELinux context
    ///
    /// Has no effect where SELinux is not in use.
    #[arg(short = 'Z', long, hide_short_help = true)]
    pub follow_context: bool,

    /// With -H: a capability that the container lacks
    ///
    /// By its name in capabilities(7), with or without CAP_; ALL is all that the caller has. May be given more than once.
    /// A line on standard error says what each capability allows code of the container to do. iptables, nft, tc and
    /// conntrack need NET_ADMIN; with it, interfaces of the host can be deleted from the container's network.
    #[arg(long, value_name = "CAP", requires = "host_tools", conflicts_with = "trust_target")]
    #[arg(value_hint = ValueHint::Other)]
    pub cap_add: Vec<String>,

    /// Confined as TARGET: user, capabilities, limits
    ///
    /// With -a as its engine would run it, only without the seccomp filter: TARGET's user and groups (--setuid and
    /// --setgid win), capability sets, no_new_privs, AppArmor and SELinux label, control groups, resource limits and
    /// OOM score, in a session keyring of its own, and with -m or -r TARGET's environment.
    #[arg(long, conflicts_with_all = ["preserve_credentials", "keep_caps"])]
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
