//! What a user of cpid may say. Uses only clap, std and `common`, so that manuals are made from it.

use clap::Parser;
use common::cli::FindOptions;
use common::target::Target;

/// Print the PID of a container's first process
#[derive(Debug, Parser)]
#[command(name = "cpid", version, max_term_width = 80, after_help = EXAMPLES)]
pub struct Cli {
    /// Container names, IDs or unique ID prefixes; also docker:NAME and pid:N
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<Target>,

    #[command(flatten)]
    pub find: FindOptions,
}

const EXAMPLES: &str = "\
Examples:
  cpid nginx                               PID of the container nginx
  nsenter-rs -t $(cpid nginx) -n ip addr   the host's ip in nginx's network
  cpid web db cache                        one PID a line, in this order";
