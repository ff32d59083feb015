//! What a user of nsenter-rs may say. Uses only clap, std and `common`, so that manuals are made from it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Parser, ValueHint};
use common::cli::{FindOptions, TARGETS};
use common::target::Target;

/// Run a program of the host in the namespaces of a container or process
#[derive(Debug, Parser)]
#[command(name = "nsenter-rs", version, max_term_width = 80, disable_help_flag = true)]
#[command(override_usage = "nsenter-rs [OPTIONS] [PROGRAM [ARGUMENT]...]")]
#[command(after_help = format!("{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// Program to run, and its arguments [default: your shell]
    ///
    /// All words behind the first one that is no option belong to the program. The default is $SHELL, or what the
    /// password file says, as a login shell; /bin/sh where that is not to be found.
    // trailing_var_arg alone: with allow_hyphen_values too, a mistyped option would become the program.
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub program: Vec<OsString>,

    /// The container or process to enter
    #[arg(short, long, value_name = "TARGET", value_hint = ValueHint::Other)]
    pub target: Option<Target>,

    /// All that are not ours already
    ///
    /// With another namespace option that has a FILE, that one comes from the FILE and all others from TARGET.
    #[arg(short, long, help_heading = NAMESPACES)]
    pub all: bool,

    /// Mount points: programs are then the container's
    ///
    /// Root and working directory become the root of that namespace.
    #[arg(short, long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub mount: Option<Option<PathBuf>>,

    /// Host name
    #[arg(short, long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub uts: Option<Option<PathBuf>>,

    /// System V IPC and POSIX message queues
    #[arg(short, long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub ipc: Option<Option<PathBuf>>,

    /// Network
    #[arg(short, long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub net: Option<Option<PathBuf>>,

    /// Process IDs; the program is then our child
    ///
    /// The kernel puts only children into a PID namespace that was joined. /proc goes on to show the host's
    /// processes unless --mount brings the container's.
    #[arg(short, long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub pid: Option<Option<PathBuf>>,

    /// Root of the control groups
    ///
    /// What is seen of them: the program stays in the groups, and under the limits, that we are in.
    #[arg(short = 'C', long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub cgroup: Option<Option<PathBuf>>,

    /// User and group IDs, and capabilities
    ///
    /// The program becomes user and group 0 of that namespace, unless --setuid, --setgid or
    /// --preserve-credentials say otherwise.
    #[arg(short = 'U', long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub user: Option<Option<PathBuf>>,

    /// Boot and monotonic clocks
    #[arg(short = 'T', long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub time: Option<Option<PathBuf>>,

    /// Root directory: TARGET's, or the host's DIR
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub root: Option<Option<PathBuf>>,

    /// Working directory: TARGET's, or the host's DIR
    ///
    /// Opened before any namespace is entered, so it may lie where the container cannot look.
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub wd: Option<Option<PathBuf>>,

    /// Working directory as it is seen inside
    #[arg(short = 'W', long, value_name = "DIR", conflicts_with = "wd")]
    pub wdns: Option<PathBuf>,

    /// TARGET's environment instead of ours
    ///
    /// As it was when the process started; what it changed since then is not known outside of it.
    #[arg(short, long)]
    pub env: bool,

    /// User ID inside; 'follow' takes TARGET's
    #[arg(short = 'S', long, value_name = "UID", value_hint = ValueHint::Other)]
    pub setuid: Option<Id>,

    /// Group ID inside; 'follow' takes TARGET's
    ///
    /// Supplementary groups are dropped.
    #[arg(short = 'G', long, value_name = "GID", value_hint = ValueHint::Other)]
    pub setgid: Option<Id>,

    /// Keep our user and group IDs with --user
    #[arg(long, action = ArgAction::SetTrue)]
    pub preserve_credentials: bool,

    /// Do not fork for --pid
    ///
    /// Only children of the program are then in the PID namespace, not the program.
    #[arg(short = 'F', long)]
    pub no_fork: bool,

    /// With --mount: keep to the namespace's root
    ///
    /// A process may have another root than its mount namespace has (chroot(1), unshare --root): where it has,
    /// and --root does not say otherwise, its own is taken, so that the program finds what the process finds.
    #[arg(long, hide_short_help = true)]
    pub no_root: bool,

    /// With --pid: let the program outlive us
    ///
    /// Without it the program is killed when nsenter-rs is, however that happens.
    #[arg(long, hide_short_help = true)]
    pub no_kill_child: bool,

    #[command(flatten)]
    pub find: FindOptions,
}

const NAMESPACES: &str = "Namespaces of TARGET, or with =FILE the one that FILE is";

const EXAMPLES: &str = "\
Examples:
  nsenter-rs -t nginx -n ip addr           the host's ip in nginx's network
  nsenter-rs -t $(cpid nginx) -n ss -tlnp  the same by PID
  nsenter-rs -t nginx -a                   a shell in all its namespaces";

/// A user or group ID, or the word that stands for the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    /// This number, in the user namespace that is entered.
    Number(u32),
    /// Whatever owns the target's process.
    Follow,
}

impl FromStr for Id {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "follow" => Ok(Id::Follow),
            number => number.parse().map(Id::Number),
        }
    }
}
