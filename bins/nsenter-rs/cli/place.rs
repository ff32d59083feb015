//! What the program finds: root, working directory, environment.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Where the program starts, and with what around it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files and environment")]
pub struct PlaceOptions {
    /// Root directory: TARGET's, or DIR on the host
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub root: Option<Option<PathBuf>>,

    /// With --mount: use the root of the mount namespace
    ///
    /// A process may have another root directory than its mount namespace (chroot(1), unshare --root). By default
    /// PROGRAM gets that of the process, so that it finds the same files, unless --root says otherwise.
    #[arg(long, hide_short_help = true)]
    pub no_root: bool,

    /// Working directory: TARGET's, or DIR on the host
    ///
    /// It is opened before any namespace is entered, so it may be a directory that the container cannot reach.
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::DirPath, hide_short_help = true)]
    pub wd: Option<Option<PathBuf>>,

    /// Working directory, as a path in the container
    ///
    /// It is looked up after all namespaces were entered.
    #[arg(short = 'W', long, hide_short_help = true, value_name = "DIR", conflicts_with = "wd")]
    pub wdns: Option<PathBuf>,

    /// With -m, -a or -r: run the host's PROGRAM
    ///
    /// PROGRAM and its children are programs of the host, and `/` is the container's. They read files of the
    /// container, which can make them run code of the container. So they get no more power than root of the
    /// container: its capabilities, control groups, labels and limits, and a seccomp filter. The host's programs
    /// are below $HOST_ROOT, with the files that every user may read. See HOST TOOLS.
    #[arg(short = 'H', long)]
    pub host_tools: bool,

    /// With -H: keep all capabilities and files of the host
    ///
    /// PROGRAM has all capabilities of the caller, and below $HOST_ROOT all files that the caller can read. The
    /// container's files decide what PROGRAM loads and runs, and so they can change the host. Use it only for a
    /// container that you trust as much as the host.
    #[arg(long, requires = "host_tools", hide_short_help = true)]
    pub trust_target: bool,

    /// With -H: allow the container's programs to run, too
    ///
    /// As in `strace /app/server`. Without it nothing on the container's mounts can be executed ("Permission
    /// denied"), so that a program of the host loads no library of the container, and starts no program of the
    /// container by mistake. The container's programs have the same capabilities and limits as the host's programs
    /// there.
    #[arg(long, requires = "host_tools", hide_short_help = true)]
    pub exec_target: bool,

    /// TARGET's environment instead of the caller's
    ///
    /// As it was when the process started: later changes cannot be seen from outside. A program of the container
    /// gets all of it.
    ///
    /// A program of the host gets only LANG, LANGUAGE, LC_*, TERM, COLORTERM, COLUMNS, LINES, NO_COLOR and TZ, each
    /// only if its value is a plain word without a slash: other variables can make it run code of the container.
    /// HOME, LOGNAME, PATH, SHELL and USER stay the caller's. --env-var adds others.
    ///
    /// PROGRAM is the host's in three cases: none of --mount, --all and --root is given; --host-tools is given;
    /// TARGET's mounts are the caller's.
    #[arg(short, long)]
    pub env: bool,

    /// With -e or -H: pass one more variable to a program of the host
    ///
    /// With --env it is TARGET's variable, and the container decides its value. PROMPT_COMMAND, IP_LIB_DIR,
    /// LD_PRELOAD and many others make PROGRAM run code of the container, with all power that it has on the host.
    /// Use it only for a name whose effect you know. Without --env it is the caller's variable. May be given more
    /// than once.
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
