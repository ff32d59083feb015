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
    /// PROGRAM and its children are programs of the host, and `/` is the container's. They read files of the container,
    /// which can make them run code of the container. So they get no more power than root of the container: its
    /// capabilities, control groups, labels and limits, and a seccomp filter. The host's programs are below $HOST_ROOT,
    /// with the files that every user may read. HOST TOOLS says more.
    #[arg(short = 'H', long)]
    pub host_tools: bool,

    /// With -H: keep all our capabilities and the host's files
    ///
    /// The program has all capabilities of the caller, and below $HOST_ROOT all files that the caller can read. The
    /// container's files decide what the program loads and runs, and so they can change the host. Use it only for a
    /// container that you trust as much as the host.
    #[arg(long, requires = "host_tools", hide_short_help = true)]
    pub trust_target: bool,

    /// With -H: the container's programs may run, too
    ///
    /// As in `strace /app/server`. Without it nothing on the container's mounts can be executed ("Permission denied"), so
    /// that a program of the host loads no library of the container, and starts no program of the container by mistake.
    /// Such a program has the same capabilities and limits as the host's programs there.
    #[arg(long, requires = "host_tools")]
    pub exec_target: bool,

    /// TARGET's environment instead of ours
    ///
    /// As it was when the process started: later changes cannot be seen from outside. A program of the container gets
    /// all of it. A program of the host (without --mount, --all or --root, with --host-tools, or where TARGET's mounts
    /// are ours) gets only LANG, LANGUAGE, LC_*, TERM, COLORTERM, COLUMNS, LINES, NO_COLOR and TZ of it, each only if its
    /// value is a plain word without a slash, because other variables can make it run code of the container. HOME,
    /// LOGNAME, PATH, SHELL and USER stay ours. --env-var adds others.
    #[arg(short, long)]
    pub env: bool,

    /// With -e or -H: one more variable for a program of the host
    ///
    /// With --env it is TARGET's variable, and the container decides its value. PROMPT_COMMAND, IP_LIB_DIR, LD_PRELOAD and
    /// many others make the program run code of the container, with all power that the program has on the host. Use it
    /// only for a name whose effect you know. Without --env it is the caller's variable. May be given more than once.
    #[arg(long, value_name = "NAME", hide_short_help = true, value_hint = ValueHint::Other)]
    #[arg(value_parser = variable)]
    pub env_var: Vec<OsString>,
}

/// A name as environ(7) has them.
fn variable(name: &str) -> Result<OsString, &'static str> {
    if name.is_empty() || name.contains('=') {
        Err("is not a name of a variable (the value is taken from the environment)")
    } else {
        Ok(name.into())
    }
}
