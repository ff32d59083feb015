//! What a user of nsenter-rs may say. Uses only clap, std and `common`, so that manuals are made from it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Parser};
use common::cli::FindOptions;
use common::target::Target;

/// Run a program of the host in the namespaces of a process or container
#[derive(Debug, Parser)]
#[command(name = "nsenter-rs", version, max_term_width = 80, after_help = EXAMPLES)]
#[command(override_usage = "nsenter-rs [OPTIONS] [PROGRAM [ARGUMENT]...]")]
pub struct Cli {
    /// Program to run, and its arguments [default: your shell]
    // trailing_var_arg alone: with allow_hyphen_values too, a mistyped option would become the program.
    #[arg(value_name = "PROGRAM", trailing_var_arg = true)]
    pub program: Vec<OsString>,

    /// Whose namespaces: a container's name, ID or prefix, or a PID
    #[arg(short, long, value_name = "TARGET")]
    pub target: Option<Target>,

    /// All namespaces of TARGET that are not ours already
    #[arg(short, long, help_heading = NAMESPACES)]
    pub all: bool,

    /// Mount points; TARGET's, or those of the namespace FILE
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

    /// Process IDs; the program is then a child of nsenter-rs
    #[arg(short, long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub pid: Option<Option<PathBuf>>,

    /// Root of the control groups
    #[arg(short = 'C', long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub cgroup: Option<Option<PathBuf>>,

    /// User and group IDs, and capabilities
    #[arg(short = 'U', long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub user: Option<Option<PathBuf>>,

    /// Boot and monotonic clocks
    #[arg(short = 'T', long, help_heading = NAMESPACES, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub time: Option<Option<PathBuf>>,

    /// Root directory: TARGET's, or DIR
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub root: Option<Option<PathBuf>>,

    /// Working directory: TARGET's, or DIR as the host sees it
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub wd: Option<Option<PathBuf>>,

    /// Working directory DIR as TARGET sees it
    #[arg(short = 'W', long, value_name = "DIR", conflicts_with = "wd")]
    pub wdns: Option<PathBuf>,

    /// TARGET's environment instead of ours
    #[arg(short, long)]
    pub env: bool,

    /// User ID inside [default: 0 with --user]; 'follow' is TARGET's
    #[arg(short = 'S', long, value_name = "UID")]
    pub setuid: Option<Id>,

    /// Group ID inside, and no other groups; 'follow' is TARGET's
    #[arg(short = 'G', long, value_name = "GID")]
    pub setgid: Option<Id>,

    /// Keep our user and group IDs with --user
    #[arg(long, action = ArgAction::SetTrue)]
    pub preserve_credentials: bool,

    /// Do not fork with --pid: only the program's children are inside
    #[arg(short = 'F', long)]
    pub no_fork: bool,

    #[command(flatten)]
    pub find: FindOptions,
}

const NAMESPACES: &str = "Namespaces (each also as --net=FILE or -n=FILE)";

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
