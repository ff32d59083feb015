//! What the program finds: root, working directory, environment.

use std::ffi::OsString;
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
    /// As it was when the process started; what it changed since then is not known outside of it. A program of the
    /// container gets all of it. Where the program is the host's (without --mount, --all or --root, with --host-tools,
    /// and where TARGET's mounts are ours) TARGET must not decide what it runs: HOME, LOGNAME, PATH, SHELL and USER stay ours, and of TARGET's
    /// come LANG, LANGUAGE, LC_*, TERM, COLORTERM, COLUMNS, LINES, NO_COLOR and TZ, each only if its value is a plain
    /// word, without a slash. --env-var adds others.
    #[arg(short, long)]
    pub env: bool,

    /// With --env or --host-tools: one more variable for a program of the host
    ///
    /// With --env it is TARGET's, and its value is what the container says: PROMPT_COMMAND, IP_LIB_DIR, LD_PRELOAD and
    /// many others make the program run code of the container with all the power that it has on the host. Ask only for
    /// names whose meaning you know. Without --env it is ours. May be given more than once.
    #[arg(long, value_name = "NAME", hide_short_help = true, value_hint = ValueHint::Other)]
    #[arg(value_parser = variable)]
    pub env_var: Vec<OsString>,
}

/// A name as environ(7) has them.
fn variable(name: &str) -> Result<OsString, &'static str> {
    if name.is_empty() || name.contains('=') { Err("is no name of a variable") } else { Ok(name.into()) }
}
