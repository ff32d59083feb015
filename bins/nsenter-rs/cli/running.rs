//! How the program is run, and watched.

use clap::Args;

/// How the program is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it is run")]
pub struct Running {
    /// Do not fork for --pid
    ///
    /// Only children of the program are then in the PID namespace, not the program.
    #[arg(short = 'F', long)]
    pub no_fork: bool,

    /// With --pid: let the program outlive us
    ///
    /// Without it the program is killed when nsenter-rs is, however that happens.
    #[arg(long, hide_short_help = true)]
    pub no_kill_child: bool,

    /// Say what it takes and what would be done; do nothing
    ///
    /// For each kind of namespace ours, TARGET's and who owns that; then every rule of the kernel that applies,
    /// and whether it holds; then the steps in their order. Exit status 1 where a rule does not hold.
    #[arg(long, group = "shown", conflicts_with = "each")]
    pub explain: bool,

    /// With --each or --explain: as JSON
    ///
    /// With --each an object for each line of a run, and one for its end, all on standard output; with --explain
    /// one object. The fields are below, under EACH and EXPLAIN.
    #[arg(long, requires = "shown", hide_short_help = true)]
    pub json: bool,
}
