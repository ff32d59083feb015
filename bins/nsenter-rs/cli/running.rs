//! How the program is run, and watched.

use std::os::fd::RawFd;

use clap::{Args, ValueHint, value_parser};

/// How the program is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub struct RunOptions {
    /// With --pid: do not fork
    ///
    /// Then only the children of PROGRAM are in the PID namespace, not PROGRAM itself.
    #[arg(short = 'F', long, hide_short_help = true)]
    pub no_fork: bool,

    /// With --pid: PROGRAM may outlive nsenter-rs
    ///
    /// Without it, PROGRAM is killed when nsenter-rs is, whatever kills it.
    #[arg(long, hide_short_help = true)]
    pub no_kill_child: bool,

    /// Print the permissions needed and the steps; run nothing
    ///
    /// Prints for each kind of namespace the caller's, TARGET's and its owner, then every rule of the kernel that
    /// applies and whether it is met, then the steps in order. The exit status is 1 if a rule is not met. See
    /// EXPLAIN.
    #[arg(long, group = "shown", conflicts_with = "each")]
    pub explain: bool,

    /// With --each or --explain: print JSON
    ///
    /// With --each, one object per line of output and one for the end of each run, all on standard output; with
    /// --explain, one object. EACH and EXPLAIN list the fields.
    #[arg(long, requires = "shown", hide_short_help = true)]
    pub json: bool,

    /// Run PROGRAM in a terminal of its own
    ///
    /// A new pseudo-terminal and a new session; what is typed and shown is passed on. PROGRAM cannot push keys into
    /// the caller's terminal, nor signal the caller's processes. See TERMINAL for how a terminal changes output,
    /// and for what happens to the caller's.
    #[arg(long, conflicts_with_all = ["no_fork", "each"], hide_short_help = true)]
    pub pty: bool,

    /// Pass this open file descriptor to PROGRAM
    ///
    /// With --mount, --pid, --all or --root, PROGRAM inherits no descriptors except standard input, output and
    /// error, so that nothing of the host that the caller had left open reaches the container. May be given more
    /// than once.
    #[arg(long, value_name = "FD", hide_short_help = true, value_hint = ValueHint::Other)]
    #[arg(value_parser = value_parser!(RawFd).range(0..))]
    pub keep_fd: Vec<RawFd>,
}
