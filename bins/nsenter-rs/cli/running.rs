//! How the program is run, and watched.

use std::os::fd::RawFd;

use clap::{Args, ValueHint, value_parser};

/// How the program is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it is run")]
pub struct Running {
    /// Do not fork for --pid
    ///
    /// Only children of the program are then in the PID namespace, not the program.
    #[arg(short = 'F', long, hide_short_help = true)]
    pub no_fork: bool,

    /// With --pid: let the program outlive us
    ///
    /// Without it the program is killed when nsenter-rs is, however that happens.
    #[arg(long, hide_short_help = true)]
    pub no_kill_child: bool,

    /// Say what it takes and what would be done; do nothing
    ///
    /// For each kind of namespace ours, TARGET's and the owner of that; then every rule of the kernel that applies,
    /// and whether it holds; then the steps in their order. Exit status 1 where a rule does not hold.
    #[arg(long, group = "shown", conflicts_with = "each")]
    pub explain: bool,

    /// With --each or --explain: as JSON
    ///
    /// With --each an object for each line of a run, and one for its end, all on standard output; with --explain
    /// one object. The fields are below, under EACH and EXPLAIN.
    #[arg(long, requires = "shown", hide_short_help = true)]
    pub json: bool,

    /// Give the program a terminal of its own
    ///
    /// A pseudo-terminal, with what is typed and shown passed on, in a session of its own: the program cannot push
    /// keys into the terminal that we were started from, nor signal its processes. See TERMINAL for what a terminal
    /// does to output, and what becomes of ours.
    #[arg(long, conflicts_with_all = ["no_fork", "each"])]
    pub pty: bool,

    /// Leave this open descriptor to the program
    ///
    /// With --mount, --pid, --all or --root the program inherits no descriptor but standard input, output and
    /// error, so that nothing of the host which our caller had left open reaches the container. May be given more
    /// than once.
    #[arg(long, value_name = "FD", hide_short_help = true, value_hint = ValueHint::Other)]
    #[arg(value_parser = value_parser!(RawFd).range(0..))]
    pub keep_fd: Vec<RawFd>,
}
