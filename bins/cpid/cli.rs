//! What a user of cpid may say. Uses only clap, std and `common`, so that manuals are made from it.

use clap::{Parser, ValueHint};
use common::cli::{FindOptions, TARGETS};
use common::target::Target;

/// Print the PID of a container's first process
#[derive(Debug, Parser)]
#[command(name = "cpid", version, max_term_width = 80, disable_help_flag = true)]
#[command(override_usage = "cpid [OPTIONS] TARGET...", after_help = format!("{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// Whose PIDs to print
    #[arg(value_name = "TARGET", required = true, hide = true, value_hint = ValueHint::Other)]
    pub targets: Vec<Target>,

    #[command(flatten)]
    pub find: FindOptions,
}

const EXAMPLES: &str = "\
Examples:
  cpid nginx                               PID of the container nginx
  nsenter-rs -t $(cpid nginx) -n ip addr   the host's ip in nginx's network
  cpid web db cache                        one PID a line, in this order";
