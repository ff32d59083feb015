//! What the program finds: root, working directory, environment.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Where the program starts, and with what around it.
#[derive(Debug, Args)]
#[command(next_help_heading = "What the program finds")]
pub struct Place {
    /// Root directory: TARGET's, or the host's DIR
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub root: Option<Option<PathBuf>>,

    /// With --mount: keep to the namespace's root
    ///
    /// A process may have another root than its mount namespace has (chroot(1), unshare --root): where it has,
    /// and --root does not say otherwise, its own is taken, so that the program finds what the process finds.
    #[arg(long, hide_short_help = true)]
    pub no_root: bool,

    /// Working directory: TARGET's, or the host's DIR
    ///
    /// Opened before any namespace is entered, so it may lie where the container cannot look.
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub wd: Option<Option<PathBuf>>,

    /// Working directory as it is seen inside
    #[arg(short = 'W', long, value_name = "DIR", conflicts_with = "wd")]
    pub wdns: Option<PathBuf>,

    /// With -m, -a or -r: run the host's PROGRAM
    ///
    /// It and its children are then programs of the host, while `/` is the container's and nothing is written
    /// there. The host's files are below $HOST_ROOT, read-only. HOST TOOLS says what does not work.
    #[arg(short = 'H', long)]
    pub host_tools: bool,

    /// With --host-tools: even where TARGET could get at the host's files
    ///
    /// A process of the container that may trace the program (CAP_SYS_PTRACE) can read the host's files through
    /// it. That is refused, unless the container is trusted as much as the host itself.
    #[arg(long, requires = "host_tools", hide_short_help = true)]
    pub trust_target: bool,

    /// TARGET's environment instead of ours
    ///
    /// As it was when the process started; what it changed since then is not known outside of it. Without --mount,
    /// --all or --root, and with --host-tools, the program is the host's: then PATH, HOME and SHELL stay ours, and
    /// variables that would let TARGET decide what is run (LD_PRELOAD, BASH_ENV, PERL5OPT and such) are left out.
    #[arg(short, long)]
    pub env: bool,
}
