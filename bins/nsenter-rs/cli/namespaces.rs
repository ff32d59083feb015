//! Which namespaces to enter.

use std::path::PathBuf;

use clap::Args;

/// One option a kind, and one for all.
#[derive(Debug, Args)]
#[command(next_help_heading = "Namespaces of TARGET, or with =FILE the one that FILE is")]
pub struct Namespaces {
    /// All that are not ours already
    ///
    /// With another namespace option that has a FILE, that one comes from the FILE and all others from TARGET.
    #[arg(short, long)]
    pub all: bool,

    /// Mount points: programs are then the container's
    ///
    /// Root and working directory become the root of that namespace.
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub mount: Option<Option<PathBuf>>,

    /// Host name
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub uts: Option<Option<PathBuf>>,

    /// System V IPC and POSIX message queues
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub ipc: Option<Option<PathBuf>>,

    /// Network
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub net: Option<Option<PathBuf>>,

    /// Process IDs; the program is then our child
    ///
    /// The kernel puts only children into a PID namespace that was joined. /proc goes on to show the host's
    /// processes unless --mount brings the container's.
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub pid: Option<Option<PathBuf>>,

    /// Root of the control groups
    ///
    /// What is seen of them: the program stays in the groups, and under the limits, that we are in, unless
    /// --join-cgroup is given.
    #[arg(short = 'C', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub cgroup: Option<Option<PathBuf>>,

    /// User and group IDs, and capabilities
    ///
    /// The program becomes user and group 0 of that namespace, unless --setuid, --setgid or
    /// --preserve-credentials say otherwise.
    #[arg(short = 'U', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub user: Option<Option<PathBuf>>,

    /// Boot and monotonic clocks
    #[arg(short = 'T', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub time: Option<Option<PathBuf>>,
}
